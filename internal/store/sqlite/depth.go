package sqlite

import (
	"context"
	"sync/atomic"

	"github.com/bellhop-io/bellhop"
)

// depth is how many runs the queue has, as of the last commit: the queue itself
// is the writer's alone.
type depth struct{ held, waiting, running atomic.Int64 }

// note takes over what a committed queue holds.
func (d *depth) note(q *queue) {
	held := q.asked.len()
	d.held.Store(int64(held))
	d.running.Store(int64(q.running))
	d.waiting.Store(int64(len(q.byID) - q.running - held))
}

// Depth counts nothing: all of it is known.
func (d *db) Depth(context.Context) (bellhop.Depth, error) {
	if d.writer == nil {
		return bellhop.Depth{}, errReadOnly()
	}
	select {
	case <-d.writer.done:
		return bellhop.Depth{}, errClosed()
	default:
	}
	d.outbox.mu.Lock()
	reports := len(d.outbox.byID)
	d.outbox.mu.Unlock()
	return bellhop.Depth{Held: d.depth.held.Load(), Waiting: d.depth.waiting.Load(), Running: d.depth.running.Load(), Outbox: int64(reports)}, nil
}
