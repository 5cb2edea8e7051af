package schedule_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/schedule"
)

// promised is a schedule of the property with what was promised so far.
type promised struct {
	s    bellhop.Schedule
	spec *schedule.Spec
	done time.Time // up to here a pass without trouble dealt with all
	seen time.Time // the latest that a pass since, with trouble too, took it to be
	born bool
	late int // that were made up for in this pass
}

// ticks returns those after one time and not after another, the newest 2000.
func (p *promised) ticks(after, until time.Time) (list []time.Time) {
	if oldest := until.Add(-25 * time.Hour); after.Before(oldest) {
		after = oldest
	}
	for at := p.spec.Next(after, time.UTC); !at.After(until); at = p.spec.Next(at, time.UTC) {
		list = append(list, at)
	}
	return list
}

// TestEachTickOnce: whatever servers come, go, lead at a time and fail, and
// whatever their clock does, each tick that is promised is asked for, under one
// key, and none that is not.
func TestEachTickOnce(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // each change of the store is on the disk
		_ = f.Value.Set("30")
		t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
	}
	r := newRig(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		r.clock.set(monday.Add(time.Duration(rapid.IntRange(0, 86_400_000).Draw(t, "begin")) * time.Millisecond))
		r.house.runs, r.house.asked, r.house.away, r.house.before = map[string]bellhop.RunID{}, nil, nil, nil
		r.values.before, r.values.after = 0, 0
		r.schedules = nil
		all := map[string]*promised{}
		for i := range rapid.IntRange(1, 3).Draw(t, "schedules") {
			s := each(rapid.SampledFrom([]string{"*/10 * * * * *", "@every 7s", "* * * * *", "*/5 * * * *", "17,43 * * * *", "0 */6 * * *", "@every 1h1m"}).Draw(t, "cron"))
			s.Name = fmt.Sprintf("n%d-%d", n, i)
			s.Missed = rapid.SampledFrom([]bellhop.Missed{bellhop.MissedOne, bellhop.MissedSkip, bellhop.MissedAll}).Draw(t, "missed")
			spec, err := schedule.Parse(s.Cron)
			if err != nil {
				t.Fatal(err)
			}
			r.schedules = append(r.schedules, s)
			all[s.Name] = &promised{s: s, spec: spec}
		}
		servers := []*schedule.Clockwork{r.new(), r.new()}
		var (
			depth int
			last  *schedule.Clockwork // that got through without trouble last: it knows all
			pass  func(*schedule.Clockwork)
			meets = map[int]bool{} // calls in whose middle the other server looks
			calls int
			away  bool
		)
		r.house.before = func(a asked) {
			p := all[a.name]
			calls++
			_, again := r.house.runs[fmt.Sprint(p.s.Principal(), "/", a.at.Unix())]
			late := a.now.Sub(a.at)
			switch {
			case late < 0:
				t.Fatalf("%s: asked for %s at %s already", a.name, a.at, a.now)
			case len(p.ticks(a.at.Add(-time.Second), a.at)) != 1:
				t.Fatalf("%s: %s is no tick of %s", a.name, a.at, p.s.Cron)
			case again:
			case late > bellhop.MissedAfter:
				if p.late++; p.s.Missed == bellhop.MissedSkip || p.s.Missed == bellhop.MissedOne && p.late > 1+depth ||
					p.s.Missed == bellhop.MissedAll && late > bellhop.MissedAge {
					t.Fatalf("%s (%s): %s is made up for at %s, number %d", a.name, p.s.Missed, a.at, a.now, p.late)
				}
			}
			if meets[calls] && depth == 1 {
				pass(servers[1])
			}
		}
		pass = func(c *schedule.Clockwork) {
			depth++
			defer func() { depth-- }()
			now, faults, asks := r.clock.Now(), r.values.faults, len(r.house.asked)
			if depth == 1 {
				for _, p := range all {
					p.late = 0
				}
			}
			for _, p := range all {
				if now.After(p.seen) {
					p.seen = now
				}
			}
			c.Round(context.Background())
			if r.values.faults != faults || away {
				return
			}
			knew := last == c // nobody else wrote since
			last = c
			for name, p := range all {
				if !p.born {
					p.born, p.done = true, now
					continue
				}
				p.check(t, r, now)
				if knew && depth == 1 {
					for _, a := range r.house.asked[min(asks, len(r.house.asked)):] {
						if a.name == name && !a.at.After(p.done) {
							t.Fatalf("%s: %s was dealt with at %s already", name, a.at, p.done)
						}
					}
				}
				if now.After(p.done) {
					p.done = now
				}
			}
		}
		pass(servers[0])
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {},
			"goes on": func(t *rapid.T) {
				by := time.Duration(rapid.IntRange(1, 70_000).Draw(t, "ms")) * time.Millisecond
				r.clock.set(r.clock.Now().Add(by))
				pass(servers[0])
			},
			"is down": func(t *rapid.T) {
				r.clock.set(r.clock.Now().Add(time.Duration(rapid.SampledFrom([]int{61, 600, 7200, 90_000}).Draw(t, "seconds")) * time.Second))
				servers[0], last = r.new(), nil
				pass(servers[0])
			},
			"dies in the middle": func(t *rapid.T) {
				r.clock.set(r.clock.Now().Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second))
				if rapid.Bool().Draw(t, "before") {
					r.values.before = rapid.IntRange(1, 3).Draw(t, "times")
				} else {
					r.values.after = rapid.IntRange(1, 3).Draw(t, "times")
				}
				pass(servers[0])
				r.values.before, r.values.after, last = 0, 0, nil
				if rapid.Bool().Draw(t, "restart") {
					servers[0] = r.new()
				}
			},
			"clock is set": func(t *rapid.T) {
				r.clock.set(r.clock.Now().Add(time.Duration(rapid.IntRange(-7200, 3600).Draw(t, "seconds")) * time.Second))
			},
			"house is away": func(t *rapid.T) {
				r.house.away, away = errAway, true
				r.clock.set(r.clock.Now().Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second))
				pass(servers[0])
				r.house.away, away = nil, false
			},
			"the other leads": func(*rapid.T) { servers[0], servers[1] = servers[1], servers[0] },
			"both lead": func(t *rapid.T) {
				r.clock.set(r.clock.Now().Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second))
				clear(meets)
				meets[calls+rapid.IntRange(1, 4).Draw(t, "call")] = true
				pass(servers[0])
				clear(meets)
				last = nil
			},
		})
	})
}

// check is after a pass without trouble: what is promised was asked for.
func (p *promised) check(t *rapid.T, r *rig, now time.Time) {
	ticks := p.ticks(p.done, p.seen) // whether one was missed, is judged by who looked last
	must := func(at time.Time, why string) {
		if r.house.runs[fmt.Sprint(p.s.Principal(), "/", at.Unix())] == 0 && !at.After(now) {
			t.Fatalf("%s (%s, %s): at %s, after %s, nothing was asked for at %s: it was %s", p.s.Name, p.s.Cron, p.s.Missed, now, p.done, at, why)
		}
	}
	late := 0
	for late < len(ticks) && p.seen.Sub(ticks[late]) > bellhop.MissedAfter {
		late++
	}
	for _, at := range ticks[late:] {
		must(at, "in time")
	}
	switch p.s.Missed {
	case bellhop.MissedOne:
		if late > 0 {
			must(ticks[late-1], "the last one missed")
		}
	case bellhop.MissedAll:
		for i := max(0, late-bellhop.MissedMost); i < late; i++ {
			if p.seen.Sub(ticks[i]) <= bellhop.MissedAge {
				must(ticks[i], "missed, and is made up for")
			}
		}
	}
}
