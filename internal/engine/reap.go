package engine

import (
	"context"
	"errors"

	"github.com/bellhop-io/bellhop"
)

// Reap ends the attempts of runners that were lost: their runs wait again, or
// fail when they crashed too often or their job says so.
func (e *Engine) Reap(ctx context.Context) error {
	lost, err := e.store.Queue.Lost(ctx)
	if err != nil {
		return err
	}
	var faults error // of one run, which must not hold up the others
	for i := range lost {
		state, err := e.reap(ctx, &lost[i])
		if err != nil && !errors.Is(err, bellhop.ErrLeaseLost) {
			faults = errors.Join(faults, err)
		}
		if err == nil {
			e.log.Warn("a run's runner was lost", "run", lost[i].Ref.Run, "runner", lost[i].Runner, "now", state)
		}
	}
	return faults
}

func (e *Engine) reap(ctx context.Context, l *bellhop.LostRun) (bellhop.State, error) {
	end := bellhop.Ending{
		Ref: l.Ref, Now: e.clock.Now(), End: bellhop.EndCrashed,
		Reason: "its runner " + l.Runner + " was lost while it ran",
	}
	if l.Stop != nil { // somebody wanted it gone: it is
		end.End, end.Reason = l.Stop.End, l.Stop.Reason
	}
	decide(&end)
	job, err := e.definition(ctx, l.Run.Digest)
	if bellhop.CodeOf(err) == bellhop.NotFound { // which is told when it is claimed
		job, err = &bellhop.Job{}, nil
	}
	if err != nil {
		return "", err
	}
	if l.Stop == nil {
		afterCrash(&end, job, l.Crashes+1)
	}
	err = e.conclude(ctx, &end, job, workOf(&l.Run))
	if err == nil {
		e.works.drop(l.Ref)
	}
	return end.State, err
}
