package sqlite

import (
	"context"
	"encoding/hex"
	"math"

	"github.com/bellhop-io/bellhop"
)

const (
	// The hash of the record before is by PRIMARY KEY, as all of these.
	auditColumns = `SELECT a.id, c.name, a.at, a.allowed, p.name, j.service, j.name, a.run, a.rest, a.hash, (SELECT b.hash FROM audit b WHERE b.id = a.id - 1)
  FROM audit a LEFT JOIN audit_chain c ON c.id = a.id >> 40 LEFT JOIN principal p ON p.id = a.principal LEFT JOIN job j ON j.id = a.job`
	sqlAudit         = auditColumns + ` WHERE a.id = ?`
	sqlAuditsOfChain = auditColumns + ` WHERE a.id > ? AND a.id <= ? ORDER BY a.id LIMIT ? + 0`
	sqlFirstAudit    = `SELECT id FROM audit ORDER BY id LIMIT 1`
	sqlLastAudit     = `SELECT id, at FROM audit ORDER BY id DESC LIMIT 1`
	sqlAuditAt       = `SELECT id, at FROM audit WHERE id >= ? ORDER BY id LIMIT 1`

	sqlAuditIDs = `SELECT id FROM audit WHERE id <= ? ORDER BY id DESC LIMIT ? + 0`
	// By audit_principal, audit_job, audit_run and audit_refused.
	sqlAuditIDsBy      = `SELECT id FROM audit WHERE principal = ?3 AND id <= ?1 ORDER BY id DESC LIMIT ?2 + 0`
	sqlAuditIDsOfJob   = `SELECT id FROM audit WHERE job = ?3 AND id <= ?1 ORDER BY id DESC LIMIT ?2 + 0`
	sqlAuditIDsOfRun   = `SELECT id FROM audit WHERE run = ?3 AND id <= ?1 ORDER BY id DESC LIMIT ?2 + 0`
	sqlAuditIDsRefused = `SELECT id FROM audit WHERE allowed = 0 AND id <= ?1 ORDER BY id DESC LIMIT ?2 + 0`
)

func auditTimes() times { return times{numberAudit, sqlFirstAudit, sqlLastAudit, sqlAuditAt} }

// sumText is a stored hash as text, "" when there is none.
func sumText(b []byte) string { return hex.EncodeToString(b) }

// storedAudit is an audit record with its id.
type storedAudit struct {
	id int64
	bellhop.AuditRecord
}

func (a *storedAudit) scan(r row) error {
	*a = storedAudit{id: r.int(0), AuditRecord: bellhop.AuditRecord{
		Chain: r.text(1), Seq: r.int(0) & auditMask, At: timeOf(r.int(2)), Allowed: r.int(3) != 0,
		Principal: r.text(4), Service: r.text(5), Job: r.text(6), Run: bellhop.RunID(r.int(7)), Hash: sumText(r.blob(9)), Prev: sumText(r.blob(10)),
	}}
	if a.Seq == 1 {
		a.Prev = bellhop.AuditSum{}.String()
	}
	if !a.Unpack(r.blob(8)) {
		a.Detail = bellhop.AuditDamaged // it is listed, and does not verify
	}
	return nil
}

func (c *conn) audits(ctx context.Context, query string, args ...int64) (recs []storedAudit, err error) {
	collect := func(r row) error {
		recs = append(recs, storedAudit{})
		return recs[len(recs)-1].scan(r)
	}
	switch len(args) {
	case 1:
		err = c.query(ctx, query, collect, args[0])
	default:
		err = c.query(ctx, query, collect, args[0], args[1], args[2])
	}
	return recs, err
}

// Records lists audit records: of one chain in order, else newest first, which
// is by id: a server's chain begins when those before it have ended.
func (d *db) Records(ctx context.Context, f bellhop.AuditFilter) (recs []bellhop.AuditRecord, next int64, err error) {
	if f.Limit <= 0 {
		f.Limit = bellhop.AuditPage
	}
	err = d.read(ctx, "the audit", func(c *conn) error {
		return c.snapshot(func() (err error) {
			var found []storedAudit
			if f.Chain != "" {
				found, err = c.auditChain(ctx, &f)
			} else {
				found, err = c.auditList(ctx, &f)
			}
			recs, next = []bellhop.AuditRecord{}, 0
			for i, a := range found {
				if i < f.Limit {
					recs = append(recs, a.AuditRecord)
					continue
				}
				if next = found[i-1].id; f.Chain != "" {
					next = found[i-1].Seq
				}
			}
			return err
		})
	})
	return recs, next, err
}

// auditChain reads a chain in order: one record more than asked for, if there
// are so many.
func (c *conn) auditChain(ctx context.Context, f *bellhop.AuditFilter) (found []storedAudit, err error) {
	number, err := c.number(sqlChainID, f.Chain)
	if err != nil || number == 0 {
		return nil, err
	}
	at := number<<auditBits | min(max(f.After, 0), auditMask)
	for len(found) <= f.Limit {
		page, err := c.audits(ctx, sqlAuditsOfChain, at, number<<auditBits|auditMask, listPage)
		if err != nil {
			return nil, err
		}
		for _, a := range page {
			at = a.id
			if f.Means(&a.AuditRecord) && len(found) <= f.Limit {
				found = append(found, a)
			}
		}
		if len(page) < listPage {
			break
		}
	}
	return found, nil
}

// auditList reads from the newest on, as auditChain does.
func (c *conn) auditList(ctx context.Context, f *bellhop.AuditFilter) (found []storedAudit, err error) {
	ids, err := c.auditIDs(ctx, f)
	if err != nil {
		return nil, err
	}
	low, high := int64(1), int64(math.MaxInt64)
	if !f.Since.IsZero() || !f.Until.IsZero() {
		if low, high, err = c.between(auditTimes(), f.Since, f.Until); err != nil {
			return nil, err
		}
	}
	if f.After > 0 {
		high = min(high, f.After-1)
	}
	for len(found) <= f.Limit {
		id, err := ids.next(high)
		if err != nil || id < low || id == 0 {
			return found, err
		}
		high = id - 1
		page, err := c.audits(ctx, sqlAudit, id)
		if err != nil {
			return nil, err
		}
		for _, a := range page {
			if f.Means(&a.AuditRecord) {
				found = append(found, a)
			}
		}
	}
	return found, nil
}

// auditIDs returns the stream of all but the times of a filter.
func (c *conn) auditIDs(ctx context.Context, f *bellhop.AuditFilter) (all both, err error) {
	along := func(query string, arg ...int64) stream {
		return &indexed{ctx: ctx, c: c, query: query, arg: arg}
	}
	if f.Run != 0 {
		all = append(all, along(sqlAuditIDsOfRun, int64(f.Run)))
	}
	if f.Principal != "" {
		id, err := c.number(sqlPrincipalID, f.Principal)
		if err != nil {
			return nil, err
		}
		all = append(all, along(sqlAuditIDsBy, id))
	}
	if f.Service != "" || f.Job != "" {
		jobs, err := c.jobsOf(ctx, f.Service, f.Job)
		if err != nil {
			return nil, err
		}
		any := either{}
		for _, job := range jobs {
			any = append(any, along(sqlAuditIDsOfJob, job))
		}
		all = append(all, any)
	}
	if f.Refused {
		all = append(all, along(sqlAuditIDsRefused))
	}
	if len(all) == 0 {
		all = both{along(sqlAuditIDs)}
	}
	return all, nil
}
