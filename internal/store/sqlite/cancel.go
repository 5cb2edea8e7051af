package sqlite

import (
	"context"
	"encoding/json"

	"github.com/bellhop-io/bellhop"
)

const (
	// All of the queue is looked through, by a reader and not in the writer's
	// time.
	sqlJobRuns = `SELECT q.run_id, r.args FROM queue q CROSS JOIN run r ON r.id = q.run_id
  WHERE r.job = (SELECT id FROM job WHERE service = ? AND name = ?)`

	// By PRIMARY KEY.
	sqlSetCancel  = `UPDATE queue SET cancel = coalesce(cancel, ?) WHERE run_id = ?`
	sqlEndedState = `SELECT state FROM ended WHERE run_id = ?`
	sqlOwnAsks    = `SELECT coalesce(sum(principal = ?2), 0), count(*) FROM (SELECT principal FROM run WHERE id = ?1 AND withdrawn = 0 UNION ALL SELECT principal FROM ask WHERE run_id = ?1 AND withdrawn = 0)`
	sqlWithdraw0  = `UPDATE run SET withdrawn = 1 WHERE id = ? AND principal = ?`
	sqlWithdrawn  = `UPDATE ask SET withdrawn = 1 WHERE run_id = ? AND principal = ?`
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
	out = []bellhop.CancelledRun{}
	answer, seen, err := t.answered(c.Key)
	if err != nil {
		return nil, nil, err
	}
	if seen {
		if answer != nil && json.Unmarshal(answer, &out) != nil {
			return nil, errOtherKey(c.Key), nil
		}
		return out, nil, nil
	}
	for _, id := range ids {
		e := t.q.byID[id]
		if e == nil {
			state, err := t.number(sqlEndedState, id)
			if err != nil {
				return nil, nil, err
			}
			switch {
			case c.Run == 0: // it ended in the meantime: no longer one of those that are meant
			case state == 0:
				return nil, errNoRun(c.Run), nil // c.Run alone; nothing was written
			default:
				out = append(out, bellhop.CancelledRun{Run: c.Run, Effect: bellhop.CancelTooLate, State: wordOf(states(), state)})
			}
			continue
		}
		if e.phase == phaseRunning && !c.Running {
			continue
		}
		effect, err := t.cancel(c, e)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, effect)
	}
	return out, nil, t.noteAnswer(c.Key, c.Now, out)
}

// cancel does what c says to one run that waits or runs.
func (t *tx) cancel(c *bellhop.Cancellation, e *entry) (bellhop.CancelledRun, error) {
	out := bellhop.CancelledRun{Run: bellhop.RunID(e.id), State: e.state()}
	if !c.All {
		left, err := t.withdraw(c, e)
		if err != nil || left != "" {
			out.Effect = left
			return out, err
		}
	}
	if e.phase == phaseRunning {
		out.Effect = bellhop.CancelStopping
		t.q.touch(e)
		e.handled = true
		_, err := t.exec(sqlSetCancel, c.By, e.id)
		return out, err
	}
	out.Effect, out.State = bellhop.CancelDone, bellhop.Cancelled
	return out, t.endWaiting(e, cancelledBy(c.By), micros(c.Now))
}

// withdraw takes a principal's own asks out of a run, unless no others are
// left: then it returns "", and the run is to go with them.
func (t *tx) withdraw(c *bellhop.Cancellation, e *entry) (bellhop.CancelEffect, error) {
	principal, err := t.number(sqlPrincipalID, c.Principal)
	if err != nil {
		return "", err
	}
	var own, all int64
	err = t.query(sqlOwnAsks, func(r row) error {
		own, all = r.int(0), r.int(1)
		return errStop
	}, e.id, principal)
	switch {
	case err != nil:
		return "", err
	case own == 0:
		return bellhop.CancelNotYours, nil
	case own == all:
		return "", nil
	}
	t.q.touch(e)
	t.q.setFacts(e, nil)
	if _, err := t.exec(sqlWithdraw0, e.id, principal); err != nil {
		return "", err
	}
	_, err = t.exec(sqlWithdrawn, e.id, principal)
	return bellhop.CancelWithdrawn, err
}

// endWaiting ends a run that waits or is held. Who was asked to approve it is
// told that this is over.
func (t *tx) endWaiting(e *entry, reason string, now int64) error {
	asked, err := t.askedOf(e)
	if err != nil {
		return err
	}
	err = t.endRun(e, &runEnd{
		state: bellhop.Cancelled, now: now, reason: reason,
		verdict: func(bellhop.State) bellhop.Verdict { return bellhop.Aborted },
	})
	if err != nil {
		return err
	}
	return t.tell(e, bellhop.ReportOutcome, telling{bellhop.ReportDecided, asked}, now, e.untouched())
}
