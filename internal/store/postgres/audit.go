package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/trail"
	"github.com/jackc/pgx/v5"
)

const (
	sqlInsertAudit    = `INSERT INTO audit (id, at, low, high, data) VALUES ($1, $2, $3, $4, $5)`
	sqlInsertAuditKey = `INSERT INTO audit_key (key, at, page) SELECT k, $2, $3 FROM unnest($1::text[]) k`
	// By UNIQUE (name).
	sqlChainID     = `SELECT id FROM audit_chain WHERE name = $1`
	sqlInsertChain = `INSERT INTO audit_chain (name) VALUES ($1) RETURNING id`
	// By PRIMARY KEY.
	sqlLastOfChain = `SELECT id, data FROM audit WHERE id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT 1`
	sqlAuditPage   = `SELECT data FROM audit WHERE id = $1`
	// All chains, and of each its last page by PRIMARY KEY.
	sqlHeads = `SELECT c.name, a.id, a.data FROM audit_chain c CROSS JOIN LATERAL (
  SELECT p.id, p.data FROM audit p WHERE p.id > c.id::bigint << 40 AND p.id < (c.id + 1)::bigint << 40 ORDER BY p.id DESC LIMIT 1) a ORDER BY c.id`
)

// audit is the end of the chain that this process writes. A transaction takes
// it before its last statements, and lets it go when it is committed or undone:
// the records of the next one go on from there.
//
// When it is not known what became of a transaction, its page may still come.
// The next one reads the end anew; would it use the same id, one of them fails.
type audit struct {
	chain atomic.Pointer[chain] // nil before Begin
	mu    sync.Mutex
	end   *trail.End // nil: not known
	of    *chain     // of end
}

type chain struct {
	name   string
	number int64
	sums   *bellhop.AuditChain // for who has audit.mu
}

// prepareAudit packs a record, and refuses what comes before Begin.
func (d *db) prepareAudit(r *bellhop.AuditRecord) (*trail.Record, error) {
	if d.audit.chain.Load() == nil {
		return nil, bellhop.Errorf(bellhop.Internal, "a record of %s by %q came before the server began its audit", r.Action, r.Principal)
	}
	return trail.Prepare(r), nil
}

// record appends records to this process's chain. Of what is queued after that,
// others wait for the end.
func (t *tx) record(d *db, recs []*trail.Record) error {
	return t.recordIn(d, d.audit.chain.Load(), recs)
}

func (t *tx) recordIn(d *db, of *chain, recs []*trail.Record) error {
	a := &d.audit
	a.mu.Lock()
	t.audit = a
	if a.end == nil || a.of != of {
		id, data, err := t.lastPage(of.number)
		if err != nil {
			return err
		}
		a.of, a.end = of, trail.NewEnd(of.number, of.sums, id, data)
	}
	for i, r := range recs {
		if a.end.Add(r, r.Run) || i == len(recs)-1 {
			p := a.end.Take()
			keys := make([]string, len(p.Keys))
			for i, key := range p.Keys {
				keys[i] = text(key)
			}
			t.do(sqlInsertAudit, p.ID, p.Late, p.Low, p.High, p.Data)
			t.do(sqlInsertAuditKey, keys, p.Late, p.ID)
		}
	}
	return nil
}

// letAudit lets the end go, if the transaction has it.
func (t *tx) letAudit(committed bool) {
	a := t.audit
	if a == nil {
		return
	}
	t.audit = nil
	if !committed {
		a.end = nil
	}
	a.mu.Unlock()
}

// lastPage returns the last page of a chain, nil when there is none.
func (t *tx) lastPage(number int64) (id int64, data []byte, err error) {
	t.each(sqlLastOfChain, func(r pgx.Rows) error { return r.Scan(&id, &data) }, trail.ID(number, 1), trail.LastID(number))
	err = t.flush()
	return id, data, err
}

// Begin starts this process's chain.
func (d *db) Begin(ctx context.Context, name string, key []byte, now time.Time) error {
	if err := bellhop.CheckAuditChain(name, key); err != nil {
		return err
	}
	of := &chain{name: name, sums: bellhop.NewAuditChain(name, key)}
	begin := func(t *tx) error { return t.begin(d, of, key, now) }
	err := d.write(ctx, "beginning the audit", begin)
	if errors.Is(err, errFate) { // what was written is found by its name
		err = d.write(ctx, "beginning the audit", begin)
	}
	if err == nil {
		d.audit.chain.Store(of)
	}
	return err
}

// begin writes the first record of a chain. One that is there is refused,
// unless it is what the same call made, and no more.
func (t *tx) begin(d *db, of *chain, key []byte, now time.Time) error {
	of.number = 0
	t.each(sqlChainID, func(r pgx.Rows) error { return r.Scan(&of.number) }, of.name)
	var heads []bellhop.AuditHead
	t.each(sqlHeads, collectHeads(&heads))
	if err := t.flush(); err != nil {
		return err
	}
	if of.number != 0 {
		id, data, err := t.lastPage(of.number)
		if err == nil && !trail.Began(of.name, id, data, key, now) {
			err = trail.ErrThere(of.name)
		}
		return err
	}
	t.each(sqlInsertChain, func(r pgx.Rows) error { return r.Scan(&of.number) }, of.name)
	if err := t.flush(); err != nil {
		return err
	}
	first := bellhop.AuditStartRecord(now, heads)
	return t.recordIn(d, of, []*trail.Record{trail.Prepare(&first)})
}

// recording is one call of Append.
type recording struct {
	recs []*trail.Record
	id   int64 // of the page that its last record was to go to, in the last attempt; 0 = none
	data []byte
}

// Append writes records in order.
func (d *db) Append(ctx context.Context, recs []bellhop.AuditRecord) error {
	if d.closed.Load() {
		return errClosed()
	}
	c := &recording{recs: make([]*trail.Record, len(recs))}
	for i := range recs {
		var err error
		if c.recs[i], err = d.prepareAudit(&recs[i]); err != nil {
			return err
		}
	}
	if len(recs) == 0 {
		return nil
	}
	return d.records.do(ctx, c)
}

// recordAll writes what several callers appended.
func (d *db) recordAll(ctx context.Context, calls []*recording) error {
	var recs []*trail.Record
	for _, c := range calls {
		recs = append(recs, c.recs...)
	}
	w := &rewriting{d: d, recs: recs}
	err := d.write(ctx, "recording", w.write)
	if errors.Is(err, errFate) { // what was written is found by its hash
		err = d.write(ctx, "recording", w.write)
	}
	return err
}

func collectHeads(out *[]bellhop.AuditHead) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		var name string
		var id int64
		var data []byte
		err := r.Scan(&name, &id, &data)
		if err == nil {
			*out = append(*out, trail.Head(name, id, data))
		}
		return err
	}
}

// Heads returns the end of each chain, oldest chain first.
func (d *db) Heads(ctx context.Context) (heads []bellhop.AuditHead, err error) {
	err = d.read(ctx, "the ends of the audit", sqlHeads, func() { heads = nil }, collectHeads(&heads))
	return heads, err
}
