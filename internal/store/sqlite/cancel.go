package sqlite

import (
	"context"
	"encoding/json"

	"github.com/bellhop-io/bellhop"
)

const (
	// By PRIMARY KEY (key).
	sqlKeyAnswer  = `SELECT answer FROM key WHERE key = ?`
	sqlInsertDone = `INSERT INTO key (key, run_id, at, answer) VALUES (?, 0, ?, ?)`

	// The lanes by UNIQUE (service, job, ckey); among them all of the queue is
	// looked through, by a reader and not in the writer's time.
	sqlJobRuns = `SELECT q.run_id, r.args FROM queue q CROSS JOIN run r ON r.id = q.run_id
  WHERE q.lane IN (SELECT id FROM lane WHERE service = ? AND job = ?)`

	// By PRIMARY KEY.
	sqlSetCancel = `UPDATE queue SET cancel = coalesce(cancel, ?) WHERE run_id = ?`
	sqlRemove    = `DELETE FROM queue WHERE run_id = ?`
	sqlOwnAsks   = `SELECT coalesce(sum(principal = ?2), 0), count(*) FROM (SELECT principal FROM run WHERE id = ?1 AND withdrawn = 0 UNION ALL SELECT principal FROM ask WHERE run_id = ?1 AND withdrawn = 0)`
	sqlWithdraw0 = `UPDATE run SET withdrawn = 1 WHERE id = ? AND principal = ?`
	sqlWithdrawn = `UPDATE ask SET withdrawn = 1 WHERE run_id = ? AND principal = ?`
)

func cancelledBy(who string) string { return "cancelled by " + who }

// Cancel ends one run, or the runs of a job. Runs that are to go keep their
// last asks, so that these are told of the outcome.
func (d *db) Cancel(ctx context.Context, c bellhop.Cancellation) ([]bellhop.CancelledRun, error) {
	if d.writer == nil {
		return nil, errReadOnly()
	}
	ids := []int64{int64(c.Run)}
	if c.Run == 0 {
		var err error
		if ids, err = d.jobRuns(ctx, &c); err != nil {
			return nil, err
		}
	}
	var out []bellhop.CancelledRun
	var refused error
	err := d.do(ctx, func(t *tx) (err error) {
		out, refused, err = t.cancelAll(&c, ids)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// jobRuns returns the runs of a job that wait or run and have the arguments.
// What is submitted after the call began may be missing.
func (d *db) jobRuns(ctx context.Context, c *bellhop.Cancellation) (ids []int64, err error) {
	err = d.read(ctx, "a job's runs", func(conn *conn) error {
		return conn.query(ctx, sqlJobRuns, func(r row) error {
			args, err := decodeArgs(r.blob(1))
			if err == nil && args.Contains(c.Args) {
				ids = append(ids, r.int(0))
			}
			return err
		}, c.Service, c.Job)
	})
	return ids, err
}

func (t *tx) cancelAll(c *bellhop.Cancellation, ids []int64) (out []bellhop.CancelledRun, refused, err error) {
	if c.Key != "" {
		if answer, seen, err := t.answered(c.Key); seen || err != nil {
			return answer, nil, err
		}
	}
	out = []bellhop.CancelledRun{}
	for _, id := range ids {
		rec, err := t.c.find(context.Background(), bellhop.RunID(id))
		if err != nil {
			return nil, nil, err
		}
		if rec == nil {
			return nil, errNoRun(bellhop.RunID(id)), nil // c.Run alone; nothing was written
		}
		if c.Run == 0 && !rec.queued {
			continue // it ended in the meantime: no longer one of those that are meant
		}
		if rec.run.State == bellhop.Running && !c.Running {
			continue
		}
		effect, err := t.cancel(c, rec)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, effect)
	}
	if c.Key == "" {
		return out, nil, nil
	}
	answer, err := json.Marshal(out)
	if err == nil {
		_, err = t.exec(sqlInsertDone, c.Key, micros(c.Now), answer)
	}
	return out, nil, err
}

// answered returns what the same cancellation was answered when it was made.
func (t *tx) answered(key string) (out []bellhop.CancelledRun, seen bool, err error) {
	out = []bellhop.CancelledRun{}
	err = t.query(sqlKeyAnswer, func(r row) error {
		seen = true
		if b := r.blob(0); b != nil && json.Unmarshal(b, &out) != nil {
			return errBadRow("the answer to a cancellation")
		}
		return errStop
	}, key)
	return out, seen, err
}

// cancel does what c says to one run.
func (t *tx) cancel(c *bellhop.Cancellation, rec *record) (bellhop.CancelledRun, error) {
	id := int64(rec.run.ID)
	out := bellhop.CancelledRun{Run: rec.run.ID, State: rec.run.State}
	if !rec.queued {
		out.Effect = bellhop.CancelTooLate
		return out, nil
	}
	if !c.All {
		own, all, err := t.ownAsks(id, c.Principal)
		switch {
		case err != nil:
			return out, err
		case own == 0:
			out.Effect = bellhop.CancelNotYours
			return out, nil
		case own < all:
			out.Effect = bellhop.CancelWithdrawn
			if _, err := t.exec(sqlWithdraw0, id, c.Principal); err != nil {
				return out, err
			}
			_, err := t.exec(sqlWithdrawn, id, c.Principal)
			return out, err
		}
	}
	if rec.run.State == bellhop.Running {
		out.Effect = bellhop.CancelStopping
		_, err := t.exec(sqlSetCancel, c.By, id)
		return out, err
	}
	out.Effect, out.State = bellhop.CancelDone, bellhop.Cancelled
	return out, t.endWaiting(c, rec)
}

func (t *tx) ownAsks(id int64, principal string) (own, all int64, err error) {
	err = t.query(sqlOwnAsks, func(r row) error {
		own, all = r.int(0), r.int(1)
		return errStop
	}, id, principal)
	return own, all, err
}

// endWaiting ends a run that waits.
func (t *tx) endWaiting(c *bellhop.Cancellation, rec *record) error {
	id := int64(rec.run.ID)
	if _, err := t.exec(sqlRemove, id); err != nil {
		return err
	}
	h := &held{lease: rec.lease, lane: rec.lane, attempt: int64(rec.run.Attempt), start: micros(rec.run.Start), runner: rec.runner}
	if rec.run.Started != nil {
		h.started = micros(*rec.run.Started)
	}
	err := t.endRun(h, &runEnd{
		id: id, state: bellhop.Cancelled, now: micros(c.Now), reason: cancelledBy(c.By),
		verdict: func(bellhop.State) bellhop.Verdict { return bellhop.Aborted },
	})
	if err == nil && rec.ckey != 0 {
		err = t.release(rec.ckey)
	}
	if err != nil {
		return err
	}
	return t.report(id, bellhop.ReportOutcome, rec.lease, micros(c.Now), rec.asks)
}
