package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop/internal/schedule"
)

// drawn is one field of an expression, and what it means.
type drawn struct {
	text   string
	values map[int]bool
}

func (d drawn) star() bool { return d.text[0] == '*' }

// drawField draws a field whose values are lo to hi. likely are values that it
// has more often than others.
func drawField(t *rapid.T, name string, lo, hi int, names []string, likely ...int) drawn {
	d := drawn{values: map[int]bool{}}
	spell := func(v int) string {
		if names != nil && rapid.Bool().Draw(t, name+" by name") {
			return names[(v-lo)%len(names)]
		}
		return fmt.Sprint(v)
	}
	value := func(what string) int {
		if len(likely) > 0 && rapid.IntRange(0, 3).Draw(t, name+" likely") > 0 {
			return rapid.SampledFrom(likely).Draw(t, name+" "+what)
		}
		return rapid.IntRange(lo, hi).Draw(t, name+" "+what)
	}
	var items []string
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, name+" items") {
		from, to, step, text := lo, hi, 1, "*"
		kinds := []int{0, 1, 2, 3, 4}
		if len(likely) > 0 {
			kinds = []int{0, 1, 1, 1, 1, 1, 3, 4}
		}
		switch rapid.SampledFrom(kinds).Draw(t, name+" kind") {
		case 0:
		case 1, 2:
			from = value("value")
			to, text = from, spell(from)
		case 3:
			from = value("from")
			to = rapid.IntRange(from, hi).Draw(t, name+" to")
			text = spell(from) + "-" + spell(to)
		case 4:
			from = value("from")
			text = spell(from)
			step = 0
		}
		if step == 0 || from < to && rapid.Bool().Draw(t, name+" stepped") {
			step = rapid.IntRange(1, hi-lo).Draw(t, name+" step")
			text += fmt.Sprint("/", step)
		}
		for v := from; v <= to; v += step {
			d.values[v] = true
		}
		items = append(items, text)
	}
	d.text = strings.Join(items, ",")
	return d
}

// drawnSpec is an expression that was put together from what it means.
type drawnSpec struct {
	*schedule.Spec
	second, minute, hour, dom, month, weekday drawn
	wild                                      bool
}

var (
	monthNames   = []string{"JAN", "feb", "Mar", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdayNames = []string{"SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT"}
)

// drawSpec draws an expression that is likely to have ticks at a time of day
// near at, with the second in front if it says so.
func drawSpec(t *rapid.T, at time.Time, seconds bool) drawnSpec {
	all := func(lo, hi int) drawn {
		d := drawn{text: "*", values: map[int]bool{}}
		for v := lo; v <= hi; v++ {
			d.values[v] = true
		}
		return d
	}
	s := drawnSpec{second: drawn{"0", map[int]bool{0: true}}, dom: all(1, 31), month: all(1, 12), weekday: all(0, 6)}
	if seconds {
		s.second = drawField(t, "second", 0, 59, nil, 0)
	}
	h := at.Hour()
	s.minute = drawField(t, "minute", 0, 59, nil, 0, 15, 30, 45, 59)
	s.hour = drawField(t, "hour", 0, 23, nil, h, (h+1)%24, (h+22)%24, (h+23)%24, (h+23)%24)
	if rapid.IntRange(0, 2).Draw(t, "days") == 0 {
		s.dom = drawField(t, "day of month", 1, 31, nil, at.Day())
		s.weekday = drawField(t, "day of week", 0, 6, weekdayNames, int(at.Weekday()))
	}
	if rapid.IntRange(0, 5).Draw(t, "months") == 0 {
		s.month = drawField(t, "month", 1, 12, monthNames, int(at.Month()))
	}
	text := strings.Join([]string{s.minute.text, s.hour.text, s.dom.text, s.month.text, s.weekday.text}, " ")
	s.wild = s.minute.star() || s.hour.star()
	if seconds {
		text = s.second.text + " " + text
		s.wild = s.wild || s.second.star()
	}
	spec, err := schedule.Parse(text)
	if err != nil {
		if strings.Contains(err.Error(), "never happens") {
			return drawSpec(t, at, seconds)
		}
		t.Fatalf("%q: %v", text, err)
	}
	s.Spec = spec
	return s
}

// shows reports whether a clock that shows local, written as a time in UTC,
// matches.
func (s drawnSpec) shows(local time.Time) bool {
	return s.second.values[local.Second()] && s.minute.values[local.Minute()] && s.hour.values[local.Hour()] && s.onDay(local)
}

func (s drawnSpec) onDay(local time.Time) bool {
	dom, weekday := s.dom.values[local.Day()], s.weekday.values[int(local.Weekday())]
	if s.dom.star() || s.weekday.star() {
		return s.month.values[int(local.Month())] && dom && weekday
	}
	return s.month.values[int(local.Month())] && (dom || weekday)
}

// stepped returns the ticks after one time and before another, by going from
// one unit of time to the next and looking at the clock. It is what a daemon
// does that never sleeps longer: it remembers the latest local time that it
// has seen, and does whatever was due since.
func (s drawnSpec) stepped(after, before time.Time, loc *time.Location, unit time.Duration) []time.Time {
	wall := func(at time.Time) time.Time {
		_, offset := at.In(loc).Zone()
		return at.UTC().Add(time.Duration(offset) * time.Second)
	}
	at := after.Add(-30 * time.Hour).Truncate(unit)
	seen := wall(at)
	var got []time.Time
	for ; at.Before(before); at = at.Add(unit) {
		now := wall(at)
		due := s.wild && s.shows(now)
		for ; seen.Before(now); seen = seen.Add(unit) {
			due = due || !s.wild && s.shows(seen.Add(unit))
		}
		if due && at.After(after) {
			got = append(got, at)
		}
	}
	return got
}

var oddZones = []string{
	"America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "Europe/Dublin", "UTC",
	"Pacific/Kwajalein", "America/Nuuk", "Africa/Cairo", "Asia/Gaza", "Antarctica/Troll", "America/Caracas",
}

// turns are hours before which a zone's clocks changed, and the end of a leap
// year.
func turns(loc *time.Location) []time.Time {
	all := []time.Time{time.Date(2028, 12, 31, 12, 0, 0, 0, time.UTC)}
	last := 0
	for at := time.Date(1985, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2045; at = at.Add(time.Hour) {
		_, offset := at.In(loc).Zone()
		if offset != last {
			all = append(all, at)
		}
		last = offset
	}
	return all
}

// oddTurns are those of oddZones.
func oddTurns(t testing.TB) map[*time.Location][]time.Time {
	t.Helper()
	all := map[*time.Location][]time.Time{}
	for _, name := range oddZones {
		loc := zone(t, name)
		all[loc] = turns(loc)
	}
	return all
}

// drawTurn draws a zone and a time at which something is odd there.
func drawTurn(t *rapid.T, all map[*time.Location][]time.Time) (*time.Location, time.Time) {
	var locs []*time.Location
	for loc := range all {
		locs = append(locs, loc)
	}
	slices.SortFunc(locs, func(a, b *time.Location) int { return strings.Compare(a.String(), b.String()) })
	loc := rapid.SampledFrom(locs).Draw(t, "zone")
	return loc, rapid.SampledFrom(all[loc]).Draw(t, "turn")
}

// compare says where Next departs from what stepping gives.
func compare(t *rapid.T, s drawnSpec, after, before time.Time, loc *time.Location, unit time.Duration) {
	at := after
	for _, want := range s.stepped(after, before, loc, unit) {
		got := s.Next(at, loc)
		if !got.Equal(want) {
			t.Fatalf("%q: after %s got\n%s, want\n%s", s, at.In(loc).Format(form), got.Format(form), want.In(loc).Format(form))
		}
		at = got
	}
	if got := s.Next(at, loc); !got.IsZero() && got.Before(before) {
		t.Fatalf("%q: after %s got %s, want none before %s", s, at.In(loc).Format(form), got.Format(form), before.In(loc).Format(form))
	}
}

func TestNextIsWhatSteppingMinutesGives(t *testing.T) {
	all := oddTurns(t)
	rapid.Check(t, func(t *rapid.T) {
		for range 8 { // many, since few are due in the very hour
			loc, turn := drawTurn(t, all)
			s := drawSpec(t, turn.In(loc), false)
			after := turn.Add(-time.Duration(rapid.IntRange(-3*60, 30*60).Draw(t, "minutes before")) * time.Minute)
			compare(t, s, after.Add(-time.Duration(rapid.IntRange(0, 59_999).Draw(t, "ms"))*time.Millisecond), after.Add(54*time.Hour), loc, time.Minute)
		}
	})
}

func TestNextIsWhatSteppingSecondsGives(t *testing.T) {
	all := oddTurns(t)
	rapid.Check(t, func(t *rapid.T) {
		loc, turn := drawTurn(t, all)
		s := drawSpec(t, turn.In(loc), true)
		after := turn.Add(-time.Duration(rapid.IntRange(-3600, 2*3600).Draw(t, "seconds before")) * time.Second)
		compare(t, s, after, after.Add(2*time.Hour), loc, time.Second)
	})
}

// Far from any change of the clocks, days are what matters.
func TestNextIsWhatSteppingDaysGives(t *testing.T) {
	kathmandu := zone(t, "Asia/Kathmandu")
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(1990, 1, 1, 6, 30, 0, 0, kathmandu).AddDate(0, 0, rapid.IntRange(0, 60_000).Draw(t, "days"))
		s := drawnSpec{
			dom:     drawField(t, "day of month", 1, 31, nil, 28, 29, 30, 31),
			month:   drawField(t, "month", 1, 12, monthNames, 2),
			weekday: drawField(t, "day of week", 0, 6, weekdayNames),
		}
		spec, err := schedule.Parse(strings.Join([]string{"30 6", s.dom.text, s.month.text, s.weekday.text}, " "))
		if err != nil && strings.Contains(err.Error(), "never happens") {
			for d := range 400 * 366 {
				if s.onDay(start.AddDate(0, 0, d)) {
					t.Fatalf("%v, but it happens on %s", err, start.AddDate(0, 0, d))
				}
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		at := start
		for d := 1; d < 45*366; d++ {
			day := start.AddDate(0, 0, d)
			if !s.onDay(day) {
				continue
			}
			if got := spec.Next(at, kathmandu); !got.Equal(day) {
				t.Fatalf("%q: after %s got %s, want %s", spec, at, got, day)
			}
			if at = day; d > 3*366 {
				return
			}
		}
		if at.Equal(start) {
			t.Fatalf("%q never happens after %s, but was accepted", spec, start)
		}
	})
}

// What holds for any expression.
func TestNextGoesOn(t *testing.T) {
	all := oddTurns(t)
	rapid.Check(t, func(t *rapid.T) {
		loc, turn := drawTurn(t, all)
		s := drawSpec(t, turn.In(loc), rapid.Bool().Draw(t, "seconds"))
		at := turn.Add(-time.Duration(rapid.IntRange(0, 100*3600).Draw(t, "before")) * time.Second)
		for range 8 {
			next := s.Next(at, loc)
			if next.IsZero() {
				return
			}
			if !next.After(at) || next.Nanosecond() != 0 {
				t.Fatalf("%q: after %s comes %s", s, at.Format(form), next.Format(form))
			}
			between := at.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(at))-1).Draw(t, "between")))
			if again := s.Next(between, loc); !again.Equal(next) {
				t.Fatalf("%q: after %s comes %s, but after %s comes %s", s, at.Format(form), next.Format(form), between.Format(form), again.Format(form))
			}
			at = next
		}
	})
}

// A job once a day is done once a day: as often as days go by, each time on
// its day or, when that has no such time, right after.
func TestDailyNeverLosesADay(t *testing.T) {
	for _, name := range oddZones {
		loc := zone(t, name)
		rapid.Check(t, func(t *rapid.T) {
			hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
			s := mustParse(t, fmt.Sprintf("%d %d * * *", minute, hour))
			date := time.Date(rapid.IntRange(1987, 2040).Draw(t, "year"), 1, 1, 0, 0, 0, 0, time.UTC)
			at := time.Date(date.Year(), 1, 1, 0, 0, 0, 0, loc).Add(-time.Second)
			for range 800 {
				at = s.Next(at, loc)
				y, m, d := at.Date()
				is := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
				kept := is.Equal(date) && at.Hour() == hour && at.Minute() == minute
				made := !is.Equal(date) || at.Hour() != hour || at.Minute() != minute
				if made { // there is no such time, and a moment ago it was earlier than that
					wanted := date.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
					made = clock(at).After(wanted) && clock(at.Add(-time.Second)).Before(wanted)
				}
				if !kept && !made {
					t.Fatalf("%q in %s: on %s got %s", s, loc, date.Format(time.DateOnly), at.Format(form))
				}
				date = date.AddDate(0, 0, 1)
				// A day that is not there, and the next one, may share a moment.
				for clock(at).Sub(date) >= time.Duration(hour)*time.Hour+time.Duration(minute)*time.Minute {
					date = date.AddDate(0, 0, 1)
				}
			}
		})
	}
}

// clock is what clocks show, as if it were UTC.
func clock(at time.Time) time.Time {
	_, offset := at.Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}
