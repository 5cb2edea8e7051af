package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bellhop-io/bellhop"
)

// runColumns are what record.scan reads.
const (
	runColumns = `SELECT r.id, j.service, j.name, d.digest, r.created, r.retry_of, r.after, p.name, r.session, r.ask, r.args,
  q.running, q.start, q.started, q.attempt, q.lease, q.priority, q.deadline, q.reason, q.runner, q.handle, q.cancel,
  e.start, e.started, e.attempt, e.lease, e.priority, e.deadline, e.error, e.state, e.verdict, e.previous, e.exit_status, e.finished, e.result, e.warnings, e.output,
  CASE WHEN q.running = 0 THEN (SELECT min(b.run_id) FROM queue b WHERE b.ckey = q.ckey AND b.running = 1 AND b.ckey IS NOT NULL) END,
  r.approval, CASE WHEN r.approval IS NOT NULL THEN (SELECT 1 FROM held h WHERE h.run_id = r.id AND h.given = 0) END`
	joinNames = ` CROSS JOIN job j ON j.id = r.job CROSS JOIN definition d ON d.id = r.definition CROSS JOIN principal p ON p.id = r.principal`
	fromRun   = ` FROM run r` + joinNames + ` LEFT JOIN queue q ON q.run_id = r.id LEFT JOIN ended e ON e.run_id = r.id`
	// By PRIMARY KEY each; the running one of the key by queue_running.
	sqlRun = runColumns + fromRun + ` WHERE r.id = ?`
)

// record is a run as its rows have it, with what the store needs beside it.
type record struct {
	run    bellhop.Run
	lease  int64
	runner string
	handle string
	cancel string
}

func (rec *record) scan(r row) (err error) {
	run := &rec.run
	*run = bellhop.Run{
		ID: bellhop.RunID(r.int(0)), Service: r.text(1), Job: r.text(2), Digest: r.text(3), Created: timeOf(r.int(4)),
		RetryOf: bellhop.RunID(r.int(5)), After: bellhop.RunID(r.int(6)), AskedBy: r.text(7), Behind: bellhop.RunID(r.int(37)),
	}
	var ask bellhop.Ask
	if err := unpackAsk(r.blob(9), &ask); err != nil {
		return err
	}
	run.Origin = ask.Origin
	run.Origin.Session = r.text(8)
	if run.Args, err = decodeArgs(r.blob(10)); err != nil {
		return err
	}
	if run.Approval, err = decodeApproval(r.blob(38)); err != nil {
		return err
	}
	at := 22 // in ended: start, started, attempt, lease, priority, deadline, error
	if !r.null(11) {
		at = 12 // the same in queue
		switch {
		case r.int(11) != 0:
			run.State = bellhop.Running
		case r.int(39) != 0:
			run.State, run.Behind = bellhop.Held, 0
		default:
			run.State = bellhop.Waiting
		}
		rec.runner, rec.handle, rec.cancel = r.text(19), r.text(20), r.text(21)
	} else if err := rec.scanEnd(r); err != nil {
		return err
	}
	run.Start, run.Started, run.Attempt, rec.lease = timeOf(r.int(at)), optionalTime(r.int(at+1)), int(r.int(at+2)), r.int(at+3)
	run.Priority, run.Deadline, run.Error = int(r.int(at+4)), timeOf(r.int(at+5)), r.text(at+6)
	return nil
}

func (rec *record) scanEnd(r row) error {
	run := &rec.run
	run.State, run.Verdict, run.Previous = wordOf(states(), r.int(29)), wordOf(verdicts(), r.int(30)), wordOf(states(), r.int(31))
	run.Finished, run.OutputForgotten = optionalTime(r.int(33)), r.int(36) < 0
	if !r.null(32) {
		status := int(r.int(32))
		run.ExitStatus = &status
	}
	if b := r.blob(34); b != nil {
		run.Result = json.RawMessage(b)
	}
	if b := r.blob(35); b != nil && json.Unmarshal(b, &run.Warnings) != nil {
		return errBadRow("a run's warnings")
	}
	return nil
}

func optionalTime(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := timeOf(us)
	return &t
}

// find reads one record through c; nil when there is none.
func (c *conn) find(ctx context.Context, id bellhop.RunID) (*record, error) {
	var found *record
	err := c.query(ctx, sqlRun, func(r row) error {
		found = &record{}
		if err := found.scan(r); err != nil {
			return err
		}
		return errStop
	}, int64(id))
	return found, err
}

func errNoRun(id bellhop.RunID) error {
	return bellhop.Errorf(bellhop.NotFound, "there is no run %s; `runs` lists those that there are", id)
}

// Run returns one run, or NotFound.
func (d *db) Run(ctx context.Context, id bellhop.RunID) (bellhop.Run, error) {
	var run bellhop.Run
	err := d.read(ctx, "a run", func(c *conn) error {
		rec, err := c.find(ctx, id)
		if err == nil && rec == nil {
			return errNoRun(id)
		} else if err == nil {
			run = rec.run
		}
		return err
	})
	return run, err
}

const (
	// All of the queue: it has no order in the file.
	sqlActiveRunning = `SELECT run_id FROM queue WHERE running = 1 ORDER BY start, run_id`
	sqlActiveWaiting = `SELECT run_id FROM queue WHERE running = 0 ORDER BY start, run_id LIMIT ? + 0`
)

// Active returns what runs, and the first n that wait or are held.
func (d *db) Active(ctx context.Context, n int) (running, waiting []bellhop.Run, more bool, err error) {
	n = max(n, 0)
	err = d.read(ctx, "what runs", func(c *conn) error {
		return c.snapshot(func() (err error) {
			var ids []int64
			collect := func(r row) error {
				ids = append(ids, r.int(0))
				return nil
			}
			if err := c.query(ctx, sqlActiveRunning, collect); err != nil {
				return err
			}
			if running, err = c.runs(ctx, ids); err != nil {
				return err
			}
			ids = nil
			if err := c.query(ctx, sqlActiveWaiting, collect, int64(n)+1); err != nil {
				return err
			}
			if more = len(ids) > n; more {
				ids = ids[:n]
			}
			waiting, err = c.runs(ctx, ids)
			return err
		})
	})
	return running, waiting, more, err
}

// runs reads runs that exist.
func (c *conn) runs(ctx context.Context, ids []int64) ([]bellhop.Run, error) {
	runs := make([]bellhop.Run, 0, len(ids))
	for _, id := range ids {
		rec, err := c.find(ctx, bellhop.RunID(id))
		if err != nil {
			return nil, err
		}
		if rec != nil {
			runs = append(runs, rec.run)
		}
	}
	return runs, nil
}

// Asks returns a run's asks in order.
func (d *db) Asks(ctx context.Context, id bellhop.RunID) (asks []bellhop.Ask, err error) {
	err = d.read(ctx, "asks", func(c *conn) error {
		return c.query(ctx, sqlRunAsks, collectAsks(&asks), int64(id))
	})
	if err == nil && len(asks) == 0 {
		err = errNoRun(id)
	}
	return asks, err
}

// By PRIMARY KEY (run_id, n), and by PRIMARY KEY.
const sqlAttempts = `SELECT n, runner, started, ended, how, exit_status, reason FROM attempt WHERE run_id = ?1
  UNION ALL SELECT lease, runner, started, finished, how, exit_status, error FROM ended WHERE run_id = ?1 AND how != 0 ORDER BY 1`

// Attempts returns a run's ended attempts in order.
func (d *db) Attempts(ctx context.Context, id bellhop.RunID) (attempts []bellhop.Attempt, err error) {
	err = d.read(ctx, "attempts", func(c *conn) error {
		return c.query(ctx, sqlAttempts, func(r row) error {
			a := bellhop.Attempt{
				N: int(r.int(0)), Runner: r.text(1), Started: timeOf(r.int(2)), Ended: timeOf(r.int(3)),
				End: wordOf(ends(), r.int(4)), Reason: r.text(6),
			}
			if !r.null(5) {
				status := int(r.int(5))
				a.ExitStatus = &status
			}
			attempts = append(attempts, a)
			return nil
		}, int64(id))
	})
	return attempts, err
}

// By run_retry and run_after.
const sqlCameOf = `SELECT id FROM run WHERE retry_of = ?1 UNION SELECT id FROM run WHERE after = ?1 ORDER BY 1 LIMIT ?2 + 0`

// CameOf returns the first n runs that repeat a run or follow it.
func (d *db) CameOf(ctx context.Context, id bellhop.RunID, n int) (runs []bellhop.Run, err error) {
	err = d.read(ctx, "what came of a run", func(c *conn) error {
		return c.snapshot(func() (err error) {
			var ids []int64
			if err := c.query(ctx, sqlCameOf, collectIDs(&ids), int64(id), int64(max(n, 0))); err != nil {
				return err
			}
			runs, err = c.runs(ctx, ids)
			return err
		})
	})
	return runs, err
}
