package runner_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/runner"
)

// slow is a dispatcher that takes a second to write an end, and counts looks
// for work.
type slow struct {
	*dispatcher
	looks atomic.Int64
}

func (d *slow) Claim(ctx context.Context, runner string, n int) ([]bellhop.Claim, time.Time, error) {
	d.looks.Add(1)
	return d.dispatcher.Claim(ctx, runner, n)
}

func (d *slow) Finish(ctx context.Context, ref bellhop.LeaseRef, out bellhop.Outcome, last *bellhop.OutputBatch) error {
	time.Sleep(time.Second)
	return d.dispatcher.Finish(ctx, ref, out, last)
}

func several(n int) (claims []bellhop.Claim) {
	for i := range n {
		claims = append(claims, claim(bellhop.RunID(i+1), bellhop.Job{}))
	}
	return claims
}

// startOn is start for any dispatcher.
func startOn(t *testing.T, d bellhop.Dispatcher, ex executor, slots int) *runner.Runner {
	r := runner.New(runner.Options{Name: "test", Dispatcher: d, Executors: map[string]bellhop.Executor{"test": ex}, Bus: &bus.Local{}, Slots: slots})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestASlotIsFreeWhileAnEndIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slow{dispatcher: newDispatcher(several(4)...)}
		var now, most atomic.Int64
		begin := time.Now()
		r := startOn(t, d, func(context.Context, bellhop.Task, bellhop.Sink) bellhop.Outcome {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Minute)
			now.Add(-1)
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 1)
		defer stopNow(r)
		for range 4 {
			<-d.ended
		}
		if took := time.Since(begin); took != 4*time.Minute+time.Second {
			t.Errorf("four runs of a minute took %s, want 4m1s: the next one does not wait for the end of the last one to be written", took)
		}
		if most.Load() != 1 {
			t.Errorf("%d ran at a time in one slot", most.Load())
		}
	})
}

func TestEndsThatCanNotBeWrittenHoldUpClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(several(10)...)
		d.down = true
		r, _ := start(t, d, func(context.Context, bellhop.Task, bellhop.Sink) bellhop.Outcome {
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 2)
		defer stopNow(r)
		time.Sleep(time.Hour)
		if n := len(r.Working()); n != 4 {
			t.Errorf("%d runs wait for their end to be written, want 4: one for each of two slots, and one in each", n)
		}
		d.mu.Lock()
		d.down = false
		d.mu.Unlock()
		for range 10 {
			<-d.ended
		}
	})
}

func TestAnEmptyQueueIsNotLookedAtForEachEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slow{dispatcher: newDispatcher(several(5)...)}
		r := startOn(t, d, func(_ context.Context, task bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
			time.Sleep(time.Duration(task.Run) * 100 * time.Millisecond) // one after the other
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 8)
		defer stopNow(r)
		time.Sleep(700 * time.Millisecond) // before it looks without a reason
		if n := d.looks.Load(); n != 1 {
			t.Errorf("the queue was looked at %d times, though the first look found all there was", n)
		}
	})
}
