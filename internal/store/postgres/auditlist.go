package postgres

import (
	"context"
	"math"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/trail"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Pages are listed by their marks, from the newest one down, from ($1, $2) to
// the mark $3, up to $4 of them.
const (
	auditPages = `SELECT a.id, a.mark, a.data, coalesce((SELECT c.name FROM audit_chain c WHERE c.id = a.id >> 40), '') FROM `
	// By audit_mark.
	sqlAudits = auditPages + `audit a WHERE (a.mark, a.id) <= ($1::bigint, $2::bigint) AND a.mark >= $3 ORDER BY a.mark DESC, a.id DESC LIMIT $4`
	// Of a run: by PRIMARY KEY (key, mark, page) and audit_run, and sorted: they
	// are few.
	sqlAuditsOfRun = auditPages + `(SELECT page FROM audit_key WHERE key = $5 UNION SELECT id FROM audit WHERE low BETWEEN $6 AND $7 AND high >= $7) p (id) JOIN audit a ON a.id = p.id
  WHERE (a.mark, a.id) <= ($1::bigint, $2::bigint) AND a.mark >= $3 ORDER BY a.mark DESC, a.id DESC LIMIT $4`
	// That have all keys: by PRIMARY KEY (key, mark, page). Each step goes to the
	// lowest of the next ones of each key, until that is the same of all.
	sqlAuditsByKeys = `WITH RECURSIVE w (mark, page, hit) AS (
    SELECT $1::bigint, $2::bigint, false
    UNION ALL SELECT n.mark, n.page, n.hit FROM w CROSS JOIN LATERAL (
      SELECT (array_agg(f.mark ORDER BY f.mark, f.page))[1] AS mark, (array_agg(f.page ORDER BY f.mark, f.page))[1] AS page,
        count(DISTINCT f.page) = 1 AS hit, count(*) = cardinality($5::uuid[]) AS all_have
      FROM unnest($5::uuid[]) u (key) CROSS JOIN LATERAL (
        SELECT k.mark, k.page FROM audit_key k WHERE k.key = u.key AND (k.mark, k.page) <= (w.mark, w.page - CASE WHEN w.hit THEN 1 ELSE 0 END) AND k.mark >= $3
        ORDER BY k.mark DESC, k.page DESC LIMIT 1) f) n WHERE n.all_have)
  ` + auditPages + `(SELECT page FROM w WHERE hit LIMIT $4) h (id) JOIN audit a ON a.id = h.id ORDER BY a.mark DESC, a.id DESC`

	// By PRIMARY KEY: the page that a record is on, and the pages of a chain.
	sqlAuditPageOf = `SELECT mark, id FROM audit WHERE id <= $1 AND id >= ($1 >> 40) << 40 ORDER BY id DESC LIMIT 1`
	sqlAuditsFrom  = `SELECT id, data FROM audit WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3`
	sqlSlack       = `SELECT coalesce(max(slack), 0) FROM audit_chain`
)

// Of a list's pages so many are read at first, and so many at once at the most.
const (
	fewPages  = 8
	manyPages = 256
)

// Records lists audit records: of one chain in order, else newest first.
func (d *db) Records(ctx context.Context, f bellhop.AuditFilter) (recs []bellhop.AuditRecord, next int64, err error) {
	var l *trail.List
	err = d.snapshot(ctx, "the audit", func(t *tx) error {
		l = trail.NewList(f)
		if f.Chain != "" {
			return t.auditChain(&f, l)
		}
		return t.auditList(&f, l)
	})
	if err != nil {
		return nil, 0, err
	}
	recs, next = l.Page()
	return recs, next, nil
}

// auditChain reads a chain from a record on.
func (t *tx) auditChain(f *bellhop.AuditFilter, l *trail.List) error {
	var number int64
	t.each(sqlChain, func(r pgx.Rows) error { return r.Scan(&number) }, text(f.Chain))
	if err := t.flush(); err != nil || number == 0 {
		return err
	}
	from := trail.ID(number, f.After+1)
	t.each(sqlAuditPageOf, func(r pgx.Rows) error {
		var mark int64
		return r.Scan(&mark, &from)
	}, from)
	if err := t.flush(); err != nil {
		return err
	}
	for n := fewPages; ; n = min(2*n, manyPages) {
		full, seen := false, 0
		t.each(sqlAuditsFrom, func(r pgx.Rows) error {
			var id int64
			var data []byte
			err := r.Scan(&id, &data)
			if err == nil && !full {
				full = l.Add(f.Chain, id, data)
			}
			from = id + 1
			seen++
			return err
		}, from, trail.LastID(number), n)
		if err := t.flush(); err != nil || full || seen < n {
			return err
		}
	}
}

// auditList reads from the newest page on.
func (t *tx) auditList(f *bellhop.AuditFilter, l *trail.List) error {
	mark, id, err := t.auditStart(f)
	if err != nil || id == 0 {
		return err
	}
	least := int64(math.MinInt64)
	if !f.Since.IsZero() {
		least = micros(f.Since)
	}
	query, args := auditQuery(f)
	for n := fewPages; ; n = min(2*n, manyPages) {
		full, seen := false, 0
		t.each(query, func(r pgx.Rows) error {
			var data []byte
			var name string
			err := r.Scan(&id, &mark, &data, &name)
			if err == nil && !full {
				full = l.Add(name, id, data)
			}
			seen++
			return err
		}, append([]any{mark, id, least, n}, args...)...)
		if err := t.flush(); err != nil || full || seen < n {
			return err
		}
		id-- // the next page by (mark, id)
	}
}

// auditQuery is the query for what a filter is about, and its values from $5 on.
func auditQuery(f *bellhop.AuditFilter) (query string, args []any) {
	if f.Run != 0 {
		from, to := trail.Band(f.Run)
		return sqlAuditsOfRun, []any{hash(trail.RunKey(f.Run)), from, to}
	}
	var keys []pgtype.UUID
	for _, key := range trail.Keys(f) {
		keys = append(keys, hash(key))
	}
	if len(keys) > 0 {
		return sqlAuditsByKeys, []any{keys}
	}
	return sqlAudits, nil
}

// auditStart returns where a list begins; id 0: nowhere. The page of a record
// from before a time may have a later mark, by the slack.
func (t *tx) auditStart(f *bellhop.AuditFilter) (mark, id int64, err error) {
	mark, id = math.MaxInt64, math.MaxInt64
	var slack int64
	if !f.Until.IsZero() {
		t.each(sqlSlack, func(r pgx.Rows) error { return r.Scan(&slack) })
	}
	if f.After > 0 {
		id = 0
		t.each(sqlAuditPageOf, func(r pgx.Rows) error { return r.Scan(&mark, &id) }, f.After)
	}
	if !f.Until.IsZero() || f.After > 0 {
		if err := t.flush(); err != nil {
			return 0, 0, err
		}
	}
	if last := micros(f.Until) + slack; !f.Until.IsZero() && last < mark && id != 0 {
		mark, id = last, math.MaxInt64
	}
	return mark, id, nil
}
