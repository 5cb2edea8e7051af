package postgres

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// By PRIMARY KEY.
	sqlKeyAnswer  = `SELECT answer FROM key WHERE key = $1`
	sqlInsertDone = `INSERT INTO key (key, run_id, at, answer) VALUES ($1, 0, $2, $3)`

	// The job by UNIQUE (service, name), what waits by waiting_job; all that
	// runs is looked through.
	sqlJobRuns = `SELECT r.id, r.args FROM job j CROSS JOIN LATERAL (
    SELECT run_id FROM waiting WHERE job = j.id UNION ALL SELECT run_id FROM running) q CROSS JOIN run r
  WHERE j.service = $1 AND j.name = $2 AND r.id = q.run_id AND r.job = j.id ORDER BY r.id`

	// By PRIMARY KEY, locked in order.
	sqlLockWaiting = `SELECT run_id FROM waiting WHERE run_id = ANY ($1::bigint[]) ORDER BY run_id FOR UPDATE`
	sqlLockRunning = `SELECT run_id FROM running WHERE run_id = ANY ($1::bigint[]) ORDER BY run_id FOR UPDATE`
	sqlLockAsk     = `SELECT id FROM run WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE`
	sqlOwnAsks     = `SELECT id, coalesce(sum((principal = $2)::int), 0), count(*) FROM (
    SELECT id, principal FROM run WHERE id = ANY ($1::bigint[]) AND NOT withdrawn
    UNION ALL SELECT run_id, principal FROM ask WHERE run_id = ANY ($1::bigint[]) AND NOT withdrawn) a GROUP BY id`
	sqlSetCancel = `UPDATE running SET cancel = coalesce(cancel, $2) WHERE run_id = ANY ($1::bigint[])`
	sqlWithdraw0 = `UPDATE run SET withdrawn = true WHERE id = ANY ($1::bigint[]) AND principal = $2`
	sqlWithdrawn = `UPDATE ask SET withdrawn = true WHERE run_id = ANY ($1::bigint[]) AND principal = $2`

	sqlStopWaiting  = `DELETE FROM waiting WHERE run_id = ANY ($1::bigint[])`
	sqlLaneOutcomes = `SELECT id, outcome FROM lane WHERE id = ANY ($1::int[])`
)

// Cancel ends one run, or the runs of a job. Runs that are to go keep their
// last asks, so that these are told of the outcome.
func (d *db) Cancel(ctx context.Context, c bellhop.Cancellation) (out []bellhop.CancelledRun, err error) {
	key := hash(c.Key)
	err = d.write(ctx, "cancelling", func(t *tx) error {
		out = []bellhop.CancelledRun{}
		if seen, err := t.answered(key, func(b []byte) error { return json.Unmarshal(b, &out) }); seen || err != nil {
			return err
		}
		found, err := t.cancelled(&c)
		if err != nil {
			return err
		}
		if out, err = t.cancel(d, &c, found); err != nil || !key.Valid {
			return err
		}
		answer, err := json.Marshal(out)
		t.do(sqlInsertDone, key, micros(c.Now), answer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// answered reads what the same call was answered when it was made.
func (t *tx) answered(key pgtype.UUID, read func([]byte) error) (seen bool, err error) {
	if !key.Valid {
		return false, nil
	}
	var answer []byte
	t.each(sqlKeyAnswer, func(r pgx.Rows) error {
		seen = true
		return r.Scan(&answer)
	}, key)
	if err := t.flush(); err != nil || !seen || answer == nil {
		return seen, err
	}
	if read(answer) != nil {
		return true, errBadRow("the answer to a request")
	}
	return true, nil
}

// cancelled reads and locks the runs that are meant. The newest rows are read
// after they were locked.
func (t *tx) cancelled(c *bellhop.Cancellation) (found []*record, err error) {
	ids := []int64{int64(c.Run)}
	if c.Run == 0 {
		ids = []int64{}
		t.each(sqlJobRuns, func(r pgx.Rows) error {
			var id int64
			var b []byte
			if err := r.Scan(&id, &b); err != nil {
				return err
			}
			args, err := decodeArgs(b)
			if err == nil && args.Contains(c.Args) {
				ids = append(ids, id)
			}
			return err
		}, text(c.Service), text(c.Job))
		if err := t.flush(); err != nil {
			return nil, err
		}
	}
	t.each(sqlLockAsk, ignore, ids) // two who withdraw the last two asks see each other
	t.each(sqlLockWaiting, ignore, ids)
	t.each(sqlLockRunning, ignore, ids)
	// One that was claimed, or waited again, between these is somewhere now.
	t.each(sqlLockWaiting, ignore, ids)
	t.each(sqlRunsOf, collect(&found), ids)
	if err := t.flush(); err != nil {
		return nil, err
	}
	if c.Run != 0 && len(found) == 0 {
		return nil, errNoRun(c.Run)
	}
	return found, nil
}

// cancel does what c says to runs.
func (t *tx) cancel(d *db, c *bellhop.Cancellation, found []*record) ([]bellhop.CancelledRun, error) {
	out := []bellhop.CancelledRun{}
	var live []int64
	for _, rec := range found {
		if !rec.run.State.Terminal() {
			live = append(live, int64(rec.run.ID))
		}
	}
	own, all := map[bellhop.RunID]int{}, map[bellhop.RunID]int{}
	if !c.All && len(live) > 0 {
		t.each(sqlOwnAsks, func(r pgx.Rows) error {
			var id bellhop.RunID
			var mine, of int
			err := r.Scan(&id, &mine, &of)
			own[id], all[id] = mine, of
			return err
		}, live, text(c.Principal))
		if err := t.flush(); err != nil {
			return nil, err
		}
	}
	var withdraw, stop []int64
	var end []*record
	for _, rec := range found {
		id := rec.run.ID
		effect := bellhop.CancelledRun{Run: id, State: rec.run.State}
		switch {
		case rec.run.State.Terminal() && c.Run == 0, rec.run.State == bellhop.Running && !c.Running:
			continue
		case rec.run.State.Terminal():
			effect.Effect = bellhop.CancelTooLate
		case !c.All && own[id] == 0:
			effect.Effect = bellhop.CancelNotYours
		case !c.All && own[id] < all[id]:
			effect.Effect = bellhop.CancelWithdrawn
			withdraw = append(withdraw, int64(id))
		case rec.run.State == bellhop.Running:
			effect.Effect = bellhop.CancelStopping
			stop = append(stop, int64(id))
		default:
			effect.Effect, effect.State = bellhop.CancelDone, bellhop.Cancelled
			end = append(end, rec)
		}
		out = append(out, effect)
	}
	if len(withdraw) > 0 {
		t.do(sqlWithdraw0, withdraw, text(c.Principal))
		t.do(sqlWithdrawn, withdraw, text(c.Principal))
	}
	if len(stop) > 0 {
		t.do(sqlSetCancel, stop, text(c.By))
	}
	return out, t.endWaiting(d, end, micros(c.Now), cancelledBy(c.By))
}

// waiting reads runs that wait and are locked.
func (t *tx) waiting(ids []int64) (found []*record, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	t.each(sqlRunsOf, collect(&found), ids)
	err = t.flush()
	slices.SortFunc(found, func(a, b *record) int { return slices.Index(ids, int64(a.run.ID)) - slices.Index(ids, int64(b.run.ID)) })
	return found, err
}

// endWaiting ends locked runs that wait or are held, and tells their asks. Who
// was asked to approve one is told that this is over.
func (t *tx) endWaiting(d *db, found []*record, now int64, reason string) error {
	if len(found) == 0 {
		return nil
	}
	previous := map[int32]int16{}
	var lanes []int32
	for _, rec := range found {
		lanes = append(lanes, rec.lane)
	}
	t.each(sqlLaneOutcomes, func(r pgx.Rows) error {
		var id int32
		var outcome int16
		err := r.Scan(&id, &outcome)
		previous[id] = outcome
		return err
	}, sortedBounds(lanes))
	if err := t.flush(); err != nil {
		return err
	}
	w := &writing{}
	var ids, held []int64
	var ckeys []int32
	for _, rec := range found {
		id := int64(rec.run.ID)
		o := &outcome{
			id: id, state: numberOf(states(), bellhop.Cancelled), verdict: numberOf(verdicts(), bellhop.Aborted), previous: previous[rec.lane],
			rank: rec.rank, attempt: int32(rec.run.Attempt), lease: rec.lease, start: micros(rec.run.Start), told: rec.told, finished: now,
			runner: textOrNull(rec.runner), reason: textOrNull(reason),
		}
		if rec.run.Started != nil {
			o.started = micros(*rec.run.Started)
		}
		w.end(o)
		w.report(id, rec.lease, bellhop.ReportOutcome, now)
		if rec.run.State == bellhop.Held {
			held = append(held, id)
			w.notify(id, rec.lease, bellhop.ReportDecided, rec.run.Approval.Notify, now)
		}
		ids, ckeys = append(ids, id), append(ckeys, rec.ckey)
	}
	t.do(sqlStopWaiting, ids)
	if len(held) > 0 {
		t.do(sqlAwaitNoMore, held)
	}
	w.write(t, d.slot)
	t.letPass(ckeys, now, false)
	return nil
}
