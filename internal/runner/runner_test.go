package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/runner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dispatcher is an engine that does what a test says.
type dispatcher struct {
	mu       sync.Mutex
	waiting  []bellhop.Claim
	extended map[bellhop.RunID]int
	stop     map[bellhop.RunID]*bellhop.StopCause
	lost     map[bellhop.RunID]bool
	down     bool                    // every write is Unavailable
	lease    map[bellhop.RunID]int64 // when set, the one that holds
	held     chan struct{}           // when set, Claim waits for it
	chunks   map[bellhop.RunID][]bellhop.Chunk
	finished map[bellhop.RunID]bellhop.Outcome
	ended    chan bellhop.RunID
}

func newDispatcher(claims ...bellhop.Claim) *dispatcher {
	return &dispatcher{
		waiting: claims, extended: map[bellhop.RunID]int{}, stop: map[bellhop.RunID]*bellhop.StopCause{},
		lost: map[bellhop.RunID]bool{}, chunks: map[bellhop.RunID][]bellhop.Chunk{},
		finished: map[bellhop.RunID]bellhop.Outcome{}, ended: make(chan bellhop.RunID, 100),
	}
}

func (d *dispatcher) Claim(_ context.Context, _ string, n int) ([]bellhop.Claim, time.Time, error) {
	if d.held != nil {
		<-d.held
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n = min(n, len(d.waiting))
	got := d.waiting[:n]
	d.waiting = d.waiting[n:]
	return got, time.Time{}, nil
}

func (d *dispatcher) Extend(_ context.Context, refs []bellhop.LeaseRef) ([]bellhop.Extension, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]bellhop.Extension, len(refs))
	for i, r := range refs {
		d.extended[r.Run]++
		out[i] = bellhop.Extension{Lost: d.lost[r.Run] || d.stale(r), Stop: d.stop[r.Run]}
	}
	return out, nil
}

// stale reports whether a lease is not the current one; d.mu is held.
func (d *dispatcher) stale(r bellhop.LeaseRef) bool {
	current, ok := d.lease[r.Run]
	return ok && current != r.Lease
}

func (d *dispatcher) Output(_ context.Context, out []bellhop.OutputBatch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return bellhop.Errorf(bellhop.Unavailable, "the disk is full")
	}
	for _, b := range out {
		d.keep(b)
	}
	return nil
}

func (d *dispatcher) keep(b bellhop.OutputBatch) {
	var kept []bellhop.Chunk
	for _, c := range append(d.chunks[b.Ref.Run], b.Chunks...) {
		dropped := false
		for _, seq := range b.Drop {
			dropped = dropped || seq == c.Seq
		}
		if !dropped {
			kept = append(kept, c)
		}
	}
	d.chunks[b.Ref.Run] = kept
}

func (d *dispatcher) Finish(_ context.Context, ref bellhop.LeaseRef, out bellhop.Outcome, last *bellhop.OutputBatch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return bellhop.Errorf(bellhop.Unavailable, "the disk is full")
	}
	if d.stale(ref) {
		return bellhop.ErrLeaseLost
	}
	if last != nil {
		d.keep(*last)
	}
	d.finished[ref.Run] = out
	d.ended <- ref.Run
	return nil
}

// executor calls a function.
type executor func(ctx context.Context, task bellhop.Task, sink bellhop.Sink) bellhop.Outcome

func (e executor) Execute(ctx context.Context, task bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
	return e(ctx, task, sink)
}

func claim(id bellhop.RunID, job bellhop.Job) bellhop.Claim {
	job.Executor = "test"
	return bellhop.Claim{Task: bellhop.Task{Run: id, Lease: 1, Attempt: 1, Job: job}, Lease: 30 * time.Second}
}

func start(t *testing.T, d *dispatcher, ex executor, slots int, change ...func(*runner.Options)) (*runner.Runner, *bus.Local) {
	b := &bus.Local{}
	o := runner.Options{Name: "test", Dispatcher: d, Executors: map[string]bellhop.Executor{"test": ex}, Bus: b, Slots: slots}
	for _, c := range change {
		c(&o)
	}
	r := runner.New(o)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, b
}

func stopNow(r *runner.Runner) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Stop(ctx)
}

func TestSlotsBoundWhatRunsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var claims []bellhop.Claim
		for i := range 10 {
			claims = append(claims, claim(bellhop.RunID(i+1), bellhop.Job{}))
		}
		d := newDispatcher(claims...)
		var mu sync.Mutex
		now, most := 0, 0
		r, _ := start(t, d, func(context.Context, bellhop.Task, bellhop.Sink) bellhop.Outcome {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Minute)
			mu.Lock()
			now--
			mu.Unlock()
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 3)
		defer stopNow(r)
		begin := time.Now()
		for range claims {
			<-d.ended
		}
		if took := time.Since(begin); took != 4*time.Minute {
			t.Errorf("ten runs of a minute each took %s in three slots, want 4m: a free one is filled at once", took)
		}
		if most != 3 {
			t.Errorf("%d ran at a time, want 3", most)
		}
	})
}

func TestLeasesAreExtendedEveryThirdAndCancelsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		r, b := start(t, d, func(ctx context.Context, _ bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
			<-ctx.Done()
			cause, _ := bellhop.StopEnd(ctx)
			return bellhop.Outcome{End: cause.End, Error: cause.Reason}
		}, 1)
		defer stopNow(r)
		time.Sleep(35 * time.Second)
		d.mu.Lock()
		if n := d.extended[1]; n < 3 || n > 5 {
			t.Errorf("extended %d times in 35 s of a 30 s lease, want about 3", n)
		}
		d.stop[1] = &bellhop.StopCause{End: bellhop.EndCancelled, Reason: "cancelled by alice"}
		d.mu.Unlock()
		before := time.Now()
		b.Publish(bellhop.TopicCancel)
		<-d.ended
		if took := time.Since(before); took > time.Second {
			t.Errorf("a cancel with a hint took %s", took)
		}
		if got := d.finished[1]; got.End != bellhop.EndCancelled || got.Error != "cancelled by alice" {
			t.Errorf("ended as %+v", got)
		}
	})
}

func TestALostLeaseStopsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		r, _ := start(t, d, func(ctx context.Context, _ bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
			<-ctx.Done()
			cause, _ := bellhop.StopEnd(ctx)
			return bellhop.Outcome{End: cause.End}
		}, 1)
		defer stopNow(r)
		d.mu.Lock()
		d.lost[1] = true
		d.mu.Unlock()
		<-d.ended
		if got := d.finished[1].End; got != bellhop.EndCrashed {
			t.Errorf("ended as %s, want crashed", got)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{Timeout: 5 * time.Minute}))
		r, _ := start(t, d, func(ctx context.Context, _ bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
			<-ctx.Done()
			cause, _ := bellhop.StopEnd(ctx)
			return bellhop.Outcome{End: cause.End, Error: cause.Reason}
		}, 1)
		defer stopNow(r)
		begin := time.Now()
		<-d.ended
		if took := time.Since(begin); took != 5*time.Minute {
			t.Errorf("stopped after %s, want 5m", took)
		}
		if got := d.finished[1]; got.End != bellhop.EndTimedOut {
			t.Errorf("ended as %+v", got)
		}
	})
}

func TestStopWaitsThenInterrupts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}), claim(2, bellhop.Job{}), claim(3, bellhop.Job{}))
		r, _ := start(t, d, func(ctx context.Context, task bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
			if task.Run == 1 {
				time.Sleep(10 * time.Second) // within the grace period
				return bellhop.Outcome{End: bellhop.EndSucceeded}
			}
			<-ctx.Done()
			cause, _ := bellhop.StopEnd(ctx)
			return bellhop.Outcome{End: cause.End}
		}, 2)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		begin := time.Now()
		r.Stop(ctx)
		r.Stop(ctx) // twice is fine
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("stopped after %s, want the grace period of 30s", took)
		}
		if a, b := d.finished[1].End, d.finished[2].End; a != bellhop.EndSucceeded || b != bellhop.EndInterrupted {
			t.Errorf("ended as %s and %s, want succeeded and interrupted", a, b)
		}
		if len(d.waiting) != 1 {
			t.Error("claimed while stopping")
		}
	})
}

func TestAnEndThatCanNotBeWrittenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		d.down = true
		r, _ := start(t, d, func(_ context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
			sink.Write(bellhop.Stdout, []byte("hello\n"))
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 1)
		defer stopNow(r)
		time.Sleep(time.Hour)
		d.mu.Lock()
		d.down = false
		d.mu.Unlock()
		<-d.ended
		if got := text(d.chunks[1], bellhop.Stdout); got != "hello\n" {
			t.Errorf("output %q", got)
		}
	})
}

// text joins a channel's chunks and shows gaps as |N|.
func text(chunks []bellhop.Chunk, c bellhop.Channel) string {
	var b strings.Builder
	at := int64(0)
	for _, ch := range chunks {
		if ch.Channel != c {
			continue
		}
		if ch.Offset != at {
			fmt.Fprintf(&b, "|%d|", ch.Offset-at)
		}
		b.Write(ch.Data)
		at = ch.Offset + int64(len(ch.Data))
	}
	return b.String()
}

func TestOutputIsShownWhileItIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(claim(1, bellhop.Job{}))
		r, _ := start(t, d, func(_ context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
			sink.Write(bellhop.Stdout, []byte("one\n"))
			time.Sleep(time.Minute)
			sink.Write(bellhop.Stderr, []byte("two\n"))
			sink.Write(bellhop.Stdout, []byte("three\n"))
			return bellhop.Outcome{End: bellhop.EndSucceeded}
		}, 1)
		defer stopNow(r)
		time.Sleep(time.Second)
		d.mu.Lock()
		if got := text(d.chunks[1], bellhop.Stdout); got != "one\n" {
			t.Errorf("after a second, %q is stored", got)
		}
		d.mu.Unlock()
		<-d.ended
		var order []string
		for i, c := range d.chunks[1] {
			if c.Seq != int64(i+1) {
				t.Errorf("chunk %d has seq %d", i, c.Seq)
			}
			order = append(order, c.Channel.String()+":"+string(c.Data))
		}
		if got := strings.Join(order, ""); got != "stdout:one\nstderr:two\nstdout:three\n" {
			t.Errorf("stored %q", got)
		}
	})
}

func TestTheCapKeepsHeadAndTail(t *testing.T) {
	const size, limit = 5 << 20, 1 << 20
	all := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
	for _, piece := range []int{100, 4096, 70_000, size} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			d := newDispatcher(claim(1, bellhop.Job{MaxOutput: limit}))
			r, _ := start(t, d, func(_ context.Context, _ bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
				sink.Write(bellhop.Stderr, []byte("short\n"))
				for p := all; len(p) > 0; p = p[min(piece, len(p)):] {
					sink.Write(bellhop.Stdout, p[:min(piece, len(p))])
				}
				return bellhop.Outcome{End: bellhop.EndSucceeded}
			}, 1)
			defer stopNow(r)
			<-d.ended
			d.mu.Lock()
			defer d.mu.Unlock()
			got := text(d.chunks[1], bellhop.Stdout)
			head, rest, ok := strings.Cut(got, "|")
			gap, tail, ok2 := strings.Cut(rest, "|")
			if !ok || !ok2 || strings.Contains(tail, "|") {
				t.Fatalf("want one gap; kept %d bytes", len(got))
			}
			if head != string(all[:limit/2]) {
				t.Errorf("the head has %d bytes, want the first %d", len(head), limit/2)
			}
			if len(tail) < limit/2 || len(tail) > limit/2+64<<10 || !strings.HasSuffix(string(all), tail) {
				t.Errorf("the tail has %d bytes, want the last %d and at most a chunk more", len(tail), limit/2)
			}
			if n := fmt.Sprint(size - len(head) - len(tail)); gap != n {
				t.Errorf("the gap counts %s bytes, want %s", gap, n)
			}
			if got := text(d.chunks[1], bellhop.Stderr); got != "short\n" {
				t.Errorf("stderr %q", got)
			}
			if kept := len(d.chunks[1]); kept > 2*limit/(16<<10) {
				t.Logf("%d chunks are kept", kept)
			}
		})
	}
}
