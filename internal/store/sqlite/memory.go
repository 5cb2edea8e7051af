package sqlite

import (
	"cmp"
	"database/sql/driver"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// maxRemembered bounds each of the writer's maps: lanes may be as many as
// there are arguments in a concurrency key.
const maxRemembered = 4096

// memory is what the writer remembers of the store, so as not to read it
// again. Nobody else writes, so it is right until a transaction is undone;
// then it is forgotten.
type memory struct {
	nextRun int64 // 0: not known
	defs    map[string]int64
	lanes   map[laneName]*lane
	byID    map[int64]*lane
}

type laneName struct{ service, job, ckey string }

type lane struct {
	id, bound int64
	outcome   int64
}

func (m *memory) forget() {
	*m = memory{defs: map[string]int64{}, lanes: map[laneName]*lane{}, byID: map[int64]*lane{}}
}

func (m *memory) remember(name laneName, l *lane) {
	if len(m.lanes) >= maxRemembered {
		clear(m.lanes)
	}
	m.lanes[name] = l
	m.rememberID(l)
}

func (m *memory) rememberID(l *lane) {
	if len(m.byID) >= maxRemembered {
		clear(m.byID)
		clear(m.lanes) // both maps hold the same lanes, or an outcome would be changed in one alone
	}
	m.byID[l.id] = l
}

// sqlLastRun is served by the table's own order.
const sqlLastRun = `SELECT max(id) FROM run`

// recall reads what every transaction needs, unless it is known.
func (t *tx) recall() error {
	if t.nextRun > 0 {
		return nil
	}
	last, err := t.number(sqlLastRun)
	t.nextRun = last + 1
	return err
}

const (
	// By UNIQUE (digest).
	sqlDefinitionID = `SELECT id FROM definition WHERE digest = ?`
	// By UNIQUE (service, job, ckey).
	sqlLane = `SELECT id, bound, outcome FROM lane WHERE service = ? AND job = ? AND ckey = ?`
	// By PRIMARY KEY.
	sqlLaneByID = `SELECT id, bound, outcome FROM lane WHERE id = ?`
	// By lane_ckey.
	sqlLaneBound   = `SELECT id FROM lane WHERE ckey = ? ORDER BY id LIMIT 1`
	sqlLastLane    = `SELECT max(id) FROM lane`
	sqlInsertLane  = `INSERT INTO lane (id, service, job, ckey, bound) VALUES (?, ?, ?, ?, ?)`
	sqlLaneOutcome = `UPDATE lane SET outcome = ? WHERE id = ?`
)

// definition returns the number of a stored definition, 0 when it is not
// stored.
func (t *tx) definition(digest string) (int64, error) {
	if id, ok := t.defs[digest]; ok {
		return id, nil
	}
	id, err := t.number(sqlDefinitionID, digest)
	if err == nil && id != 0 {
		if len(t.defs) >= maxRemembered {
			clear(t.defs)
		}
		t.defs[digest] = id
	}
	return id, err
}

// lane finds or makes a lane.
func (t *tx) lane(name laneName) (*lane, error) {
	if l, ok := t.lanes[name]; ok {
		return l, nil
	}
	l := &lane{}
	if err := t.readLane(l, sqlLane, name.service, name.job, name.ckey); err != nil {
		return nil, err
	}
	if l.id == 0 {
		last, err := t.number(sqlLastLane)
		if err != nil {
			return nil, err
		}
		l.id = last + 1
		if l.bound, err = t.number(sqlLaneBound, name.ckey); err != nil {
			return nil, err
		}
		if l.bound == 0 {
			l.bound = l.id
		}
		if _, err := t.exec(sqlInsertLane, l.id, name.service, name.job, name.ckey, l.bound); err != nil {
			return nil, err
		}
	}
	if known, ok := t.byID[l.id]; ok {
		l = known
	}
	t.remember(name, l)
	return l, nil
}

// laneByID finds a lane that exists.
func (t *tx) laneByID(id int64) (*lane, error) {
	if l, ok := t.byID[id]; ok {
		return l, nil
	}
	l := &lane{}
	if err := t.readLane(l, sqlLaneByID, id); err != nil {
		return nil, err
	}
	if l.id == 0 {
		return nil, errBadRow("a run's lane")
	}
	t.rememberID(l)
	return l, nil
}

func (t *tx) readLane(l *lane, query string, args ...driver.Value) error {
	return t.query(query, func(r row) error {
		l.id, l.bound, l.outcome = r.int(0), r.int(1), r.int(2)
		return errStop
	}, args...)
}

// setOutcome keeps a run's succeeded or failed state for the verdict of the
// next one.
func (t *tx) setOutcome(l *lane, state int64) error {
	if l.outcome == state {
		return nil
	}
	l.outcome = state
	_, err := t.exec(sqlLaneOutcome, state, l.id)
	return err
}

// leases knows the deadline of each running run. Deadlines are in memory
// alone: the store's lock proves that there is one server, and that whoever
// held a lease that is in the file but not in here is dead.
type leases struct {
	clock bellhop.Clock

	mu   sync.Mutex
	held map[bellhop.RunID]*held
}

// held is a running run. All but the deadline stays as it is while the run
// has this lease.
type held struct {
	lease    int64
	deadline time.Time // zero: from before the store was opened
	known    bool      // the fields below are filled in
	lane     int64
	ckey     int64 // 0: not limited
	asks     int64
	attempt  int64
	start    int64
	started  int64
	runner   string
}

func newLeases(clock bellhop.Clock) *leases {
	return &leases{clock: clock, held: map[bellhop.RunID]*held{}}
}

func (l *leases) put(id bellhop.RunID, h *held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[id] = h
}

func (l *leases) drop(id bellhop.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, id)
}

func (l *leases) get(id bellhop.RunID) (held, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.held[id]
	if !ok {
		return held{}, false
	}
	return *h, true
}

// extend moves the deadline of a lease to d from now.
func (l *leases) extend(id bellhop.RunID, lease int64, d time.Duration) {
	deadline := l.clock.Now().Add(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.held[id]; ok && h.lease == lease {
		h.deadline = deadline
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
