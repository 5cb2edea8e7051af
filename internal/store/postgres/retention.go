package postgres

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// By PRIMARY KEY each.
	sqlOld = `SELECT r.id, j.service, j.name, o.finished, o.output FROM (SELECT id, job FROM run WHERE id > $1 ORDER BY id LIMIT $2) r
  JOIN job j ON j.id = r.job LEFT JOIN outcome o ON o.run_id = r.id ORDER BY r.id`
	sqlNewest = `SELECT coalesce(max(id), 0) FROM run`
	sqlEnded  = `SELECT run_id, output FROM outcome WHERE run_id = ANY ($1::bigint[]) ORDER BY run_id FOR UPDATE`

	// By report_run.
	sqlUntold = `SELECT DISTINCT run_id FROM report WHERE run_id = ANY ($1::bigint[]) AND state = 0`

	sqlForgetOutput = `DELETE FROM output WHERE run_id = ANY ($1::bigint[])`
	sqlForgotten    = `UPDATE outcome SET forgotten = true, output = 0 WHERE run_id = ANY ($1::bigint[])`
	sqlLessOutput   = `UPDATE output_size SET bytes = bytes - $2 WHERE slot = $1`
	sqlOutputSize   = `SELECT coalesce(sum(bytes), 0)::bigint FROM output_size`

	// By PRIMARY KEY.
	sqlKeysFrom   = `SELECT key, at FROM key WHERE key > $1 ORDER BY key LIMIT $2`
	sqlForgetKeys = `DELETE FROM key k WHERE k.key = ANY ($1::uuid[]) AND k.at < $2
  AND NOT EXISTS (SELECT 1 FROM waiting w WHERE w.run_id = k.run_id) AND NOT EXISTS (SELECT 1 FROM running x WHERE x.run_id = k.run_id)`

	sqlForgetHolds = `DELETE FROM hold WHERE (ended > 0 AND ended < $1) OR (until > 0 AND until < $1)`
)

// ofRun are the statements that delete what belongs to runs: each by PRIMARY
// KEY (run_id, ...), reports by report_run.
func ofRun() []string {
	return []string{
		sqlForgetOutput, `DELETE FROM report WHERE run_id = ANY ($1::bigint[])`, `DELETE FROM attempt WHERE run_id = ANY ($1::bigint[])`,
		`DELETE FROM ask WHERE run_id = ANY ($1::bigint[])`, `DELETE FROM outcome WHERE run_id = ANY ($1::bigint[])`, `DELETE FROM run WHERE id = ANY ($1::bigint[])`,
	}
}

// Old looks at up to n runs and returns the ended ones.
func (d *db) Old(ctx context.Context, after bellhop.RunID, n int) (runs []bellhop.OldRun, last bellhop.RunID, err error) {
	seen := 0
	err = d.read(ctx, "old runs", sqlOld, func() { runs, last, seen = nil, 0, 0 }, func(r pgx.Rows) error {
		var o bellhop.OldRun
		var finished, output *int64
		if err := r.Scan(&o.Run, &o.Service, &o.Job, &finished, &output); err != nil {
			return err
		}
		seen++
		last = o.Run
		if finished != nil {
			o.Finished, o.Output = timeOf(*finished), *output
			runs = append(runs, o)
		}
		return nil
	}, int64(after), max(n, 1))
	if seen < max(n, 1) {
		last = 0
	}
	return runs, last, err
}

// Forget deletes runs, and the output of others.
func (d *db) Forget(ctx context.Context, runs, output []bellhop.RunID) (n int, err error) {
	ids := []int64{}
	for _, id := range slices.Concat(runs, output) {
		ids = append(ids, int64(id))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	err = d.write(ctx, "forgetting runs", func(t *tx) error {
		n = 0
		var newest bellhop.RunID
		kept := map[bellhop.RunID]int64{} // bytes of output of ended runs
		t.each(sqlNewest, func(r pgx.Rows) error { return r.Scan(&newest) })
		t.each(sqlEnded, func(r pgx.Rows) error {
			var id bellhop.RunID
			var bytes int64
			err := r.Scan(&id, &bytes)
			kept[id] = bytes
			return err
		}, ids)
		untold := map[bellhop.RunID]bool{} // a report is still to be delivered
		t.each(sqlUntold, func(r pgx.Rows) error {
			var id bellhop.RunID
			err := r.Scan(&id)
			untold[id] = true
			return err
		}, ids)
		if err := t.flush(); err != nil {
			return err
		}
		var gone, bare []int64
		var less int64
		for _, id := range ids {
			run := bellhop.RunID(id)
			bytes, ended := kept[run]
			whole := slices.Contains(runs, run)
			switch {
			case !ended, whole && untold[run] && !slices.Contains(output, run):
				continue
			case whole && !untold[run] && run < newest:
				gone = append(gone, id)
			case bytes > 0:
				bare = append(bare, id)
			default:
				continue
			}
			less += bytes
			n++
		}
		if len(gone) > 0 {
			for _, sql := range ofRun() {
				t.do(sql, gone)
			}
		}
		if len(bare) > 0 {
			t.do(sqlForgetOutput, bare)
			t.do(sqlForgotten, bare)
		}
		if less > 0 {
			t.do(sqlLessOutput, d.slot, less)
		}
		return nil
	})
	return n, err
}

// ForgetKeys deletes keys noted before a time. The cursor is the last key, as
// hex digits.
func (d *db) ForgetKeys(ctx context.Context, before time.Time, cursor string, n int) (next string, err error) {
	from := pgtype.UUID{Valid: true}
	if b, err := hex.DecodeString(cursor); err == nil && len(b) == 16 {
		from.Bytes = [16]byte(b)
	} else if cursor != "" {
		return "", bellhop.Errorf(bellhop.Invalid, "%.40q is not where to go on with keys; begin at the beginning", cursor)
	}
	var old []pgtype.UUID
	seen, us := 0, micros(before)
	err = d.read(ctx, "keys", sqlKeysFrom, func() { old, seen = nil, 0 }, func(r pgx.Rows) error {
		var at int64
		var key pgtype.UUID
		if err := r.Scan(&key, &at); err != nil {
			return err
		}
		seen++
		from = key
		if at < us {
			old = append(old, key)
		}
		return nil
	}, from, max(n, 1))
	if err != nil {
		return "", err
	}
	if len(old) > 0 {
		err := d.write(ctx, "forgetting keys", func(t *tx) error {
			t.do(sqlForgetKeys, old, us)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	if seen < max(n, 1) {
		return "", nil
	}
	return hex.EncodeToString(from.Bytes[:]), nil
}

// ForgetHolds deletes holds that were over before a time.
func (d *db) ForgetHolds(ctx context.Context, before time.Time) error {
	return d.write(ctx, "forgetting holds", func(t *tx) error {
		t.do(sqlForgetHolds, micros(before))
		return nil
	})
}

// OutputSize returns how many bytes of output ended runs have.
func (d *db) OutputSize(ctx context.Context) (n int64, err error) {
	err = d.read(ctx, "the size of the output", sqlOutputSize, func() {}, func(r pgx.Rows) error { return r.Scan(&n) })
	return n, err
}

// Shrink has nothing to do: the database's autovacuum makes room by itself.
func (d *db) Shrink(ctx context.Context) (more bool, err error) { return false, ctx.Err() }
