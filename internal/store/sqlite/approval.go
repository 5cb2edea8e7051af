package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/trail"
)

const (
	// By PRIMARY KEY each.
	sqlAwait       = `INSERT INTO held (run_id, expires) VALUES (?, ?)`
	sqlGiven       = `UPDATE held SET given = 1 WHERE run_id = ?`
	sqlAwaitNoMore = `DELETE FROM held WHERE run_id = ?`
	sqlSetApproval = `UPDATE run SET approval = ? WHERE id = ?`
	sqlApproval    = `SELECT approval FROM run WHERE id = ?`
)

// expiresBefore is the order in which approvals expire.
func expiresBefore(a, b *entry) bool {
	switch {
	case a.expires == b.expires:
		return a.id < b.id
	case a.expires == 0 || b.expires == 0: // never
		return b.expires == 0
	}
	return a.expires < b.expires
}

// state is how an entry's phase is told.
func (e *entry) state() bellhop.State {
	switch e.phase {
	case phaseRunning:
		return bellhop.Running
	case phaseAsked:
		return bellhop.Held
	}
	return bellhop.Waiting
}

// preparedApproval is an approval that is waited for, before the writer's turn.
type preparedApproval struct {
	packed  []byte
	expires int64
	asked   []preparedAsk
}

func prepareApproval(a *bellhop.Approval) *preparedApproval {
	fresh := *a
	fresh.Votes = nil
	p := &preparedApproval{packed: packApproval(&fresh), expires: micros(a.Expires)}
	for i := range a.Notify {
		p.asked = append(p.asked, prepareAsk(&a.Notify[i]))
	}
	return p
}

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

// await holds a run that is being made until it is approved, and asks for that.
func (t *tx) await(e *entry, p *preparedApproval, now int64) error {
	e.phase, e.expires, e.approved = phaseAsked, p.expires, true
	if _, err := t.exec(sqlAwait, e.id, e.expires); err != nil {
		return err
	}
	if _, err := t.exec(sqlSetApproval, p.packed, e.id); err != nil {
		return err
	}
	if len(p.asked) == 0 {
		return nil
	}
	return t.tell(e, "", telling{bellhop.ReportApproval, p.asked}, now, true)
}

// approvalOf reads what a run needs or needed; nil when it is nothing.
func (t *tx) approvalOf(e *entry) (a *bellhop.Approval, err error) {
	if !e.approved {
		return nil, nil
	}
	err = t.query(sqlApproval, func(r row) (err error) {
		if a, err = decodeApproval(r.blob(0)); err == nil {
			err = errStop
		}
		return err
	}, e.id)
	return a, err
}

// askedOf returns who was asked to approve a run that is held.
func (t *tx) askedOf(e *entry) (asked []preparedAsk, err error) {
	if e.phase != phaseAsked {
		return nil, nil
	}
	a, err := t.approvalOf(e)
	if err != nil || a == nil {
		return nil, err
	}
	for i := range a.Notify {
		asked = append(asked, prepareAsk(&a.Notify[i]))
	}
	return asked, nil
}

// asking is what the file says of a run that needs an approval.
type asking struct {
	expires int64
	given   bool
}

func (t *tx) recallHeld() (map[int64]asking, error) {
	all := map[int64]asking{}
	err := t.query(sqlHeld, func(r row) error {
		all[r.int(0)] = asking{r.int(1), r.int(2) != 0}
		return nil
	})
	return all, err
}

// find is conn.find for operations.
func (t *tx) find(id bellhop.RunID) (*record, error) {
	if err := t.flush(); err != nil {
		return nil, err
	}
	return t.c.find(context.Background(), id)
}

// preparedVoting is a Voting before the writer's turn.
type preparedVoting struct {
	bellhop.Voting
	record *trail.Record // of the audit; nil: none
}

// Vote adds a vote to a held run, with what follows from it.
func (d *db) Vote(ctx context.Context, voting bellhop.Voting) (bellhop.Run, error) {
	v := preparedVoting{Voting: voting}
	v.Vote.At = timeOf(micros(v.Vote.At))
	if v.Audit != nil {
		var err error
		if v.record, err = d.prepareAudit(v.Audit); err != nil {
			return bellhop.Run{}, err
		}
	}
	var run bellhop.Run
	var refused error // nothing was written then
	err := d.do(ctx, func(t *tx) (err error) {
		run, refused, err = t.voteOnce(&v)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return bellhop.Run{}, err
	}
	return run, nil
}

// voteOnce votes unless the key was seen before.
func (t *tx) voteOnce(v *preparedVoting) (run bellhop.Run, refused, err error) {
	answer, seen, err := t.answered(v.Key)
	if err != nil {
		return run, nil, err
	}
	if seen {
		var before voted
		if answer == nil || json.Unmarshal(answer, &before) != nil || before.Run.ID == 0 {
			return run, errOtherKey(v.Key), nil
		}
		return before.run(), nil, nil
	}
	rec, err := t.find(v.Run)
	if err != nil {
		return run, nil, err
	}
	if rec == nil {
		return run, errNoRun(v.Run), nil
	}
	after, next, refused := rec.run.Cast(&v.Voting)
	if refused != nil {
		return run, refused, nil
	}
	if err := t.vote(v, after, next); err != nil {
		return run, nil, err
	}
	if rec, err = t.find(v.Run); err != nil {
		return run, nil, err
	}
	return rec.run, nil, t.noteAnswer(v.Key, v.Vote.At, votedOf(&rec.run))
}

// vote writes a vote that counts, and what follows.
func (t *tx) vote(v *preparedVoting, after *bellhop.Approval, next bellhop.State) error {
	e, now := t.q.byID[int64(v.Run)], micros(v.Vote.At)
	if e == nil || e.phase != phaseAsked {
		return errBadRow("a held run")
	}
	if _, err := t.exec(sqlSetApproval, packApproval(after), e.id); err != nil {
		return err
	}
	if v.record != nil {
		if err := t.record(v.record, v.Run); err != nil {
			return err
		}
	}
	switch next {
	case bellhop.Cancelled:
		return t.endWaiting(e, v.Vote.Refusal(), now)
	case bellhop.Waiting:
		return t.approve(e, now)
	}
	return nil
}

// approve lets a held run wait like any other, and tells of it.
func (t *tx) approve(e *entry, now int64) error {
	asked, err := t.askedOf(e)
	if err != nil {
		return err
	}
	if _, err := t.exec(sqlGiven, e.id); err != nil {
		return err
	}
	t.q.change(e, func() { e.phase, e.expires = phaseFuture, 0 })
	return t.tell(e, bellhop.ReportDecided, telling{bellhop.ReportDecided, asked}, now, true)
}

// Lapse ends held runs whose approval has not come in time.
func (d *db) Lapse(ctx context.Context, now time.Time, n int, reason string) (gone []bellhop.RunID, next time.Time, err error) {
	err = d.do(ctx, func(t *tx) error {
		gone, next = nil, time.Time{}
		for e := t.q.asked.top(); e != nil && e.expires != 0; e = t.q.asked.top() {
			if micros(now) < e.expires || len(gone) >= n {
				next = timeOf(e.expires)
				return nil
			}
			if err := t.endWaiting(e, reason, micros(now)); err != nil {
				return err
			}
			gone = append(gone, bellhop.RunID(e.id))
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return gone, next, nil
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
