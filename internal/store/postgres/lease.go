package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	// By PRIMARY KEY, in the order of the array. No index has what changes, so
	// that the row stays where it is.
	sqlExtend = `UPDATE running x SET lease_end = ` + storeNow + ` + $2::bigint, handle = coalesce(u.handle, x.handle)
  FROM unnest($3::bigint[], $4::bigint[], $5::text[]) u (id, lease, handle) WHERE x.run_id = u.id AND x.lease = u.lease RETURNING x.run_id, x.lease, x.cancel`
	// All of running, which is short.
	sqlLost = `SELECT run_id FROM running WHERE lease_end <= ` + storeNow + ` ORDER BY run_id LIMIT 1000`
	// By PRIMARY KEY (run_id, n).
	sqlCrashes = `SELECT run_id, count(*) FROM attempt WHERE run_id = ANY ($1::bigint[]) AND how = 7 GROUP BY run_id`
	// What a limit keeps back though there is room: whoever was to let it pass
	// died before. Key by key in waiting_kept.
	sqlStuck = `WITH RECURSIVE k (id) AS (
    (SELECT ckey FROM waiting WHERE phase = 1 ORDER BY ckey LIMIT 1)
    UNION ALL SELECT (SELECT w.ckey FROM waiting w WHERE w.ckey > k.id AND w.phase = 1 ORDER BY w.ckey LIMIT 1) FROM k WHERE k.id IS NOT NULL)
  SELECT k.id FROM k WHERE k.id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM running x WHERE x.ckey = k.id AND x.ckey > 0) LIMIT 100`

	// By waiting_deadline.
	sqlTooLate = `SELECT run_id FROM waiting WHERE deadline > 0 AND deadline <= $1 ORDER BY deadline, run_id LIMIT $2 FOR UPDATE SKIP LOCKED`
	sqlNextDue = `SELECT deadline FROM waiting WHERE deadline > 0 ORDER BY deadline LIMIT 1`
)

func cancelledBy(who string) string { return "cancelled by " + who }

func stopOf(cancel string) *bellhop.StopCause {
	if cancel == "" {
		return nil
	}
	return &bellhop.StopCause{End: bellhop.EndCancelled, Reason: cancelledBy(cancel)}
}

// Extend lengthens leases and tells whose run is being cancelled.
func (d *db) Extend(ctx context.Context, refs []bellhop.LeaseRef, lease time.Duration) ([]bellhop.Extension, error) {
	out := make([]bellhop.Extension, len(refs))
	if len(refs) == 0 {
		return out, nil
	}
	sorted := slices.Clone(refs)
	slices.SortStableFunc(sorted, func(a, b bellhop.LeaseRef) int { return int(a.Run - b.Run) })
	ids, leases, handles := make([]int64, len(refs)), make([]int64, len(refs)), make([]*string, len(refs))
	for i, ref := range sorted {
		ids[i], leases[i], handles[i] = int64(ref.Run), ref.Lease, textOrNull(ref.Handle)
	}
	type key struct {
		run   bellhop.RunID
		lease int64
	}
	var holding map[key]string
	err := d.write(ctx, "extending leases", func(t *tx) error {
		holding = map[key]string{}
		t.each(sqlExtend, func(r pgx.Rows) error {
			var k key
			var cancel *string
			err := r.Scan(&k.run, &k.lease, &cancel)
			holding[k] = orEmpty(cancel)
			return err
		}, d.now(), lease.Microseconds(), ids, leases, handles)
		return t.flush() // what is answered must not be lost with the commit's answer
	})
	if err != nil {
		return nil, err
	}
	for i, ref := range refs {
		cancel, ok := holding[key{ref.Run, ref.Lease}]
		out[i] = bellhop.Extension{Lost: !ok, Stop: stopOf(cancel)}
	}
	return out, nil
}

// Lost returns running runs whose lease has run out by the store's clock.
// Nothing proves before that its holder is dead.
func (d *db) Lost(ctx context.Context) ([]bellhop.LostRun, error) {
	var found []*record
	var crashes map[bellhop.RunID]int
	var stuck []int32
	err := d.snapshot(ctx, "lost runs", func(t *tx) error {
		var ids []int64
		found, crashes, stuck = nil, map[bellhop.RunID]int{}, nil
		t.each(sqlLost, func(r pgx.Rows) error {
			var id int64
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		}, d.now())
		t.each(sqlStuck, func(r pgx.Rows) error {
			var key int32
			err := r.Scan(&key)
			stuck = append(stuck, key)
			return err
		})
		if err := t.flush(); err != nil || len(ids) == 0 {
			return err
		}
		t.each(sqlRunsOf, collect(&found), ids)
		t.each(sqlCrashes, func(r pgx.Rows) error {
			var id bellhop.RunID
			var n int
			err := r.Scan(&id, &n)
			crashes[id] = n
			return err
		}, ids)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(stuck) > 0 { // a run too many does no harm
		err := d.write(ctx, "letting runs pass", func(t *tx) error {
			t.letPass(stuck, 0, false)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	lost := make([]bellhop.LostRun, len(found))
	for i, rec := range found {
		lost[i] = bellhop.LostRun{
			Ref: bellhop.LeaseRef{Run: rec.run.ID, Lease: int64(rec.lease), Handle: rec.handle},
			Run: rec.run, Runner: rec.runner, Crashes: crashes[rec.run.ID], Stop: stopOf(rec.cancel),
		}
	}
	return lost, nil
}

// Expire ends runs that wait or are held and whose deadline has passed.
func (d *db) Expire(ctx context.Context, now time.Time, n int, reason string) (gone []bellhop.RunID, next time.Time, err error) {
	return d.giveUp(ctx, sqlTooLate, sqlNextDue, now, n, reason)
}
