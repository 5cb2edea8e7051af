package bellhop

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ParamType is the type of a parameter.
type ParamType string

// The types. An enum or a pattern makes a string parameter of that type.
const (
	TypeString   ParamType = "string"
	TypeInt      ParamType = "int"    // decimal, any size
	TypeNumber   ParamType = "number" // decimal with fraction or exponent
	TypeBool     ParamType = "bool"   // true, false, yes, no, on, off
	TypeEnum     ParamType = "enum"
	TypePattern  ParamType = "pattern"  // RE2, must match the whole value
	TypeDuration ParamType = "duration" // 90s, 1h30m, 2d
	TypeDate     ParamType = "date"     // 2006-01-02
	TypeList     ParamType = "list"
	TypeJSON     ParamType = "json"
)

// ParamTypes lists every type.
var paramTypes = []ParamType{TypeString, TypeInt, TypeNumber, TypeBool, TypeEnum, TypePattern, TypeDuration, TypeDate, TypeList, TypeJSON}

// ParamTypes returns every type, for help and for the schema.
func ParamTypes() []ParamType { return append([]ParamType(nil), paramTypes...) }

// PassAs says how an argument reaches the process besides its place in a
// template.
type PassAs string

// The ways. A value above MaxEnvValue needs AsStdin or AsFile.
const (
	AsEnv   PassAs = ""      // BELLHOP_ARG_name holds the value
	AsStdin PassAs = "stdin" // the value is standard input
	AsFile  PassAs = "file"  // the value is in a file that BELLHOP_ARG_name names
)

// Limits on values, in bytes.
const (
	// MaxEnvValue is the longest value that reaches a process through its
	// environment or argv; Linux allows 131,072 for one string.
	MaxEnvValue = 128_000
	// MaxValue is the longest value of all.
	MaxValue = 1 << 20
)

// Param is a parameter of a job.
type Param struct {
	Name    string    `json:"name"`
	Type    ParamType `json:"type"`
	Default *Value    `json:"default,omitempty"`
	Enum    []string  `json:"enum,omitempty"`
	Pattern string    `json:"pattern,omitempty"`
	Min     string    `json:"min,omitempty"` // int, number, duration, date: least value; string: least length in characters
	Max     string    `json:"max,omitempty"`
	Dash    bool      `json:"dash,omitempty"` // may begin with -
	As      PassAs    `json:"as,omitempty"`
	Help    string    `json:"help,omitempty"`
}

// Check returns nil when v is a value of the parameter, else an Invalid error
// that says what was expected. A value that begins with - is refused unless
// Dash is set, since programs take it for an option.
func (p Param) Check(v Value) error {
	if p.Type == TypeList {
		if !v.IsList() {
			return p.errorf("expects a list")
		}
		return p.checkList(v)
	}
	if v.IsList() {
		return p.errorf("expects one value, not a list")
	}
	if err := p.checkText(v.Text); err != nil {
		return err
	}
	return p.checkType(v.Text)
}

// checkList bounds the words of a list, and the list as a whole: one variable of
// the environment holds all of it.
func (p Param) checkList(v Value) error {
	size := len("[]")
	for _, w := range v.List {
		if err := p.checkText(w); err != nil {
			return err
		}
		if size += len(w) + len(`"",`); size > MaxEnvValue {
			break
		}
	}
	if size > MaxEnvValue || len(v.String()) > MaxEnvValue {
		return p.errorf("is longer than %d bytes, all of its words together; ask for fewer at a time", MaxEnvValue)
	}
	return nil
}

func (p Param) errorf(format string, args ...any) error {
	return Errorf(Invalid, "%s %s", p.Name, fmt.Sprintf(format, args...))
}

func (p Param) checkText(s string) error {
	switch {
	case len(s) > MaxValue:
		return p.errorf("is %d bytes long; the limit is %d", len(s), MaxValue)
	case len(s) > MaxEnvValue && p.As == AsEnv:
		return p.errorf("is %d bytes long; the limit is %d unless its parameter says `as: stdin` or `as: file`", len(s), MaxEnvValue)
	case strings.IndexByte(s, 0) >= 0:
		return p.errorf("holds a NUL character, which no program can be given")
	case strings.HasPrefix(s, "-") && !p.Dash:
		return p.errorf("is %s, which begins with - and could be taken for an option; its parameter would have to say `dash: true`", shorten(s))
	}
	return nil
}

func (p Param) checkType(s string) error {
	switch p.Type {
	case TypeInt:
		n, ok := new(big.Int).SetString(s, 10)
		if !ok || strings.ContainsRune(s, '_') {
			return p.errorf("expects a whole number, not %s", shorten(s))
		}
		return p.checkRange(s, new(big.Rat).SetInt(n), func(b string) (*big.Rat, bool) { return new(big.Rat).SetString(b) })
	case TypeNumber:
		n, ok := parseNumber(s)
		if !ok {
			return p.errorf("expects a number, not %s", shorten(s))
		}
		return p.checkRange(s, n, parseNumber)
	case TypeBool:
		switch strings.ToLower(s) {
		case "true", "false", "yes", "no", "on", "off":
			return nil
		}
		return p.errorf("expects true or false, not %s", shorten(s))
	case TypeEnum:
		for _, e := range p.Enum {
			if s == e {
				return nil
			}
		}
		return p.errorf("expects one of %s, not %s", strings.Join(p.Enum, ", "), shorten(s))
	case TypePattern:
		re, err := regexp.Compile(`^(?:` + p.Pattern + `)$`)
		if err != nil {
			return p.errorf("has a pattern that can't be read: %v", err)
		}
		if !re.MatchString(s) {
			return p.errorf("expects something like %s, not %s", p.Pattern, shorten(s))
		}
	case TypeDuration:
		d, err := ParseDuration(s)
		if err != nil {
			return p.errorf("expects a duration such as 90s, 1h30m or 2d, not %s", shorten(s))
		}
		return p.checkRange(s, new(big.Rat).SetInt64(int64(d)), func(b string) (*big.Rat, bool) {
			d, err := ParseDuration(b)
			return new(big.Rat).SetInt64(int64(d)), err == nil
		})
	case TypeDate:
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return p.errorf("expects a date such as 2026-01-31, not %s", shorten(s))
		}
		return p.checkRange(s, new(big.Rat).SetInt64(d.Unix()), func(b string) (*big.Rat, bool) {
			d, err := time.Parse(time.DateOnly, b)
			return new(big.Rat).SetInt64(d.Unix()), err == nil
		})
	case TypeJSON:
		if !json.Valid([]byte(s)) {
			return p.errorf("expects JSON, not %s", shorten(s))
		}
	default:
		n := new(big.Rat).SetInt64(int64(utf8.RuneCountInString(s)))
		return p.checkRange("", n, func(b string) (*big.Rat, bool) { return new(big.Rat).SetString(b) })
	}
	return nil
}

// parseNumber reads a decimal number. An exponent above three digits is
// refused, since big.Rat would write it out.
func parseNumber(s string) (*big.Rat, bool) {
	if len(s) > 400 || strings.ContainsAny(s, "/_xXoObBpP") {
		return nil, false
	}
	if _, exp, ok := strings.Cut(strings.ToLower(s), "e"); ok && len(strings.TrimLeft(exp, "+-")) > 3 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// checkRange compares n with Min and Max, which read reads. s is the value as
// written; "" says that n is a length.
func (p Param) checkRange(s string, n *big.Rat, read func(string) (*big.Rat, bool)) error {
	what, unit := shorten(s), ""
	if s == "" {
		what, unit = n.RatString(), " characters"
	}
	if b, ok := read(p.Min); p.Min != "" && ok && n.Cmp(b) < 0 {
		return p.errorf("expects at least %s%s, not %s", p.Min, unit, what)
	}
	if b, ok := read(p.Max); p.Max != "" && ok && n.Cmp(b) > 0 {
		return p.errorf("expects at most %s%s, not %s", p.Max, unit, what)
	}
	return nil
}

// ParseDuration reads what time.ParseDuration reads, and days: 2d, 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 31)
		if err != nil || n > 100_000 {
			return 0, Errorf(Invalid, "%s is not a duration such as 90s, 1h30m or 2d", shorten(s))
		}
		d := time.Duration(n) * 24 * time.Hour
		if rest == "" {
			return d, nil
		}
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 || more > 24*time.Hour {
			return 0, Errorf(Invalid, "%s is not a duration such as 90s, 1h30m or 2d", shorten(s))
		}
		return d + more, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, Errorf(Invalid, "%s is not a duration such as 90s, 1h30m or 2d", shorten(s))
	}
	return d, nil
}

// shorten quotes a value for a message, at most 40 characters of it.
func shorten(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		return fmt.Sprintf("%.40q...", s)
	}
	return strconv.Quote(s)
}
