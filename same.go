package bellhop

import (
	"math/big"
	"strings"
	"time"
)

// Same reports whether two texts are the same value of the parameter, however
// they are written: 1 and 01 of an int, yes and true of a bool.
func (p Param) Same(a, b string) bool {
	if a == b {
		return true
	}
	switch p.Type {
	case TypeInt:
		x, ok := new(big.Int).SetString(a, 10)
		y, also := new(big.Int).SetString(b, 10)
		return ok && also && x.Cmp(y) == 0
	case TypeNumber:
		x, ok := parseNumber(a)
		y, also := parseNumber(b)
		return ok && also && x.Cmp(y) == 0
	case TypeBool:
		x, ok := truth(a)
		y, also := truth(b)
		return ok && also && x == y
	case TypeDuration:
		x, err := ParseDuration(a)
		y, also := ParseDuration(b)
		return err == nil && also == nil && x == y
	case TypeDate:
		x, err := time.Parse(time.DateOnly, a)
		y, also := time.Parse(time.DateOnly, b)
		return err == nil && also == nil && x.Equal(y)
	}
	return false
}

func truth(s string) (val, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	return false, false
}
