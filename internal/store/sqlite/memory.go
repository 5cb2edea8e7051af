package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/bellhop-io/bellhop"
)

// maxRemembered bounds each of the writer's maps of names: lanes may be as
// many as there are arguments in a concurrency key.
const maxRemembered = 4096

// memory is what the writer remembers of the store, so as not to read it
// again. Nobody else writes, so it is right until a transaction is undone;
// then it is forgotten. (The queue is not forgotten, but taken back.)
type memory struct {
	nextRun      int64 // 0: not known
	defs         names[string]
	jobs         names[jobName]
	principals   names[string]
	lanes        map[laneName]*lane
	byID         map[int64]*lane
	holds        []*bellhop.Hold // that nobody has ended; nil when not known
	droppedHolds time.Time       // when to look for old ones again
	outputSize   int64           // of ended runs
	wroteSize    int64           // as it is in the file
	runPace      pace            // of the creation of runs
	audit        auditEnd
}

// names are things and their numbers, both ways.
type names[K comparable] struct {
	number map[K]int64
	name   map[int64]K
}

func newNames[K comparable]() names[K] {
	return names[K]{map[K]int64{}, map[int64]K{}}
}

func (n *names[K]) put(name K, number int64) {
	if len(n.number) >= maxRemembered {
		clear(n.number)
		clear(n.name)
	}
	n.number[name], n.name[number] = number, name
}

type jobName struct{ service, job string }

type laneName struct {
	job  int64
	ckey string
}

type lane struct {
	id, job, bound int64
	limit, outcome int64
}

func (m *memory) forget() {
	*m = memory{
		defs: newNames[string](), jobs: newNames[jobName](), principals: newNames[string](),
		lanes: map[laneName]*lane{}, byID: map[int64]*lane{},
	}
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

const (
	// By the table's own order.
	sqlLastRun = `SELECT id, created FROM run ORDER BY id DESC LIMIT 1`
	// By PRIMARY KEY.
	sqlNumber    = `SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?`
	sqlSetNumber = `INSERT INTO meta (name, value) VALUES (?, CAST(? AS TEXT)) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// Numbers in meta.
const (
	numberOutput = "output" // bytes of output of ended runs that are kept
	numberSlack  = "slack"  // see list.go
	numberAudit  = "audit"  // the same for audit records
	numberValues = "values" // the last version of a value
)

// recall reads what every transaction needs, unless it is known.
func (t *tx) recall() error {
	if t.nextRun > 0 {
		return nil
	}
	var err error
	if t.outputSize, err = t.number(sqlNumber, numberOutput); err != nil {
		return err
	}
	t.runPace.name = numberSlack
	if t.runPace.slack, err = t.number(sqlNumber, numberSlack); err != nil {
		return err
	}
	if err := t.recallHolds(); err != nil {
		return err
	}
	t.wroteSize = t.outputSize
	last, created := int64(0), int64(0)
	err = t.query(sqlLastRun, func(r row) error {
		last, created = r.int(0), r.int(1)
		return errStop
	})
	t.runPace.last = created + t.runPace.slack
	t.nextRun = last + 1
	return err
}

// settle writes what was gathered, and what is written once in a transaction.
func (t *tx) settle() error {
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.writeAudit(); err != nil || t.wroteSize == t.outputSize {
		return err
	}
	t.wroteSize = t.outputSize
	_, err := t.c.exec(sqlSetNumber, numberOutput, t.outputSize)
	return err
}

const (
	// By UNIQUE (digest), then by PRIMARY KEY.
	sqlDefinitionID = `SELECT id FROM definition WHERE digest = ?`
	sqlDigest       = `SELECT digest FROM definition WHERE id = ?`
	// By UNIQUE (service, name), then by PRIMARY KEY.
	sqlJobID     = `SELECT id FROM job WHERE service = ? AND name = ?`
	sqlJobName   = `SELECT service, name FROM job WHERE id = ?`
	sqlInsertJob = `INSERT INTO job (id, service, name) SELECT 1 + coalesce(max(id), 0), ?, ? FROM job RETURNING id`
	// By UNIQUE (name), then by PRIMARY KEY.
	sqlPrincipalID     = `SELECT id FROM principal WHERE name = ?`
	sqlPrincipalName   = `SELECT name FROM principal WHERE id = ?`
	sqlInsertPrincipal = `INSERT INTO principal (id, name) SELECT 1 + coalesce(max(id), 0), ? FROM principal RETURNING id`
	// By UNIQUE (job, ckey).
	sqlLane = `SELECT id, job, bound, climit, outcome FROM lane WHERE job = ? AND ckey = ?`
	// By PRIMARY KEY.
	sqlLaneByID = `SELECT id, job, bound, climit, outcome FROM lane WHERE id = ?`
	// By lane_ckey.
	sqlLaneBound   = `SELECT id FROM lane WHERE ckey = ? ORDER BY id LIMIT 1`
	sqlLastLane    = `SELECT max(id) FROM lane`
	sqlInsertLane  = `INSERT INTO lane (id, job, ckey, bound) VALUES (?, ?, ?, ?)`
	sqlSetLimit    = `UPDATE lane SET climit = ? WHERE id = ?`
	sqlLaneOutcome = `UPDATE lane SET outcome = ? WHERE id = ?`
)

// definition returns the number of a stored definition, 0 when it is not
// stored.
func (t *tx) definition(digest string) (int64, error) {
	if id, ok := t.defs.number[digest]; ok {
		return id, nil
	}
	id, err := t.c.number(sqlDefinitionID, digest)
	if err == nil && id != 0 {
		t.defs.put(digest, id)
	}
	return id, err
}

// digest is the reverse of definition.
func (t *tx) digest(id int64) (string, error) {
	if digest, ok := t.defs.name[id]; ok {
		return digest, nil
	}
	digest, err := t.c.text(sqlDigest, id)
	if err == nil {
		t.defs.put(digest, id)
	}
	return digest, err
}

// job finds or makes the number of a job.
func (t *tx) job(name jobName) (int64, error) {
	if id, ok := t.jobs.number[name]; ok {
		return id, nil
	}
	id, err := t.c.number(sqlJobID, name.service, name.job)
	if err == nil && id == 0 {
		id, err = t.c.number(sqlInsertJob, name.service, name.job)
	}
	if err == nil {
		t.jobs.put(name, id)
	}
	return id, err
}

// jobOf is the reverse of job.
func (t *tx) jobOf(id int64) (jobName, error) {
	if name, ok := t.jobs.name[id]; ok {
		return name, nil
	}
	var name jobName
	err := t.c.query(context.Background(), sqlJobName, func(r row) error {
		name = jobName{r.text(0), r.text(1)}
		return errStop
	}, id)
	if err == nil {
		t.jobs.put(name, id)
	}
	return name, err
}

// principal finds or makes the number of a principal.
func (t *tx) principal(name string) (int64, error) {
	if id, ok := t.principals.number[name]; ok {
		return id, nil
	}
	id, err := t.c.number(sqlPrincipalID, name)
	if err == nil && id == 0 {
		id, err = t.c.number(sqlInsertPrincipal, name)
	}
	if err == nil {
		t.principals.put(name, id)
	}
	return id, err
}

// principalName is the reverse of principal.
func (t *tx) principalName(id int64) (string, error) {
	if name, ok := t.principals.name[id]; ok {
		return name, nil
	}
	name, err := t.c.text(sqlPrincipalName, id)
	if err == nil {
		t.principals.put(name, id)
	}
	return name, err
}

// lane finds or makes a lane.
func (t *tx) lane(name laneName) (*lane, error) {
	if l, ok := t.lanes[name]; ok {
		return l, nil
	}
	l := &lane{}
	if err := t.readLane(l, sqlLane, name.job, name.ckey); err != nil {
		return nil, err
	}
	if l.id == 0 {
		last, err := t.c.number(sqlLastLane)
		if err != nil {
			return nil, err
		}
		l.id, l.job = last+1, name.job
		if l.bound, err = t.c.number(sqlLaneBound, name.ckey); err != nil {
			return nil, err
		}
		if l.bound == 0 {
			l.bound = l.id
		}
		if _, err := t.c.exec(sqlInsertLane, l.id, name.job, name.ckey, l.bound); err != nil {
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
	return t.c.query(context.Background(), query, func(r row) error {
		l.id, l.job, l.bound, l.limit, l.outcome = r.int(0), r.int(1), r.int(2), r.int(3), r.int(4)
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
	_, err := t.c.exec(sqlLaneOutcome, state, l.id)
	return err
}
