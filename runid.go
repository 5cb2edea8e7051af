package bellhop

import (
	"encoding/json"
	"math"
	"strings"
)

// RunID is a run's number in its store's sequence, from 1. People see and say
// it as lower-case Crockford base32 (https://www.crockford.com/base32.html) of
// at least six characters: 1 is 000001.
type RunID int64

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// String returns the id as people say it.
func (id RunID) String() string {
	if id < 0 {
		return "invalid"
	}
	var buf [13]byte
	i := len(buf)
	for n := uint64(id); n > 0 || i > len(buf)-6; n >>= 5 {
		i--
		buf[i] = crockford[n&31]
	}
	return string(buf[i:])
}

// ParseRunID reads what String writes, in any case, and as Crockford has it
// with o for 0, i and l for 1. Anything else is an Invalid error.
func ParseRunID(s string) (RunID, error) {
	bad := Errorf(Invalid, "%.40q is not the id of a run; it is six or more letters and digits such as 00002a (see: runs)", s)
	if len(s) < 6 || len(s) > 13 {
		return 0, bad
	}
	var n uint64
	for _, r := range strings.ToLower(s) {
		switch r {
		case 'o':
			r = '0'
		case 'i', 'l':
			r = '1'
		}
		d := strings.IndexRune(crockford, r)
		if d < 0 || n > math.MaxInt64>>5 {
			return 0, bad
		}
		n = n<<5 | uint64(d)
	}
	if n == 0 || n > math.MaxInt64 {
		return 0, bad
	}
	return RunID(n), nil
}

// MarshalJSON writes the id as people say it.
func (id RunID) MarshalJSON() ([]byte, error) { return json.Marshal(id.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (id *RunID) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	n, err := ParseRunID(s)
	*id = n
	return err
}
