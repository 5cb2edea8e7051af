package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// attic is what there is to forget, in memory.
type attic struct {
	mu      sync.Mutex
	runs    map[bellhop.RunID]bellhop.OldRun
	looked  map[bellhop.RunID]int
	keys    int
	before  time.Time // of keys
	holds   time.Time // of holds
	shrunk  int
	most    int // changed by one Forget
	running int64
}

func (a *attic) Old(_ context.Context, after bellhop.RunID, n int) (out []bellhop.OldRun, last bellhop.RunID, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []bellhop.RunID
	for id := range a.runs {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for i, id := range ids {
		if i == n {
			return out, last, nil
		}
		a.looked[id]++
		last = id
		out = append(out, a.runs[id])
	}
	return out, 0, nil
}

func (a *attic) Forget(_ context.Context, runs, output []bellhop.RunID) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.most = max(a.most, len(runs)+len(output))
	for _, id := range runs {
		delete(a.runs, id)
	}
	for _, id := range output {
		r := a.runs[id]
		r.Output = 0
		a.runs[id] = r
	}
	return len(runs) + len(output), nil
}

func (a *attic) ForgetKeys(_ context.Context, before time.Time, cursor string, n int) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before = before
	a.keys = max(0, a.keys-n)
	if a.keys == 0 {
		return "", nil
	}
	return cursor + "x", nil
}

func (a *attic) ForgetHolds(_ context.Context, before time.Time) error {
	a.holds = before
	return nil
}

func (a *attic) OutputSize(context.Context) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.running
	for _, r := range a.runs {
		n += r.Output
	}
	return n, nil
}

func (a *attic) Shrink(context.Context) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shrunk++
	return a.shrunk%3 != 0, nil
}

const day = 24 * time.Hour

// sweeper is an engine with an attic in which the runs ended that many days
// ago, each with ten bytes of output.
func sweeper(t *testing.T, keep bellhop.Keep, daysAgo ...int) (*house, *attic) {
	t.Helper()
	h := newHouse(t)
	a := &attic{runs: make(map[bellhop.RunID]bellhop.OldRun), looked: make(map[bellhop.RunID]int), keys: 2500}
	h.store.Retention = a
	cat := catalog()
	cat.Keep = keep
	cat.Services[0].Jobs[1].Keep = bellhop.Keep{Runs: 1 * day} // free
	cat.Services[0].Jobs[2].Keep = bellhop.Keep{Runs: -1}      // keyed: for ever
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, days := range daysAgo {
		id := bellhop.RunID(i + 1)
		a.runs[id] = bellhop.OldRun{Run: id, Service: "example", Job: "deploy", Finished: now.Add(-time.Duration(days)*day - time.Minute), Output: 10}
	}
	return h, a
}

func (a *attic) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var s []string
	for id, r := range a.runs {
		s = append(s, fmt.Sprintf("%d:%d", id, r.Output))
	}
	slices.Sort(s)
	return fmt.Sprint(s)
}

func TestSweep(t *testing.T) {
	h, a := sweeper(t, bellhop.Keep{Runs: 90 * day, Output: 30 * day}, 100, 40, 20, 2)
	for id, job := range map[bellhop.RunID]string{5: "free", 6: "keyed", 7: "removed"} {
		r := a.runs[1]
		r.Run, r.Job = id, job
		if job == "free" {
			r.Finished = time.Now().Add(-2 * day)
		}
		a.runs[id] = r
	}
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.String(); got != "[2:0 3:10 4:10 6:0]" {
		t.Errorf("there is left %s", got)
	}
	if a.keys != 0 || time.Since(a.before) < bellhop.KeyAge || time.Since(a.before) > bellhop.KeyAge+time.Hour {
		t.Errorf("%d keys are left, those before %s go", a.keys, a.before)
	}
	if a.holds.IsZero() || a.shrunk != 3 {
		t.Errorf("holds before %s, shrunk %d times", a.holds, a.shrunk)
	}
}

func TestNothingIsForgottenThatIsKeptForEver(t *testing.T) {
	h, a := sweeper(t, bellhop.Keep{}, 1000, 2000)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.String(); got != "[1:10 2:10]" || !a.holds.IsZero() {
		t.Errorf("there is left %s; holds before %s go", got, a.holds)
	}
}

func TestTheOldestOutputGoesFirst(t *testing.T) {
	h, a := sweeper(t, bellhop.Keep{MaxOutput: 25}, 5, 4, 3, 2)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.String(); got != "[1:0 2:0 3:10 4:10]" {
		t.Errorf("there is left %s", got)
	}
	a.running = 1000 // what runs is left alone, and the sweep ends all the same
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.String(); got != "[1:0 2:0 3:0 4:0]" {
		t.Errorf("there is left %s", got)
	}
}

func TestSweepsGoInSmallSteps(t *testing.T) {
	h, a := sweeper(t, bellhop.Keep{Runs: 90 * day, Output: 30 * day}, append(slices.Repeat([]int{100}, 1234), slices.Repeat([]int{40}, 1234)...)...)
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(a.runs) != 1234 || a.most > 100 {
		t.Errorf("%d runs are left; %d were changed at once", len(a.runs), a.most)
	}
}

// leads says who is the keeper.
type leads struct {
	bellhop.Cluster
	mu     sync.Mutex
	keeper bool
	beats  []time.Duration
}

func (l *leads) Lead(_ context.Context, role, _ string, _ time.Duration) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return role == bellhop.RoleKeeper && l.keeper, nil
}

func (l *leads) Beat(_ context.Context, _ string, ttl time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beats = append(l.beats, ttl)
	return nil
}

func (l *leads) become(keeper bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeper = keeper
}

func TestOnlyTheKeeperSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := sweeper(t, bellhop.Keep{Output: 30 * day, MaxOutput: 25}, 40, 29, 29, 1)
		l := &leads{Cluster: h.store.Cluster}
		h.store.Cluster = l
		cat := catalog()
		cat.Keep = bellhop.Keep{Output: 30 * day, MaxOutput: 35}
		h.Engine = engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}, Server: "s"})
		if err := h.Activate(t.Context(), cat); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := a.String(); got != "[1:10 2:10 3:10 4:10]" {
			t.Errorf("somebody else is the keeper, and there is left %s", got)
		}
		l.become(true)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := a.String(); got != "[1:0 2:10 3:10 4:10]" {
			t.Errorf("as the keeper, there is left %s", got)
		}
		a.mu.Lock()
		clear(a.looked)
		a.running = 10 // output becomes too much before the next sweep
		a.mu.Unlock()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		a.mu.Lock()
		looked := a.looked[1]
		a.mu.Unlock()
		if got := a.String(); got != "[1:0 2:0 3:10 4:10]" || looked != 0 {
			t.Errorf("there is left %s; where nothing is left was looked %d times", got, looked)
		}
		time.Sleep(day)
		synctest.Wait()
		if got := a.String(); got != "[1:0 2:0 3:0 4:10]" {
			t.Errorf("a day later there is left %s", got)
		}
		h.Stop()
		h.Stop()
		if last := l.beats[len(l.beats)-1]; last != 0 || l.beats[0] != 15*time.Second {
			t.Errorf("it said that it lives for %v, and at last for %s", l.beats[0], last)
		}
	})
}

// On a real store, and by two servers that both believe to be the keeper.
func TestTwoKeepersDoNoHarm(t *testing.T) {
	h := newHouse(t)
	clock := &handClock{at: noon}
	cat := catalog()
	cat.Keep = bellhop.Keep{Runs: 90 * day, Output: 30 * day}
	var keepers []*engine.Engine
	for range 2 {
		e := engine.New(engine.Options{Store: h.store, Bus: h.bus, Clock: clock})
		if err := e.Activate(t.Context(), cat); err != nil {
			t.Fatal(err)
		}
		keepers = append(keepers, e)
	}
	h.Engine = keepers[0]
	end := func(n int) (ids []bellhop.RunID) {
		for i := range n {
			ids = append(ids, h.run(alice, ask("example", "free", fmt.Sprint(i))).Run)
		}
		for _, c := range h.claim(n) {
			out := &bellhop.OutputBatch{Ref: ref(c), Attempt: 1, Chunks: []bellhop.Chunk{{Seq: 1, Attempt: 1, Channel: bellhop.Stdout, Data: []byte("x")}}}
			if err := h.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndSucceeded}, out); err != nil {
				t.Fatal(err)
			}
		}
		return ids
	}
	oldest := end(150)
	clock.set(noon.Add(60 * day))
	older := end(150)
	clock.set(noon.Add(89 * day))
	newest := end(3)
	waits := h.run(alice, ask("example", "deploy", "a")).Run
	clock.set(noon.Add(91 * day))
	rows, _, err := h.store.Outbox.Due(t.Context(), bellhop.DueRequest{Now: clock.Now(), N: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows { // what is not told yet is kept
		err := h.store.Outbox.Settle(t.Context(), []bellhop.Settlement{{ID: r.ID, State: bellhop.ReportDelivered, Now: clock.Now()}})
		if err != nil {
			t.Fatal(err)
		}
	}
	var both sync.WaitGroup
	for _, e := range keepers {
		both.Go(func() {
			if err := e.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	for _, id := range oldest {
		if _, err := h.store.Records.Run(t.Context(), id); bellhop.CodeOf(err) != bellhop.NotFound {
			t.Fatalf("%s is still there: %v", id, err)
		}
	}
	for _, id := range older {
		if r := h.get(id); !r.OutputForgotten || r.State != bellhop.Succeeded {
			t.Fatalf("an older run is %+v", r)
		}
	}
	for _, id := range newest {
		if h.get(id).OutputForgotten {
			t.Fatalf("the output of %s is gone", id)
		}
	}
	if r := h.get(waits); r.State != bellhop.Waiting {
		t.Errorf("one that waits is %s", r.State)
	}
	if size, err := h.store.Retention.OutputSize(t.Context()); err != nil || size != 3 {
		t.Errorf("%d bytes of output are left, %v", size, err)
	}
}

// What is still to be told is kept however old it is, but its output counts
// like that of others.
func TestOutputOfWhatIsStillToBeToldIsTrimmed(t *testing.T) {
	h := newHouse(t)
	clock := &handClock{at: noon}
	cat := catalog()
	cat.Keep = bellhop.Keep{Runs: 90 * day, Output: 30 * day, MaxOutput: 2}
	h.Engine = engine.New(engine.Options{Store: h.store, Bus: h.bus, Clock: clock})
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	end := func() bellhop.RunID {
		id := h.run(alice, ask("example", "free", "a")).Run
		c := h.claim(1)[0]
		out := &bellhop.OutputBatch{Ref: ref(c), Attempt: 1, Chunks: []bellhop.Chunk{{Seq: 1, Attempt: 1, Channel: bellhop.Stdout, Data: []byte("xx")}}}
		if err := h.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndSucceeded}, out); err != nil {
			t.Fatal(err)
		}
		return id
	}
	untold := end()
	clock.set(noon.Add(91 * day))
	young := end()
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !h.get(untold).OutputForgotten || h.get(young).OutputForgotten {
		t.Errorf("forgotten: that of the old one %t, that of the young one %t", h.get(untold).OutputForgotten, h.get(young).OutputForgotten)
	}
}
