package engine

import (
	"cmp"
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

// explain fills in why those of the runs wait that do.
func (e *Engine) explain(ctx context.Context, runs []bellhop.Run) error {
	waits := false
	for i := range runs {
		waits = waits || runs[i].State == bellhop.Waiting || runs[i].State == bellhop.Held
	}
	if !waits {
		return nil
	}
	now := e.clock.Now()
	holds, err := e.store.Holds.Holds(ctx, bellhop.HoldFilter{}, now)
	if err == nil {
		fillWaits(runs, holds, now)
	}
	return err
}

func fillWaits(runs []bellhop.Run, holds []bellhop.Hold, now time.Time) {
	for i := range runs {
		runs[i].Wait = waitOf(&runs[i], holds, now)
	}
}

// waitOf says why a run has not started, nil when it has. Of several reasons it
// is the one that lasts longest as far as is known: what nobody knows the end
// of counts less than a time to come, except for a pause.
func waitOf(r *bellhop.Run, holds []bellhop.Hold, now time.Time) *bellhop.Wait {
	switch r.State {
	case bellhop.Held:
		w := &bellhop.Wait{Reason: bellhop.WaitApproval}
		if r.Approval != nil {
			w.Until = r.Approval.Expires
		}
		return w
	case bellhop.Waiting:
	default:
		return nil
	}
	spec := bellhop.RunSpec{Service: r.Service, Job: r.Job, Args: r.Args}
	// What has not begun explains nothing yet, though it may keep back what
	// waits for its start.
	if h, more := openHold(holds, &spec, now, later(now, r.Start)); h != nil {
		w := &bellhop.Wait{Reason: bellhop.WaitSuppressed, Until: h.Until, Hold: h, More: more}
		if h.Kind == bellhop.HoldPause {
			w.Reason = bellhop.WaitPaused
		}
		return w
	}
	switch {
	case r.Start.After(now) && r.Attempt > 0:
		return &bellhop.Wait{Reason: bellhop.WaitBackoff, Until: r.Start, After: r.Error}
	case r.Start.After(now):
		return &bellhop.Wait{Reason: bellhop.WaitDelay, Until: r.Start}
	case r.Behind != 0:
		return &bellhop.Wait{Reason: bellhop.WaitConcurrency, Behind: r.Behind}
	}
	return &bellhop.Wait{Reason: bellhop.WaitPlace}
}

// goesFirst compares waiting runs, whose Wait is filled in, by who starts first
// as far as is known: what may start, by priority and then by its start; then
// what may start later; then what waits for somebody.
func goesFirst(a, b *bellhop.Run, now time.Time) int {
	x, known := mayStart(a, now)
	y, too := mayStart(b, now)
	switch {
	case known != too && known:
		return -1
	case known != too:
		return 1
	}
	return cmp.Or(x.Compare(y), cmp.Compare(b.Priority, a.Priority), a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
}

// mayStart returns when nothing but its turn will keep a run from starting;
// known is false when somebody has to say so.
func mayStart(r *bellhop.Run, now time.Time) (at time.Time, known bool) {
	at = later(now, r.Start)
	if w := r.Wait; w != nil && (w.Hold != nil || w.Reason == bellhop.WaitApproval) {
		return later(at, w.Until), !w.Until.IsZero()
	}
	return at, true
}
