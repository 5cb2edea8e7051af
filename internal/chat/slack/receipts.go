package slack

import (
	"context"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// receipts see to it that what came of an ask is told after it was said that the
// ask is accepted, however soon that is.
type receipts struct {
	mu   sync.Mutex
	open map[bellhop.Origin]*receipt
}

// receipt stands for the asks of one origin that are not answered yet.
type receipt struct {
	asks int
	done chan struct{}            // closed when all are answered
	over map[bellhop.RunID]bool   // what came of these is told by now
	stop map[bellhop.RunID]func() // ends the saying that they are accepted
}

// receiptFor is how long what came of an ask waits for the receipt, which is left
// out after that.
const receiptFor = 10 * time.Second

// begin notes that somebody asks, and is called before anything can come of it.
// What it returns is called once, when they were answered.
func (l *receipts) begin(o bellhop.Origin) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.open[o]
	if r == nil {
		r = &receipt{done: make(chan struct{}), over: make(map[bellhop.RunID]bool), stop: make(map[bellhop.RunID]func())}
		l.open[o] = r
	}
	r.asks++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if r.asks--; r.asks == 0 {
			delete(l.open, o)
			close(r.done)
		}
	}
}

// saying begins to say that an ask for a run is accepted. late reports whether
// what came of it is told already; the context ends when it is.
func (l *receipts) saying(ctx context.Context, o bellhop.Origin, id bellhop.RunID) (_ context.Context, late func() bool, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.open[o]
	if r == nil { // nothing waits for it
		return ctx, func() bool { return false }, cancel
	}
	r.stop[id] = cancel
	late = func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return r.over[id]
	}
	return ctx, late, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(r.stop, id)
		cancel()
	}
}

// overtake notes that what came of a run is told before it was said that it is
// accepted.
func (l *receipts) overtake(o bellhop.Origin, id bellhop.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.open[o]
	if r == nil {
		return
	}
	r.over[id] = true
	if stop := r.stop[id]; stop != nil {
		stop()
	}
}

// afterReceipt returns when a report may be told: when its ask was answered, or
// after receiptFor.
func (c *Chat) afterReceipt(ctx context.Context, r bellhop.Report) error {
	o := r.Ask.Origin
	c.receipts.mu.Lock()
	open := c.receipts.open[o]
	c.receipts.mu.Unlock()
	if open == nil {
		return nil
	}
	timer, stop := c.opt.Clock.NewTimer(receiptFor)
	defer stop()
	select {
	case <-open.done:
	case <-timer:
		c.receipts.overtake(o, r.Run.ID)
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
