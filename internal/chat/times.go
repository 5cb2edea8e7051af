package chat

import "time"

// clock writes a time of day, with the date unless it is today.
func (s Style) clock(t time.Time) string {
	t = t.In(s.Now.Location())
	if s.daysAway(t) == 0 {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// day writes a time with its day, exact to the second: today 22:00, tomorrow
// 06:00, Fri 2026-03-06 06:00:30.
func (s Style) day(t time.Time) string {
	if t.Second() != 0 {
		return s.dayIn(t, "15:04:05")
	}
	return s.dayIn(t, "15:04")
}

// dayMinute is day to the minute, for what is over and need not be exact.
func (s Style) dayMinute(t time.Time) string { return s.dayIn(t, "15:04") }

func (s Style) dayIn(t time.Time, layout string) string {
	t = t.In(s.Now.Location())
	switch s.daysAway(t) {
	case 0:
		return "today " + t.Format(layout)
	case 1:
		return "tomorrow " + t.Format(layout)
	case -1:
		return "yesterday " + t.Format(layout)
	}
	return t.Format("Mon 2006-01-02 " + layout)
}

// daysAway counts calendar days from today to t's.
func (s Style) daysAway(t time.Time) int {
	date := func(t time.Time) time.Time {
		y, m, d := t.In(s.Now.Location()).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) // where every day has 24 h
	}
	return int(date(t).Sub(date(s.Now)) / (24 * time.Hour))
}
