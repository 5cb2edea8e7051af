package engine

import (
	"slices"
	"sync"

	"github.com/bellhop-io/bellhop"
)

// onlyRuns is the set of runs that an engine which serves only its own asks
// may claim.
type onlyRuns struct {
	mu  sync.Mutex
	ids map[bellhop.RunID]struct{}
}

// ServeOnlyOwn limits claims to runs that were asked for through this engine.
func (e *Engine) ServeOnlyOwn() {
	e.only.Store(&onlyRuns{ids: make(map[bellhop.RunID]struct{})})
}

// mine notes that a run was asked for through this engine.
func (e *Engine) mine(id bellhop.RunID) {
	if o := e.only.Load(); o != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ids[id] = struct{}{}
	}
}

// claimable returns the runs that may be claimed; nil = any.
func (e *Engine) claimable() []bellhop.RunID {
	o := e.only.Load()
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := make([]bellhop.RunID, 0, len(o.ids))
	for id := range o.ids {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// done forgets a run that has ended.
func (e *Engine) done(id bellhop.RunID) {
	if o := e.only.Load(); o != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.ids, id)
	}
}
