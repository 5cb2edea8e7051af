package slack

import (
	"context"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// receipts see to it that what came of an ask is told after it was said that the
// ask is accepted, however soon that is; and so with what was joined, or
// cancelled, in the same place.
type receipts struct {
	mu   sync.Mutex
	open map[spot]map[*receipt]bool
}

// receipt stands for an ask that is not answered yet.
type receipt struct {
	list   *receipts
	at     spot
	origin bellhop.Origin
	done   chan struct{}          // closed when it is answered
	over   map[bellhop.RunID]bool // what came of these is told by now
	run    bellhop.RunID          // of which it is being said that it is accepted
	stop   func()                 // ends that
}

const (
	// receiptFor is how long what came of an ask waits for its receipt, which is
	// left out after that, and othersFor for what is said to others there.
	receiptFor = 10 * time.Second
	othersFor  = 2 * time.Second
)

// begin notes that somebody asks. It is called before anything can come of it,
// and end when they were answered.
func (l *receipts) begin(at spot, o bellhop.Origin) *receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &receipt{list: l, at: at, origin: o, done: make(chan struct{}), over: make(map[bellhop.RunID]bool)}
	if l.open[at] == nil {
		l.open[at] = make(map[*receipt]bool)
	}
	l.open[at][r] = true
	return r
}

func (r *receipt) end() {
	l := r.list
	l.mu.Lock()
	defer l.mu.Unlock()
	if delete(l.open[r.at], r); len(l.open[r.at]) == 0 {
		delete(l.open, r.at)
	}
	close(r.done)
}

// saying begins to say that a run is accepted, with a context that ends when
// what came of it is told before that.
func (r *receipt) saying(ctx context.Context, id bellhop.RunID) (context.Context, context.CancelFunc) {
	r.list.mu.Lock()
	defer r.list.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	r.run, r.stop = id, stop
	return ctx, stop
}

// late reports whether what came of the run is told already.
func (r *receipt) late() bool {
	r.list.mu.Lock()
	defer r.list.mu.Unlock()
	return r.over[r.run]
}

// overtake notes that what came of a run is told now.
func (l *receipts) overtake(at spot, id bellhop.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.open[at] {
		if r.over[id] = true; r.run == id && r.stop != nil {
			r.stop()
		}
	}
}

// before returns the asks that are not answered yet in a place: those of an
// origin, and others.
func (l *receipts) before(at spot, o bellhop.Origin) (own, others []*receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.open[at] {
		if r.origin == o {
			own = append(own, r)
		} else {
			others = append(others, r)
		}
	}
	return own, others
}

// afterReceipt returns when a report may be told in a place.
func (c *Chat) afterReceipt(ctx context.Context, at spot, r bellhop.Report) error {
	own, others := c.receipts.before(at, r.Ask.Origin)
	all, err := c.untilAnswered(ctx, others, othersFor)
	if err != nil {
		return err
	}
	mine, err := c.untilAnswered(ctx, own, receiptFor)
	if err != nil {
		return err
	}
	if r.Kind == bellhop.ReportOutcome && !(all && mine) {
		c.receipts.overtake(at, r.Run.ID)
	}
	return nil
}

// untilAnswered waits until asks are answered, and reports whether they are.
func (c *Chat) untilAnswered(ctx context.Context, list []*receipt, d time.Duration) (bool, error) {
	if len(list) == 0 {
		return true, nil
	}
	timer, stop := c.opt.Clock.NewTimer(d)
	defer stop()
	for _, r := range list {
		select {
		case <-r.done:
		case <-timer:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		case <-c.ctx.Done():
			return false, c.ctx.Err()
		}
	}
	return true, nil
}
