package sqlite

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

// An audit record's id is its chain's number, shifted, and its Seq.
const (
	auditBits = 40
	auditMask = int64(1)<<auditBits - 1
)

const (
	sqlInsertAudit = `INSERT INTO audit (id, at, allowed, principal, job, run, rest, hash) VALUES `
	eachAudit      = `(?, ?, ?, ?, ?, ?, ?, ?)`
	// By UNIQUE (name).
	sqlChainID = `SELECT id FROM audit_chain WHERE name = ?`
	// Both ends by PRIMARY KEY: a number is not used again though its row in
	// audit_chain be gone.
	sqlInsertChain = `INSERT INTO audit_chain (id, name)
  SELECT 1 + max(coalesce((SELECT max(id) FROM audit_chain), 0), coalesce((SELECT max(id) FROM audit) >> 40, 0)), ? RETURNING id`
	// By PRIMARY KEY.
	sqlLastOfChain = `SELECT id, hash FROM audit WHERE id > ? AND id <= ? ORDER BY id DESC LIMIT 1`
	// All chains, and of each its last record by PRIMARY KEY.
	sqlHeads = `SELECT c.name, a.id, a.hash, a.at FROM audit_chain c CROSS JOIN audit a
  ON a.id = (SELECT max(l.id) FROM audit l WHERE l.id > c.id << 40 AND l.id < (c.id + 1) << 40) ORDER BY c.id`
)

// chain is the one that this process writes.
type chain struct {
	number int64
	sums   *bellhop.AuditChain // the writer's alone
}

// trail is what the writer remembers of the chain's end.
type trail struct {
	of   *chain // nil: not known
	seq  int64
	last bellhop.AuditSum
	pace pace // of all records
}

// recallTrail reads the end of the chain unless it is known.
func (t *tx) recallTrail(of *chain) error {
	if t.trail.of == of {
		return nil
	}
	p := pace{name: numberAudit}
	var err error
	if p.slack, err = t.number(sqlNumber, numberAudit); err != nil {
		return err
	}
	err = t.query(sqlLastAudit, func(r row) error {
		p.last = r.int(1) + p.slack
		return errStop
	})
	if err != nil {
		return err
	}
	end := trail{of: of, pace: p}
	err = t.query(sqlLastOfChain, func(r row) error {
		end.seq = r.int(0) & auditMask
		copy(end.last[:], r.blob(1))
		return errStop
	}, of.number<<auditBits, of.number<<auditBits|auditMask)
	t.trail = end
	return err
}

// preparedAudit is an audit record as far as it can be made before the
// writer's turn.
type preparedAudit struct {
	packed    bellhop.PackedAudit
	at        int64
	allowed   int64
	principal string
	job       jobName
	run       int64 // of a submission, the writer knows it
}

func packAudit(r *bellhop.AuditRecord) *preparedAudit {
	p := &preparedAudit{packed: r.Pack(), at: micros(r.At), principal: r.Principal, job: jobName{r.Service, r.Job}, run: int64(r.Run)}
	if r.Allowed {
		p.allowed = 1
	}
	return p
}

// prepareAudit refuses what comes before Begin.
func (d *db) prepareAudit(r *bellhop.AuditRecord) (*preparedAudit, error) {
	if d.chain.Load() == nil && d.writer != nil {
		return nil, bellhop.Errorf(bellhop.Internal, "the audit of %s by %q came before the server began its chain", r.Action, r.Principal)
	}
	return packAudit(r), nil
}

// record appends a record to this process's chain.
func (t *tx) record(p *preparedAudit, run int64) error {
	return t.recordIn(t.db.chain.Load(), p, run)
}

func (t *tx) recordIn(of *chain, p *preparedAudit, run int64) (err error) {
	if err := t.recallTrail(of); err != nil {
		return err
	}
	var principal, job int64
	if p.principal != "" {
		if principal, err = t.principal(p.principal); err != nil {
			return err
		}
	}
	if p.job != (jobName{}) {
		if job, err = t.job(p.job); err != nil {
			return err
		}
	}
	end := &t.trail
	end.seq++
	end.last = of.sums.Sum(end.last, end.seq, bellhop.RunID(run), &p.packed)
	sum := end.last
	t.audit.add(of.number<<auditBits|end.seq, p.at, p.allowed, numberOrNull(principal), numberOrNull(job), numberOrNull(run), p.packed.Rest(), sum[:])
	if err := t.flushFull(t.audit); err != nil {
		return err
	}
	return t.noteTime(&end.pace, p.at)
}

// Begin starts this process's chain.
func (d *db) Begin(ctx context.Context, name string, key []byte, now time.Time) error {
	if err := bellhop.CheckAuditChain(name, key); err != nil {
		return err
	}
	var refused error
	err := d.do(ctx, func(t *tx) error {
		refused = nil
		of := &chain{sums: bellhop.NewAuditChain(name, key)}
		number, err := t.c.number(sqlChainID, name)
		if err != nil {
			return err
		}
		if of.number = number; number == 0 {
			if of.number, err = t.startChain(of, name, now); err != nil {
				return err
			}
		} else if fresh, err := t.begun(of, name, key, now); err != nil || !fresh {
			refused = bellhop.Errorf(bellhop.Conflict, "audit chain %s is there already; each life of a server has one of its own", name)
			return err
		}
		t.after(func() { d.chain.Store(of) })
		return nil
	})
	if err == nil {
		err = refused
	}
	return err
}

// startChain makes a chain and writes its first record.
func (t *tx) startChain(of *chain, name string, now time.Time) (number int64, err error) {
	if err := t.flush(); err != nil {
		return 0, err
	}
	heads, err := t.c.heads(context.Background())
	if err != nil {
		return 0, err
	}
	if of.number, err = t.c.number(sqlInsertChain, name); err != nil {
		return 0, err
	}
	r := bellhop.AuditStartRecord(now, heads)
	return of.number, t.recordIn(of, packAudit(&r), 0)
}

// begun reports whether a chain is what the same call made, and no more.
func (t *tx) begun(of *chain, name string, key []byte, now time.Time) (bool, error) {
	if err := t.flush(); err != nil {
		return false, err
	}
	recs, err := t.c.audits(context.Background(), sqlAuditsOfChain, of.number<<auditBits, of.number<<auditBits|auditMask, 2)
	if err != nil || len(recs) != 1 {
		return false, err
	}
	r := &recs[0].AuditRecord
	return r.Chain == name && micros(r.At) == micros(now) && r.Sum(key, r.Prev) == r.Hash, nil
}

// Append writes records in order.
func (d *db) Append(ctx context.Context, recs []bellhop.AuditRecord) error {
	prep := make([]*preparedAudit, len(recs))
	for i := range recs {
		var err error
		if prep[i], err = d.prepareAudit(&recs[i]); err != nil {
			return err
		}
	}
	return d.do(ctx, func(t *tx) error {
		for _, p := range prep {
			if err := t.record(p, p.run); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *conn) heads(ctx context.Context) (heads []bellhop.AuditHead, err error) {
	err = c.query(ctx, sqlHeads, func(r row) error {
		heads = append(heads, bellhop.AuditHead{Chain: r.text(0), Seq: r.int(1) & auditMask, Hash: sumText(r.blob(2)), At: timeOf(r.int(3))})
		return nil
	})
	return heads, err
}

// Heads returns the end of each chain, oldest chain first.
func (d *db) Heads(ctx context.Context) (heads []bellhop.AuditHead, err error) {
	err = d.read(ctx, "the ends of the audit", func(c *conn) error {
		heads, err = c.heads(ctx)
		return err
	})
	return heads, err
}
