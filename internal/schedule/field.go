package schedule

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// field is one of the six of an expression.
type field struct {
	name   string
	lo, hi int      // the values that it has
	names  []string // of the values from lo on
	week   bool     // 7 is another 0
}

var fields = [6]field{
	{name: "second", hi: 59},
	{name: "minute", hi: 59},
	{name: "hour", hi: 23},
	{name: "day of month", lo: 1, hi: 31},
	{name: "month", lo: 1, hi: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{name: "day of week", hi: 6, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, week: true},
}

// parse returns a bit for each value that text names.
func (f *field) parse(text string) (uint64, error) {
	var mask uint64
	for item := range strings.SplitSeq(text, ",") {
		if item == "" {
			return 0, f.errorf("%s has nothing on one side of a comma; take the comma out", shorten(text))
		}
		m, err := f.item(item)
		if err != nil {
			return 0, err
		}
		mask |= m
	}
	return mask, nil
}

// item reads one item of a list.
func (f *field) item(text string) (uint64, error) {
	if sign := f.unknown(text); sign != "" {
		return 0, f.errorf("%s: %s is not known here; write %s", shorten(text), sign, f.expects())
	}
	span, every, stepped := strings.Cut(text, "/")
	if stepped && span == "" {
		return 0, f.errorf("%s has nothing before the slash; write * there for all", shorten(text))
	}
	lo, hi, err := f.span(span, stepped)
	if err != nil {
		return 0, err
	}
	step := 1
	if stepped {
		if step, err = f.step(text, every, lo); err != nil {
			return 0, err
		}
	}
	var mask uint64
	for v := lo; v <= hi; v += step {
		if f.week && v == 7 {
			mask |= 1
		} else {
			mask |= 1 << v
		}
	}
	return mask, nil
}

// step reads what follows a slash; lo is the first value that it leaves.
func (f *field) step(item, text string, lo int) (int, error) {
	n, err := strconv.Atoi(text)
	switch {
	case text == "":
		return 0, f.errorf("%s has no step after the slash; write one such as */%d", shorten(item), (f.hi-f.lo+1)/3)
	case !isNumber(text):
		return 0, f.errorf("%s: the step %s is not a number; write one such as */%d", shorten(item), shorten(text), (f.hi-f.lo+1)/3)
	case err == nil && n == 0:
		return 0, f.errorf("%s: the step is zero; write 1 or more", shorten(item))
	case err != nil || n > f.hi-f.lo:
		more := ""
		if f.lo == 0 && !f.week {
			more = ", or @every and a duration"
		}
		return 0, f.errorf("%s: the step leaves %d alone; write at most %d, or %d%s", shorten(item), lo, f.hi-f.lo, lo, more)
	}
	return n, nil
}

// span reads an item without its step.
func (f *field) span(text string, stepped bool) (lo, hi int, err error) {
	if text == "*" {
		return f.lo, f.hi, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if isRange && (first == "" || last == "") {
		return 0, 0, f.errorf("%s is half a range; write both ends, such as %d-%d", shorten(text), f.lo, f.hi)
	}
	if lo, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case !isRange && !stepped:
		return lo, lo, nil
	case !isRange: // from lo on
		if f.week && lo == 7 {
			lo = 0
		}
		return lo, f.hi, nil
	}
	if hi, err = f.value(last); err != nil {
		return 0, 0, err
	}
	if f.week && strings.EqualFold(last, "SUN") && lo > 0 {
		hi = 7
	}
	if hi < lo {
		return 0, 0, f.errorf("%s runs backwards; write %s", shorten(text), f.forwards(first, last, lo, hi))
	}
	return lo, hi, nil
}

// forwards says how a range is written that goes over the field's end.
func (f *field) forwards(first, last string, lo, hi int) string {
	switch {
	case f.week && lo == 7:
		return fmt.Sprintf("0-%s", last)
	case f.week && hi == 0:
		return fmt.Sprintf("%s-7", first)
	case lo < f.hi:
		first = fmt.Sprintf("%s-%d", first, f.hi)
	}
	if hi > f.lo {
		last = fmt.Sprintf("%d-%s", f.lo, last)
	}
	return first + "," + last
}

// value reads one number or name.
func (f *field) value(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToUpper(text)); i >= 0 {
		return f.lo + i, nil
	}
	if !isNumber(text) {
		what := "a number"
		if f.names != nil {
			what = "a number or a name here"
		}
		return 0, f.errorf("%s is not %s; write %s", shorten(text), what, f.expects())
	}
	n, err := strconv.Atoi(text)
	if f.week && n == 7 {
		return n, nil
	}
	if err != nil || n < f.lo || n > f.hi {
		return 0, f.errorf("%s is out of range; write %s", shorten(text), f.expects())
	}
	return n, nil
}

// unknown returns the sign of other schedulers that stands in an item, or "".
// L and W stand after a number or a name, or alone.
func (f *field) unknown(text string) string {
	if i := strings.IndexAny(text, "#?"); i >= 0 {
		return text[i : i+1]
	}
	text = strings.ToUpper(text)
	for _, n := range f.names {
		text = strings.Replace(text, n, "", 1)
	}
	rest := strings.Trim(text, "0123456789-")
	if rest == "L" || rest == "W" || rest == "LW" {
		return rest[:1]
	}
	return ""
}

// expects says what may stand in the field.
func (f *field) expects() string {
	hi := f.hi
	if f.week {
		hi = 7
	}
	s := fmt.Sprintf("%d to %d", f.lo, hi)
	if f.names != nil {
		s += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	return s
}

func (f *field) errorf(format string, args ...any) error {
	return bellhop.Errorf(bellhop.Invalid, f.name+": "+format, args...)
}

// isNumber: digits alone, so that there is no sign.
func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func has(mask uint64, v int) bool { return mask>>v&1 != 0 }

// from returns the first value of mask at or above v, which is below 64.
func from(mask uint64, v int) (int, bool) {
	mask = mask >> v << v
	return bits.TrailingZeros64(mask), mask != 0
}

// shorten quotes text for a message, at most 40 characters of it.
func shorten(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		return fmt.Sprintf("%.40q...", s)
	}
	return strconv.Quote(s)
}
