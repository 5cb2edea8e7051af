package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/mask"
)

// errorPause is how long a runner waits before it tells the engine again what
// could not be written.
const errorPause = 250 * time.Millisecond

// attempt is one attempt being worked.
type attempt struct {
	task  bellhop.Task
	lease time.Duration
	ctx   context.Context
	stop  context.CancelCauseFunc
	out   *output
	mask  *mask.Masker  // of the task's secrets
	prior *attempt      // of the same run, whose lease was lost; nil = none that is still here
	done  chan struct{} // closed when it is put away

	mu     sync.Mutex
	handle string
	until  time.Time // the lease holds until here
}

func (a *attempt) ref() bellhop.LeaseRef {
	a.mu.Lock()
	defer a.mu.Unlock()
	return bellhop.LeaseRef{Run: a.task.Run, Lease: a.task.Lease, Handle: a.handle}
}

func (a *attempt) key() lease { return lease{a.task.Run, a.task.Lease} }

func (a *attempt) interrupt() {
	a.stop(&bellhop.StopCause{End: bellhop.EndInterrupted, Reason: "the server stopped while it ran"})
}

func (a *attempt) lost() {
	a.stop(&bellhop.StopCause{End: bellhop.EndCrashed, Reason: "its lease was lost"})
}

// begin works a claim on a goroutine of its own.
func (r *Runner) begin(c bellhop.Claim, until time.Time) {
	a := &attempt{task: c.Task, lease: c.Lease, until: until, done: make(chan struct{})}
	a.ctx, a.stop = context.WithCancelCause(context.Background())
	hidden := slices.Collect(maps.Values(c.Task.Secrets))
	if c.Task.Callback != "" { // who has it may post
		hidden = append(hidden, c.Task.Callback)
	}
	if r.Hidden != nil {
		hidden = append(hidden, r.Hidden()...)
	}
	a.mask = mask.New(hidden...)
	a.out = newOutput(r, a)
	r.mu.Lock()
	a.prior = r.latest[c.Task.Run]
	r.latest[c.Task.Run] = a
	r.attempts[a.key()] = a
	r.busy++
	r.works.Add(1)
	if r.over {
		a.interrupt()
	}
	r.mu.Unlock()
	go func() {
		defer r.works.Done()
		r.work(a)
		r.putAway(a)
		close(a.done)
	}()
}

// vacate frees the slot of an attempt that is over: the next one need not wait
// until its end is written.
func (r *Runner) vacate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	if r.more {
		nudge(r.wake)
	}
}

// putAway forgets an attempt.
func (r *Runner) putAway(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	full := len(r.attempts) >= 2*r.Slots
	delete(r.attempts, a.key())
	if r.latest[a.task.Run] == a {
		delete(r.latest, a.task.Run)
	}
	if full { // free slots had to wait for this
		nudge(r.wake)
	}
}

// work executes an attempt and finishes it.
func (r *Runner) work(a *attempt) {
	defer a.stop(nil)
	if a.prior != nil { // never two at a time
		a.prior.lost()
		<-a.prior.done
		a.prior = nil
	}
	outcome := r.execute(a)
	r.vacate()
	if r.Guard != nil {
		if wasKilled(&outcome) {
			r.Guard.Settle() // it may have been the guard, which has not been heard yet
		}
		r.Guard.Release(a.task.Run, a.task.Lease) // tells Crashed first, if it came to that
	}
	if cause, ok := bellhop.StopEnd(a.ctx); ok && cause.End == bellhop.EndCrashed && outcome.End != bellhop.EndSucceeded {
		outcome.End, outcome.Error = cause.End, cause.Reason
	}
	a.hide(&outcome)
	last := a.out.close()
	for try := 1; ; try++ {
		err := r.Dispatcher.Finish(context.Background(), a.ref(), outcome, last)
		switch {
		case err == nil:
			return
		case errors.Is(err, bellhop.ErrLeaseLost):
			r.Log.Warn("an attempt's lease was lost before it could be finished", "run", a.task.Run, "end", outcome.End)
			return
		case bellhop.CodeOf(err) == bellhop.NotFound || bellhop.CodeOf(err) == bellhop.Invalid:
			r.Log.Error("an attempt's end was refused for good", "run", a.task.Run, "end", outcome.End, "error", err)
			return
		}
		if try&(try-1) == 0 { // the first, second, fourth, eighth ... time
			r.Log.Warn("an attempt's end could not be written; trying again", "run", a.task.Run, "try", try, "error", err)
		}
		timer, stop := r.Clock.NewTimer(errorPause)
		select {
		case <-timer:
		case <-r.leave:
			stop()
			return // the store has the run as running; the next server finds it lost
		}
		stop()
	}
}

// wasKilled reports whether an attempt ended by SIGKILL though nobody here
// wanted that.
func wasKilled(out *bellhop.Outcome) bool {
	const sigkill = 128 + 9
	return out.End == bellhop.EndFailed && out.ExitStatus != nil && *out.ExitStatus == sigkill
}

// hide masks the task's secrets in what is told of an attempt.
func (a *attempt) hide(out *bellhop.Outcome) {
	if a.mask == nil {
		return
	}
	out.Error, out.Result = a.mask.Text(out.Error), bellhop.MaskedJSON(out.Result, a.mask.Text)
	for i := range out.Warnings {
		out.Warnings[i] = a.mask.Text(out.Warnings[i])
	}
}

func (r *Runner) execute(a *attempt) bellhop.Outcome {
	ctx := a.ctx
	if t := a.task.Job.Timeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t, &bellhop.StopCause{End: bellhop.EndTimedOut, Reason: "it took longer than " + t.String()})
		defer cancel()
	}
	ex, ok := r.Executors[a.task.Job.Executor]
	if !ok {
		return bellhop.Outcome{End: bellhop.EndNotStarted, Error: fmt.Sprintf("this runner has no executor %q", a.task.Job.Executor)}
	}
	return ex.Execute(ctx, a.task, &sink{r: r, a: a})
}

// sink is what an executor gives its output to.
type sink struct {
	r *Runner
	a *attempt
}

// Write keeps output.
func (s *sink) Write(c bellhop.Channel, p []byte) { s.a.out.write(c, p) }

// Handle has the attempt watched.
func (s *sink) Handle(handle string) {
	s.a.mu.Lock()
	s.a.handle = handle
	until := s.a.until
	s.a.mu.Unlock()
	if s.r.Guard != nil {
		s.r.Guard.Guard(s.a.task.Run, s.a.task.Lease, handle, until)
	}
}

// Crashed tells that the watchdog ended an attempt whose lease was not
// extended in time: it counts as a crash, whatever its exit status says.
func (r *Runner) Crashed(run bellhop.RunID, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a, ok := r.attempts[lease{run, n}]; ok {
		a.stop(&bellhop.StopCause{End: bellhop.EndCrashed, Reason: "its lease was not extended in time (the server was held up), so the watchdog ended it"})
	}
}

// extendLoop keeps leases, and hears of cancellations.
func (r *Runner) extendLoop(ctx context.Context) {
	cancelled, end := r.Bus.Subscribe(bellhop.TopicCancel)
	defer end()
	for {
		timer, stop := r.Clock.NewTimer(r.extendIn())
		select {
		case <-ctx.Done():
			stop()
			return
		case <-cancelled:
		case <-r.hear:
		case <-timer:
		}
		stop()
		r.extend(ctx)
	}
}

// extendIn is a third of the shortest lease, or a second when there is none.
func (r *Runner) extendIn() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := time.Duration(0)
	for _, a := range r.attempts {
		if wait == 0 || a.lease/3 < wait {
			wait = a.lease / 3
		}
	}
	if wait == 0 {
		return 300 * time.Millisecond // a claim may come with the shortest lease of 1 s
	}
	return wait
}

func (r *Runner) extend(ctx context.Context) {
	r.mu.Lock()
	r.missed = r.claiming // what is being claimed may have been cancelled, and is not among these
	var all []*attempt
	var refs []bellhop.LeaseRef
	for _, a := range r.attempts {
		all = append(all, a)
		refs = append(refs, a.ref())
	}
	r.mu.Unlock()
	if len(refs) == 0 {
		return
	}
	asked := r.Clock.Now()
	got, err := r.Dispatcher.Extend(ctx, refs)
	if err != nil {
		if ctx.Err() == nil {
			r.Log.Warn("extending leases", "runs", len(refs), "error", err)
		}
		return
	}
	for i, a := range all {
		switch {
		case got[i].Lost:
			a.lost()
			continue
		case got[i].Stop != nil:
			a.stop(got[i].Stop)
		}
		a.mu.Lock()
		a.until = asked.Add(a.lease)
		until := a.until
		a.mu.Unlock()
		if r.Guard != nil {
			r.Guard.Extend(a.task.Run, a.task.Lease, until)
		}
	}
}
