package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

// The columns of a record; that before it is found by PRIMARY KEY.
const sqlAudits = `SELECT c.name, a.seq, a.id, a.run, a.data, a.hash, coalesce((SELECT p.hash FROM audit p WHERE p.chain = a.chain AND p.seq = a.seq - 1), '')
  FROM audit a JOIN audit_chain c ON c.id = a.chain WHERE `

// auditDefault is how many records a list has that does not say.
const auditDefault = 100

// Records lists audit records: of one chain in order, else newest first.
func (d *db) Records(ctx context.Context, f bellhop.AuditFilter) (recs []bellhop.AuditRecord, next int64, err error) {
	limit := f.Limit
	if limit <= 0 {
		limit = auditDefault
	}
	query, args := auditQuery(f, limit+1)
	var ids []int64
	bad := false
	err = d.read(ctx, "the audit", query, func() { recs, ids, bad = nil, nil, false }, func(r pgx.Rows) error {
		var rec bellhop.AuditRecord
		var id int64
		var data, hash, prev []byte
		if err := r.Scan(&rec.Chain, &rec.Seq, &id, &rec.Run, &data, &hash, &prev); err != nil {
			return err
		}
		bad = !rec.Unpack(data) || bad
		rec.Hash, rec.Prev = sumText(hash), sumText(prev)
		recs, ids = append(recs, rec), append(ids, id)
		return nil
	}, args...)
	if err != nil {
		return nil, 0, err
	}
	if bad {
		d.log.Error("a record of the audit can't be read; bellhop audit verify says which")
	}
	if len(recs) > limit {
		recs = recs[:limit]
		if next = ids[limit-1]; f.Chain != "" {
			next = recs[limit-1].Seq
		}
	}
	return recs, next, nil
}

func sumText(hash []byte) string {
	var sum bellhop.AuditSum
	copy(sum[:], hash)
	return sum.String()
}

// auditQuery is the query of a list: of a chain by PRIMARY KEY, else by the
// index of what narrows it most (audit_run, audit_principal, audit_job,
// audit_service, audit_refused), each of which is in the order of writing; or,
// of a short time, by audit_at and sorted.
func auditQuery(f bellhop.AuditFilter, n int) (string, []any) {
	var where []string
	var args []any
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, strings.ReplaceAll(cond, "?", "$"+strconv.Itoa(len(args))))
	}
	if !f.Since.IsZero() {
		add("a.at >= ?", micros(f.Since))
	}
	if !f.Until.IsZero() {
		add("a.at < ?", micros(f.Until))
	}
	if f.Run != 0 {
		add("a.run = ? AND a.run > 0", int64(f.Run))
	}
	if f.Principal != "" {
		add("a.principal = ?", text(f.Principal))
	}
	if f.Service != "" {
		add("a.service = ? AND a.service <> ''", text(f.Service))
	}
	if f.Job != "" {
		add("a.job = ? AND a.job <> ''", text(f.Job))
	}
	if f.Refused {
		where = append(where, "NOT a.allowed")
	}
	order := "a.id DESC"
	if f.Chain != "" {
		order = "a.seq"
		add("a.chain = (SELECT id FROM audit_chain WHERE name = ?)", text(f.Chain))
		add("a.seq > ?", f.After)
	} else if f.After != 0 {
		add("a.id < ?", f.After)
	}
	if len(where) == 0 {
		where = append(where, "true")
	}
	args = append(args, n)
	return sqlAudits + strings.Join(where, " AND ") + " ORDER BY " + order + " LIMIT $" + strconv.Itoa(len(args)), args
}
