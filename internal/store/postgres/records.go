package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

// runColumns are what record.scan reads. The second half comes from where the
// run stands: waiting, running or outcome.
const runColumns = `SELECT r.id, j.service, j.name, d.digest, r.retry_of, r.after, r.created, r.withdrawn, r.principal, r.session, r.server, r.ask, r.args,
  CASE WHEN w.run_id IS NOT NULL THEN 2 WHEN x.run_id IS NOT NULL THEN 3 ELSE coalesce(o.state, 0) END,
  coalesce(o.verdict, 0), coalesce(o.previous, 0), o.exit_status, coalesce(o.finished, 0), coalesce(w.reason, o.error), o.result, o.warnings, coalesce(o.forgotten, false),
  coalesce(w.rank, x.rank, o.rank, 0), coalesce(w.start, x.start, o.start, 0), coalesce(w.told, x.told, o.deadline, 0), coalesce(w.started, x.started, o.started, 0),
  coalesce(w.attempt, x.attempt, o.attempt, 0), coalesce(w.lease, x.lease, o.lease, 0), r.lane, coalesce(w.ckey, x.ckey, 0), coalesce(w.asks, x.asks, 0),
  coalesce(x.runner, o.runner), x.handle, x.cancel,
  CASE WHEN w.ckey > 0 THEN (SELECT b.run_id FROM running b WHERE b.ckey = w.ckey AND b.ckey > 0 LIMIT 1) END`

const (
	// All by PRIMARY KEY.
	joinStates = joinNames + ` LEFT JOIN waiting w ON w.run_id = r.id LEFT JOIN running x ON x.run_id = r.id LEFT JOIN outcome o ON o.run_id = r.id`
	sqlRun     = runColumns + ` FROM run r` + joinStates + ` WHERE r.id = $1`
	sqlRunsOf  = runColumns + ` FROM run r` + joinStates + ` WHERE r.id = ANY ($1::bigint[]) ORDER BY r.id`
	// By PRIMARY KEY (run_id, n).
	sqlAsks     = sqlAsksOf
	sqlAttempts = `SELECT n, runner, started, ended, how, exit_status, reason FROM attempt WHERE run_id = $1
  UNION ALL SELECT lease, runner, started, finished, how, exit_status, error FROM outcome WHERE run_id = $1 AND how <> 0 ORDER BY 1`
	sqlActiveRunning = `SELECT run_id FROM running`
	// By waiting_order, waiting_key and waiting_hold, rank by rank where the
	// rank comes first.
	sqlActiveWaiting = `SELECT run_id, start FROM waiting ORDER BY start, run_id LIMIT $1`
)

// record is a run as its rows have it, with what the store needs beside it.
type record struct {
	run       bellhop.Run
	withdrawn bool // ask 0
	ask       bellhop.Ask
	rank      int16
	told      int64
	lease     int32
	lane      int32
	ckey      int32
	asks      int32
	runner    string
	handle    string
	cancel    string
}

func (rec *record) scan(r pgx.Rows) error {
	run := &rec.run
	var created, finished, start, started int64
	var session, server, reason, runner, handle, cancel *string
	var rest, args, result, warnings []byte
	var state, verdict, previous int16
	var exit *int32
	var behind *int64
	err := r.Scan(&run.ID, &run.Service, &run.Job, &run.Digest, &run.RetryOf, &run.After, &created, &rec.withdrawn, &run.AskedBy, &session, &server, &rest, &args,
		&state, &verdict, &previous, &exit, &finished, &reason, &result, &warnings, &run.OutputForgotten,
		&rec.rank, &start, &rec.told, &started, &run.Attempt, &rec.lease, &rec.lane, &rec.ckey, &rec.asks, &runner, &handle, &cancel, &behind)
	if err != nil {
		return err
	}
	run.State, run.Verdict, run.Previous = wordOf(states(), state), wordOf(verdicts(), verdict), wordOf(states(), previous)
	run.Created, run.Start, run.Started, run.Finished, run.Deadline = timeOf(created), timeOf(start), optionalTime(started), optionalTime(finished), timeOf(rec.told)
	run.ExitStatus, run.Error, run.Priority = exitOf(exit), orEmpty(reason), int(9-rec.rank)
	rec.runner, rec.handle, rec.cancel = orEmpty(runner), orEmpty(handle), orEmpty(cancel)
	if behind != nil {
		run.Behind = bellhop.RunID(*behind)
	}
	rec.ask = bellhop.Ask{Principal: run.AskedBy, Withdrawn: rec.withdrawn}
	if err := unpackAsk(rest, &rec.ask); err != nil {
		return err
	}
	rec.ask.Origin.Session, rec.ask.Origin.Server = orEmpty(session), orEmpty(server)
	run.Origin = rec.ask.Origin
	if run.Args, err = decodeArgs(args); err != nil {
		return err
	}
	if len(result) > 0 {
		run.Result = json.RawMessage(result)
	}
	if len(warnings) > 0 && json.Unmarshal(warnings, &run.Warnings) != nil {
		return errBadRow("a run's warnings")
	}
	return nil
}

// collect returns a row function that appends records to out.
func collect(out *[]*record) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		rec := &record{}
		*out = append(*out, rec)
		return rec.scan(r)
	}
}

func runsOf(recs []*record) []bellhop.Run {
	runs := make([]bellhop.Run, len(recs))
	for i, rec := range recs {
		runs[i] = rec.run
	}
	return runs
}

func errNoRun(id bellhop.RunID) error {
	return bellhop.Errorf(bellhop.NotFound, "there is no run %s; `runs` lists those that there are", id)
}

// Run returns one run, or NotFound.
func (d *db) Run(ctx context.Context, id bellhop.RunID) (bellhop.Run, error) {
	var found []*record
	err := d.read(ctx, "a run", sqlRun, func() { found = nil }, collect(&found), int64(id))
	if err != nil {
		return bellhop.Run{}, err
	}
	if len(found) == 0 {
		return bellhop.Run{}, errNoRun(id)
	}
	return found[0].run, nil
}

// conditions gathers what a list is narrowed by.
type conditions struct {
	sql  []string
	args []any
}

func (c *conditions) add(format string, arg any) {
	c.args = append(c.args, arg)
	c.sql = append(c.sql, strings.ReplaceAll(format, "?", fmt.Sprintf("$%d", len(c.args))))
}

// Runs lists runs, newest first: by run_job, run_principal, outcome_bad or
// PRIMARY KEY, as the planner finds best for what is asked. It may use
// bitmaps here (run_created is one), and the values.
func (d *db) Runs(ctx context.Context, f bellhop.RunFilter) ([]bellhop.Run, error) {
	from, where := filter(f)
	query := runColumns + from + " WHERE " + strings.Join(append(where.sql, "true"), " AND ") + " ORDER BY r.id DESC"
	if f.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	var found []*record
	err := d.snapshot(ctx, "runs", func(t *tx) error {
		found = nil
		t.do(`SET LOCAL enable_bitmapscan = on`)
		t.do(`SET LOCAL plan_cache_mode = force_custom_plan`)
		t.each(query, collect(&found), where.args...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return runsOf(found), nil
}

func filter(f bellhop.RunFilter) (from string, where *conditions) {
	where = &conditions{}
	from = ` FROM run r` + joinStates
	live, ended, terminal := 0, 0, []int16{}
	for _, s := range f.States {
		switch {
		case s.Terminal():
			ended++
			terminal = append(terminal, numberOf(states(), s))
		case s == bellhop.Waiting:
			live |= 1
		case s == bellhop.Running:
			live |= 2
		}
	}
	if len(f.States) > 0 {
		var any []string
		if live&1 != 0 {
			any = append(any, "w.run_id IS NOT NULL")
		}
		if live&2 != 0 {
			any = append(any, "x.run_id IS NOT NULL")
		}
		if ended > 0 {
			where.args = append(where.args, terminal)
			any = append(any, fmt.Sprintf("(o.run_id IS NOT NULL AND o.state = ANY ($%d::smallint[]))", len(where.args)))
		}
		where.sql = append(where.sql, "("+strings.Join(append(any, "false"), " OR ")+")")
		if ended == 0 { // by the short tables alone
			where.sql = append(where.sql, "r.id IN (SELECT run_id FROM waiting UNION ALL SELECT run_id FROM running)")
		} else if live == 0 && !slices.Contains(f.States, bellhop.Succeeded) {
			from = strings.Replace(from, "LEFT JOIN outcome", "JOIN outcome", 1)
			where.sql = append(where.sql, "o.state <> 4") // as outcome_bad has it
		}
	}
	if f.Service != "" || f.Job != "" {
		var of conditions
		of.args = where.args
		if f.Service != "" {
			of.add("service = ?", text(f.Service))
		}
		if f.Job != "" {
			of.add("name = ?", text(f.Job))
		}
		where.args = of.args
		where.sql = append(where.sql, "r.job = ANY (ARRAY(SELECT id FROM job WHERE "+strings.Join(of.sql, " AND ")+"))")
	}
	if f.Principal != "" {
		where.add("(r.principal = ? OR r.id IN (SELECT run_id FROM ask WHERE principal = ?))", text(f.Principal))
	}
	if f.Before > 0 {
		where.add("r.id < ?", int64(f.Before))
	}
	if !f.Since.IsZero() {
		where.add("r.created >= ?", micros(f.Since))
	}
	if !f.Until.IsZero() {
		where.add("r.created < ?", micros(f.Until))
	}
	return from, where
}

// Active returns what runs, and the first n that wait.
func (d *db) Active(ctx context.Context, n int) (running, waiting []bellhop.Run, more bool, err error) {
	n = max(n, 0)
	var run, wait []*record
	err = d.snapshot(ctx, "what runs", func(t *tx) error {
		var runs, waits []int64
		run, wait, more = nil, nil, false
		t.each(sqlActiveRunning, func(r pgx.Rows) error {
			var id int64
			err := r.Scan(&id)
			runs = append(runs, id)
			return err
		})
		t.each(sqlActiveWaiting, func(r pgx.Rows) error {
			var id, start int64
			err := r.Scan(&id, &start)
			waits = append(waits, id)
			return err
		}, n+1)
		if err := t.flush(); err != nil {
			return err
		}
		if more = len(waits) > n; more {
			waits = waits[:n]
		}
		t.each(sqlRunsOf, collect(&run), runs)
		t.each(sqlRunsOf, collect(&wait), waits)
		return nil
	})
	if err != nil {
		return nil, nil, false, err
	}
	slices.SortFunc(run, func(a, b *record) int {
		return cmp.Or(a.run.Started.Compare(*b.run.Started), a.run.Start.Compare(b.run.Start), cmp.Compare(a.run.ID, b.run.ID))
	})
	slices.SortFunc(wait, func(a, b *record) int {
		return cmp.Or(a.run.Start.Compare(b.run.Start), cmp.Compare(a.run.ID, b.run.ID))
	})
	return runsOf(run), runsOf(wait), more, nil
}

func scanAsk(r pgx.Rows, id *int64) (a bellhop.Ask, err error) {
	var session, server *string
	var rest []byte
	if err := r.Scan(id, &a.N, &a.Withdrawn, &a.Principal, &session, &server, &rest); err != nil {
		return a, err
	}
	err = unpackAsk(rest, &a)
	a.Origin.Session, a.Origin.Server = orEmpty(session), orEmpty(server)
	return a, err
}

// Asks returns a run's asks in order.
func (d *db) Asks(ctx context.Context, id bellhop.RunID) (asks []bellhop.Ask, err error) {
	err = d.read(ctx, "asks", sqlAsks, func() { asks = nil }, func(r pgx.Rows) error {
		var of int64
		a, err := scanAsk(r, &of)
		asks = append(asks, a)
		return err
	}, []int64{int64(id)})
	if err == nil && len(asks) == 0 {
		err = errNoRun(id)
	}
	return asks, err
}

// Attempts returns a run's ended attempts in order.
func (d *db) Attempts(ctx context.Context, id bellhop.RunID) (attempts []bellhop.Attempt, err error) {
	err = d.read(ctx, "attempts", sqlAttempts, func() { attempts = nil }, func(r pgx.Rows) error {
		var a bellhop.Attempt
		var runner, reason *string
		var started, ended int64
		var how int16
		var exit *int32
		err := r.Scan(&a.N, &runner, &started, &ended, &how, &exit, &reason)
		a.Runner, a.Started, a.Ended, a.End, a.ExitStatus, a.Reason = orEmpty(runner), timeOf(started), timeOf(ended), wordOf(ends(), how), exitOf(exit), orEmpty(reason)
		attempts = append(attempts, a)
		return err
	}, int64(id))
	return attempts, err
}
