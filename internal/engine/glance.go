package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

// glance is what everybody who watches looks at: the runs that are active, and
// the newest. It is shared, so that nothing in it may be changed.
type glance struct {
	running, waiting, newest []bellhop.Run
}

// glances has those who watch look at the store together: what a look costs is
// not to be multiplied by how many there are.
type glances struct {
	asked atomic.Uint64 // how many looks were wanted

	mu       sync.Mutex // held during a look
	last     *glance
	at       time.Time
	covers   uint64 // the looks that were wanted before last began
	watching int
}

// enter says that one more watches, until leave is called.
func (g *glances) enter() (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watching++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.watching--; g.watching == 0 {
			g.last = nil
		}
	}
}

// glance looks, or returns what another look has brought that began after this
// one was wanted. When nothing says that something has changed, one that is not
// too old will do.
func (e *Engine) glance(ctx context.Context, hinted bool) (*glance, error) {
	g := &e.glances
	n := g.asked.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := e.clock.Now()
	if age := now.Sub(g.at); g.last != nil && (g.covers >= n || !hinted && age >= 0 && age < watchPoll/2) {
		return g.last, nil
	}
	covers := g.asked.Load()
	var l glance
	var err error
	if l.running, l.waiting, _, err = e.store.Records.Active(ctx, watchActive); err != nil {
		return nil, err
	}
	if l.newest, err = e.store.Records.Runs(ctx, bellhop.RunFilter{Limit: watchPage}); err != nil {
		return nil, err
	}
	g.last, g.at, g.covers = &l, now, covers
	return &l, nil
}
