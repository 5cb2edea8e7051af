package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

// apart is how far the clocks of two servers go before and after the
// database's, which is the machine's.
const apart = 5 * time.Minute

// clocked is a server of several on one database, with a clock of its own.
type clocked struct {
	*house
	name  string
	clock *handClock
}

// twoClocks are two servers on one database: one ahead of its clock, one behind.
func twoClocks(t *testing.T, lease time.Duration) (ahead, behind *clocked) {
	t.Helper()
	url, now := pgtest.URL(t), time.Now().UTC().Truncate(time.Second)
	up := func(name string, at time.Time) *clocked {
		store, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Admin.Close() })
		c := &clocked{name: name, clock: &handClock{at: at}}
		c.house = &house{Engine: engine.New(engine.Options{Store: store, Bus: &bus.Local{}, Clock: c.clock, Lease: lease, Server: name}), t: t, store: store}
		if err := c.Activate(t.Context(), catalog()); err != nil {
			t.Fatal(err)
		}
		return c
	}
	return up("ahead", now.Add(apart)), up("behind", now.Add(-apart))
}

func (c *clocked) ask(inv bellhop.Invocation) bellhop.Answer {
	c.t.Helper()
	c.keys++
	inv.Key = fmt.Sprint(c.name, c.keys)
	a, err := c.do(alice, inv)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func (c *clocked) free() *bellhop.Accepted {
	c.t.Helper()
	return c.ask(ask("example", "free", "a")).Accepted
}

// eachWay has a test with each of two servers as the first.
func eachWay(t *testing.T, lease time.Duration, test func(t *testing.T, one, other *clocked)) {
	t.Run("from ahead to behind", func(t *testing.T) {
		ahead, behind := twoClocks(t, lease)
		test(t, ahead, behind)
	})
	t.Run("from behind to ahead", func(t *testing.T) {
		ahead, behind := twoClocks(t, lease)
		test(t, behind, ahead)
	})
}

// TestLeasesDoNotMindServersClocks: one that has time left is nobody else's,
// and one that has run out is, whatever the servers' clocks show.
func TestLeasesDoNotMindServersClocks(t *testing.T) {
	t.Run("that have time left", func(t *testing.T) {
		eachWay(t, time.Minute, func(t *testing.T, one, other *clocked) {
			id := one.free().Run
			c := one.claim(1)[0]
			for range 2 {
				if err := other.Reap(t.Context()); err != nil {
					t.Fatal(err)
				}
				if r := other.get(id); r.State != bellhop.Running || r.Attempt != 1 {
					t.Fatalf("with most of its lease to come it is %s, attempt %d: %s", r.State, r.Attempt, r.Error)
				}
				if ext, err := one.Extend(t.Context(), []bellhop.LeaseRef{ref(c)}); err != nil || ext[0].Lost {
					t.Fatal(ext, err)
				}
			}
			one.finish(c, bellhop.EndSucceeded)
		})
	})
	t.Run("that have run out", func(t *testing.T) {
		const lease = time.Second
		eachWay(t, lease, func(t *testing.T, one, other *clocked) {
			id, begin := one.free().Run, time.Now()
			c := one.claim(1)[0]
			for other.get(id).State == bellhop.Running {
				if time.Since(begin) > time.Minute {
					t.Fatal("a minute after the end of its lease it runs still")
				}
				if err := other.Reap(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(begin); took < lease {
				t.Errorf("its lease of %s was taken after %s", lease, took)
			}
			if err := one.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndSucceeded}, nil); !errors.Is(err, bellhop.ErrLeaseLost) {
				t.Errorf("finishing without a lease: %v", err)
			}
		})
	})
}

// minutes lets time pass at both servers, and has both look for work again and
// again. It returns by whose clock, and when, each run was begun.
func (c *clocked) minutes(other *clocked, n int) map[bellhop.RunID]time.Time {
	c.t.Helper()
	begun := map[bellhop.RunID]time.Time{}
	for range 4 * n {
		for _, s := range []*clocked{c, other} {
			for _, claim := range s.claim(9) {
				if _, twice := begun[claim.Task.Run]; twice {
					c.t.Errorf("run %s was begun twice", claim.Task.Run)
				}
				begun[claim.Task.Run] = s.clock.Now()
				if r := s.get(claim.Task.Run); r.Start.After(s.clock.Now()) {
					c.t.Errorf("%s begins %s at %s, which is to start at %s", s.name, claim.Task.Run, s.clock.Now(), r.Start)
				}
				s.finish(claim, bellhop.EndSucceeded)
			}
		}
		c.clock.set(c.clock.Now().Add(15 * time.Second))
		other.clock.set(other.clock.Now().Add(15 * time.Second))
	}
	return begun
}

// TestDelaysWhereServersClocksDiffer: no server begins a run before its own
// clock shows the start, whoever set that; the first one whose does begins it,
// alone; and an ask at one server pushes back, or pulls forward, what was asked
// at the other.
func TestDelaysWhereServersClocksDiffer(t *testing.T) {
	eachWay(t, time.Minute, func(t *testing.T, one, other *clocked) {
		delayed := func(c *clocked, env string, by time.Duration) *bellhop.Accepted {
			inv := ask("example", "free", env)
			inv.Delay = by
			return c.ask(inv).Accepted
		}
		far := 2*apart + 2*time.Minute
		alone := delayed(one, "alone", far)
		pushed := delayed(one, "pushed", far)
		if a := delayed(other, "pushed", 2*far); a.Run != pushed.Run || a.How != bellhop.Merged || !a.Start.Equal(other.clock.Now().Add(2*far)) {
			t.Fatalf("asked again at the other: %+v", a)
		}
		pulled := delayed(one, "pulled", 3*far)
		if a := delayed(other, "pulled", far); a.Run != pulled.Run || a.How != bellhop.Merged {
			t.Fatalf("asked again at the other: %+v", a)
		}
		starts := map[bellhop.RunID]time.Time{}
		for _, a := range []*bellhop.Accepted{alone, pushed, pulled} {
			starts[a.Run] = one.get(a.Run).Start
		}
		begun := one.minutes(other, int(5*far/time.Minute))
		for id, start := range starts {
			if at, ok := begun[id]; !ok || at.Sub(start) >= 15*time.Second {
				t.Errorf("run %s, to start at %s, was begun at %s", id, start, at)
			}
		}
	})
}

// TestWindowsHoldWhereServersClocksDiffer: what is paused or suppressed from
// now on at one server is at the other at once, though its clock is behind. A
// window that has an end, or that begins later, is open for each server
// while that one's clock shows so.
func TestWindowsHoldWhereServersClocksDiffer(t *testing.T) {
	nothing := func(t *testing.T, c *clocked) {
		t.Helper()
		if claims := c.claim(9); len(claims) > 0 {
			t.Errorf("%s begins %d runs", c.name, len(claims))
		}
	}
	eachWay(t, time.Minute, func(t *testing.T, one, other *clocked) {
		t.Run("a pause", func(t *testing.T) {
			one.ask(bellhop.Invocation{Action: bellhop.ActionPause, Service: "example", Job: "free"})
			id := other.free().Run
			nothing(t, other)
			nothing(t, one)
			for _, c := range []*clocked{one, other} {
				runs, err := c.Runs(t.Context(), alice, bellhop.RunFilter{})
				if err != nil || len(runs) != 1 || runs[0].ID != id || runs[0].Wait.Reason != bellhop.WaitPaused {
					t.Errorf("%s says %+v, %v", c.name, runs, err)
				}
			}
			other.ask(bellhop.Invocation{Action: bellhop.ActionResume, Service: "example", Job: "free"})
			if begun := one.minutes(other, 11); len(begun) != 1 {
				t.Errorf("after it %d runs were begun", len(begun))
			}
		})
		t.Run("a window", func(t *testing.T) {
			one.ask(bellhop.Invocation{Action: bellhop.ActionSuppress, Service: "example", Job: "free", Until: "30m"})
			until := one.clock.Now().Add(30 * time.Minute)
			ids := []bellhop.RunID{one.free().Run}
			nothing(t, other)
			inv := ask("example", "free", "b")
			ids = append(ids, other.ask(inv).Accepted.Run)
			nothing(t, other)
			begun := one.minutes(other, 45)
			for _, id := range ids {
				if at := begun[id]; at.Before(until) || at.Sub(until) > time.Minute {
					t.Errorf("run %s was begun at %s; the window ends at %s", id, at, until)
				}
			}
		})
		t.Run("a window to come", func(t *testing.T) {
			one.ask(bellhop.Invocation{Action: bellhop.ActionSuppress, Service: "example", Job: "free", From: "20m", Until: "20m"})
			from, until := one.clock.Now().Add(20*time.Minute), one.clock.Now().Add(40*time.Minute)
			n := 0
			for range 60 {
				one.ask(ask("example", "free", fmt.Sprint("c", n)))
				n++
				for id, at := range one.minutes(other, 1) {
					if !at.Before(from) && at.Before(until) {
						t.Errorf("run %s was begun at %s; the window is open from %s until %s", id, at, from, until)
					}
					n--
				}
			}
			if n += -len(one.minutes(other, 11)); n != 0 {
				t.Errorf("%d runs were never begun", n)
			}
		})
	})
}
