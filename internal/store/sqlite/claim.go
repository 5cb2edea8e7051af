package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// By PRIMARY KEY.
	sqlFirstAsk = `SELECT p.name FROM ask a JOIN principal p ON p.id = a.principal WHERE a.run_id = ? AND a.withdrawn = 0 ORDER BY a.n LIMIT 1`
)

// claiming is one call of Claim at work.
type claiming struct {
	t    *tx
	req  *bellhop.ClaimRequest
	now  int64 // by the claimer's clock, when the writer's turn has come
	runs []bellhop.ClaimedRun
	next int64 // 0: not known yet
}

// Claim takes runs whose start has come.
func (d *db) Claim(ctx context.Context, req bellhop.ClaimRequest) (runs []bellhop.ClaimedRun, next time.Time, err error) {
	began := d.leases.clock.Now()
	err = d.do(ctx, func(t *tx) (err error) {
		// A window may have opened, or a deadline passed, while it waited.
		waited := max(0, d.leases.clock.Now().Sub(began))
		c := &claiming{t: t, req: &req, now: micros(req.Now.Add(waited))}
		if req.Only != nil {
			err = c.only()
		} else {
			err = c.any()
		}
		runs, next = c.runs, timeOf(c.next)
		if len(c.runs) > 0 {
			t.after(func() { d.leases.give(c.runs, req.Lease) })
		}
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return runs, next, nil
}

// any claims in the order of claims. A run that is kept back leaves that order
// until what keeps it back is gone, so that the next call does not meet it
// again.
func (c *claiming) any() error {
	q := c.t.q
	c.t.dropHolds(c.now)
	q.promote(c.now, c.t.holdOpen(c.now))
	for e := q.ready.top(); e != nil; e = q.ready.top() {
		h, err := c.t.holdOn(e, c.now)
		if err != nil {
			return err
		}
		switch {
		case e.start > c.now: // the clock went back
			q.move(e, phaseFuture, 0)
		case e.lateAt(c.now):
			q.lateAt = max(q.lateAt, c.now)
			q.move(e, phaseLate, 0)
		case h != nil:
			q.move(e, phaseHeld, h.ID)
		case !q.room(e):
			q.move(e, phaseBlocked, 0)
		case len(c.runs) >= c.req.N:
			c.next = micros(c.req.Now)
			return nil
		default:
			if err := c.claim(e); err != nil {
				return err
			}
		}
	}
	if e := q.future.top(); e != nil {
		c.lookAgain(e.start)
	}
	for id := range q.held {
		if h := c.t.holdByID(id); h != nil {
			c.lookAgain(micros(h.Until))
		}
	}
	return nil
}

// lookAgain notes a time at which more may be claimed; 0 is none.
func (c *claiming) lookAgain(at int64) {
	if at != 0 && (c.next == 0 || at < c.next) {
		c.next = at
	}
}

// lateAt: it was never claimed and its deadline has passed.
func (e *entry) lateAt(now int64) bool {
	return e.deadline != 0 && e.untouched() && now >= e.deadline
}

// only claims among the runs that the request names.
func (c *claiming) only() error {
	q := c.t.q
	var found []*entry
	for _, id := range c.req.Only {
		if e := q.byID[int64(id)]; e != nil && e.waits() && !slices.Contains(found, e) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	for _, e := range found {
		h, err := c.t.holdOn(e, c.now)
		if err != nil {
			return err
		}
		switch {
		case e.lateAt(c.now):
		case e.start > c.now:
			c.lookAgain(e.start)
		case h != nil:
			c.lookAgain(micros(h.Until))
		case !q.room(e):
		case len(c.runs) >= c.req.N:
			c.next = micros(c.req.Now)
			return nil
		default:
			if err := c.claim(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *claiming) claim(e *entry) error {
	f, err := c.t.factsOf(e)
	if err != nil {
		return err
	}
	if err := c.t.addClaim(e.id, c.now, c.req.Runner); err != nil {
		return err
	}
	c.t.q.begins(e)
	if e.facts == nil {
		c.t.q.setFacts(e, f) // its end needs them too
	}
	e.lease, e.attempt, e.started, e.runner, e.handled = e.lease+1, e.attempt+1, c.now, c.req.Runner, e.handled && e.lease > 0
	principal := f.run.AskedBy
	if f.ask.Withdrawn {
		if principal, err = c.t.text(sqlFirstAsk, e.id); err != nil {
			return err
		}
	}
	c.runs = append(c.runs, bellhop.ClaimedRun{Run: e.runOf(f), Lease: e.lease, Principal: principal})
	return nil
}
