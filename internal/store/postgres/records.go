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
  CASE WHEN w.phase = 3 THEN 1 WHEN w.run_id IS NOT NULL THEN 2 WHEN x.run_id IS NOT NULL THEN 3 ELSE coalesce(o.state, 0) END,
  coalesce(o.verdict, 0), coalesce(o.previous, 0), o.exit_status, coalesce(o.finished, 0), coalesce(w.reason, o.error), o.result, o.warnings, coalesce(o.forgotten, false),
  coalesce(w.rank, x.rank, o.rank, 0), coalesce(w.start, x.start, o.start, 0), coalesce(w.told, x.told, o.deadline, 0), coalesce(w.started, x.started, o.started, 0),
  coalesce(w.attempt, x.attempt, o.attempt, 0), coalesce(w.lease, x.lease, o.lease, 0), r.lane, coalesce(w.ckey, x.ckey, 0), coalesce(w.asks, x.asks, 0),
  coalesce(x.runner, o.runner), x.handle, x.cancel,
  CASE WHEN w.ckey > 0 AND w.phase < 3 THEN (SELECT b.run_id FROM running b WHERE b.ckey = w.ckey AND b.ckey > 0 LIMIT 1) END, r.approval`

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
	// Of each rank the first ones: of those in the order of claims by
	// waiting_order, of those kept back by waiting_kept and waiting_hold, key by
	// key and hold by hold. And all of held, which is short.
	sqlActiveWaiting = `WITH RECURSIVE k (id) AS (
    (SELECT ckey FROM waiting WHERE phase = 1 ORDER BY ckey LIMIT 1)
    UNION ALL SELECT (SELECT w.ckey FROM waiting w WHERE w.phase = 1 AND w.ckey > k.id ORDER BY w.ckey LIMIT 1) FROM k WHERE k.id IS NOT NULL),
  h (id) AS (
    (SELECT hold FROM waiting WHERE phase = 2 ORDER BY hold LIMIT 1)
    UNION ALL SELECT (SELECT w.hold FROM waiting w WHERE w.phase = 2 AND w.hold > h.id ORDER BY w.hold LIMIT 1) FROM h WHERE h.id IS NOT NULL)
  SELECT a.run_id, a.start FROM (
    SELECT w.* FROM generate_series(0, 9) p (rank) CROSS JOIN LATERAL (
      SELECT q.run_id, q.start FROM waiting q WHERE q.phase = 0 AND q.rank = p.rank ORDER BY q.start, q.run_id LIMIT $1) w
    UNION ALL SELECT w.* FROM k CROSS JOIN generate_series(0, 9) p (rank) CROSS JOIN LATERAL (
      SELECT q.run_id, q.start FROM waiting q WHERE q.phase = 1 AND q.ckey = k.id AND q.rank = p.rank ORDER BY q.start, q.run_id LIMIT $1) w WHERE k.id IS NOT NULL
    UNION ALL SELECT w.* FROM h CROSS JOIN generate_series(0, 9) p (rank) CROSS JOIN LATERAL (
      SELECT q.run_id, q.start FROM waiting q WHERE q.phase = 2 AND q.hold = h.id AND q.rank = p.rank ORDER BY q.start, q.run_id LIMIT $1) w WHERE h.id IS NOT NULL
    UNION ALL SELECT q.run_id, q.start FROM held d JOIN waiting q ON q.run_id = d.run_id) a
  ORDER BY a.start, a.run_id LIMIT $1`
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
	var rest, args, result, warnings, approval []byte
	var state, verdict, previous int16
	var exit *int32
	var behind *int64
	err := r.Scan(&run.ID, &run.Service, &run.Job, &run.Digest, &run.RetryOf, &run.After, &created, &rec.withdrawn, &run.AskedBy, &session, &server, &rest, &args,
		&state, &verdict, &previous, &exit, &finished, &reason, &result, &warnings, &run.OutputForgotten,
		&rec.rank, &start, &rec.told, &started, &run.Attempt, &rec.lease, &rec.lane, &rec.ckey, &rec.asks, &runner, &handle, &cancel, &behind, &approval)
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
	if run.Approval, err = decodeApproval(approval); err != nil {
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

// Runs lists runs, newest first: by run_job, run_principal and ask_principal,
// outcome_bad, run_created or PRIMARY KEY, as the planner finds best for what
// is asked. Here it may use bitmaps, and the values.
func (d *db) Runs(ctx context.Context, f bellhop.RunFilter) ([]bellhop.Run, error) {
	query, args := listOf(f)
	var found []*record
	err := d.snapshot(ctx, "runs", func(t *tx) error {
		found = nil
		t.do(`SET LOCAL plan_cache_mode = force_custom_plan`)
		if f.Since.IsZero() { // a page is read in the order of an index, and no more than that
			t.do(`SET LOCAL enable_sort = off`)
		} else {
			t.do(`SET LOCAL enable_bitmapscan = on`)
		}
		t.each(query, collect(&found), args...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return runsOf(found), nil
}

// listOf returns the query for a list, and its values.
func listOf(f bellhop.RunFilter) (query string, args []any) {
	c := &conditions{source: "run r"}
	c.narrow(f)
	query = runColumns + " FROM " + c.source + c.joins() + " WHERE " + strings.Join(append(c.sql, "true"), " AND ") + " ORDER BY " + c.order() + " DESC"
	if f.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	return query, c.args
}

// conditions gathers what a list is narrowed by.
type conditions struct {
	source string // where the runs come from: all, or "ids m" in order of their ids
	ended  bool   // every run has an outcome
	who    string // the place of the person, when there is one
	jobs   string // the jobs' ids, when there are any
	sql    []string
	args   []any
}

// arg notes a value and returns its place.
func (c *conditions) arg(v any) string {
	c.args = append(c.args, v)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *conditions) joins() string {
	joins := joinStates
	if c.ended {
		joins = strings.Replace(joins, "LEFT JOIN outcome", "JOIN outcome", 1)
	}
	if c.source != "run r" {
		// OFFSET 0: from the ids to the runs, and never all runs against the ids.
		return " CROSS JOIN LATERAL (SELECT * FROM run WHERE id = m.id OFFSET 0) r" + joins
	}
	return joins
}

func (c *conditions) order() string {
	if c.source != "run r" {
		return "m.id"
	}
	return "r.id"
}

// live says that the runs come from those that wait or run, in order of their
// ids: a page reads no more of them than it has to.
func (c *conditions) live() bool { return c.source != "run r" }

func (c *conditions) narrow(f bellhop.RunFilter) {
	if f.Principal != "" {
		c.who = c.arg(text(f.Principal))
	}
	if f.Service != "" || f.Job != "" {
		of := []string{"true"}
		if f.Service != "" {
			of = append(of, "service = "+c.arg(text(f.Service)))
		}
		if f.Job != "" {
			of = append(of, "name = "+c.arg(text(f.Job)))
		}
		c.jobs = "ARRAY(SELECT id FROM job WHERE " + strings.Join(of, " AND ") + ")"
		c.sql = append(c.sql, "r.job = ANY ("+c.jobs+")")
	}
	if len(f.States) > 0 {
		c.inStates(&f)
	}
	if c.who != "" {
		if c.live() {
			c.sql = append(c.sql, `(r.principal = `+c.who+` OR EXISTS (SELECT 1 FROM ask a WHERE a.run_id = r.id AND a.principal = `+c.who+`))`)
		} else {
			// Each run once: by its first ask of that principal. Both halves come
			// in order, so that they can be merged.
			c.source = `(SELECT id FROM run WHERE principal = ` + c.who + ` UNION ALL (SELECT a.run_id FROM ask a WHERE a.principal = ` + c.who + `
  AND NOT EXISTS (SELECT 1 FROM run b WHERE b.id = a.run_id AND b.principal = ` + c.who + `)
  AND NOT EXISTS (SELECT 1 FROM ask b WHERE b.run_id = a.run_id AND b.n < a.n AND b.principal = ` + c.who + `) ORDER BY a.run_id DESC)) m`
		}
	}
	if f.Before > 0 {
		c.sql = append(c.sql, c.order()+" < "+c.arg(int64(f.Before)))
	}
	if !f.Since.IsZero() {
		c.sql = append(c.sql, "r.created >= "+c.arg(micros(f.Since)))
	}
	if !f.Until.IsZero() {
		c.sql = append(c.sql, "r.created < "+c.arg(micros(f.Until)))
	}
}

func (c *conditions) inStates(f *bellhop.RunFilter) {
	var any []string
	var ended []int16
	for _, s := range f.States {
		switch {
		case s.Terminal():
			ended = append(ended, numberOf(states(), s))
		case s == bellhop.Waiting:
			any = append(any, "w.phase < 3")
		case s == bellhop.Held:
			any = append(any, "w.phase = 3")
		case s == bellhop.Running:
			any = append(any, "x.run_id IS NOT NULL")
		}
	}
	live := len(any) > 0
	switch {
	case len(ended) > 0:
		any = append(any, "(o.run_id IS NOT NULL AND o.state = ANY ("+c.arg(ended)+"::smallint[]))")
		if !live && !slices.Contains(f.States, bellhop.Succeeded) {
			c.ended = true
			c.sql = append(c.sql, "o.state <> 4") // as outcome_bad has it
		}
	case live:
		c.source = "(" + strings.Join(c.liveOf(f), " UNION ALL ") + ") m"
	}
	c.sql = append(c.sql, "("+strings.Join(append(any, "false"), " OR ")+")")
}

// Active returns what runs, and the first n that wait or are held.
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

// By run_retry and run_after.
const sqlCameOf = runColumns + ` FROM run r` + joinStates + ` WHERE r.id IN (SELECT c.id FROM (
    SELECT id FROM run WHERE retry_of = $1 AND retry_of > 0 UNION SELECT id FROM run WHERE after = $1 AND after > 0) c ORDER BY c.id LIMIT $2) ORDER BY r.id`

// CameOf returns the first n runs that repeat a run or follow it.
func (d *db) CameOf(ctx context.Context, id bellhop.RunID, n int) ([]bellhop.Run, error) {
	var found []*record
	err := d.read(ctx, "what came of a run", sqlCameOf, func() { found = nil }, collect(&found), int64(id), int64(max(n, 0)))
	return runsOf(found), err
}
