package sqlite

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// By PRIMARY KEY.
	sqlRequeue = `UPDATE queue SET running = 0, start = ?, attempt = ?, reason = ?, runner = NULL, handle = NULL WHERE run_id = ?`

	sqlInsertAttempt = `INSERT INTO attempt (run_id, n, how, exit_status, started, ended, runner, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

	// By PRIMARY KEY.
	sqlLease     = `SELECT cancel, handle FROM queue WHERE run_id = ?`
	sqlSetHandle = `UPDATE queue SET handle = ? WHERE run_id = ?`
	// By PRIMARY KEY (run_id, n).
	sqlCrashes = `SELECT count(*) FROM attempt WHERE run_id = ? AND how = 7`
)

// finishing is an Ending before the writer's turn.
type finishing struct {
	*bellhop.Ending
	follow   []prepared
	told     []preparedAsk
	warnings []byte
	refused  error
}

func prepareEnding(e *bellhop.Ending) finishing {
	f := finishing{Ending: e, warnings: encodeWarnings(e.Warnings)}
	switch {
	case e.State != bellhop.Waiting && !e.State.Terminal():
		f.refused = bellhop.Errorf(bellhop.Invalid, "an attempt of run %s can't make it %s; the end of one makes it wait again or ends it", e.Ref.Run, e.State)
		return f
	case numberOf(ends(), e.End) <= 0 || numberOf(kinds(), e.Report) < 0:
		f.refused = bellhop.Errorf(bellhop.Invalid, "an attempt of run %s ended as %q with report %q, which is not known", e.Ref.Run, e.End, e.Report)
		return f
	case !e.State.Terminal():
		return f
	}
	for i := range e.Follow {
		p, err := prepareRun(&e.Follow[i])
		if err != nil {
			f.refused = err
			return f
		}
		f.follow = append(f.follow, p)
	}
	for i := range e.Notify {
		f.told = append(f.told, prepareAsk(&e.Notify[i]))
	}
	return f
}

// Finish ends attempts, each under its current lease.
func (d *db) Finish(ctx context.Context, endings []bellhop.Ending) (errs []error, err error) {
	prep := make([]finishing, len(endings))
	for i := range endings {
		prep[i] = prepareEnding(&endings[i])
	}
	errs = make([]error, len(endings))
	err = d.do(ctx, func(t *tx) (err error) {
		for i := range prep {
			if errs[i], err = t.finish(&prep[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return errs, nil
}

// finish ends one attempt; refused says why it changed nothing.
func (t *tx) finish(f *finishing) (refused, err error) {
	if f.refused != nil {
		return f.refused, nil
	}
	e := t.holding(f.Ref)
	if e == nil {
		return bellhop.ErrLeaseLost, nil
	}
	if f.State == bellhop.Waiting {
		if by, err := t.stopping(e); by != "" || err != nil {
			return bellhop.ErrStopping, err
		}
	}
	for i := range f.follow {
		if refused, err := t.checkDefinition(f.follow[i].spec); refused != nil || err != nil {
			return refused, err
		}
	}
	if f.Output != nil {
		if err := t.appendOutput(e, f.Output); err != nil {
			return nil, err
		}
	}
	now, first := micros(f.Now), e.lease == 1
	if f.State == bellhop.Waiting {
		err = t.requeue(f, e)
	} else {
		err = t.endRun(e, &runEnd{
			state: f.State, how: numberOf(ends(), f.End), exit: f.ExitStatus, verdict: f.Verdict,
			now: now, reason: f.Reason, result: f.Result, warnings: f.warnings,
		})
	}
	if err == nil && (f.Report != "" || len(f.told) > 0) {
		err = t.tell(e, f.Report, telling{bellhop.ReportOutcome, f.told}, now, first)
	}
	for i := range f.follow {
		if err == nil {
			err = t.followUp(e, &f.follow[i], i, f.Now)
		}
	}
	if err == nil {
		t.after(func() { t.db.leases.drop(f.Ref.Run) })
	}
	return nil, err
}

// holding returns the entry of a run that runs under that lease.
func (t *tx) holding(ref bellhop.LeaseRef) *entry {
	if e := t.q.byID[int64(ref.Run)]; e != nil && e.phase == phaseRunning && e.lease == ref.Lease {
		return e
	}
	return nil
}

// stopping returns who asked to end a run that runs, if anybody did.
func (t *tx) stopping(e *entry) (by string, err error) {
	if !e.handled {
		return "", nil
	}
	err = t.query(sqlLease, func(r row) error {
		by = r.text(0)
		return errStop
	}, e.id)
	return by, err
}

func (t *tx) requeue(f *finishing, e *entry) error {
	runner := e.runner
	t.q.change(e, func() {
		if f.FreeAttempt {
			e.attempt--
		}
		if !f.Start.IsZero() {
			e.start = micros(f.Start)
		}
		e.phase, e.runner, e.facts = phaseFuture, "", nil
	})
	if _, err := t.exec(sqlRequeue, e.start, e.attempt, textOrNull(f.Reason), e.id); err != nil {
		return err
	}
	_, err := t.exec(sqlInsertAttempt, e.id, e.lease, numberOf(ends(), f.End), exitOrNull(f.ExitStatus), e.started, micros(f.Now), textOrNull(runner), textOrNull(f.Reason))
	return err
}

// runEnd is what becomes of a run when it ends.
type runEnd struct {
	state            bellhop.State
	how              int64 // of the attempt that ended it; 0: none did
	exit             *int
	verdict          func(previous bellhop.State) bellhop.Verdict
	now              int64
	reason           string
	result, warnings []byte
}

// endRun takes a run out of the queue and writes how it ended.
func (t *tx) endRun(e *entry, end *runEnd) error {
	l, err := t.laneByID(e.lane)
	if err != nil {
		return err
	}
	previous, verdict := l.outcome, int64(0)
	if end.verdict != nil {
		verdict = max(0, numberOf(verdicts(), end.verdict(wordOf(states(), previous))))
	}
	state := numberOf(states(), end.state)
	if end.state == bellhop.Succeeded || end.state == bellhop.Failed {
		if err := t.setOutcome(l, state); err != nil {
			return err
		}
	}
	if err := t.countOutput(e); err != nil {
		return err
	}
	t.outputSize += e.output
	if e.approved {
		if _, err := t.exec(sqlAwaitNoMore, e.id); err != nil {
			return err
		}
	}
	t.q.remove(e)
	t.dequeue.add(e.id)
	t.ended.add(e.id, state, verdict, previous, e.attempt, e.lease, end.how, exitOrNull(end.exit), int64(e.priority), e.output,
		e.start, e.deadline, e.started, end.now, textOrNull(e.runner), textOrNull(end.reason), blobOrNull(end.result), blobOrNull(end.warnings))
	return t.flushFull(t.ended)
}

// Extend lengthens leases and tells whose run is being cancelled.
func (d *db) Extend(ctx context.Context, refs []bellhop.LeaseRef, lease time.Duration) ([]bellhop.Extension, error) {
	out := make([]bellhop.Extension, len(refs))
	err := d.do(ctx, func(t *tx) (err error) {
		for i, ref := range refs {
			if out[i], err = t.extend(ref); err != nil {
				return err
			}
		}
		t.after(func() {
			for i, ref := range refs {
				if !out[i].Lost {
					d.leases.extend(ref.Run, ref.Lease, lease)
				}
			}
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *tx) extend(ref bellhop.LeaseRef) (bellhop.Extension, error) {
	ext := bellhop.Extension{Lost: true}
	e := t.holding(ref)
	if e == nil {
		return ext, nil
	}
	ext.Lost = false
	if !e.handled && ref.Handle == "" {
		return ext, nil
	}
	var handle string
	err := t.query(sqlLease, func(r row) error {
		handle = r.text(1)
		if by := r.text(0); by != "" {
			ext.Stop = &bellhop.StopCause{End: bellhop.EndCancelled, Reason: cancelledBy(by)}
		}
		return errStop
	}, e.id)
	if err != nil || ref.Handle == "" || ref.Handle == handle {
		return ext, err
	}
	t.q.touch(e)
	e.handled = true
	_, err = t.exec(sqlSetHandle, ref.Handle, e.id)
	return ext, err
}

// Lost returns running runs whose lease has run out.
func (d *db) Lost(ctx context.Context) ([]bellhop.LostRun, error) {
	if d.writer == nil {
		return nil, errReadOnly()
	}
	var lost []bellhop.LostRun
	for _, ref := range d.leases.lost() {
		err := d.read(ctx, "lost runs", func(c *conn) error {
			rec, err := c.find(ctx, ref.Run)
			if err != nil || rec == nil || rec.run.State != bellhop.Running || rec.lease != ref.Lease {
				return err // it has gone on in the meantime
			}
			crashes, err := c.number(sqlCrashes, int64(ref.Run))
			if err != nil {
				return err
			}
			run := bellhop.LostRun{
				Ref: bellhop.LeaseRef{Run: ref.Run, Lease: ref.Lease, Handle: rec.handle},
				Run: rec.run, Runner: rec.runner, Crashes: int(crashes),
			}
			if rec.cancel != "" {
				run.Stop = &bellhop.StopCause{End: bellhop.EndCancelled, Reason: cancelledBy(rec.cancel)}
			}
			lost = append(lost, run)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return lost, nil
}
