package sqlite

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/trail"
)

const (
	sqlInsertAudit    = `INSERT INTO audit (id, at, data) VALUES (?, ?, ?)`
	sqlInsertAuditKey = `INSERT INTO audit_key (key, page) VALUES (?, ?)`
	// By UNIQUE (name).
	sqlChainID = `SELECT id FROM audit_chain WHERE name = ?`
	// Both ends by PRIMARY KEY: a number is not used again though its row in
	// audit_chain be gone.
	sqlInsertChain = `INSERT INTO audit_chain (id, name)
  SELECT 1 + max(coalesce((SELECT max(id) FROM audit_chain), 0), coalesce((SELECT max(id) FROM audit) >> 40, 0)), ? RETURNING id`
	sqlChains = `SELECT id, name FROM audit_chain ORDER BY id`
	// By PRIMARY KEY: the last page up to an id.
	sqlAuditPageOf = `SELECT id, data FROM audit WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1`
)

// chain is the one that this process writes.
type chain struct {
	number int64
	sums   *bellhop.AuditChain // the writer's alone, as is the rest

	// The last record that is known to be committed.
	seq int64
	sum bellhop.AuditSum
}

// auditEnd is what the writer remembers of the audit.
type auditEnd struct {
	of   *chain // nil: not known
	end  *trail.End
	pace pace // of all records
}

// recallAudit reads the end of this process's chain unless it is known.
func (t *tx) recallAudit(of *chain) error {
	if t.audit.of == of {
		return nil
	}
	if err := t.writeAudit(); err != nil { // of another chain
		return err
	}
	p := pace{name: numberAudit}
	var err error
	if p.slack, err = t.c.number(sqlNumber, numberAudit); err != nil {
		return err
	}
	err = t.c.query(context.Background(), sqlLastAudit, func(r row) error {
		p.last = r.int(1) + p.slack
		return errStop
	})
	if err != nil {
		return err
	}
	id, data, err := t.c.lastPage(context.Background(), of.number)
	if err != nil {
		return err
	}
	end := trail.NewEnd(of.number, of.sums, id, data)
	if has, _ := end.Last(); end.Resume(of.seq, of.sum) {
		t.db.log.Error("records of the audit are not in the store any more", "from", has+1, "to", of.seq)
	}
	t.audit = auditEnd{of: of, end: end, pace: p}
	return nil
}

// lastPage returns the last page of a chain, nil when there is none.
func (c *conn) lastPage(ctx context.Context, number int64) (id int64, data []byte, err error) {
	err = c.query(ctx, sqlAuditPageOf, func(r row) error {
		id, data = r.int(0), r.blob(1)
		return errStop
	}, trail.ID(number, 1), trail.LastID(number))
	return id, data, err
}

// prepareAudit packs a record, and refuses what comes before Begin.
func (d *db) prepareAudit(r *bellhop.AuditRecord) (*trail.Record, error) {
	if d.writer == nil {
		return nil, errReadOnly()
	}
	if d.chain.Load() == nil {
		return nil, bellhop.Errorf(bellhop.Internal, "a record of %s by %q came before the server began its audit", r.Action, r.Principal)
	}
	return trail.Prepare(r), nil
}

// record appends a record to this process's chain.
func (t *tx) record(r *trail.Record, run bellhop.RunID) error {
	return t.recordIn(t.db.chain.Load(), r, run)
}

func (t *tx) recordIn(of *chain, r *trail.Record, run bellhop.RunID) error {
	if err := t.recallAudit(of); err != nil {
		return err
	}
	if t.audit.end.Add(r, run) {
		if err := t.writeAudit(); err != nil {
			return err
		}
	}
	return t.noteTime(&t.audit.pace, r.At)
}

// writeAudit writes the page that was begun. No other statement but those that
// call it looks at these tables.
func (t *tx) writeAudit() error {
	if t.audit.of == nil {
		return nil
	}
	p := t.audit.end.Take()
	if p == nil {
		return nil
	}
	if _, err := t.c.exec(sqlInsertAudit, p.ID, p.Late, p.Data); err != nil {
		return err
	}
	for _, key := range p.Keys {
		if _, err := t.c.exec(sqlInsertAuditKey, key, p.ID); err != nil {
			return err
		}
	}
	of := t.audit.of
	seq, sum := t.audit.end.Last()
	t.after(func() { of.seq, of.sum = seq, sum })
	return nil
}

// Begin starts this process's chain.
func (d *db) Begin(ctx context.Context, name string, key []byte, now time.Time) error {
	if err := bellhop.CheckAuditChain(name, key); err != nil {
		return err
	}
	var refused error
	err := d.do(ctx, func(t *tx) error {
		refused = nil
		if err := t.writeAudit(); err != nil {
			return err
		}
		of := &chain{sums: bellhop.NewAuditChain(name, key)}
		var err error
		if of.number, err = t.c.number(sqlChainID, name); err != nil {
			return err
		}
		if of.number == 0 {
			err = t.startChain(of, name, now)
		} else {
			refused, err = t.begunBefore(of, name, key, now)
		}
		if err == nil && refused == nil {
			t.after(func() { d.chain.Store(of) })
		}
		return err
	})
	if err == nil {
		err = refused
	}
	return err
}

// startChain makes a chain and writes its first record.
func (t *tx) startChain(of *chain, name string, now time.Time) error {
	heads, err := t.c.heads(context.Background())
	if err != nil {
		return err
	}
	if of.number, err = t.c.number(sqlInsertChain, name); err != nil {
		return err
	}
	r := bellhop.AuditStartRecord(now, heads)
	return t.recordIn(of, trail.Prepare(&r), 0)
}

// begunBefore refuses a chain that is there, unless it is what the same call
// made, and no more.
func (t *tx) begunBefore(of *chain, name string, key []byte, now time.Time) (refused, err error) {
	id, data, err := t.c.lastPage(context.Background(), of.number)
	if err == nil && !trail.Began(name, id, data, key, now) {
		refused = trail.ErrThere(name)
	}
	return refused, err
}

// Append writes records in order.
func (d *db) Append(ctx context.Context, recs []bellhop.AuditRecord) error {
	prep := make([]*trail.Record, len(recs))
	for i := range recs {
		var err error
		if prep[i], err = d.prepareAudit(&recs[i]); err != nil {
			return err
		}
	}
	return d.do(ctx, func(t *tx) error {
		for _, r := range prep {
			if err := t.record(r, r.Run); err != nil {
				return err
			}
		}
		return nil
	})
}

// heads returns the end of each chain, by its last page.
func (c *conn) heads(ctx context.Context) (heads []bellhop.AuditHead, err error) {
	names, err := c.chains(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		id, data, err := c.lastPage(ctx, n.number)
		if err != nil {
			return nil, err
		}
		if data != nil {
			heads = append(heads, trail.Head(n.name, id, data))
		}
	}
	return heads, nil
}

// chainName is a row of audit_chain.
type chainName struct {
	number int64
	name   string
}

func (c *conn) chains(ctx context.Context) (names []chainName, err error) {
	err = c.query(ctx, sqlChains, func(r row) error {
		names = append(names, chainName{r.int(0), r.text(1)})
		return nil
	})
	return names, err
}

// Heads returns the end of each chain, oldest chain first.
func (d *db) Heads(ctx context.Context) (heads []bellhop.AuditHead, err error) {
	err = d.read(ctx, "the ends of the audit", func(c *conn) error {
		return c.snapshot(func() error {
			heads, err = c.heads(ctx)
			return err
		})
	})
	return heads, err
}
