package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Claim takes up to n runs for a runner (bellhop.Dispatcher).
func (e *Engine) Claim(ctx context.Context, runner string, n int) ([]bellhop.Claim, time.Time, error) {
	only := e.claimable()
	if only != nil && len(only) == 0 {
		return nil, time.Time{}, nil
	}
	runs, next, err := e.store.Queue.Claim(ctx, bellhop.ClaimRequest{
		Runner: runner, N: n, Now: e.clock.Now(), Lease: e.lease, Only: only,
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	claims := make([]bellhop.Claim, 0, len(runs))
	for i := range runs {
		r := &runs[i]
		ref := bellhop.LeaseRef{Run: r.Run.ID, Lease: r.Lease}
		e.works.put(ref, workOf(&r.Run))
		job, err := e.definition(ctx, r.Run.Digest)
		if err != nil {
			e.log.Error("a claimed run's definition can't be read", "run", r.Run.ID, "error", err)
			if ctx.Err() == nil && bellhop.CodeOf(err) == bellhop.NotFound {
				_ = e.Finish(ctx, ref, bellhop.Outcome{End: bellhop.EndNotStarted, Error: "its definition is not in the store any more"}, nil)
			}
			continue // otherwise its lease runs out, and it is claimed again
		}
		secrets, ok := e.reveal(ctx, ref, job)
		if !ok {
			continue
		}
		claims = append(claims, bellhop.Claim{
			Task: bellhop.Task{
				Run: r.Run.ID, Lease: r.Lease, Attempt: r.Run.Attempt, Job: *job, Args: r.Run.Args, Principal: r.Principal, Secrets: secrets,
				Callback: e.callback(r.Run.ID, r.Lease, job),
			},
			Lease: e.lease,
		})
		e.bus.Publish(bellhop.TopicRun(r.Run.ID))
	}
	if len(claims) > 0 {
		e.bus.Publish(bellhop.TopicBegun)
	}
	return e.noteReveals(ctx, claims), next, nil
}

// Extend lengthens leases (bellhop.Dispatcher).
func (e *Engine) Extend(ctx context.Context, refs []bellhop.LeaseRef) ([]bellhop.Extension, error) {
	ext, err := e.store.Queue.Extend(ctx, refs, e.lease)
	for i := range ext {
		if ext[i].Lost {
			e.works.drop(refs[i])
		}
	}
	return ext, err
}

// Output stores output (bellhop.Dispatcher).
func (e *Engine) Output(ctx context.Context, out []bellhop.OutputBatch) error {
	errs, err := e.store.Outputs.AppendOutput(ctx, out)
	if err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			return err
		}
		e.bus.Publish(bellhop.TopicRun(out[i].Ref.Run))
	}
	return nil
}

// Finish ends an attempt and decides what becomes of its run
// (bellhop.Dispatcher).
func (e *Engine) Finish(ctx context.Context, ref bellhop.LeaseRef, out bellhop.Outcome, last *bellhop.OutputBatch) error {
	end := bellhop.Ending{
		Ref: ref, Now: e.clock.Now(), End: out.End, ExitStatus: out.ExitStatus, Reason: out.Error,
		Result: out.Result, Warnings: out.Warnings, Output: last,
	}
	err := e.finish(ctx, &end)
	if err == nil || errors.Is(err, bellhop.ErrLeaseLost) {
		e.works.drop(ref)
	}
	return err
}

// finish takes one call of the store when an attempt succeeded and nothing
// follows.
func (e *Engine) finish(ctx context.Context, end *bellhop.Ending) error {
	decide(end)
	w, err := e.work(ctx, end.Ref)
	if err != nil {
		return err
	}
	job, err := e.definition(ctx, w.digest)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		job, err = &bellhop.Job{}, nil // nothing is tried again, and nothing follows
	}
	if err != nil {
		return err
	}
	if err := e.again(ctx, end, job); err != nil {
		return err
	}
	if end.State == bellhop.Waiting {
		if err := e.unlessStopped(ctx, end); err != nil {
			return err
		}
	}
	return e.conclude(ctx, end, job, w)
}

// conclude writes an ending with what follows it. A run that would wait again
// ends instead, when somebody has asked for its end at the last moment.
func (e *Engine) conclude(ctx context.Context, end *bellhop.Ending, job *bellhop.Job, w work) error {
	if err := e.follow(ctx, end, job, w); err != nil {
		return err
	}
	err := e.end(ctx, end)
	if !errors.Is(err, bellhop.ErrStopping) {
		return err
	}
	if err := e.unlessStopped(ctx, end); err != nil {
		return err
	}
	if err := e.follow(ctx, end, job, w); err != nil {
		return err
	}
	return e.end(ctx, end)
}

// end writes an ending and tells those who wait for it.
func (e *Engine) end(ctx context.Context, end *bellhop.Ending) error {
	errs, err := e.store.Queue.Finish(ctx, []bellhop.Ending{*end})
	if err != nil {
		return err
	}
	if errs[0] != nil {
		return errs[0]
	}
	if end.State.Terminal() {
		e.done(end.Ref.Run)
	}
	if end.Report != "" || len(end.Notify) > 0 {
		e.bus.Publish(bellhop.TopicOutbox)
	}
	e.bus.Publish(bellhop.TopicQueue)
	e.bus.Publish(bellhop.TopicRun(end.Ref.Run))
	return nil
}

// work is what is known of a claimed run, so that its end needs no reading.
type work struct {
	lease        int64
	service, job string
	digest       string
	args         bellhop.Args
}

func workOf(r *bellhop.Run) work {
	return work{service: r.Service, job: r.Job, digest: r.Digest, args: r.Args}
}

// works are what this engine has handed out.
type works struct {
	mu sync.Mutex
	by map[bellhop.RunID]work
}

func (w *works) put(ref bellhop.LeaseRef, of work) {
	of.lease = ref.Lease
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = make(map[bellhop.RunID]work)
	}
	w.by[ref.Run] = of
}

func (w *works) drop(ref bellhop.LeaseRef) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by[ref.Run].lease == ref.Lease {
		delete(w.by, ref.Run)
	}
}

// work returns what is known of a run that somebody works: from memory, or
// from the store when another life of the server handed it out.
func (e *Engine) work(ctx context.Context, ref bellhop.LeaseRef) (work, error) {
	e.works.mu.Lock()
	w, ok := e.works.by[ref.Run]
	e.works.mu.Unlock()
	if ok && w.lease == ref.Lease {
		return w, nil
	}
	run, err := e.store.Records.Run(ctx, ref.Run)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return work{}, bellhop.ErrLeaseLost
	}
	return workOf(&run), err
}
