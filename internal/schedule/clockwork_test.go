package schedule_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/schedule"
)

func TestTickIsAskedForOnce(t *testing.T) {
	r := newRig(t, each("*/5 * * * *"))
	r.pass()
	r.want("a new schedule, right after a tick", "")
	if wait := r.c.Round(t.Context()); wait != time.Second {
		t.Errorf("with nothing due it waits %s", wait)
	}
	r.goOn(299*time.Second + 400*time.Millisecond)
	r.want("before the tick", "")
	if wait := r.c.Round(t.Context()); wait != 100*time.Millisecond {
		t.Errorf("it waits %s, 100ms before the tick", wait)
	}
	r.goOn(100 * time.Millisecond)
	r.want("at the tick", "12:05:00")
	for range 5 {
		r.pass()
		r.goOn(time.Second)
	}
	r.want("after it", "")
	r.c = r.new()
	r.pass()
	r.want("after a restart", "")
	r.goOn(5 * time.Minute)
	r.want("at the next tick", "12:10:00")
	if st := r.state(); !st.Last.Equal(monday.Add(10*time.Minute)) || st.Run != 2 || st.Note != "" || len(st.Next) != 3 || !st.Next[0].Equal(monday.Add(15*time.Minute)) {
		t.Errorf("it stands as %+v", st)
	}
}

func TestNewScheduleMakesUpForNothing(t *testing.T) {
	r := newRig(t, each("*/5 * * * *", missed(bellhop.MissedAll)))
	r.clock.set(monday) // just at a tick
	r.pass()
	r.want("at once", "")
	r.goOn(time.Second)
	r.want("a second later", "")
}

func TestMissedTicks(t *testing.T) {
	at := func(text string) time.Duration { // since 12:00:00.5
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, test := range map[string]struct {
		cron, away string
		want       map[bellhop.Missed]string
		notes      map[bellhop.Missed]string
	}{
		"within the grace": {
			"* * * * *", "1m59s", map[bellhop.Missed]string{"one": "12:01:00", "skip": "12:01:00", "all": "12:01:00"}, nil,
		},
		"a minute late to the second": {
			"* * * * *", "1m59.5s", map[bellhop.Missed]string{"one": "12:01:00 12:02:00", "skip": "12:01:00 12:02:00", "all": "12:01:00 12:02:00"}, nil,
		},
		"just beyond the grace": {
			"* * * * *", "1m59.6s", map[bellhop.Missed]string{"one": "12:01:00 12:02:00", "skip": "12:02:00", "all": "12:01:00 12:02:00"}, nil,
		},
		"some": {
			"*/10 * * * *", "35m",
			map[bellhop.Missed]string{"one": "12:30:00", "skip": "", "all": "12:10:00 12:20:00 12:30:00"},
			map[bellhop.Missed]string{"skip": "missed, as some before it"},
		},
		"one": {
			"0 13 * * *", "80m", map[bellhop.Missed]string{"one": "13:00:00", "skip": "", "all": "13:00:00"},
			map[bellhop.Missed]string{"skip": "missed"},
		},
		"one, long ago": {
			"0 13 30 11 *", "720h", map[bellhop.Missed]string{"one": "13:00:00", "skip": "", "all": ""},
			map[bellhop.Missed]string{"skip": "missed", "all": "missed"},
		},
		"several, long ago": {
			"5,6,7 13 30 11 *", "49h30m", map[bellhop.Missed]string{"one": "13:07:00", "skip": "", "all": ""},
			map[bellhop.Missed]string{"skip": "missed, as some before it", "all": "missed, as some before it"},
		},
		"the last day's": {
			"0 */6 * * *", "72h10m",
			map[bellhop.Missed]string{"one": "12:00:00", "skip": "", "all": "18:00:00 00:00:00 06:00:00 12:00:00"},
			map[bellhop.Missed]string{"skip": "missed, as some before it"},
		},
	} {
		for _, m := range []bellhop.Missed{bellhop.MissedOne, bellhop.MissedSkip, bellhop.MissedAll} {
			t.Run(name+" "+string(m), func(t *testing.T) {
				r := newRig(t, each(test.cron, missed(m), overlap(bellhop.OverlapSkip)))
				r.pass()
				r.clock.set(r.clock.Now().Add(at(test.away)))
				for id := range bellhop.RunID(200) { // overlap is another matter
					r.house.ended[id] = true
				}
				r.c = r.new()
				r.pass()
				r.want("after a restart", test.want[m])
				if st := r.state(); st.Note != test.notes[m] {
					t.Errorf("the note is %q, want %q", st.Note, test.notes[m])
				}
				r.pass()
				r.c = r.new()
				r.pass()
				r.want("again", "")
			})
		}
	}
}

// TestHundredAreMadeUpFor: the newest hundred, and what is in time beside them,
// at the worst place of the trim.
func TestHundredAreMadeUpFor(t *testing.T) {
	for _, away := range []time.Duration{5 * time.Minute, 321 * time.Second, 322 * time.Second, 323 * time.Second, 484 * time.Second, time.Hour} {
		r := newRig(t, each("* * * * * *", missed(bellhop.MissedAll)))
		r.clock.set(monday)
		r.pass()
		r.goOn(away)
		if n := len(r.house.asked); n != 161 { // 61 are at most a minute late
			t.Errorf("after %s, %d are asked for", away, n)
		}
		for i, a := range r.house.asked {
			if want := monday.Add(away - time.Duration(160-i)*time.Second); !a.at.Equal(want) {
				t.Fatalf("after %s, number %d is %s, want %s", away, i, a.at, want)
			}
		}
	}
}

// TestAllWaitTheirTurn: what is made up for is all run, whatever overlap says of
// ticks in time.
func TestAllWaitTheirTurn(t *testing.T) {
	for _, o := range []bellhop.Overlap{bellhop.OverlapSkip, bellhop.OverlapCancel} {
		r := newRig(t, each("*/10 * * * *", missed(bellhop.MissedAll), overlap(o)))
		r.pass()
		r.goOn(39 * time.Minute)
		r.want(string(o), "12:10:00 12:20:00 12:30:00")
		if len(r.house.stops) > 0 {
			t.Errorf("%v were cancelled", r.house.stops)
		}
	}
}

func TestClockSetAnew(t *testing.T) {
	r := newRig(t, each("*/10 * * * *"))
	r.pass()
	r.goOn(10 * time.Minute)
	r.want("at the tick", "12:10:00")
	r.goOn(-time.Hour)
	r.goOn(59*time.Minute + 59*time.Second)
	r.c = r.new()
	r.pass()
	r.want("set back, up to where it was", "")
	r.goOn(10*time.Minute + time.Second)
	r.want("beyond", "12:20:00")

	r.goOn(3 * time.Hour)
	r.want("set forward", "15:10:00 15:20:00") // one for what was missed
	r.goOn(-3 * time.Hour)
	if st := r.state(); !st.Next[0].Equal(monday.Add(3*time.Hour + 30*time.Minute)) {
		t.Errorf("the next are %v", st.Next)
	}
	for range 18 {
		r.goOn(10 * time.Minute)
	}
	r.want("and back, up to where it was", "")
	r.goOn(10 * time.Minute)
	r.want("beyond that", "15:30:00")
}

func TestOverlap(t *testing.T) {
	t.Run("skip", func(t *testing.T) {
		r := newRig(t, each("* * * * *", overlap(bellhop.OverlapSkip)))
		r.pass()
		r.goOn(time.Minute)
		r.goOn(time.Minute)
		r.want("while it runs", "12:01:00")
		if st := r.state(); !strings.Contains(st.Note, "000001, has not ended") || !st.Noted.Equal(monday.Add(2*time.Minute)) || !st.Last.Equal(monday.Add(time.Minute)) || st.Run != 1 {
			t.Errorf("it stands as %+v", st)
		}
		r.house.ended[1] = true
		r.pass()
		r.want("once it ended, before the next tick", "")
		r.goOn(time.Minute)
		r.want("at the next tick", "12:03:00")
		if st := r.state(); st.Note != "" {
			t.Errorf("the note stays: %q", st.Note)
		}
	})
	t.Run("queue", func(t *testing.T) {
		r := newRig(t, each("* * * * *"))
		r.pass()
		r.goOn(time.Minute)
		r.goOn(time.Minute)
		r.want("while it runs", "12:01:00 12:02:00")
	})
	t.Run("cancel", func(t *testing.T) {
		r := newRig(t, each("* * * * *", overlap(bellhop.OverlapCancel)))
		r.pass()
		r.goOn(time.Minute)
		r.goOn(time.Minute)
		r.want("while it runs", "12:01:00 12:02:00")
		if len(r.house.stops) != 1 || r.house.stops[0] != 1 {
			t.Errorf("cancelled: %v", r.house.stops)
		}
		r.house.ended[2] = true
		r.goOn(time.Minute)
		r.want("after it", "12:03:00")
		if len(r.house.stops) != 1 {
			t.Errorf("cancelled: %v", r.house.stops)
		}
	})
}

func TestHouseIsAwayForAWhile(t *testing.T) {
	for _, code := range []bellhop.Code{bellhop.Unavailable, bellhop.Internal} {
		for _, o := range []bellhop.Overlap{bellhop.OverlapQueue, bellhop.OverlapCancel} {
			r := newRig(t, each("*/10 * * * * *", overlap(o)))
			r.pass()
			r.goOn(10 * time.Second)
			r.want("at first", "12:00:10")
			r.house.away = bellhop.Errorf(code, "away")
			for range 5 {
				r.goOn(10 * time.Second)
			}
			r.want("meanwhile", "")
			if st := r.state(); st.Note != "" {
				t.Errorf("noted: %s", st.Note)
			}
			r.house.away, r.house.ended[1] = nil, true
			r.pass()
			r.want("afterwards", "12:00:20 12:00:30 12:00:40 12:00:50 12:01:00")
		}
	}
}

// TestRunBeforeCanNotBeCancelled: where the run before can't be cancelled now,
// the next one waits for that; where that is refused, it does not.
func TestRunBeforeCanNotBeCancelled(t *testing.T) {
	r := newRig(t, each("* * * * *", overlap(bellhop.OverlapCancel)))
	r.pass()
	r.goOn(time.Minute)
	r.house.cancel = errAway
	r.goOn(time.Minute)
	r.want("while it can't be", "12:01:00")
	r.house.cancel = bellhop.Errorf(bellhop.NotAllowed, "no")
	r.pass()
	r.want("when it is refused", "12:02:00")
}

func TestHouseRefuses(t *testing.T) {
	r := newRig(t, each("* * * * *"), each("* * * * *", func(s *bellhop.Schedule) { s.Name = "other" }))
	r.pass()
	r.house.away = bellhop.Errorf(bellhop.NotAllowed, "not for you")
	r.goOn(time.Minute)
	if st := r.state(); st.Note != "not for you" || !st.Noted.Equal(monday.Add(time.Minute)) || st.Run != 0 {
		t.Errorf("it stands as %+v", st)
	}
	r.house.away = nil
	r.pass()
	r.want("allowed now, before the next tick", "")
	r.goOn(time.Minute)
	r.want("at the next", "12:02:00 12:02:00")
}

// TestDiesBetweenTickAndCursor: the tick is asked for again, for the same time.
func TestDiesBetweenTickAndCursor(t *testing.T) {
	for name, test := range map[string]struct {
		fail func(*values)
		want string
	}{
		"before it is written": {func(v *values) { v.before = 1 }, "12:01:00 12:01:00!"},
		"after it is written":  {func(v *values) { v.after = 1 }, "12:01:00"},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, each("* * * * *", func(s *bellhop.Schedule) { s.Jitter = 10 * time.Second }))
				r.pass()
				test.fail(r.values)
				r.goOn(time.Minute)
				if restart {
					r.c = r.new()
				}
				r.goOn(time.Second)
				r.goOn(time.Second)
				r.want("all in all", test.want)
				if len(r.house.runs) != 1 {
					t.Errorf("%d runs", len(r.house.runs))
				}
			})
		}
	}
}

// TestTwoThatLead look in turns, the one in the middle of what the other does.
func TestTwoThatLead(t *testing.T) {
	r := newRig(t, each("*/10 * * * * *"), each("*/15 * * * * *", func(s *bellhop.Schedule) { s.Name = "other" }))
	one, other := r.c, r.new()
	one.Round(t.Context())
	other.Round(t.Context())
	cursors := map[string]string{}
	check := func() {
		list, err := r.values.List(t.Context(), "schedule", "", "", 10, r.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			last := strings.SplitN(string(v.Value), `"`, 5)[3]
			if last < cursors[v.Key] {
				t.Errorf("%s goes back from %s to %s", v.Key, cursors[v.Key], last)
			}
			cursors[v.Key] = last
		}
	}
	within := false
	for i := range 60 {
		r.house.before = func(asked) {
			if check(); within || i%3 == 0 {
				return
			}
			within = true
			other.Round(t.Context())
			within = false
			check()
		}
		r.clock.set(r.clock.Now().Add(5 * time.Second))
		one.Round(t.Context())
		if i%4 == 0 {
			one, other = other, one
		}
		check()
	}
	r.c = one
	r.pass()
	r.pass()
	if len(r.house.runs) != 30+20 {
		t.Errorf("%d runs", len(r.house.runs))
	}
	for _, a := range r.house.asked {
		if d := a.at.Sub(monday); d%(10*time.Second) != 0 && d%(15*time.Second) != 0 {
			t.Errorf("asked for at %s", a.at)
		}
	}
}

func TestJitterIsTheSameOnEveryServer(t *testing.T) {
	s := each("* * * * *", func(s *bellhop.Schedule) { s.Jitter = 30 * time.Second })
	seen := map[time.Duration]bool{}
	var delays [2][]time.Duration
	for i := range delays {
		r := newRig(t, s)
		r.clock.set(monday)
		r.pass()
		for range 50 {
			r.goOn(time.Minute)
		}
		for _, a := range r.house.asked {
			if a.delay < 0 || a.delay >= s.Jitter {
				t.Errorf("a tick is %s late", a.delay)
			}
			seen[a.delay] = true
			delays[i] = append(delays[i], a.delay)
		}
	}
	for i := range delays[0] {
		if delays[0][i] != delays[1][i] {
			t.Fatalf("tick %d is late by %s and by %s", i, delays[0][i], delays[1][i])
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d different ones", len(seen))
	}
	// What is made up for is late already.
	r := newRig(t, s)
	r.pass()
	r.goOn(time.Minute + 20*time.Second)
	if a := r.house.asked[0]; a.delay != max(0, schedule.Jitter(&s, a.at)-20*time.Second-500*time.Millisecond) {
		t.Errorf("asked 20 s late, delayed by %s; its jitter is %s", a.delay, schedule.Jitter(&s, a.at))
	}
}

func TestFromAndUntil(t *testing.T) {
	r := newRig(t, each("* * * * *", func(s *bellhop.Schedule) { s.From, s.Until = monday.Add(2*time.Minute), monday.Add(5*time.Minute) }))
	for range 10 {
		r.goOn(time.Minute)
	}
	r.want("in all", "12:02:00 12:03:00 12:04:00")
	if st := r.state(); len(st.Next) != 0 {
		t.Errorf("the next are %v", st.Next)
	}

	// Bounds that move bring back nothing that was outside.
	r.goOn(500 * time.Millisecond)
	r.schedules[0].Until = monday.Add(time.Hour)
	r.pass()
	r.want("with a later end", "12:10:00")
	r.goOn(time.Minute)
	r.want("with a later end, at the next", "12:11:00")
	r.schedules[0].From, r.schedules[0].Until = monday.Add(12*time.Minute), time.Time{}
	r.goOn(time.Minute)
	r.want("without an end", "12:12:00")
	r.schedules[0].From = monday.Add(48 * time.Hour)
	r.goOn(25 * time.Hour)
	r.want("with a later beginning", "")
	r.schedules[0].From = monday
	r.schedules[0].Missed = bellhop.MissedAll
	r.pass()
	r.goOn(time.Minute)
	if n := len(r.house.asked); n > 3 {
		t.Errorf("with an earlier beginning: %s", r.took())
	}
}

// TestLateUntil: the last ticks before the end are made up for after it.
func TestLateUntil(t *testing.T) {
	r := newRig(t, each("* * * * *", missed(bellhop.MissedAll), func(s *bellhop.Schedule) { s.Until = monday.Add(3 * time.Minute) }))
	r.pass()
	r.goOn(time.Hour)
	r.want("after the end", "12:01:00 12:02:00")
}

func TestPaused(t *testing.T) {
	r := newRig(t, each("* * * * *", missed(bellhop.MissedAll)))
	r.pass()
	r.goOn(time.Minute)
	r.schedules[0].Paused = true
	puts := r.values.puts
	for range 10 {
		r.goOn(time.Minute)
	}
	r.want("while paused", "12:01:00")
	if n := r.values.puts - puts; n != 1 {
		t.Errorf("it was written %d times that it is paused", n)
	}
	if st := r.state(); !st.Paused || len(st.Next) != 0 {
		t.Errorf("it stands as %+v", st)
	}
	r.schedules[0].Paused = false
	r.pass()
	r.goOn(time.Minute)
	r.want("when it goes on", "12:12:00")

	// It is paused while the server is down, and goes on while it is down again.
	r.schedules[0].Paused = true
	r.goOn(10 * time.Minute)
	r.schedules[0].Paused = false
	r.clock.set(r.clock.Now().Add(10 * time.Minute))
	r.c = r.new()
	r.pass()
	r.goOn(time.Minute)
	r.want("after two restarts", "12:33:00")

	r = newRig(t, each("* * * * *", missed(bellhop.MissedAll), func(s *bellhop.Schedule) { s.Paused = true }))
	r.pass()
	r.schedules[0].Paused = false
	r.goOn(10 * time.Minute)
	r.want("one that was paused from the beginning", "")
}

func TestOtherExpression(t *testing.T) {
	r := newRig(t, each("0 * * * *", missed(bellhop.MissedAll)))
	r.pass()
	r.goOn(30 * time.Minute)
	r.schedules[0].Cron = "*/10 * * * *"
	r.pass()
	r.want("at once", "")
	r.goOn(10 * time.Minute)
	r.want("at a tick of the new one", "12:40:00")

	// The same hours of another zone.
	r.schedules[0].Cron = "45 18 * * *"
	r.pass()
	r.goOn(8 * time.Hour) // 20:40
	r.want("by UTC", "18:45:00")
	r.schedules[0].Zone = "America/New_York" // where it was 15:40
	r.pass()
	r.want("another zone, at once", "")
	r.goOn(3*time.Hour + 10*time.Minute)
	r.want("by New York", "23:45:00")
	r.schedules[0].Zone = "Asia/Tokyo" // 08:50, and 18:45 was at 09:45 UTC, more than 12 hours ago
	r.pass()
	r.goOn(time.Minute)
	r.want("a zone further east, at once", "")

	r = newRig(t, each("0 13 * * *", missed(bellhop.MissedAll)))
	r.pass()
	r.goOn(2 * time.Hour)
	r.want("by UTC", "13:00:00")
	r.goOn(22*time.Hour + 30*time.Minute) // 12:30 the next day
	r.schedules[0].Zone = "Europe/Berlin" // where 13:00 has just been
	r.c = r.new()
	r.pass()
	r.want("by Berlin, after a restart", "")
}

func TestComesBackAfterMonths(t *testing.T) {
	s := each("0 6 * * *", missed(bellhop.MissedAll))
	other := each("0 7 1 1 *", func(s *bellhop.Schedule) { s.Name = "other" })
	for _, restart := range []bool{false, true} {
		r := newRig(t, s, other)
		r.pass()
		r.goOn(20 * time.Hour)
		r.want("a day", "06:00:00")
		r.schedules = []bellhop.Schedule{other}
		r.pass()
		if restart {
			r.c = r.new()
			r.pass()
		}
		list, err := r.values.List(t.Context(), "schedule", "", "", 10, r.clock.Now())
		if err != nil || len(list) != 1 || list[0].Key != "s/other" {
			t.Errorf("what is known: %v, %v", list, err)
		}
		r.clock.set(r.clock.Now().Add(100 * 24 * time.Hour))
		r.schedules = []bellhop.Schedule{s, other}
		if restart {
			r.c = r.new()
		}
		r.pass()
		r.want("it comes back", "07:00:00") // the other's
		r.goOn(24 * time.Hour)
		r.want("a day later", "06:00:00")
	}
}

// TestManyAreForgotten: more than are looked at in one go.
func TestManyAreForgotten(t *testing.T) {
	r := newRig(t)
	for _, a := range "abcdefghijkl" {
		for _, b := range "abcdefghijkl" {
			r.schedules = append(r.schedules, each("0 6 * * *", func(s *bellhop.Schedule) { s.Name = string(a) + string(b) }))
		}
	}
	r.pass()
	r.schedules = r.schedules[70:73]
	r.pass()
	list, err := r.values.List(t.Context(), "schedule", "", "", 500, r.clock.Now())
	if err != nil || len(list) != 3 {
		t.Errorf("%d are known, %v", len(list), err)
	}
}

// TestAwayForAYear: what is to be done does not grow with the time.
func TestAwayForAYear(t *testing.T) {
	for name, s := range map[string]bellhop.Schedule{
		"every second":        each("* * * * * *", missed(bellhop.MissedAll)),
		"until the day after": each("* * * * * *", func(s *bellhop.Schedule) { s.Until = monday.Add(3000 * 24 * time.Hour) }),
		"in December":         each("* * * * 12 *"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, s)
			r.pass()
			begin, puts := time.Now(), r.values.puts
			away := 365 * 24 * time.Hour
			if !s.Until.IsZero() {
				away *= 10
			}
			r.goOn(away)
			if took := time.Since(begin); took > 5*time.Second { // it is tens of milliseconds; by the tick it would be minutes
				t.Errorf("that took %s", took)
			}
			n := len(r.house.asked)
			want := 1
			if s.Missed == bellhop.MissedAll {
				want = bellhop.MissedMost + 60
			}
			if s.Until.IsZero() && s.Missed == bellhop.MissedOne {
				want = n // in December there may be some in time
			}
			if n != want || n == 0 || r.values.puts-puts > want+2 {
				t.Errorf("%d are asked for, with %d writes; want %d", n, r.values.puts-puts, want)
			}
			r.took()
			r.pass()
			r.want("again", "")
		})
	}
	r := newRig(t, each("* * * * * *", func(s *bellhop.Schedule) { s.Until = monday.Add(300 * 24 * time.Hour) }))
	r.pass()
	r.goOn(365 * 24 * time.Hour)
	r.want("the last one", "11:59:59")
}

// TestOneThatFailsKeepsNobodyBack: a store that can't write one schedule's
// cursor, or an expression that can't be read, is that schedule's trouble.
func TestOneThatFailsKeepsNobodyBack(t *testing.T) {
	r := newRig(t, each("bad"), each("* * * * *", func(s *bellhop.Schedule) { s.Name = "good" }))
	r.pass()
	r.goOn(time.Minute)
	r.want("beside one that can't be read", "12:01:00")
	if wait := r.c.Round(t.Context()); wait > time.Second {
		t.Errorf("it waits %s", wait)
	}
}

// TestRoleComesAndGoes: who has it again knows what others did meanwhile.
func TestRoleComesAndGoes(t *testing.T) {
	r := newRig(t, each("* * * * *"))
	var mine atomic.Bool
	mine.Store(true)
	one := schedule.New(schedule.Options{
		Values: r.values, Clock: r.clock, House: r.house, Mine: mine.Load, Log: slog.New(slog.DiscardHandler),
		Schedules: func() ([]bellhop.Schedule, *time.Location) { return r.schedules, nil },
	})
	one.Round(t.Context())
	mine.Store(false)
	r.clock.set(monday.Add(time.Minute))
	one.Round(t.Context())
	r.want("without the role", "")
	r.pass()
	r.want("the other", "12:01:00")
	mine.Store(true)
	r.clock.set(monday.Add(2 * time.Minute))
	one.Round(t.Context())
	r.want("with the role again, and what the other did is known", "12:02:00")
}

// TestLoop has the true loop, by a clock of its own.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, each("* * * * * *"))
		var ticks atomic.Int64
		c := schedule.New(schedule.Options{
			Values: r.values, House: countHouse{&ticks}, Mine: func() bool { return true },
			Schedules: func() ([]bellhop.Schedule, *time.Location) { return r.schedules, time.UTC },
		})
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if n := ticks.Load(); n != 10 {
			t.Errorf("%d ticks in 10 s", n)
		}
		if _, err := c.Add(t.Context(), bellhop.Later{At: time.Now().Add(-time.Second), Key: "k", Text: "x", Person: bellhop.Person{Identity: "ssh:a"}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := ticks.Load(); n != 1010 {
			t.Errorf("what is due at once is not said at once: %d", n)
		}
		c.Stop()
		c.Stop()
		time.Sleep(5 * time.Second)
		if n := ticks.Load(); n != 1010 {
			t.Errorf("%d ticks after its end", n-1010)
		}
	})
}

// TestSlowChatKeepsNoScheduleBack: somebody's chat does not say who they are,
// and the clock goes on.
func TestSlowChatKeepsNoScheduleBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, each("* * * * * *"))
		var ticks atomic.Int64
		c := schedule.New(schedule.Options{
			Values: r.values, House: slowHouse{countHouse{&ticks}}, Mine: func() bool { return true },
			Schedules: func() ([]bellhop.Schedule, *time.Location) { return r.schedules, time.UTC },
		})
		if _, err := c.Add(t.Context(), bellhop.Later{At: time.Now(), Key: "k", Text: "x", Person: bellhop.Person{Identity: "slack:a"}}); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if n := ticks.Load(); n != 10 {
			t.Errorf("%d ticks in 10 s", n)
		}
		c.Stop()
	})
}

// slowHouse says nothing until it is over.
type slowHouse struct{ countHouse }

func (slowHouse) Say(ctx context.Context, _ bellhop.Later) error {
	<-ctx.Done()
	return ctx.Err()
}

// countHouse counts ticks, and for what is said a thousand.
type countHouse struct{ n *atomic.Int64 }

func (h countHouse) Tick(context.Context, *bellhop.Schedule, time.Time, time.Duration) (bellhop.RunID, error) {
	return bellhop.RunID(h.n.Add(1)), nil
}
func (countHouse) Ended(context.Context, bellhop.RunID) (bool, error) { return true, nil }
func (countHouse) Cancel(context.Context, *bellhop.Schedule, bellhop.RunID) error {
	return nil
}
func (h countHouse) Say(context.Context, bellhop.Later) error {
	h.n.Add(1000)
	return nil
}
