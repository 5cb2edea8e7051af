package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// By PRIMARY KEY each.
	sqlOld = `SELECT r.id, j.service, j.name, e.finished, e.output FROM run r CROSS JOIN job j ON j.id = r.job LEFT JOIN ended e ON e.run_id = r.id
  WHERE r.id > ? ORDER BY r.id LIMIT ? + 0`
	sqlEndedOutput  = `SELECT output FROM ended WHERE run_id = ?`
	sqlForgetOutput = `DELETE FROM output WHERE run_id = ?`
	sqlForgetChunks = `DELETE FROM output WHERE run_id = ?1 AND (attempt, seq) IN (SELECT attempt, seq FROM output WHERE run_id = ?1 ORDER BY attempt, seq LIMIT ?2 + 0)
  RETURNING length(data)`
	sqlLessOutput     = `UPDATE ended SET output = output - ? WHERE run_id = ?`
	sqlSetForgotten   = `UPDATE ended SET output = -1 WHERE run_id = ?`
	sqlForgetRun      = `DELETE FROM run WHERE id = ?`
	sqlForgetEnded    = `DELETE FROM ended WHERE run_id = ?`
	sqlForgetAsks     = `DELETE FROM ask WHERE run_id = ?`
	sqlForgetAttempts = `DELETE FROM attempt WHERE run_id = ?`
	sqlPendingOf      = `SELECT EXISTS (SELECT 1 FROM report WHERE id BETWEEN ? AND ? AND +state = 0)`
	sqlForgetReports  = `DELETE FROM report WHERE id BETWEEN ? AND ? RETURNING id`

	// By PRIMARY KEY (key).
	sqlKeys      = `SELECT key, at, run_id FROM key WHERE key > ? ORDER BY key LIMIT ? + 0`
	sqlForgetKey = `DELETE FROM key WHERE key = ?`

	// All that are kept: they are few.
	sqlForgetHolds = `DELETE FROM hold WHERE ended != 0 AND ended < ?1 OR until != 0 AND until <= ?1 RETURNING id`
)

// Old returns the ended ones of the runs after a place.
func (d *db) Old(ctx context.Context, after bellhop.RunID, n int) (runs []bellhop.OldRun, last bellhop.RunID, err error) {
	n = max(n, 1)
	seen := 0
	err = d.read(ctx, "old runs", func(c *conn) error {
		return c.query(ctx, sqlOld, func(r row) error {
			seen++
			last = bellhop.RunID(r.int(0))
			if !r.null(3) {
				runs = append(runs, bellhop.OldRun{
					Run: last, Service: r.text(1), Job: r.text(2), Finished: timeOf(r.int(3)), Output: max(r.int(4), 0),
				})
			}
			return nil
		}, int64(after), int64(n))
	})
	if seen < n {
		last = 0
	}
	return runs, last, err
}

// In one turn of the writer are forgotten forgetStep runs with about
// forgetBytes of output at most, or forgetChunks chunks of a run that has more:
// others come in between.
const (
	forgetStep   = 16
	forgetBytes  = 1 << 20
	forgetChunks = 16
)

// Forget deletes runs, and the output of others, in small changes.
func (d *db) Forget(ctx context.Context, runs, output []bellhop.RunID) (n int, err error) {
	whole, bare := map[bellhop.RunID]bool{}, map[bellhop.RunID]bool{}
	for _, id := range runs {
		whole[id] = true
	}
	for _, id := range output {
		bare[id] = true
	}
	all := slices.Concat(runs, output)
	slices.Sort(all)
	all = slices.Compact(all)
	for len(all) > 0 {
		var done, changed int
		err := d.do(ctx, func(t *tx) error {
			done, changed = 0, 0
			for size := int64(0); done < min(len(all), forgetStep) && size < forgetBytes; done++ {
				id := int64(all[done])
				untold, err := t.untold(id, whole[all[done]])
				if err != nil {
					return err
				}
				if untold && !bare[all[done]] {
					continue
				}
				if done == 0 {
					if some, err := t.forgetSome(id); some || err != nil {
						return err
					}
				}
				did, bytes, err := t.forgetOne(id, whole[all[done]] && !untold)
				if err != nil {
					return err
				}
				size += bytes
				if did {
					changed++
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		all = all[done:]
		n += changed
	}
	return n, nil
}

// untold reports whether a run is to be forgotten though there is a report of
// it that is still to be delivered.
func (t *tx) untold(id int64, whole bool) (bool, error) {
	if !whole {
		return false, nil
	}
	n, err := t.number(sqlPendingOf, id<<reportBits, id<<reportBits|(1<<reportBits-1))
	return n != 0, err
}

// forgetSome deletes a piece of a large output. When the server dies before
// the rest has gone, the record still says how much that is.
func (t *tx) forgetSome(id int64) (some bool, err error) {
	bytes, err := t.number(sqlEndedOutput, id)
	if err != nil || bytes <= forgetBytes {
		return false, err
	}
	gone := int64(0)
	err = t.query(sqlForgetChunks, func(r row) error {
		gone += r.int(0)
		return nil
	}, id, int64(forgetChunks))
	if err != nil || gone == 0 || gone >= bytes {
		return false, err
	}
	t.outputSize -= gone
	_, err = t.exec(sqlLessOutput, gone, id)
	return true, err
}

// forgetOne deletes the output of an ended run, and the rest of it too when
// whole is set and it is not the newest.
func (t *tx) forgetOne(id int64, whole bool) (changed bool, bytes int64, err error) {
	ended := false
	err = t.query(sqlEndedOutput, func(r row) error {
		ended, bytes = true, max(r.int(0), 0)
		return errStop
	}, id)
	if err != nil || !ended {
		return false, 0, err
	}
	if bytes > 0 {
		if _, err := t.exec(sqlForgetOutput, id); err != nil {
			return false, 0, err
		}
		t.outputSize -= bytes
	}
	if !whole || id == t.nextRun-1 {
		if bytes > 0 {
			_, err = t.exec(sqlSetForgotten, id)
		}
		return bytes > 0, bytes, err
	}
	for _, query := range []string{sqlForgetRun, sqlForgetEnded, sqlForgetAsks, sqlForgetAttempts} {
		if _, err := t.exec(query, id); err != nil {
			return false, 0, err
		}
	}
	var reports []int64
	err = t.query(sqlForgetReports, func(r row) error {
		reports = append(reports, r.int(0))
		return nil
	}, id<<reportBits, id<<reportBits|(1<<reportBits-1))
	if len(reports) > 0 {
		t.after(func() { t.db.outbox.forget(reports) })
	}
	return true, bytes, err
}

// ForgetKeys deletes old keys among the n after a place.
func (d *db) ForgetKeys(ctx context.Context, before time.Time, cursor string, n int) (next string, err error) {
	if d.writer == nil {
		return "", errReadOnly()
	}
	n = max(n, 1)
	type noted struct {
		key string
		run int64
	}
	var old []noted
	seen := 0
	err = d.read(ctx, "keys", func(c *conn) error {
		return c.query(ctx, sqlKeys, func(r row) error {
			seen++
			next = r.text(0)
			if r.int(1) < micros(before) {
				old = append(old, noted{next, max(r.int(2), -r.int(2))})
			}
			return nil
		}, cursor, int64(n))
	})
	if err != nil {
		return "", err
	}
	if seen < n {
		next = ""
	}
	for part := range slices.Chunk(old, 8*forgetStep) { // a key that is there is never changed
		err := d.do(ctx, func(t *tx) error {
			for _, k := range part {
				if t.q.byID[k.run] != nil { // it may be asked for again until it has ended
					continue
				}
				if _, err := t.exec(sqlForgetKey, k.key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return next, nil
}

// ForgetHolds deletes holds that were over before a time.
func (d *db) ForgetHolds(ctx context.Context, before time.Time) error {
	return d.do(ctx, func(t *tx) error {
		gone := map[int64]bool{}
		err := t.query(sqlForgetHolds, func(r row) error {
			gone[r.int(0)] = true
			return nil
		}, micros(before))
		if err != nil || len(gone) == 0 {
			return err
		}
		t.holds = slices.DeleteFunc(slices.Clone(t.holds), func(h *bellhop.Hold) bool { return gone[h.ID] })
		return nil
	})
}

// OutputSize returns how many bytes of output of ended runs are kept.
func (d *db) OutputSize(ctx context.Context) (n int64, err error) {
	err = d.read(ctx, "the size of all output", func(c *conn) error {
		n, err = c.number(sqlNumber, numberOutput)
		return err
	})
	return n, err
}

// shrinkStep is how many pages of 4 KiB are given back in one turn of the
// writer.
const shrinkStep = 64

const (
	sqlFreePages = `PRAGMA freelist_count`
	sqlShrink    = `PRAGMA incremental_vacuum(64)`
)

// Shrink gives pages that hold nothing any more back to the file system. Each
// may cost the move of a page that holds something.
func (d *db) Shrink(ctx context.Context) (more bool, err error) {
	err = d.do(ctx, func(t *tx) error {
		free, err := t.number(sqlFreePages)
		if err != nil || free == 0 {
			more = false
			return err
		}
		more = free > shrinkStep
		return t.query(sqlShrink, func(row) error { return nil })
	})
	return more, err
}
