package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	// By PRIMARY KEY each. A run that is to be held was made in the same change.
	sqlAwait        = `UPDATE waiting SET phase = 3 WHERE run_id = ANY ($1::bigint[])`
	sqlInsertHeld   = `INSERT INTO held (run_id, expires) SELECT * FROM unnest($1::bigint[], $2::bigint[])`
	sqlSetApprovals = `UPDATE run r SET approval = u.approval FROM unnest($1::bigint[], $2::bytea[]) u (id, approval) WHERE r.id = u.id`
	sqlGiven        = `UPDATE waiting SET phase = 0 WHERE run_id = ANY ($1::bigint[]) AND phase = 3`
	sqlAwaitNoMore  = `DELETE FROM held WHERE run_id = ANY ($1::bigint[])`

	// By held_expires, then by PRIMARY KEY. Locked, so that nobody votes or
	// cancels meanwhile; one that was decided a moment ago is in another phase.
	sqlLapsed = `SELECT h.run_id FROM held h JOIN waiting w ON w.run_id = h.run_id WHERE h.expires > 0 AND h.expires <= $1 AND w.phase = 3
  ORDER BY h.expires, h.run_id LIMIT $2 FOR UPDATE OF w SKIP LOCKED`
	sqlNextLapse = `SELECT expires FROM held WHERE expires > 0 ORDER BY expires, run_id LIMIT 1`
)

// packApproval encodes an approval, with times as they are read back.
func packApproval(a *bellhop.Approval) []byte {
	out := *a
	out.Expires = timeOf(micros(a.Expires))
	out.Votes, out.Notify = nil, nil
	for _, v := range a.Votes {
		v.At = timeOf(micros(v.At))
		out.Votes = append(out.Votes, v)
	}
	for _, n := range a.Notify {
		n.N, n.Withdrawn, n.At = -1, false, timeOf(micros(n.At))
		out.Notify = append(out.Notify, n)
	}
	b, _ := json.Marshal(out) // texts, numbers and times can always be written
	return b
}

// decodeApproval reads what packApproval wrote; nothing is nil.
func decodeApproval(b []byte) (*bellhop.Approval, error) {
	if len(b) == 0 {
		return nil, nil
	}
	a := &bellhop.Approval{}
	if json.Unmarshal(b, a) != nil {
		return nil, errBadRow("an approval")
	}
	return a, nil
}

// writeHeld holds those of the new runs that need an approval, and asks for
// that.
func (s *submission) writeHeld() {
	var ids, expires []int64
	var packed [][]byte
	w := &writing{}
	for _, t := range s.made {
		if !t.held {
			continue
		}
		a := *t.fresh.approval
		a.Votes = nil
		ids, expires, packed = append(ids, t.id), append(expires, micros(a.Expires)), append(packed, packApproval(&a))
		w.notify(t.id, 0, bellhop.ReportApproval, a.Notify, t.fresh.now)
	}
	if len(ids) == 0 {
		return
	}
	s.t.do(sqlAwait, ids)
	s.t.do(sqlInsertHeld, ids, expires)
	s.t.do(sqlSetApprovals, ids, packed)
	w.writeNotes(s.t)
}

// Vote adds a vote to a held run, with what follows from it.
func (d *db) Vote(ctx context.Context, v bellhop.Voting) (run bellhop.Run, err error) {
	v.Vote.At = timeOf(micros(v.Vote.At))
	var row *auditRow
	if v.Audit != nil {
		if row, err = d.prepareAudit(v.Audit); err != nil {
			return bellhop.Run{}, err
		}
		row.run = int64(v.Run)
	}
	err = d.write(ctx, "voting", func(t *tx) error {
		run, err = t.voteOnce(d, &v, row)
		return err
	})
	if err != nil {
		return bellhop.Run{}, err
	}
	return run, nil
}

// voteOnce votes unless the key was seen before. Of several at the same time,
// each sees what those made of the run that had it locked before.
func (t *tx) voteOnce(d *db, v *bellhop.Voting, row *auditRow) (bellhop.Run, error) {
	ids, key := []int64{int64(v.Run)}, hash(v.Key)
	t.each(sqlLockAsk, ignore, ids) // in the order in which Cancel locks
	t.each(sqlLockWaiting, ignore, ids)
	var before voted
	seen, err := t.answered(key, func(b []byte) error {
		_ = json.Unmarshal(b, &before) // of something else it makes nothing
		return nil
	})
	if err != nil {
		return bellhop.Run{}, err
	}
	if seen && before.Run.ID == 0 {
		return bellhop.Run{}, bellhop.Errorf(bellhop.Conflict, "key %.60q was used for something else already; ask again with another one", v.Key)
	}
	if seen {
		return before.run(), nil
	}
	rec, err := t.recordOf(v.Run)
	if err != nil {
		return bellhop.Run{}, err
	}
	after, next, err := rec.run.Cast(v)
	if err != nil {
		return bellhop.Run{}, err
	}
	if err := t.vote(d, v, rec, after, next); err != nil {
		return bellhop.Run{}, err
	}
	if rec, err = t.recordOf(v.Run); err != nil {
		return bellhop.Run{}, err
	}
	if key.Valid {
		answer, err := json.Marshal(votedOf(&rec.run))
		if err != nil {
			return bellhop.Run{}, err
		}
		t.do(sqlInsertDone, key, micros(v.Vote.At), answer)
	}
	if row == nil {
		return rec.run, nil
	}
	if err := t.flush(); err != nil { // before the end of the audit is taken
		return bellhop.Run{}, err
	}
	return rec.run, t.record(d, []*auditRow{row})
}

// recordOf reads a run as this transaction has it; or NotFound.
func (t *tx) recordOf(id bellhop.RunID) (*record, error) {
	var found []*record
	t.each(sqlRun, collect(&found), int64(id))
	if err := t.flush(); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errNoRun(id)
	}
	return found[0], nil
}

// vote writes a vote that counts, and what follows.
func (t *tx) vote(d *db, v *bellhop.Voting, rec *record, after *bellhop.Approval, next bellhop.State) error {
	ids, now := []int64{int64(v.Run)}, micros(v.Vote.At)
	t.do(sqlSetApprovals, ids, [][]byte{packApproval(after)})
	switch next {
	case bellhop.Cancelled:
		return t.endWaiting(d, []*record{rec}, now, v.Vote.Refusal())
	case bellhop.Waiting:
		t.do(sqlGiven, ids)
		t.do(sqlAwaitNoMore, ids)
		w := &writing{}
		w.report(ids[0], rec.lease, bellhop.ReportDecided, now)
		w.notify(ids[0], rec.lease, bellhop.ReportDecided, after.Notify, now)
		w.write(t, d.slot)
	}
	return nil
}

// Lapse ends held runs whose approval has not come in time.
func (d *db) Lapse(ctx context.Context, now time.Time, n int, reason string) (gone []bellhop.RunID, next time.Time, err error) {
	return d.giveUp(ctx, sqlLapsed, sqlNextLapse, now, n, reason)
}

// giveUp ends up to n runs that a query finds and locks, and asks another one
// when the next one is to be ended.
func (d *db) giveUp(ctx context.Context, find, nextOne string, now time.Time, n int, reason string) (gone []bellhop.RunID, next time.Time, err error) {
	us := micros(now)
	err = d.write(ctx, "giving up runs", func(t *tx) error {
		gone, next = nil, now // when the answer is lost: look again
		var ids []int64
		t.each(find, func(r pgx.Rows) error {
			var id int64
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		}, us, max(n, 0))
		if err := t.flush(); err != nil {
			return err
		}
		found, err := t.waiting(ids)
		if err != nil {
			return err
		}
		if err := t.endWaiting(d, found, us, reason); err != nil {
			return err
		}
		for _, id := range ids {
			gone = append(gone, bellhop.RunID(id))
		}
		var first int64
		t.batch.Queue(nextOne).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&first); err != nil {
					return err
				}
			}
			next = timeOf(first)
			return rows.Err()
		})
		return nil
	})
	return gone, next, err
}

// voted is a run as Vote answered it: beside it what its own JSON leaves out.
type voted struct {
	Run             bellhop.Run
	Digest          string
	Start, Deadline time.Time
	Previous        bellhop.State
	RetryOf, After  int64
	Priority        int
}

func votedOf(r *bellhop.Run) voted {
	return voted{*r, r.Digest, r.Start, r.Deadline, r.Previous, int64(r.RetryOf), int64(r.After), r.Priority}
}

func (v *voted) run() bellhop.Run {
	r := v.Run
	r.Digest, r.Start, r.Deadline, r.Previous, r.Priority = v.Digest, v.Start, v.Deadline, v.Previous, v.Priority
	r.RetryOf, r.After = bellhop.RunID(v.RetryOf), bellhop.RunID(v.After)
	return r
}
