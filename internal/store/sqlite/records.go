package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/bellhop-io/bellhop"
)

// runColumns are what record.scan reads, but for the last one: the running run
// that this one is behind.
const runColumns = `r.id, l.service, l.job, d.digest, r.state, r.verdict, r.previous, r.exit_status, r.withdrawn, r.retry_of,
  r.created, r.finished, r.principal, r.session, r.ask, r.args, r.error, r.result, r.warnings,
  r.start, r.started, r.attempt, r.lease,
  q.phase, q.start, q.started, q.attempt, q.lease, q.reason, q.lane, q.ckey, q.climit, q.asks, q.runner, q.handle`

const (
	joinNames = ` JOIN lane l ON l.id = r.lane JOIN definition d ON d.id = r.definition`
	fromRun   = ` FROM run r` + joinNames + ` LEFT JOIN queue q ON q.run_id = r.id`
	fromQueue = ` FROM queue q CROSS JOIN run r ON r.id = q.run_id` + joinNames
	// By queue_key.
	behindColumn = `, CASE WHEN q.phase < 2 THEN (SELECT b.run_id FROM queue b WHERE b.ckey = q.ckey AND b.phase = 2 LIMIT 1) END`
)

// record is a run as its rows have it, with what the store needs beside it.
type record struct {
	run       bellhop.Run
	queued    bool
	withdrawn bool // ask 0
	ask       bellhop.Ask
	lease     int64
	lane      int64
	ckey      int64
	climit    int64
	asks      int64
	runner    string
	handle    string
}

func (rec *record) scan(r row) (err error) {
	run := &rec.run
	*run = bellhop.Run{
		ID: bellhop.RunID(r.int(0)), Service: r.text(1), Job: r.text(2), Digest: r.text(3),
		State: wordOf(states(), r.int(4)), Verdict: wordOf(verdicts(), r.int(5)), Previous: wordOf(states(), r.int(6)),
		RetryOf: bellhop.RunID(r.int(9)), Created: timeOf(r.int(10)), Finished: optionalTime(r.int(11)),
		AskedBy: r.text(12), Error: r.text(16), Behind: bellhop.RunID(r.int(35)),
	}
	if !r.null(7) {
		status := int(r.int(7))
		run.ExitStatus = &status
	}
	rec.withdrawn = r.int(8) != 0
	rec.ask = bellhop.Ask{Principal: run.AskedBy, Withdrawn: rec.withdrawn}
	if err := unpackAsk(r.blob(14), &rec.ask); err != nil {
		return err
	}
	rec.ask.Origin.Session = r.text(13)
	run.Origin = rec.ask.Origin
	if run.Args, err = decodeArgs(r.blob(15)); err != nil {
		return err
	}
	if b := r.blob(17); b != nil {
		run.Result = json.RawMessage(b)
	}
	if b := r.blob(18); b != nil {
		if err := json.Unmarshal(b, &run.Warnings); err != nil {
			return errBadRow("a run's warnings")
		}
	}
	at := 19 // the record's own start, started, attempt, lease
	if rec.queued = !r.null(23); rec.queued {
		at = 24
		run.State = bellhop.Waiting
		if r.int(23) == phaseRunning {
			run.State = bellhop.Running
		}
		run.Error = r.text(28)
	}
	run.Start, run.Started, run.Attempt, rec.lease = timeOf(r.int(at)), optionalTime(r.int(at+1)), int(r.int(at+2)), r.int(at+3)
	rec.lane, rec.ckey, rec.climit, rec.asks = r.int(29), r.int(30), r.int(31), r.int(32)
	rec.runner, rec.handle = r.text(33), r.text(34)
	return nil
}

func optionalTime(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := timeOf(us)
	return &t
}

// collect returns a row function that appends records to out.
func collect(out *[]*record) func(row) error {
	return func(r row) error {
		rec := &record{}
		if err := rec.scan(r); err != nil {
			return err
		}
		*out = append(*out, rec)
		return nil
	}
}

func runsOf(recs []*record) []bellhop.Run {
	runs := make([]bellhop.Run, len(recs))
	for i, rec := range recs {
		runs[i] = rec.run
	}
	return runs
}

const (
	// By PRIMARY KEY.
	sqlRun = `SELECT ` + runColumns + behindColumn + fromRun + ` WHERE r.id = ?`
	// Newest first by PRIMARY KEY; how far it reads back is the filter's doing.
	sqlRuns = `SELECT ` + runColumns + behindColumn + fromRun + runFilter
	// The same among those that wait or run, by queue's PRIMARY KEY.
	sqlLiveRuns = `SELECT ` + runColumns + behindColumn + fromQueue + runFilter
	runFilter   = ` WHERE r.id < ?1 AND (?2 = '' OR l.service = ?2) AND (?3 = '' OR l.job = ?3)
  AND ?4 & (1 << CASE q.phase WHEN 2 THEN 3 WHEN 1 THEN 2 WHEN 0 THEN 2 ELSE r.state END) != 0
  AND r.created >= ?5
  AND (?6 = '' OR r.principal = ?6 OR EXISTS (SELECT 1 FROM ask a WHERE a.run_id = r.id AND a.principal = ?6))
  ORDER BY r.id DESC LIMIT ?7 + 0`
	// By queue_order.
	sqlActive = `SELECT ` + runColumns + behindColumn + fromQueue + ` WHERE q.phase = ? ORDER BY q.start, q.run_id LIMIT ? + 0`
	// By PRIMARY KEY (run_id, n).
	sqlAsks = `SELECT 0, withdrawn, principal, session, ask FROM run WHERE id = ?1
  UNION ALL SELECT n, withdrawn, principal, session, ask FROM ask WHERE run_id = ?1 ORDER BY 1`
	sqlAttempts = `SELECT n, runner, started, ended, how, exit_status, reason FROM attempt WHERE run_id = ?1
  UNION ALL SELECT lease, runner, started, finished, how, exit_status, error FROM run WHERE id = ?1 AND how != 0 ORDER BY 1`
)

// find reads one record through c; nil when there is none.
func (c *conn) find(ctx context.Context, id bellhop.RunID) (*record, error) {
	var found []*record
	err := c.query(ctx, sqlRun, collect(&found), int64(id))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
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

// Runs lists runs, newest first.
func (d *db) Runs(ctx context.Context, f bellhop.RunFilter) ([]bellhop.Run, error) {
	query, mask, before, limit := sqlRuns, int64(-1), int64(math.MaxInt64), int64(-1)
	if len(f.States) > 0 {
		mask, query = 0, sqlLiveRuns
		for _, s := range f.States {
			if n := numberOf(states(), s); n > 0 {
				mask |= 1 << n
			}
			if s.Terminal() {
				query = sqlRuns
			}
		}
	}
	if f.Before > 0 {
		before = int64(f.Before)
	}
	if f.Limit > 0 {
		limit = int64(f.Limit)
	}
	since := int64(math.MinInt64)
	if !f.Since.IsZero() {
		since = micros(f.Since)
	}
	var found []*record
	err := d.read(ctx, "runs", func(c *conn) error {
		return c.query(ctx, query, collect(&found), before, f.Service, f.Job, mask, since, f.Principal, limit)
	})
	if err != nil {
		return nil, err
	}
	return runsOf(found), nil
}

// Active returns what runs, and the first n that wait.
func (d *db) Active(ctx context.Context, n int) (running, waiting []bellhop.Run, more bool, err error) {
	n = max(n, 0)
	var run, ready, held []*record
	err = d.read(ctx, "what runs", func(c *conn) error {
		return c.snapshot(func() error {
			return errors.Join(
				c.query(ctx, sqlActive, collect(&run), int64(phaseRunning), int64(-1)),
				c.query(ctx, sqlActive, collect(&ready), int64(phaseReady), int64(n)+1),
				c.query(ctx, sqlActive, collect(&held), int64(phaseHeld), int64(n)+1))
		})
	})
	if err != nil {
		return nil, nil, false, err
	}
	merged := append(ready, held...)
	sortByStart(merged)
	if more = len(merged) > n; more {
		merged = merged[:n]
	}
	return runsOf(run), runsOf(merged), more, nil
}

// Asks returns a run's asks in order.
func (d *db) Asks(ctx context.Context, id bellhop.RunID) (asks []bellhop.Ask, err error) {
	err = d.read(ctx, "asks", func(c *conn) error {
		return c.query(ctx, sqlAsks, func(r row) error {
			a := bellhop.Ask{N: int(r.int(0)), Withdrawn: r.int(1) != 0, Principal: r.text(2)}
			if err := unpackAsk(r.blob(4), &a); err != nil {
				return err
			}
			a.Origin.Session = r.text(3)
			asks = append(asks, a)
			return nil
		}, int64(id))
	})
	if err == nil && len(asks) == 0 {
		err = errNoRun(id)
	}
	return asks, err
}

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
