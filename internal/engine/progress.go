package engine

import (
	"context"
	"errors"
	"time"

	"github.com/bellhop-io/bellhop"
)

// maxProgress is to how many places one progress is told at most.
const maxProgress = 100

// Progress tells those who asked for a run what was posted of it, while that
// attempt of it runs; otherwise it is a Conflict. Each place is told once.
func (e *Engine) Progress(ctx context.Context, run bellhop.RunID, lease int64, text string) error {
	all, err := e.store.Records.Asks(ctx, run)
	if err != nil {
		return err
	}
	seen := map[bellhop.Origin]bool{}
	var asks []bellhop.Ask
	for _, a := range all {
		place := a.Origin
		if place.Message = ""; a.Withdrawn || seen[place] || len(asks) >= maxProgress {
			continue
		}
		seen[place] = true
		a.N, a.Note = -1, e.maskText(text)
		asks = append(asks, a)
	}
	err = e.store.Outbox.Tell(ctx, bellhop.LeaseRef{Run: run, Lease: lease}, bellhop.ReportProgress, asks, e.clock.Now())
	if errors.Is(err, bellhop.ErrLeaseLost) {
		return bellhop.Errorf(bellhop.Conflict, "%s does not run any more, or is at another attempt: nobody is told of its progress", run)
	}
	if err != nil {
		return err
	}
	e.bus.Publish(bellhop.TopicOutbox)
	return nil
}

// callback is where progress of an attempt is posted to; "" = nowhere.
func (e *Engine) callback(run bellhop.RunID, lease int64, job *bellhop.Job) string {
	if job.Callback <= 0 || e.address == nil {
		return ""
	}
	return e.address(run, lease, e.clock.Now().Add(job.Callback).Truncate(time.Second))
}
