package runner_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/runner"
)

// untilStopped runs until it is told to stop.
func untilStopped(ctx context.Context, _ bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
	<-ctx.Done()
	cause, _ := bellhop.StopEnd(ctx)
	return bellhop.Outcome{End: cause.End, Error: cause.Reason}
}

func TestStopWaitsForAClaimThatIsUnderWay(t *testing.T) {
	for name, grace := range map[string]time.Duration{"no grace": 0, "grace": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDispatcher(claim(1, bellhop.Job{}))
				d.held = make(chan struct{})
				r, _ := start(t, d, untilStopped, 1)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), grace)
				defer cancel()
				stopped := make(chan struct{})
				go func() { r.Stop(ctx); close(stopped) }()
				time.Sleep(time.Second)
				close(d.held)
				<-stopped
				if got := d.finished[1].End; got != bellhop.EndInterrupted {
					t.Errorf("a run that was claimed while the runner stopped ended as %q, want interrupted", got)
				}
				if left := r.Working(); len(left) != 0 {
					t.Errorf("%v is worked by a runner that has stopped", left)
				}
			})
		})
	}
}

func TestAnEndThatCanNotBeWrittenIsTriedThroughoutTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		d.down = true
		r, _ := start(t, d, func(ctx context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
			time.Sleep(time.Second)
			sink.Write(bellhop.Stdout, []byte("one\n"))
			time.Sleep(time.Second)
			sink.Write(bellhop.Stdout, []byte("two\n"))
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 1)
		synctest.Wait()
		time.AfterFunc(10*time.Second, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.down = false
		})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		r.Stop(ctx)
		if got := d.finished[1].End; got != bellhop.EndSucceeded {
			t.Errorf("ended as %q, though there was room again within the grace period", got)
		}
		if got := text(d.chunks[1], bellhop.Stdout); got != "one\ntwo\n" {
			t.Errorf("stored %q", got)
		}
	})
}

func TestStopLeavesWhatCanNotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		d.down = true
		r, _ := start(t, d, func(ctx context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
			for ctx.Err() == nil { // more than may wait to be stored: it is held back
				sink.Write(bellhop.Stdout, make([]byte, 1<<20))
			}
			return bellhop.Outcome{End: bellhop.EndInterrupted}
		}, 1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		begin := time.Now()
		r.Stop(ctx)
		if took := time.Since(begin); took > 31*time.Second {
			t.Errorf("stopped after %s with a store that takes nothing, want the grace period of 30s", took)
		}
	})
}

// A run may come back to the runner that lost its lease before that has put
// its former attempt away.
func TestARunThatComesBackWhileItsLastAttemptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := claim(1, bellhop.Job{})
		d := newDispatcher(first)
		d.lease = map[bellhop.RunID]int64{1: 1}
		now, most, current := 0, 0, int64(0)
		r, b := start(t, d, func(ctx context.Context, task bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
			d.mu.Lock()
			now++
			most, current = max(most, now), task.Lease
			d.mu.Unlock()
			<-ctx.Done()
			if task.Lease == 1 {
				time.Sleep(5 * time.Second) // it does not die at once
			}
			d.mu.Lock()
			now--
			d.mu.Unlock()
			cause, _ := bellhop.StopEnd(ctx)
			return bellhop.Outcome{End: cause.End}
		}, 2)
		time.Sleep(time.Second) // its lease was looked at a moment ago
		second := claim(1, bellhop.Job{})
		second.Task.Lease = 2
		d.mu.Lock()
		d.lease[1] = 2
		d.waiting = append(d.waiting, second)
		d.mu.Unlock()
		b.Publish(bellhop.TopicQueue)
		time.Sleep(6 * time.Second)
		d.mu.Lock()
		if current != 2 {
			t.Error("the second attempt waits for longer than the first one takes to die")
		}
		d.mu.Unlock()
		time.Sleep(time.Minute)
		d.mu.Lock()
		if most != 1 || now != 1 {
			t.Errorf("%d attempts of a run at a time, and now %d; want 1 and 1", most, now)
		}
		before := d.extended[1]
		d.mu.Unlock()
		if got := r.Working(); len(got) != 1 {
			t.Errorf("works %v, want the second attempt", got)
		}
		time.Sleep(time.Minute)
		d.mu.Lock()
		if n := d.extended[1] - before; n < 5 {
			t.Errorf("the second attempt's lease was extended %d times in a minute, want 6", n)
		}
		d.mu.Unlock()
		stopNow(r)
		if got := d.finished[1].End; got != bellhop.EndInterrupted {
			t.Errorf("ended as %q", got)
		}
	})
}

func TestACancelDuringAClaimIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}), claim(2, bellhop.Job{}))
		r, b := start(t, d, untilStopped, 2)
		defer stopNow(r)
		synctest.Wait()
		<-time.After(time.Second)
		d.mu.Lock()
		third := claim(3, bellhop.Job{})
		d.waiting = append(d.waiting, third)
		d.held = make(chan struct{})
		d.stop[1] = &bellhop.StopCause{End: bellhop.EndCancelled, Reason: "cancelled by alice"}
		d.mu.Unlock()
		b.Publish(bellhop.TopicCancel) // makes room, so the third is being claimed
		<-d.ended
		synctest.Wait()
		d.mu.Lock()
		d.stop[3] = d.stop[1]
		d.mu.Unlock()
		b.Publish(bellhop.TopicCancel)
		synctest.Wait()
		begin := time.Now()
		close(d.held)
		if id := <-d.ended; id != 3 {
			t.Fatalf("%s ended", id)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a run that was cancelled while it was claimed was stopped after %s", took)
		}
	})
}

// TestStopMayComeBeforeStart: an `ask` may be told to make way while it starts.
func TestStopMayComeBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		r := runner.New(runner.Options{Name: "r", Dispatcher: d, Bus: &bus.Local{}})
		stopped := make(chan struct{})
		go func() { r.Stop(context.Background()); close(stopped) }()
		<-stopped
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.Stop(context.Background())
		if len(d.finished) != 0 || len(d.waiting) != 1 {
			t.Errorf("it has worked %v, and left %d", d.finished, len(d.waiting))
		}
	})
}
