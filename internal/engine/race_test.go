package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// atTheLastMoment does something once, right before an end is written.
type atTheLastMoment struct {
	bellhop.Queue
	do func()
}

func (q *atTheLastMoment) Finish(ctx context.Context, ends []bellhop.Ending) ([]error, error) {
	if do := q.do; do != nil {
		q.do = nil
		do()
	}
	return q.Queue.Finish(ctx, ends)
}

// TestACancellationAtTheLastMomentIsKept: who was told that a run is stopping
// finds it stopped, not waiting for its next attempt.
func TestACancellationAtTheLastMomentIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	q := &atTheLastMoment{Queue: h.store.Queue}
	s := *h.store
	s.Queue = q
	h.store = &s
	h.Engine = engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}, Lease: time.Minute})
	if err := h.Activate(t.Context(), catalog()); err != nil {
		t.Fatal(err)
	}
	id := h.run(alice, ask("example", "stubborn", "a")).Run
	c := h.claim(1)[0]
	q.do = func() {
		got, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
		if err != nil || len(got.Cancelled) != 1 || got.Cancelled[0].Effect != bellhop.CancelStopping {
			t.Errorf("bob is told %+v, %v", got.Cancelled, err)
		}
	}
	h.finish(c, bellhop.EndFailed)
	if r := h.get(id); r.State != bellhop.Cancelled || !strings.Contains(r.Error, "bob") {
		t.Errorf("it is %s (%s), want cancelled by bob", r.State, r.Error)
	}
}

// TestALongConcurrencyKeyIsShortened: what is kept of it fits into any index,
// and different ones stay different.
func TestALongConcurrencyKeyIsShortened(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cat := catalog()
	cat.Services[0].Jobs[0].Concurrency, cat.Services[0].Jobs[0].ConcurrencyKey = 1, "k-{name}"
	cat.Services[0].Jobs[0].Params = []bellhop.Param{{Name: "name", Type: bellhop.TypeString}}
	seen := map[string]bool{}
	q := &keys{Queue: h.store.Queue, seen: seen}
	s := *h.store
	s.Queue = q
	h.Engine = engine.New(engine.Options{Store: &s, Bus: &bus.Local{}})
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ä", 10_000)
	for i, name := range []string{"short", long + "a", long + "b", long + "a"} {
		inv := ask(cat.Services[0].Name, cat.Services[0].Jobs[0].Name, fmt.Sprint(i))
		inv.Key, inv.Args = fmt.Sprint("long", i), bellhop.Args{"name": bellhop.Text(name)}
		h.run(alice, inv)
	}
	for k := range seen {
		if len(k) > 200 {
			t.Errorf("a key of %d bytes is kept", len(k))
		}
	}
	if len(seen) != 3 {
		t.Errorf("there are %d keys, want 3", len(seen))
	}
}

// keys notes concurrency keys.
type keys struct {
	bellhop.Queue
	seen map[string]bool
}

func (q *keys) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	for _, s := range subs {
		q.seen[s.Run.ConcurrencyKey] = true
	}
	return q.Queue.Submit(ctx, subs)
}

// TestTheOldestOutputGoesThoughItCameLate: a run that ends after newer ones
// were looked at has the oldest output all the same.
func TestTheOldestOutputGoesThoughItCameLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := sweeper(t, bellhop.Keep{}, 100, 5, 4, 3, 2)
		long := a.runs[1]
		delete(a.runs, 1) // it runs: what Old does not return
		r := &runningOne{Records: h.store.Records, id: 1}
		h.store.Records = r
		l := &leads{Cluster: h.store.Cluster}
		h.store.Cluster = l
		cat := catalog()
		cat.Keep = bellhop.Keep{MaxOutput: 25}
		h.Engine = engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}, Server: "s"})
		if err := h.Activate(t.Context(), cat); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.become(true)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		a.mu.Lock()
		long.Output, r.id = 30, 0
		a.runs[1] = long
		a.mu.Unlock()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		a.mu.Lock()
		left := a.runs[1].Output
		a.mu.Unlock()
		if left != 0 {
			t.Errorf("%d bytes are left of the oldest run: %s", left, a.String())
		}
		h.Stop()
	})
}

// runningOne says that one run is running.
type runningOne struct {
	bellhop.Records
	id bellhop.RunID
}

func (r *runningOne) Active(context.Context, int) (running, waiting []bellhop.Run, more bool, err error) {
	if r.id != 0 {
		running = append(running, bellhop.Run{ID: r.id})
	}
	return running, nil, false, nil
}

// TestHoldsAreBounded: whoever may suppress can't fill the store with windows.
func TestHoldsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionSuppress, Key: fmt.Sprint("g", n), Service: "example", Job: "once", Entry: "quiet", Until: "1h"})
	}
	if bellhop.CodeOf(err) != bellhop.Conflict || n != 201 {
		t.Errorf("suppression %d is answered %v, want a conflict at 201", n, err)
	}
}
