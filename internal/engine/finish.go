package engine

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
)

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

// again has a run wait for its next attempt after one that is to be repeated.
func (e *Engine) again(ctx context.Context, end *bellhop.Ending, job *bellhop.Job) error {
	switch {
	case end.End == bellhop.EndCrashed:
		before, err := e.before(ctx, end.Ref.Run, bellhop.EndCrashed)
		if err == nil {
			afterCrash(end, job, before+1)
		}
		return err
	case job.Retries.Max > 0 && retried(job.Retries.On, end):
		before, err := e.before(ctx, end.Ref.Run, bellhop.EndFailed, bellhop.EndTimedOut, bellhop.EndNotStarted)
		if err == nil {
			e.afterFailure(end, job, before)
		}
		return err
	}
	return nil
}

// before counts the earlier attempts of a run that ended in one of these ways.
func (e *Engine) before(ctx context.Context, id bellhop.RunID, ends ...bellhop.End) (n int, err error) {
	attempts, err := e.store.Records.Attempts(ctx, id)
	for _, a := range attempts {
		if slices.Contains(ends, a.End) {
			n++
		}
	}
	return n, err
}

// retried reports whether an attempt that ended so is among those which
// retries.on names.
func retried(on []string, end *bellhop.Ending) bool {
	switch end.End {
	case bellhop.EndTimedOut:
		return slices.Contains(on, "timeout")
	case bellhop.EndNotStarted:
		return slices.Contains(on, "not_started")
	case bellhop.EndFailed:
		return len(on) == 0 || end.ExitStatus != nil && slices.Contains(on, strconv.Itoa(*end.ExitStatus))
	}
	return false
}

const (
	// maxBackoff is the longest pause before a failed run is tried again,
	// unless the job's first one is longer already.
	maxBackoff = time.Hour
	// usualFactor is what a pause is multiplied by when the job doesn't say.
	usualFactor = 2
)

// afterFailure has a failed run wait for its next attempt, unless it has
// failed too often before.
func (e *Engine) afterFailure(end *bellhop.Ending, job *bellhop.Job, failures int) {
	if failures >= job.Retries.Max {
		return
	}
	pause := pauseAfter(job.Retries, failures)
	if job.Retries.Jitter > 0 { // so that what failed together does not return together
		pause += time.Duration(e.rand() * job.Retries.Jitter * float64(pause))
	}
	end.State, end.Start = bellhop.Waiting, end.Now.Add(pause)
	end.Report, end.Verdict = "", nil
	if job.Report.Retried {
		end.Report = bellhop.ReportRetried
	}
}

// pauseAfter is how long to wait after a failure that the given number of
// others went before.
func pauseAfter(r bellhop.Retries, failures int) time.Duration {
	factor := r.Factor
	if factor < 1 {
		factor = usualFactor
	}
	longest := max(maxBackoff, r.Backoff)
	pause := float64(r.Backoff)
	for range failures {
		if pause *= factor; pause >= float64(longest) {
			return longest
		}
	}
	return time.Duration(pause)
}

// afterCrash sets what becomes of a run that crashed for the crashes-th time.
func afterCrash(end *bellhop.Ending, job *bellhop.Job, crashes int) {
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
