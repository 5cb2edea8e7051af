package engine

import (
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// maxWindow is the longest window, and how far ahead one may begin.
const maxWindow = 366 * 24 * time.Hour

// timeForms says what a time may look like, for messages. A beginning may be
// now as well.
const timeForms = "22:00 or 2200, a day such as 2026-01-31, today or tomorrow, a day and a time (2026-01-31 22:00, tomorrow 06:00), or a duration (30m, 1d12h)"

// window reads the ends of a window as people write them. now is in the zone
// that they mean.
//
// From: "" is now; a time of day is today's; a day is its beginning; a
// duration counts from now. Until: a time of day is the first such after from,
// so that 22:00 until 06:00 spans midnight; a day is its end; a duration
// counts from from.
//
// Where the clocks change, a time that is skipped is as much later as they skip
// (London, 01:30 in the night to summer time is 02:30), and one that comes
// twice is the first of the two. Durations are
// of real time, days have as many hours as they have.
func window(fromText, untilText string, now time.Time) (from, until time.Time, err error) {
	from = now
	if s := strings.TrimSpace(fromText); s != "" {
		if from, err = readFrom(s, now); err != nil {
			return from, until, err
		}
	}
	s := strings.TrimSpace(untilText)
	if s == "" {
		return from, until, bellhop.Errorf(bellhop.Invalid, "until when? Expected %s", timeForms)
	}
	if until, err = readUntil(s, from, now); err != nil {
		return from, until, err
	}
	understood := "the window from " + sayWritten(fromText, from, now) + " until " + sayWritten(untilText, until, now)
	switch {
	case !until.After(from):
		return from, until, bellhop.Errorf(bellhop.Invalid, "%s ends before it begins; say a later end, with its day if need be", understood)
	case !until.After(now):
		return from, until, bellhop.Errorf(bellhop.Invalid, "%s is over already: it is %s; say the day too (tomorrow 06:00)", understood, sayTime(now))
	case until.Sub(from) > maxWindow:
		return from, until, bellhop.Errorf(bellhop.Invalid, "%s is longer than 366 days; what is to rest until somebody says otherwise is paused: pause", understood)
	case from.Sub(now) > maxWindow:
		return from, until, bellhop.Errorf(bellhop.Invalid, "%s begins in more than 366 days; say so when it is nearer", understood)
	}
	return from, until, nil
}

// sayTime writes a time for messages, with all that it was taken for.
func sayTime(t time.Time) string { return t.Format("Mon 2006-01-02 15:04 MST") }

// sayWritten writes what the text of a time was taken for. A day stays a day:
// nobody wrote the midnight at which it begins or ends.
func sayWritten(text string, t, now time.Time) string {
	if day, minute, ok := dayTime(strings.TrimSpace(text), now); ok && minute < 0 {
		return day.Format("Mon 2006-01-02")
	}
	return sayTime(t)
}

// CheckTimes says whether the texts of a window's ends can be read, as far as
// they are there: whether there can be such a window is known when it is made.
func CheckTimes(fromText, untilText string) error {
	now := time.Unix(0, 0).UTC() // any will do
	if s := strings.TrimSpace(fromText); s != "" {
		if _, err := readFrom(s, now); err != nil {
			return err
		}
	}
	if s := strings.TrimSpace(untilText); s != "" {
		if _, err := readUntil(s, now, now); err != nil {
			return err
		}
	}
	return nil
}

// say writes a time in the catalog's zone.
func (e *Engine) say(t time.Time) string { return sayTime(t.In(e.active.Load().zone())) }

func readFrom(s string, now time.Time) (time.Time, error) {
	if strings.EqualFold(s, "now") {
		return now, nil
	}
	if m, ok := clockTime(s); ok {
		return atMinute(now, 0, m), nil
	}
	if day, m, ok := dayTime(s, now); ok {
		return atMinute(day, 0, max(m, 0)), nil
	}
	if d, ok := duration(s); ok {
		return now.Add(d), nil
	}
	return now, bellhop.Errorf(bellhop.Invalid, "from %.40q can't be read; expected now, %s", s, timeForms)
}

func readUntil(s string, from, now time.Time) (time.Time, error) {
	if m, ok := clockTime(s); ok {
		at := atMinute(from, 0, m)
		if !at.After(from) {
			at = atMinute(from, 1, m)
		}
		return at, nil
	}
	if day, m, ok := dayTime(s, now); ok {
		if m < 0 {
			return atMinute(day, 1, 0), nil
		}
		return atMinute(day, 0, m), nil
	}
	if d, ok := duration(s); ok {
		return from.Add(d), nil
	}
	if strings.EqualFold(s, "now") {
		return from, bellhop.Errorf(bellhop.Invalid, "until %.40q would be over at once; expected %s", s, timeForms)
	}
	return from, bellhop.Errorf(bellhop.Invalid, "until %.40q can't be read; expected %s", s, timeForms)
}

// atMinute is that many minutes by the clock into the day of t, or into one
// after it. time.Date leaves open what it makes of a time that is skipped or
// comes twice, so it is decided here: by the offset from before the clocks
// change, unless that time is only after.
func atMinute(t time.Time, days, minute int) time.Time {
	y, m, d := t.Date()
	wall := time.Date(y, m, d+days, minute/60, minute%60, 0, 0, time.UTC)
	by := func(near time.Time) (at time.Time, is bool) {
		_, offset := near.In(t.Location()).Zone()
		at = wall.Add(-time.Duration(offset) * time.Second).In(t.Location())
		_, there := at.Zone()
		return at, there == offset
	}
	before, is := by(wall.AddDate(0, 0, -1))
	if is {
		return before
	}
	if after, is := by(wall.AddDate(0, 0, 1)); is {
		return after
	}
	return before
}

// clockTime reads HH:MM, H:MM or HHMM as minutes; 24:00 is the end of the day.
func clockTime(s string) (minute int, ok bool) {
	hour, min, colon := strings.Cut(s, ":")
	if !colon {
		if len(s) != 4 {
			return 0, false
		}
		hour, min = s[:2], s[2:]
	}
	if len(hour) < 1 || len(hour) > 2 || len(min) != 2 {
		return 0, false
	}
	h, err := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(min, 10, 8)
	if err != nil || err2 != nil || m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, false
	}
	return int(h)*60 + int(m), true
}

// dayTime reads a day, and a time of it: minute is -1 when there is none.
func dayTime(s string, now time.Time) (day time.Time, minute int, ok bool) {
	date, rest := s, ""
	if i := strings.IndexByte(s, ' '); i >= 0 {
		date, rest = s[:i], strings.TrimSpace(s[i:])
	} else if len(s) > 10 && (s[10] == 'T' || s[10] == 't') {
		date, rest = s[:10], s[11:]
	} else {
		rest = "-"
	}
	switch strings.ToLower(date) {
	case "today":
		day = now
	case "tomorrow":
		day = atMinute(now, 1, 12*60)
	default:
		d, err := time.Parse(time.DateOnly, date)
		if err != nil {
			return day, 0, false
		}
		day = time.Date(d.Year(), d.Month(), d.Day(), 12, 0, 0, 0, now.Location()) // midnight is not in every day
	}
	if rest == "-" {
		return day, -1, true
	}
	minute, ok = clockTime(rest)
	return day, minute, ok
}

// duration reads one that does not go back.
func duration(s string) (time.Duration, bool) {
	d, err := bellhop.ParseDuration(strings.ToLower(s))
	return d, err == nil && d >= 0
}
