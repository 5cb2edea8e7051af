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
	for _, l := range lost {
		end := bellhop.Ending{
			Ref: l.Ref, Now: e.clock.Now(), End: bellhop.EndCrashed,
			Reason: "its runner " + l.Runner + " was lost while it ran",
		}
		if l.Stop != nil { // somebody wanted it gone: it is
			end.End, end.Reason = l.Stop.End, l.Stop.Reason
		}
		decide(&end)
		if l.Stop == nil {
			job, err := e.definition(ctx, l.Run.Digest)
			if err != nil && bellhop.CodeOf(err) != bellhop.NotFound { // what is not there is told when it is claimed
				faults = errors.Join(faults, err)
				continue
			}
			afterCrash(&end, job, l.Crashes+1)
		}
		if err := e.end(ctx, end); errors.Is(err, bellhop.ErrLeaseLost) {
			continue
		} else if err != nil {
			faults = errors.Join(faults, err)
			continue
		}
		e.log.Warn("a run's runner was lost", "run", l.Ref.Run, "runner", l.Runner, "now", end.State)
	}
	return faults
}
