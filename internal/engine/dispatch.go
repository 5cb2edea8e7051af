package engine

import (
	"context"
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
	for _, r := range runs {
		ref := bellhop.LeaseRef{Run: r.Run.ID, Lease: r.Lease}
		job, err := e.definition(ctx, r.Run.Digest)
		if err != nil {
			e.log.Error("a claimed run's definition can't be read", "run", r.Run.ID, "error", err)
			if ctx.Err() == nil && bellhop.CodeOf(err) == bellhop.NotFound {
				_ = e.Finish(ctx, ref, bellhop.Outcome{End: bellhop.EndNotStarted, Error: "its definition is not in the store any more"}, nil)
			}
			continue // otherwise its lease runs out, and it is claimed again
		}
		claims = append(claims, bellhop.Claim{
			Task:  bellhop.Task{Run: r.Run.ID, Lease: r.Lease, Attempt: r.Run.Attempt, Job: job, Args: r.Run.Args, Principal: r.Principal},
			Lease: e.lease,
		})
		e.bus.Publish(bellhop.TopicRun(r.Run.ID))
	}
	return claims, next, nil
}

// Extend lengthens leases (bellhop.Dispatcher).
func (e *Engine) Extend(ctx context.Context, refs []bellhop.LeaseRef) ([]bellhop.Extension, error) {
	return e.store.Queue.Extend(ctx, refs, e.lease)
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
	decide(&end)
	if out.End == bellhop.EndFailed || out.End == bellhop.EndCrashed { // maybe it is tried again
		run, err := e.store.Records.Run(ctx, ref.Run)
		if err != nil {
			return err
		}
		before, err := e.before(ctx, ref.Run, out.End)
		if err != nil {
			return err
		}
		job, err := e.definition(ctx, run.Digest)
		if err != nil {
			return err
		}
		if out.End == bellhop.EndCrashed {
			afterCrash(&end, job, before+1)
		} else {
			e.afterFailure(&end, job, before)
		}
	}
	if end.State == bellhop.Waiting {
		if err := e.unlessStopped(ctx, &end); err != nil {
			return err
		}
	}
	return e.end(ctx, end)
}

// unlessStopped ends a run that would wait again, when somebody has asked for
// its end meanwhile and was told that it is stopping.
func (e *Engine) unlessStopped(ctx context.Context, end *bellhop.Ending) error {
	ext, err := e.store.Queue.Extend(ctx, []bellhop.LeaseRef{end.Ref}, e.lease)
	switch {
	case err != nil:
		return err
	case ext[0].Lost:
		return bellhop.ErrLeaseLost
	case ext[0].Stop != nil:
		end.End, end.Reason = ext[0].Stop.End, ext[0].Stop.Reason
		end.Start, end.FreeAttempt = time.Time{}, false
		decide(end)
	}
	return nil
}

// before counts the attempts of a run that ended like this one.
func (e *Engine) before(ctx context.Context, id bellhop.RunID, end bellhop.End) (n int, err error) {
	attempts, err := e.store.Records.Attempts(ctx, id)
	for _, a := range attempts {
		if a.End == end {
			n++
		}
	}
	return n, err
}

// decide sets what becomes of a run whose attempt ended in good order.
func decide(end *bellhop.Ending) {
	switch end.End {
	case bellhop.EndSucceeded:
		end.State = bellhop.Succeeded
	case bellhop.EndTimedOut:
		end.State = bellhop.TimedOut
	case bellhop.EndCancelled:
		end.State = bellhop.Cancelled
	case bellhop.EndInterrupted: // burns no attempt
		end.State, end.FreeAttempt = bellhop.Waiting, true
		return
	default:
		end.State = bellhop.Failed
	}
	end.Report = bellhop.ReportOutcome
	end.Verdict = verdict(end.State, end.End)
}

// maxBackoff is the longest pause before a failed run is tried again.
const maxBackoff = time.Hour

// afterFailure has a failed run wait for its next attempt, if the job says so
// and it has not failed too often before.
func (e *Engine) afterFailure(end *bellhop.Ending, job bellhop.Job, failures int) {
	if failures >= job.Retries.Max {
		return
	}
	pause := maxBackoff
	if job.Retries.Backoff <= maxBackoff>>failures {
		pause = job.Retries.Backoff << failures
	}
	pause += time.Duration(e.rand() * float64(pause) / 10) // so that what failed together does not return together
	end.State, end.Start = bellhop.Waiting, end.Now.Add(pause)
	end.Report, end.Verdict = "", nil
	if job.Report.Retried {
		end.Report = bellhop.ReportRetried
	}
}

// afterCrash sets what becomes of a run that crashed for the crashes-th time.
func afterCrash(end *bellhop.Ending, job bellhop.Job, crashes int) {
	switch {
	case job.OnCrash == bellhop.CrashFail:
		end.Reason += "; the job says `on_crash: fail`, so it was not run again"
	case crashes >= bellhop.MaxCrashes:
		end.Reason += "; it has crashed " + times(crashes) + " and is not tried again"
	default:
		end.State = bellhop.Waiting
		end.Report, end.Verdict = "", nil
	}
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	case 3:
		return "three times"
	}
	return "many times"
}

// end writes an ending and tells those who wait for it.
func (e *Engine) end(ctx context.Context, end bellhop.Ending) error {
	errs, err := e.store.Queue.Finish(ctx, []bellhop.Ending{end})
	if err != nil {
		return err
	}
	if errs[0] != nil {
		return errs[0]
	}
	if end.State.Terminal() {
		e.done(end.Ref.Run)
	}
	if end.Report != "" {
		e.bus.Publish(bellhop.TopicOutbox)
	}
	e.bus.Publish(bellhop.TopicQueue)
	e.bus.Publish(bellhop.TopicRun(end.Ref.Run))
	return nil
}

// verdict words an outcome against the one before it.
func verdict(state bellhop.State, end bellhop.End) func(bellhop.State) bellhop.Verdict {
	return func(previous bellhop.State) bellhop.Verdict {
		switch {
		case state == bellhop.Succeeded && previous == bellhop.Failed:
			return bellhop.Fixed
		case state == bellhop.Succeeded:
			return bellhop.Success
		case end == bellhop.EndNotStarted || end == bellhop.EndCrashed:
			return bellhop.Broken
		case state == bellhop.Failed && previous == bellhop.Succeeded:
			return bellhop.Regression
		case state == bellhop.Failed:
			return bellhop.Fail
		}
		return bellhop.Aborted
	}
}
