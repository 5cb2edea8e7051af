package sqlite

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// leases knows the deadline of each running run. Deadlines are in memory
// alone: the store's lock proves that there is one server, and that whoever
// held a lease that is in the file but not in here is dead.
type leases struct {
	clock bellhop.Clock

	mu   sync.Mutex
	held map[bellhop.RunID]held
}

// held is a running run's lease.
type held struct {
	lease    int64
	deadline time.Time // zero: from before the store was opened
}

func newLeases(clock bellhop.Clock) *leases {
	return &leases{clock: clock, held: map[bellhop.RunID]held{}}
}

// give notes the leases of a claim.
func (l *leases) give(runs []bellhop.ClaimedRun, lease time.Duration) {
	deadline := l.clock.Now().Add(lease)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range runs {
		l.held[runs[i].Run.ID] = held{runs[i].Lease, deadline}
	}
}

func (l *leases) drop(id bellhop.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, id)
}

// extend moves the deadline of a lease to d from now.
func (l *leases) extend(id bellhop.RunID, lease int64, d time.Duration) {
	deadline := l.clock.Now().Add(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.held[id]; ok && h.lease == lease {
		l.held[id] = held{lease, deadline}
	}
}

// lost returns the leases that have run out, by run.
func (l *leases) lost() []bellhop.LeaseRef {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var refs []bellhop.LeaseRef
	for id, h := range l.held {
		if !h.deadline.After(now) {
			refs = append(refs, bellhop.LeaseRef{Run: id, Lease: h.lease})
		}
	}
	slices.SortFunc(refs, func(a, b bellhop.LeaseRef) int { return cmp.Compare(a.Run, b.Run) })
	return refs
}
