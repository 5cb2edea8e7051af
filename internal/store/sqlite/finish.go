package sqlite

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// By PRIMARY KEY; the phase and the lease are the fence.
	sqlHeldRow = `SELECT lane, ckey, asks, attempt, start, started, runner FROM queue WHERE run_id = ? AND phase = 2 AND lease = ?`
	sqlDequeue = `DELETE FROM queue WHERE run_id = ? AND phase = 2 AND lease = ?`
	sqlRequeue = `UPDATE queue SET phase = 0, start = ?, attempt = attempt - ?, reason = ?, runner = NULL, handle = NULL WHERE run_id = ? AND phase = 2 AND lease = ?`

	// By PRIMARY KEY.
	sqlEndRun = `UPDATE run SET state = ?, verdict = ?, previous = ?, attempt = ?, lease = ?, how = ?, exit_status = ?,
  start = ?, started = ?, finished = ?, runner = ?, error = ?, result = ?, warnings = ? WHERE id = ?`
	sqlInsertAttempt = `INSERT INTO attempt (run_id, n, how, exit_status, started, ended, runner, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

	// By PRIMARY KEY each.
	sqlReportFirst = `INSERT INTO report (run_id, ask, attempt, kind, created, due, principal, session)
  SELECT id, 0, ?2, ?3, ?4, ?4, principal, session FROM run WHERE id = ?1 AND withdrawn = 0`
	sqlReportRest = `INSERT INTO report (run_id, ask, attempt, kind, created, due, principal, session)
  SELECT run_id, n, ?2, ?3, ?4, ?4, principal, session FROM ask WHERE run_id = ?1 AND withdrawn = 0 ORDER BY n`

	// By PRIMARY KEY.
	sqlLease     = `SELECT cancel, handle FROM queue WHERE run_id = ? AND phase = 2 AND lease = ?`
	sqlSetHandle = `UPDATE queue SET handle = ? WHERE run_id = ?`
	// By queue_order.
	sqlRunning = `SELECT run_id, lease FROM queue WHERE phase = 2`
	// By PRIMARY KEY (run_id, n).
	sqlCrashes = `SELECT count(*) FROM attempt WHERE run_id = ? AND how = 7`
)

// Finish ends attempts, each under its current lease.
func (d *db) Finish(ctx context.Context, endings []bellhop.Ending) (errs []error, err error) {
	errs = make([]error, len(endings))
	err = d.do(ctx, func(t *tx) (err error) {
		for i := range endings {
			if errs[i], err = t.finish(&endings[i]); err != nil {
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
func (t *tx) finish(e *bellhop.Ending) (refused, err error) {
	id := int64(e.Ref.Run)
	if e.State != bellhop.Waiting && !e.State.Terminal() {
		return bellhop.Errorf(bellhop.Invalid, "an attempt of run %s can't make it %s; the end of one makes it wait again or ends it", e.Ref.Run, e.State), nil
	}
	if numberOf(ends(), e.End) <= 0 || numberOf(kinds(), e.Report) < 0 {
		return bellhop.Errorf(bellhop.Invalid, "an attempt of run %s ended as %q with report %q, which is not known", e.Ref.Run, e.End, e.Report), nil
	}
	h, err := t.holding(e.Ref)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return bellhop.ErrLeaseLost, nil
	}
	if e.Output != nil {
		b := *e.Output
		b.Ref = e.Ref
		if refused, err = t.appendOutput(&b); refused != nil || err != nil {
			return refused, err
		}
	}
	var changed int64
	if e.State == bellhop.Waiting {
		changed, err = t.requeue(e, h)
	} else if changed, err = t.exec(sqlDequeue, id, h.lease); err == nil && changed > 0 {
		err = t.endAttempt(e, h)
	}
	if err != nil {
		return nil, err
	}
	if changed == 0 {
		return bellhop.ErrLeaseLost, nil
	}
	if h.ckey != 0 {
		if err := t.release(h.ckey); err != nil {
			return nil, err
		}
	}
	if e.Report != "" {
		if err := t.report(id, e.Report, h.lease, micros(e.Now), h.asks); err != nil {
			return nil, err
		}
	}
	t.after(func() { t.db.leases.drop(e.Ref.Run) })
	return nil, nil
}

// holding returns what is known of a run under its current lease, nil when the
// lease is not that. Within a transaction the statement that changes the row
// looks again: an earlier one may have ended the lease.
func (t *tx) holding(ref bellhop.LeaseRef) (*held, error) {
	h, ok := t.db.leases.get(ref.Run)
	if !ok || h.lease != ref.Lease {
		return nil, nil
	}
	if h.known {
		return &h, nil
	}
	err := t.query(sqlHeldRow, func(r row) error {
		h = held{lease: ref.Lease, known: true, lane: r.int(0), ckey: r.int(1), asks: r.int(2), attempt: r.int(3), start: r.int(4), started: r.int(5), runner: r.text(6)}
		return errStop
	}, int64(ref.Run), ref.Lease)
	if err != nil || !h.known {
		return nil, err
	}
	return &h, nil
}

func (t *tx) requeue(e *bellhop.Ending, h *held) (changed int64, err error) {
	id, free := int64(e.Ref.Run), int64(0)
	if e.FreeAttempt {
		free = 1
	}
	start := h.start
	if !e.Start.IsZero() {
		start = micros(e.Start)
	}
	changed, err = t.exec(sqlRequeue, start, free, textOrNull(e.Reason), id, h.lease)
	if err != nil || changed == 0 {
		return changed, err
	}
	_, err = t.exec(sqlInsertAttempt, id, h.lease, numberOf(ends(), e.End), exitOrNull(e.ExitStatus), h.started, micros(e.Now), textOrNull(h.runner), textOrNull(e.Reason))
	return changed, err
}

func (t *tx) endAttempt(e *bellhop.Ending, h *held) error {
	return t.endRun(h, &runEnd{
		id: int64(e.Ref.Run), state: e.State, how: numberOf(ends(), e.End), exit: e.ExitStatus, verdict: e.Verdict,
		now: micros(e.Now), reason: e.Reason, result: e.Result, warnings: encodeWarnings(e.Warnings),
	})
}

// runEnd is what becomes of a run's record when it ends.
type runEnd struct {
	id               int64
	state            bellhop.State
	how              int64 // of the attempt that ended it; 0: none did
	exit             *int
	verdict          func(previous bellhop.State) bellhop.Verdict
	now              int64
	reason           string
	result, warnings []byte
}

// endRun writes a run's record for the last time.
func (t *tx) endRun(h *held, e *runEnd) error {
	l, err := t.laneByID(h.lane)
	if err != nil {
		return err
	}
	previous, verdict := l.outcome, int64(0)
	if e.verdict != nil {
		verdict = max(0, numberOf(verdicts(), e.verdict(wordOf(states(), previous))))
	}
	state := numberOf(states(), e.state)
	if e.state == bellhop.Succeeded || e.state == bellhop.Failed {
		if err := t.setOutcome(l, state); err != nil {
			return err
		}
	}
	_, err = t.exec(sqlEndRun, state, verdict, previous, h.attempt, h.lease, e.how, exitOrNull(e.exit),
		h.start, h.started, e.now, textOrNull(h.runner), textOrNull(e.reason), blobOrNull(e.result), blobOrNull(e.warnings), e.id)
	return err
}

// report writes a report for each ask that is not withdrawn.
func (t *tx) report(id int64, kind bellhop.ReportKind, attempt, now, asks int64) error {
	n := numberOf(kinds(), kind)
	if _, err := t.exec(sqlReportFirst, id, attempt, n, now); err != nil || asks < 2 {
		return err
	}
	_, err := t.exec(sqlReportRest, id, attempt, n, now)
	return err
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
	var handle string
	err := t.query(sqlLease, func(r row) error {
		ext.Lost, handle = false, r.text(1)
		if by := r.text(0); by != "" {
			ext.Stop = &bellhop.StopCause{End: bellhop.EndCancelled, Reason: cancelledBy(by)}
		}
		return errStop
	}, int64(ref.Run), ref.Lease)
	if err != nil || ext.Lost || ref.Handle == "" || ref.Handle == handle {
		return ext, err
	}
	_, err = t.exec(sqlSetHandle, ref.Handle, int64(ref.Run))
	return ext, err
}

// recallLeases notes the runs that run according to the file: whoever held
// their leases is dead.
func (d *db) recallLeases(ctx context.Context) error {
	return d.reads.use(ctx, func(c *conn) error {
		return c.query(ctx, sqlRunning, func(r row) error {
			d.leases.put(bellhop.RunID(r.int(0)), &held{lease: r.int(1)})
			return nil
		})
	})
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
			err = c.query(ctx, sqlLease, func(r row) error {
				if by := r.text(0); by != "" {
					run.Stop = &bellhop.StopCause{End: bellhop.EndCancelled, Reason: cancelledBy(by)}
				}
				return errStop
			}, int64(ref.Run), ref.Lease)
			lost = append(lost, run)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return lost, nil
}
