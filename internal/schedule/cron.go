// Package schedule reads cron expressions and finds their ticks.
package schedule

import (
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Spec says when something is due. Parse makes one; it never changes, so that
// many may use it at once.
type Spec struct {
	text string

	// A bit for each value that matches.
	seconds, minutes, hours, days, months, weekdays uint64

	// either: one of days and weekdays is enough.
	either bool
	// wild: the time of day begins with * in some field, so that ticks follow
	// elapsed time.
	wild bool

	every  int64 // seconds; above 0 for @every, and then the rest is not used
	anchor int64 // of every, in Unix seconds
}

// shorthands are the names that stand for five fields.
var shorthands = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// Parse reads an expression. Any error is an Invalid one that names the field,
// the fault and the remedy. An expression has one of these forms:
//
//   - Five fields: minute (0-59), hour (0-23), day of month (1-31), month (1-12
//     or JAN-DEC), day of week (0-7 or SUN-SAT; 0 and 7 are Sunday). A sixth in
//     front of them is the second (0-59); without it that is 0.
//   - @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly.
//   - @every and a duration of whole seconds, such as 90s, 1h30m or 2d. Its
//     ticks are that far apart, whatever clocks on walls do; see Anchored.
//
// A field is a list of items with commas between them. An item is * (all), 5,
// 10-50, or one of them with a step: */15, 10-50/20, and 5/15, which goes on
// from 5 to the field's end. Case does not matter. SUN ends a range as 7 does
// (FRI-SUN).
//
// Day of month and day of week follow Vixie cron. A field that begins with *
// is unrestricted, */2 included. When both are restricted, a day matches by
// either; else it must match both: `0 0 13 * 5` is each 13th and each Friday,
// `0 0 */2 * 5` each Friday with an odd date.
//
// A step that leaves only the first value of its field (*/60 minutes) and an
// expression that never happens (`0 0 31 2 *`) are refused.
func Parse(text string) (*Spec, error) {
	text = strings.TrimSpace(text)
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "the expression is empty; write five fields such as 0 6 * * 1-5, or a name such as @daily")
	}
	first := strings.ToUpper(words[0])
	switch {
	case strings.HasPrefix(first, "TZ=") || strings.HasPrefix(first, "CRON_TZ="):
		return nil, bellhop.Errorf(bellhop.Invalid, "%s: an expression has no time zone in it; take that out and write the zone under the key timezone", shorten(words[0]))
	case first == "@EVERY":
		return parseEvery(text, words[1:])
	case first[0] == '@':
		fields, ok := shorthands[strings.ToLower(words[0])]
		switch {
		case !ok:
			return nil, bellhop.Errorf(bellhop.Invalid, "%s is not known; write @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, or @every 5m", shorten(words[0]))
		case len(words) > 1:
			return nil, bellhop.Errorf(bellhop.Invalid, "%s stands alone; take %s out", words[0], shorten(strings.Join(words[1:], " ")))
		}
		return parseFields(text, strings.Fields(fields))
	}
	return parseFields(text, words)
}

// String returns the expression as it was written, without space around it.
func (s *Spec) String() string { return s.text }

// Anchored returns a Spec whose ticks, when it is an @every, lie whole periods
// before and after the anchor. Without one the anchor is the Unix epoch, the
// same for every server. Parts of a second of the anchor don't count. Any
// other Spec stays as it is.
func (s *Spec) Anchored(anchor time.Time) *Spec {
	c := *s
	if s.every > 0 {
		c.anchor = anchor.Unix() % s.every
	}
	return &c
}

// parseEvery reads what follows @every.
func parseEvery(text string, words []string) (*Spec, error) {
	switch len(words) {
	case 0:
		return nil, bellhop.Errorf(bellhop.Invalid, "@every: the duration is missing; write one such as @every 5m")
	case 1:
	default:
		return nil, bellhop.Errorf(bellhop.Invalid, "@every: %s is more than one word; write one duration such as @every 1h30m", shorten(strings.Join(words, " ")))
	}
	d, err := bellhop.ParseDuration(words[0])
	switch {
	case isNumber(words[0]):
		return nil, bellhop.Errorf(bellhop.Invalid, "@every: %s has no unit; write s, m, h or d after the number, such as @every 5m", shorten(words[0]))
	case err != nil:
		return nil, bellhop.Errorf(bellhop.Invalid, "@every: %s is not a duration; write one such as 90s, 1h30m or 2d", shorten(words[0]))
	case d < time.Second:
		return nil, bellhop.Errorf(bellhop.Invalid, "@every: %s is too short; write 1s or longer", shorten(words[0]))
	case d%time.Second != 0:
		return nil, bellhop.Errorf(bellhop.Invalid, "@every: %s has a part of a second; write whole seconds", shorten(words[0]))
	}
	return &Spec{text: text, every: int64(d / time.Second)}, nil
}

// parseFields reads five or six fields.
func parseFields(text string, words []string) (*Spec, error) {
	switch len(words) {
	case 5:
		words = append([]string{"0"}, words...)
	case 6:
	default:
		plural := "s"
		if len(words) == 1 {
			plural = ""
		}
		return nil, bellhop.Errorf(bellhop.Invalid,
			"the expression has %d field%s; write five (minute, hour, day of month, month, day of week), or six with the second in front", len(words), plural)
	}
	var masks [6]uint64
	var star [6]bool
	for i, w := range words {
		m, err := fields[i].parse(w)
		if err != nil {
			return nil, err
		}
		masks[i], star[i] = m, w[0] == '*'
	}
	s := &Spec{
		text:    text,
		seconds: masks[0], minutes: masks[1], hours: masks[2], days: masks[3], months: masks[4], weekdays: masks[5],
		wild:   star[0] || star[1] || star[2],
		either: !star[3] && !star[5],
	}
	if !s.happens() {
		return nil, bellhop.Errorf(bellhop.Invalid, "day of month: no month of %s has a day %s, so this never happens; write a day that the month has", shorten(words[4]), shorten(words[3]))
	}
	return s, nil
}

// happens reports whether any year has such a day. A weekday comes to each
// date some year, the 29th of February included.
func (s *Spec) happens() bool {
	if s.either {
		return true
	}
	for m := time.January; m <= time.December; m++ {
		if has(s.months, int(m)) {
			if d, _ := from(s.days, 1); d <= daysIn(2000, m) {
				return true
			}
		}
	}
	return false
}
