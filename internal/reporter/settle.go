package reporter

import (
	"context"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// settler writes down what became of reports, as many in one change as have
// come together meanwhile: what is told need not wait for that.
type settler struct {
	stop context.CancelFunc
	loop sync.WaitGroup

	mu   sync.Mutex
	due  []bellhop.Settlement
	wake chan struct{}
}

// settle has it written what became of a report.
func (r *Reporter) settle(s bellhop.Settlement) {
	w := &r.writer
	w.mu.Lock()
	w.due = append(w.due, s)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (r *Reporter) startSettling(ctx context.Context) {
	ctx, r.writer.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.writer.loop.Go(func() {
		for {
			select {
			case <-r.writer.wake:
				r.writeSettled(ctx)
			case <-ctx.Done():
				r.writeSettled(ctx)
				return
			}
		}
	})
}

// stopSettling returns when all that was settled has been written, or could
// not be.
func (r *Reporter) stopSettling() {
	if r.writer.stop != nil {
		r.writer.stop()
	}
	r.writer.loop.Wait()
}

// writeSettled writes what is there to write, again and again until it is
// written or ctx ends: what was told must not be told again. So the first time
// is even when ctx has ended.
func (r *Reporter) writeSettled(ctx context.Context) {
	w := &r.writer
	w.mu.Lock()
	due := w.due
	w.due = nil
	w.mu.Unlock()
	for tries := 0; len(due) > 0; tries++ {
		err := r.Store.Outbox.Settle(context.WithoutCancel(ctx), due)
		if err == nil {
			break
		}
		r.Log.Warn("what became of reports could not be written", "reports", len(due), "again in", pause(tries), "error", err)
		if !r.sleep(ctx, pause(tries)) {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range due {
		r.over = append(r.over, s.ID)
	}
}

// sleep waits, and reports whether ctx goes on.
func (r *Reporter) sleep(ctx context.Context, d time.Duration) bool {
	timer, stop := r.Clock.NewTimer(d)
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer:
		return true
	}
}
