package runner_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/runner"
)

// guard notes what a watchdog would be told.
type guard struct {
	mu       sync.Mutex
	begin    time.Time
	handle   string
	until    []time.Duration // of each Guard and Extend, since begin
	released bool
	late     func() // is told by Settle
}

func (g *guard) Settle() {
	if g.late != nil {
		g.late()
	}
}

func (g *guard) Guard(_ bellhop.RunID, _ int64, handle string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handle = handle
	g.until = append(g.until, until.Sub(g.begin))
}

func (g *guard) Extend(_ bellhop.RunID, _ int64, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = append(g.until, until.Sub(g.begin))
}

func (g *guard) Release(bellhop.RunID, int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.released = true
}

// extended notes the handles that leases are extended with, and what the
// guard knew when the attempt was finished.
type extended struct {
	*dispatcher
	guard    *guard
	handles  []string
	released bool
}

func (d *extended) Extend(ctx context.Context, refs []bellhop.LeaseRef) ([]bellhop.Extension, error) {
	d.handles = append(d.handles, refs[0].Handle)
	return d.dispatcher.Extend(ctx, refs)
}

func (d *extended) Finish(ctx context.Context, ref bellhop.LeaseRef, out bellhop.Outcome, last *bellhop.OutputBatch) error {
	d.guard.mu.Lock()
	d.released = d.guard.released
	d.guard.mu.Unlock()
	return d.dispatcher.Finish(ctx, ref, out, last)
}

func TestTheWatchdogKnowsEachLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &extended{dispatcher: newDispatcher(claim(1, bellhop.Job{})), guard: &guard{begin: time.Now()}}
		r := runner.New(runner.Options{
			Name: "test", Dispatcher: d, Bus: &bus.Local{}, Slots: 1, Guard: d.guard,
			Executors: map[string]bellhop.Executor{"test": executor(func(_ context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
				sink.Handle("pgid:1")
				time.Sleep(25 * time.Second)
				return bellhop.Outcome{End: bellhop.EndSucceeded}
			})},
		})
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer stopNow(r)
		<-d.ended
		d.guard.mu.Lock()
		defer d.guard.mu.Unlock()
		// Each lease is counted from before it was asked for.
		if len(d.guard.until) < 3 || d.guard.until[0] != 30*time.Second {
			t.Errorf("the watchdog was told of leases until %v, the first one not until 30s", d.guard.until)
		}
		for i, until := range d.guard.until[1:] {
			if step := until - d.guard.until[i]; step <= 0 || step > 11*time.Second {
				t.Errorf("the watchdog was told of leases until %v, want one each 10 s", d.guard.until)
			}
		}
		if d.guard.handle != "pgid:1" || !slices.Contains(d.handles, "pgid:1") {
			t.Errorf("the watchdog knows handle %q, and the store %q", d.guard.handle, d.handles)
		}
		if !d.released {
			t.Error("finished while the watchdog could still end it")
		}
	})
}

// TestAKillThatWasNotHeardOfYet: the watchdog has ended an attempt, and that
// arrives after its process.
func TestAKillThatWasNotHeardOfYet(t *testing.T) {
	for status, want := range map[int]bellhop.End{137: bellhop.EndCrashed, 1: bellhop.EndFailed} {
		synctest.Test(t, func(t *testing.T) {
			d := newDispatcher(claim(1, bellhop.Job{}))
			g := &guard{begin: time.Now()}
			var r *runner.Runner
			g.late = func() { r.Crashed(1, 1) }
			r = runner.New(runner.Options{
				Name: "test", Dispatcher: d, Bus: &bus.Local{}, Slots: 1, Guard: g,
				Executors: map[string]bellhop.Executor{"test": executor(func(context.Context, bellhop.Task, bellhop.Sink) bellhop.Outcome {
					return bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: &status, Error: "killed"}
				})},
			})
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer stopNow(r)
			<-d.ended
			if got := d.finished[1].End; got != want {
				t.Errorf("status %d ended as %s, want %s", status, got, want)
			}
		})
	}
}

func TestWhatTheWatchdogEndedHasCrashed(t *testing.T) {
	for _, tt := range []struct{ is, want bellhop.End }{
		{bellhop.EndFailed, bellhop.EndCrashed},
		{bellhop.EndSucceeded, bellhop.EndSucceeded}, // it had ended by itself before
	} {
		t.Run(string(tt.is), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDispatcher(claim(1, bellhop.Job{}))
				r, _ := start(t, d, func(ctx context.Context, _ bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
					<-ctx.Done()
					return bellhop.Outcome{End: tt.is, Error: "exit status 137"}
				}, 1)
				defer stopNow(r)
				synctest.Wait()
				r.Crashed(1, 2) // of another lease
				synctest.Wait()
				if len(r.Working()) != 1 {
					t.Fatal("the end of another lease ended this one")
				}
				r.Crashed(1, 1)
				<-d.ended
				got := d.finished[1]
				if got.End != tt.want || (tt.want == bellhop.EndCrashed) != (got.Error != "exit status 137") {
					t.Errorf("ended as %+v, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestAnEndDoesNotWaitForOutputToGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		begin := time.Now()
		r, _ := start(t, d, func(_ context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
			sink.Write(bellhop.Stdout, []byte("hello\n"))
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 1)
		defer stopNow(r)
		<-d.ended
		if took := time.Since(begin); took != 0 {
			t.Errorf("the end was told %s late", took)
		}
	})
}

// planned is a dispatcher whose one run may start at a time to come.
type planned struct {
	*dispatcher
	at time.Time
}

func (d planned) Claim(ctx context.Context, runner string, n int) ([]bellhop.Claim, time.Time, error) {
	if time.Now().Before(d.at) {
		return nil, d.at, nil
	}
	return d.dispatcher.Claim(ctx, runner, n)
}

func TestARunIsClaimedWhenItsTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := planned{newDispatcher(claim(1, bellhop.Job{})), time.Now().Add(2300 * time.Millisecond)}
		r := runner.New(runner.Options{Name: "test", Dispatcher: d, Bus: &bus.Local{}, Executors: map[string]bellhop.Executor{
			"test": executor(func(context.Context, bellhop.Task, bellhop.Sink) bellhop.Outcome {
				return bellhop.Outcome{End: bellhop.EndSucceeded}
			}),
		}})
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer stopNow(r)
		<-d.ended
		if late := time.Since(d.at); late != 0 {
			t.Errorf("claimed %s late", late)
		}
	})
}

// looked notes when somebody looks for work.
type looked struct {
	*dispatcher
	at *[]time.Time
}

func (d looked) Claim(ctx context.Context, runner string, n int) ([]bellhop.Claim, time.Time, error) {
	*d.at = append(*d.at, time.Now())
	return d.dispatcher.Claim(ctx, runner, n)
}

// TestLooksForWorkAreSpread: nobody tells the runner of anything, and it looks
// a little sooner than every second, each time by another bit.
func TestLooksForWorkAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		jitter := []float64{0, 0.5, 0.8}
		r := runner.New(runner.Options{Name: "test", Dispatcher: looked{newDispatcher(), &at}, Bus: &bus.Local{}, Jitter: func() float64 {
			one := jitter[0]
			jitter = append(jitter[1:], one)
			return one
		}})
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		stopNow(r)
		var waits []time.Duration
		for i := 1; i < len(at); i++ {
			waits = append(waits, at[i].Sub(at[i-1]))
		}
		if want := []time.Duration{time.Second, 875 * time.Millisecond, 800 * time.Millisecond}; !slices.Equal(waits, want) {
			t.Errorf("it waited %v between looks, want %v", waits, want)
		}
	})
}
