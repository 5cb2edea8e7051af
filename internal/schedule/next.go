package schedule

import (
	"math"
	"time"
)

const (
	day = 24 * 60 * 60 // in seconds

	// near is further than any two clocks of the world are apart, so that
	// times of day can't repeat across it.
	near = 3 * day

	// horizon is how many years are searched. The 29th of February falls on
	// a given weekday once in 28 years, or 40 when one like 2100 is between.
	horizon = 50

	// never is later than all that is reckoned with, and leaves room for sums.
	never = int64(1) << 61
)

// Next returns the first tick strictly after a time, in loc (nil is UTC). It
// returns the zero time when there is none within 50 years, which is so for a
// time that loc's clocks skip whenever it would come, and when after is not in
// the years 1 to 9999. Ticks are whole seconds.
//
// Where loc's clocks change, by daylight saving or otherwise, this is the rule
// of ISC cron:
//
//   - A fixed time of day (neither second nor minute nor hour begins with *) is
//     kept once a day. If clocks skip it, it ticks at the first moment after the
//     gap, together with whatever else of the expression was skipped: `0,30 2 * * *`
//     ticks once there. If it comes twice, it ticks the first time only. A day
//     that is skipped whole is a gap like others.
//   - Any other follows elapsed time: it ticks whenever clocks show a time that
//     matches, so that */15 goes on through an hour that comes twice.
//     Nothing makes up for a time that is skipped: `*/15 2 * * *` has no tick on a
//     day without 02:00.
//   - @every knows nothing of clocks.
func (s *Spec) Next(after time.Time, loc *time.Location) time.Time {
	if loc == nil {
		loc = time.UTC
	}
	if y := after.UTC().Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	if s.every > 0 {
		passed := after.Unix() - s.anchor
		ahead := s.every - ((passed%s.every)+s.every)%s.every
		return time.Unix(after.Unix()+ahead, 0).In(loc)
	}
	tick, ok := s.next(after.Unix()+1, loc)
	if !ok {
		return time.Time{}
	}
	return time.Unix(tick, 0).In(loc)
}

// next returns the first tick at or after an instant.
//
// A local time is counted in seconds as if it were in UTC: an instant plus the
// offset. The loop goes from one change of the offset to the next, in between
// local time and instants are the same but for a number. It begins some days
// early, to know which local times have been already.
func (s *Spec) next(start int64, loc *time.Location) (int64, bool) {
	last := start + horizon*366*day
	been := int64(math.MinInt64) // nothing is due any more at local times below
	for at := start - near; at < last; {
		offset, end := zone(at, loc)
		local := at + offset
		if s.wild || been == math.MinInt64 {
			been = local
		}
		if been < local && at >= start && s.civil(been, last) < local {
			return at, true // the first moment after a gap
		}
		if begin := max(at, start); begin < end {
			found := s.civil(max(begin+offset, been), last)
			if found < end+offset {
				return found - offset, true
			}
			if end-begin > near {
				// That was so long that no change of the clocks brings it back,
				// and nothing is due before what was found.
				end = max(end, found-offset-near)
			}
		}
		at, been = end, max(been, end+offset)
	}
	return 0, false
}

// zone returns the offset at an instant, and an instant up to which it stays.
func zone(at int64, loc *time.Location) (offset, end int64) {
	t := time.Unix(at, 0).In(loc)
	_, seconds := t.Zone()
	_, bound := t.ZoneBounds()
	switch {
	case bound.IsZero(): // for ever
		end = never / 2
	case bound.Unix() > at:
		end = bound.Unix()
	default:
		// Package time takes each year for 365 days here, and on the 31st of
		// December of a leap year gives an end that is over.
		end = at - at%day + day
	}
	return int64(seconds), end
}

// civil returns the first local time at or after one that the fields match,
// or never when there is none up to last.
func (s *Spec) civil(local, last int64) int64 {
	sec := (local%day + day) % day
	date := (local - sec) / day
	if s.on(date) {
		if sec, ok := s.clock(int(sec)); ok {
			return date*day + int64(sec)
		}
	}
	date, ok := s.date(date+1, last/day+1)
	if !ok {
		return never
	}
	first, _ := s.clock(0)
	return date*day + int64(first)
}

// clock returns the first time of a day, in seconds, at or after one.
func (s *Spec) clock(sec int) (int, bool) {
	h, m := sec/3600, sec/60%60
	if has(s.hours, h) {
		if has(s.minutes, m) {
			if sec, ok := from(s.seconds, sec%60); ok {
				return h*3600 + m*60 + sec, true
			}
		}
		if m, ok := from(s.minutes, m+1); ok {
			sec, _ := from(s.seconds, 0)
			return h*3600 + m*60 + sec, true
		}
	}
	h, ok := from(s.hours, h+1)
	m, _ = from(s.minutes, 0)
	sec, _ = from(s.seconds, 0)
	return h*3600 + m*60 + sec, ok
}

// on reports whether a day matches. Days are counted from the Unix epoch.
func (s *Spec) on(date int64) bool {
	t := time.Unix(date*day, 0).UTC()
	return has(s.months, int(t.Month())) && s.match(t.Day(), int(t.Weekday()))
}

// match reports whether a day of a month that matches does, too.
func (s *Spec) match(dom, weekday int) bool {
	if s.either {
		return has(s.days, dom) || has(s.weekdays, weekday)
	}
	return has(s.days, dom) && has(s.weekdays, weekday)
}

// date returns the first day at or after one that matches, up to last.
func (s *Spec) date(date, last int64) (int64, bool) {
	t := time.Unix(date*day, 0).UTC()
	year, month, dom := t.Date()
	weekday := int(t.Weekday())
	for date <= last {
		rest := daysIn(year, month) - dom + 1
		if has(s.months, int(month)) {
			for i := range rest {
				if s.match(dom+i, (weekday+i)%7) {
					return date + int64(i), true
				}
			}
		}
		date += int64(rest)
		weekday = (weekday + rest) % 7
		dom = 1
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	return 0, false
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
