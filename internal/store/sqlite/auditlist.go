package sqlite

import (
	"context"
	"database/sql/driver"
	"math"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/trail"
)

const (
	// By PRIMARY KEY.
	sqlAuditPage  = `SELECT id, data FROM audit WHERE id = ?`
	sqlAuditsFrom = `SELECT id, data FROM audit WHERE id >= ? AND id <= ? ORDER BY id`
	sqlFirstAudit = `SELECT id FROM audit ORDER BY id LIMIT 1`
	sqlLastAudit  = `SELECT id, at FROM audit ORDER BY id DESC LIMIT 1`
	sqlAuditAt    = `SELECT id, at FROM audit WHERE id >= ? ORDER BY id LIMIT 1`
	sqlAuditIDs   = `SELECT id FROM audit WHERE id <= ? ORDER BY id DESC LIMIT ? + 0`
	// By PRIMARY KEY (key, page).
	sqlAuditIDsByKey = `SELECT page FROM audit_key WHERE page <= ?1 AND key = ?3 ORDER BY page DESC LIMIT ?2 + 0`
	// By PRIMARY KEY (key, page), and of audit. The last page that a key stands for.
	sqlAuditCovered = `SELECT coalesce(max(id), 0) FROM (SELECT id FROM audit
  WHERE id >= (SELECT max(page) FROM audit_key WHERE key = ?2 AND page <= ?1) AND id <= ?1 ORDER BY id LIMIT ?3 + 0)`
	// By audit_run, and sorted: they are few.
	sqlAuditIDsOfRun = `SELECT id FROM audit INDEXED BY audit_run WHERE low BETWEEN ?3 AND ?4 AND high >= ?4 AND id <= ?1 ORDER BY id DESC LIMIT ?2 + 0`
)

func auditTimes() times { return times{numberAudit, sqlFirstAudit, sqlLastAudit, sqlAuditAt} }

// Records lists audit records: of one chain in order, else newest first, which
// is by id: a server's chain begins when those before it have ended.
func (d *db) Records(ctx context.Context, f bellhop.AuditFilter) (recs []bellhop.AuditRecord, next int64, err error) {
	err = d.read(ctx, "the audit", func(c *conn) error {
		return c.snapshot(func() error {
			names, err := c.chains(ctx)
			if err != nil {
				return err
			}
			l := trail.NewList(f)
			if f.Chain != "" {
				err = c.auditChain(ctx, &f, names, l)
			} else {
				err = c.auditList(ctx, &f, names, l)
			}
			recs, next = l.Page()
			return err
		})
	})
	return recs, next, err
}

// auditChain reads a chain from a record on.
func (c *conn) auditChain(ctx context.Context, f *bellhop.AuditFilter, names []chainName, l *trail.List) error {
	for _, n := range names {
		if n.name != f.Chain {
			continue
		}
		from := trail.ID(n.number, f.After+1)
		err := c.query(ctx, sqlAuditPageOf, func(r row) error { // the page that it is on
			from = r.int(0)
			return errStop
		}, trail.ID(n.number, 1), from)
		if err != nil {
			return err
		}
		return c.query(ctx, sqlAuditsFrom, func(r row) error {
			if l.Add(f.Chain, r.int(0), r.blob(1)) {
				return errStop
			}
			return nil
		}, from, trail.LastID(n.number))
	}
	return nil
}

// auditList reads from the newest page on.
func (c *conn) auditList(ctx context.Context, f *bellhop.AuditFilter, names []chainName, l *trail.List) error {
	low, high := int64(1), int64(math.MaxInt64)
	if !f.Since.IsZero() || !f.Until.IsZero() {
		var err error
		if low, high, err = c.between(auditTimes(), f.Since, f.Until); err != nil {
			return err
		}
	}
	if f.After > 0 {
		high = min(high, f.After)
	}
	byNumber := map[int64]string{}
	for _, n := range names {
		byNumber[n.number] = n.name
	}
	for pages := c.auditPages(ctx, f); ; {
		id, err := pages.next(high)
		if err != nil || id < low || id == 0 {
			return err
		}
		high = id - 1
		full := false
		err = c.query(ctx, sqlAuditPage, func(r row) error {
			full = l.Add(byNumber[trail.ChainOf(id)], id, r.blob(1))
			return errStop
		}, id)
		if err != nil || full {
			return err
		}
	}
}

// auditPages returns the stream of all but the times of a filter.
func (c *conn) auditPages(ctx context.Context, f *bellhop.AuditFilter) (all both) {
	along := func(query string, arg ...driver.Value) stream {
		return &indexed{ctx: ctx, c: c, query: query, arg: arg}
	}
	if f.Run != 0 {
		key, from, to := trail.Earlier(f.Run)
		all = append(all, either{of: []stream{&coveredBy{c: c, key: trail.RunKey(f.Run)}, along(sqlAuditIDsByKey, key), along(sqlAuditIDsOfRun, from, to)}})
	}
	for _, key := range trail.Keys(f) {
		all = append(all, &coveredBy{c: c, key: key})
	}
	if len(all) == 0 {
		all = both{along(sqlAuditIDs)}
	}
	return all
}

// coveredBy is the stream of pages that a key stands for.
type coveredBy struct {
	c    *conn
	key  string
	last int64 // that was found; 0: none
}

func (s *coveredBy) next(at int64) (id int64, err error) {
	if s.last == 0 || s.last > at {
		s.last, err = s.c.number(sqlAuditCovered, at, s.key, int64(trail.Cover))
	}
	return s.last, err
}
