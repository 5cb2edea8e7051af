package sqlite

import (
	"github.com/bellhop-io/bellhop"
)

const (
	// All of both, once: they hold only what waits or runs.
	sqlQueue = `SELECT run_id, lane, start, ckey, priority, deadline, bound, running, asks, lease, attempt, started, merge, alike, runner,
  handle IS NOT NULL OR cancel IS NOT NULL FROM queue`
	sqlHeld   = `SELECT run_id, expires, given FROM held`
	sqlLimits = `SELECT id, climit FROM lane WHERE id IN (SELECT ckey FROM queue)`
	// By PRIMARY KEY.
	sqlFacts = `SELECT definition, created, retry_of, after, withdrawn, principal, session, ask, args, job, approval FROM run WHERE id = ?`
)

// recallQueue reads the queue as the file has it.
func (t *tx) recallQueue() error {
	t.q = newQueue()
	held, err := t.recallHeld()
	if err != nil {
		return err
	}
	var running []*entry
	err = t.query(sqlQueue, func(r row) error {
		e := &entry{
			id: r.int(0), lane: r.int(1), start: r.int(2), key: r.int(3), priority: uint8(r.int(4)), deadline: r.int(5), bound: r.int(6),
			asks: r.int(8), lease: r.int(9), attempt: r.int(10), started: r.int(11), runner: r.text(14), handled: r.int(15) != 0,
		}
		copy(e.merge[:], r.blob(12))
		copy(e.alike[:], r.blob(13))
		if e.lease > 0 {
			e.output = -1
		}
		if r.int(7) != 0 {
			e.phase = phaseRunning
			running = append(running, e)
		}
		if h, ok := held[e.id]; ok {
			e.approved = true
			if !h.given {
				e.phase, e.expires = phaseAsked, h.expires
			}
		}
		t.q.link(e)
		return nil
	})
	if err == nil {
		err = t.query(sqlLimits, func(r row) error {
			t.q.setLimit(r.int(0), r.int(1))
			return nil
		})
	}
	if err != nil {
		return err
	}
	for _, e := range running { // whoever held their leases is dead
		t.db.leases.recall(bellhop.RunID(e.id), e.lease)
	}
	t.db.depth.note(t.q)
	return nil
}

// recall notes a lease that is in the file, unless it is known.
func (l *leases) recall(id bellhop.RunID, lease int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[id]; !ok {
		l.held[id] = held{lease: lease}
	}
}

// factsOf returns what of a run does not change while it waits or runs.
func (t *tx) factsOf(e *entry) (*facts, error) {
	if e.facts != nil {
		return e.facts, nil
	}
	var definition, created, job int64
	f, found := &facts{}, false
	err := t.query(sqlFacts, func(r row) (err error) {
		found, f.large = true, len(r.blob(7)) > maxFactSize || len(r.blob(8)) > maxFactSize
		definition, created, f.principal, job = r.int(0), r.int(1), r.int(5), r.int(9)
		f.run.RetryOf, f.run.After, f.ask.Withdrawn = bellhop.RunID(r.int(2)), bellhop.RunID(r.int(3)), r.int(4) != 0
		if err := unpackAsk(r.blob(7), &f.ask); err != nil {
			return err
		}
		f.ask.Origin.Session = r.text(6)
		if f.run.Args, err = decodeArgs(r.blob(8)); err != nil {
			return err
		}
		if f.run.Approval, err = decodeApproval(r.blob(10)); err != nil {
			return err
		}
		return errStop
	}, e.id)
	if err == nil && !found {
		err = errBadRow("a run that waits")
	}
	if err != nil {
		return nil, err
	}
	run := &f.run
	run.ID, run.Created, run.Origin = bellhop.RunID(e.id), timeOf(created), f.ask.Origin
	if run.Digest, err = t.digest(definition); err != nil {
		return nil, err
	}
	name, err := t.jobOf(job)
	if err != nil {
		return nil, err
	}
	run.Service, run.Job = name.service, name.job
	if run.AskedBy, err = t.principalName(f.principal); err != nil {
		return nil, err
	}
	f.ask.Principal = run.AskedBy
	return f, nil
}

// runOf is an entry's run as it stands.
func (e *entry) runOf(f *facts) bellhop.Run {
	run := f.run
	run.State, run.Start, run.Deadline, run.Priority = bellhop.Waiting, timeOf(e.start), timeOf(e.deadline), int(e.priority)
	run.Started, run.Attempt = optionalTime(e.started), int(e.attempt)
	switch e.phase {
	case phaseRunning:
		run.State = bellhop.Running
	case phaseAsked:
		run.State = bellhop.Held
	}
	return run
}
