package postgres

import (
	"context"
	"slices"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	// By PRIMARY KEY. Locked in order: this is the fence of what is written
	// under a lease.
	sqlHeld = `SELECT x.run_id, x.lease, x.attempt, x.rank, x.start, x.told, x.started, x.lane, x.ckey, x.asks, x.alike, x.runner, x.cancel, l.outcome
  FROM running x JOIN lane l ON l.id = x.lane WHERE x.run_id = ANY ($1::bigint[]) ORDER BY x.run_id FOR UPDATE OF x`
	sqlLockLanes = `SELECT id, outcome FROM lane WHERE id = ANY ($1::int[]) ORDER BY id FOR UPDATE`
	// By PRIMARY KEY (run_id, n).
	sqlAsksOf = `SELECT id, 0, withdrawn, principal, session, server, ask FROM run WHERE id = ANY ($1::bigint[])
  UNION ALL SELECT run_id, n, withdrawn, principal, session, server, ask FROM ask WHERE run_id = ANY ($1::bigint[]) ORDER BY 1, 2`

	sqlStopRunning    = `DELETE FROM running WHERE run_id = ANY ($1::bigint[])`
	sqlSetOutcomes    = `UPDATE lane l SET outcome = u.outcome FROM unnest($1::int[], $2::smallint[]) u (id, outcome) WHERE l.id = u.id`
	sqlInsertAttempts = `INSERT INTO attempt (run_id, n, how, exit_status, started, ended, runner, reason)
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::int[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])`
	sqlWaitAgain = `INSERT INTO waiting (run_id, phase, rank, start, deadline, told, patience, latest, started, lane, ckey, asks, lease, attempt, alike, cancel, reason, job, principal)
  VALUES ($1, 0, $2, $3, 0, $4, 0, 0, $5, $6, $7, $8, $9, $10, $11, $12, $13, (SELECT job FROM run WHERE id = $1), (SELECT principal FROM run WHERE id = $1))`
)

// finishing is one call of Finish.
type finishing struct{ ends []*ending }

// ending is one Ending, and what it came to.
type ending struct {
	*bellhop.Ending
	follow []*newRun
	err    error
	held   *held
}

// held is a running run, locked.
type held struct {
	id                   int64
	lease, attempt       int32
	rank                 int16
	start, told, started int64
	lane, ckey           int32
	asks                 int32
	alike                any
	runner, cancel       *string
	outcome              int16 // of its lane
}

func (h *held) scan(r pgx.Rows) error {
	return r.Scan(&h.id, &h.lease, &h.attempt, &h.rank, &h.start, &h.told, &h.started, &h.lane, &h.ckey, &h.asks, &h.alike, &h.runner, &h.cancel, &h.outcome)
}

// Finish ends attempts, each under its current lease.
func (d *db) Finish(ctx context.Context, endings []bellhop.Ending) (errs []error, err error) {
	if d.closed.Load() {
		return nil, errClosed()
	}
	errs = make([]error, len(endings))
	all := make([]*ending, len(endings))
	f := &finishing{}
	for i := range endings {
		e := &ending{Ending: &endings[i]}
		all[i] = e
		if e.err = checkEnding(e.Ending); e.err == nil {
			if err := d.prepareFollow(ctx, e); err != nil {
				return nil, err
			}
		}
		if e.err == nil {
			f.ends = append(f.ends, e)
		}
	}
	if len(f.ends) > 0 {
		if err := d.finishes.do(ctx, f); err != nil {
			return nil, err
		}
	}
	for i, e := range all {
		errs[i] = e.err
	}
	return errs, nil
}

func checkEnding(e *bellhop.Ending) error {
	if e.State != bellhop.Waiting && !e.State.Terminal() {
		return bellhop.Errorf(bellhop.Invalid, "an attempt of run %s can't make it %s; the end of one makes it wait again or ends it", e.Ref.Run, e.State)
	}
	if numberOf(ends(), e.End) <= 0 || numberOf(kinds(), e.Report) < 0 {
		return bellhop.Errorf(bellhop.Invalid, "an attempt of run %s ended as %q with report %q, which is not known", e.Ref.Run, e.End, e.Report)
	}
	return nil
}

// prepareFollow prepares what follows an ending. What is wrong with that is
// the ending's error.
func (d *db) prepareFollow(ctx context.Context, e *ending) error {
	if !e.State.Terminal() {
		return nil
	}
	for i := range e.Follow {
		n, err := d.prepareRun(ctx, &e.Follow[i])
		if bellhop.CodeOf(err) == bellhop.Invalid {
			e.err = err
			return nil
		}
		if err != nil {
			return err
		}
		n.reject, n.after, n.now = false, int64(e.Ref.Run), micros(e.Now)
		e.follow = append(e.follow, n)
	}
	return nil
}

// finishAll ends the attempts of several calls.
func (d *db) finishAll(ctx context.Context, calls []*finishing) error {
	var list []*ending
	for _, c := range calls {
		list = append(list, c.ends...)
	}
	return d.write(ctx, "finishing", func(t *tx) error { return t.finish(d, list) })
}

// finish ends attempts, in order.
func (t *tx) finish(d *db, list []*ending) error {
	live, err := t.hold(list)
	if err != nil || len(live) == 0 {
		return err
	}
	outcomes, changed, err := t.decide(live)
	if err != nil {
		return err
	}
	ids, w := make([]int64, len(live)), &writing{}
	var ckeys []int32
	var now int64
	for i, e := range live {
		ids[i] = e.held.id
		ckeys = append(ckeys, e.held.ckey)
		now = max(now, micros(e.Now))
		if e.Output != nil {
			w.output(&bellhop.OutputBatch{Ref: e.Ref, Chunks: e.Output.Chunks, Drop: e.Output.Drop})
		}
		if e.State.Terminal() {
			w.end(outcomes[i])
		} else {
			w.again(t, e)
		}
		if e.Report != "" {
			w.report(e.held.id, e.held.lease, e.Report, micros(e.Now))
		}
		if e.State.Terminal() {
			w.notify(e.held.id, e.held.lease, bellhop.ReportOutcome, e.Notify, micros(e.Now))
		}
	}
	t.do(sqlStopRunning, ids)
	w.write(t, d.slot)
	if len(changed) > 0 {
		var lanes []int32
		var to []int16
		for lane, outcome := range changed {
			lanes, to = append(lanes, lane), append(to, outcome)
		}
		t.do(sqlSetOutcomes, lanes, to)
	}
	t.letPass(ckeys, now, true)
	return t.follow(live)
}

// hold locks the runs of endings, and gives those whose lease is the current
// one and that come first; the others' error is ErrLeaseLost. Nor does a run
// wait again that somebody has asked to end: ErrStopping.
func (t *tx) hold(list []*ending) (live []*ending, err error) {
	ids := make([]int64, len(list))
	for i, e := range list {
		ids[i] = int64(e.Ref.Run)
	}
	slices.Sort(ids)
	rows := map[int64]*held{}
	t.each(sqlHeld, func(r pgx.Rows) error {
		h := &held{}
		err := h.scan(r)
		rows[h.id] = h
		return err
	}, slices.Compact(ids))
	if err := t.flush(); err != nil {
		return nil, err
	}
	for _, e := range list {
		h := rows[int64(e.Ref.Run)]
		if h == nil || int64(h.lease) != e.Ref.Lease {
			e.err = bellhop.ErrLeaseLost
			continue
		}
		if e.State == bellhop.Waiting && h.cancel != nil {
			e.err = bellhop.ErrStopping
			continue
		}
		delete(rows, h.id)
		e.err, e.held = nil, h
		live = append(live, e)
	}
	return live, nil
}

// decide gives the outcomes of endings that end their run, and which lanes
// come to another outcome. Keys with a limit are locked here. A lane is locked
// only when its outcome changes: otherwise what was read is what an ending
// that came a moment earlier would have read.
func (t *tx) decide(live []*ending) (outcomes []*outcome, changed map[int32]int16, err error) {
	last := map[int32]int16{}
	var ckeys, lanes []int32
	for _, e := range live {
		ckeys = append(ckeys, e.held.ckey)
		if _, ok := last[e.held.lane]; !ok {
			last[e.held.lane] = e.held.outcome
		}
		if looksBack(e.State) && last[e.held.lane] != numberOf(states(), e.State) {
			lanes = append(lanes, e.held.lane)
		}
	}
	ckeys, lanes = sortedBounds(ckeys), sortedBounds(lanes)
	t.lockBounds(ckeys)
	if len(lanes) > 0 {
		t.each(sqlLockLanes, func(r pgx.Rows) error {
			var id int32
			var outcome int16
			err := r.Scan(&id, &outcome)
			last[id] = outcome
			return err
		}, lanes)
	}
	if len(ckeys) > 0 || len(lanes) > 0 {
		if err := t.flush(); err != nil {
			return nil, nil, err
		}
	}
	outcomes, changed = make([]*outcome, len(live)), map[int32]int16{}
	for i, e := range live {
		h := e.held
		if !e.State.Terminal() {
			continue
		}
		o := &outcome{
			id: h.id, state: numberOf(states(), e.State), previous: last[h.lane], rank: h.rank, how: numberOf(ends(), e.End), attempt: h.attempt, lease: h.lease,
			exit: exitOrNull(e.ExitStatus), start: h.start, told: h.told, started: h.started, finished: micros(e.Now),
			runner: h.runner, reason: textOrNull(e.Reason), result: e.Result, warnings: encodeWarnings(e.Warnings),
		}
		if e.Verdict != nil {
			o.verdict = max(0, numberOf(verdicts(), e.Verdict(wordOf(states(), o.previous))))
		}
		if looksBack(e.State) && last[h.lane] != o.state {
			last[h.lane], changed[h.lane] = o.state, o.state
		}
		outcomes[i] = o
	}
	return outcomes, changed, nil
}

// looksBack reports whether verdicts look back on a state.
func looksBack(s bellhop.State) bool { return s == bellhop.Succeeded || s == bellhop.Failed }

// again has a run wait again.
func (w *writing) again(t *tx, e *ending) {
	h, attempt, start := e.held, e.held.attempt, e.held.start
	if e.FreeAttempt {
		attempt--
	}
	if !e.Start.IsZero() {
		start = micros(e.Start)
	}
	w.attempts = append(w.attempts, attemptRow{
		id: h.id, n: h.lease, how: numberOf(ends(), e.End), exit: exitOrNull(e.ExitStatus), started: h.started, ended: micros(e.Now), runner: h.runner, reason: textOrNull(e.Reason),
	})
	t.do(sqlWaitAgain, h.id, h.rank, start, h.told, h.started, h.lane, h.ckey, h.asks, h.lease, attempt, h.alike, h.cancel, textOrNull(e.Reason))
}

// follow submits what follows, with the asks of the run that ended.
func (t *tx) follow(live []*ending) error {
	var ids []int64
	for _, e := range live {
		if len(e.follow) > 0 {
			ids = append(ids, e.held.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	asks := map[int64][]bellhop.Ask{}
	t.each(sqlAsksOf, func(r pgx.Rows) error {
		var id int64
		a, err := scanAsk(r, &id)
		asks[id] = append(asks[id], a)
		return err
	}, ids)
	if err := t.flush(); err != nil {
		return err
	}
	var runs []*newRun
	for _, e := range live {
		for i, n := range e.follow {
			n.asks = nil
			for _, a := range inForce(asks[e.held.id]) {
				a.Key, a.At = followKey(e.Ref.Run, i), e.Now
				n.asks = append(n.asks, packNewAsk(&a))
			}
			if len(n.asks) > 0 {
				runs = append(runs, n)
			}
		}
	}
	return t.submit(nil, runs)
}

// inForce returns the asks that are not withdrawn, or all when all are.
func inForce(asks []bellhop.Ask) []bellhop.Ask {
	kept := slices.DeleteFunc(slices.Clone(asks), func(a bellhop.Ask) bool { return a.Withdrawn })
	if len(kept) == 0 {
		return asks
	}
	return kept
}
