package sqlite

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// maxScan bounds how many waiting runs one Claim looks at.
const maxScan = 256

const (
	// By queue_order, then each record by PRIMARY KEY.
	sqlReady = `SELECT ` + runColumns + `, 0` + fromQueue + ` WHERE q.phase = 0 AND q.start <= ? ORDER BY q.start, q.run_id LIMIT ? + 0`
	// By PRIMARY KEY.
	sqlReadyOne = `SELECT ` + runColumns + `, 0` + fromQueue + ` WHERE q.run_id = ? AND q.phase < 2`
	// By queue_order.
	sqlNextStart = `SELECT start FROM queue WHERE phase = 0 ORDER BY start LIMIT 1`
	// By queue_key: as many as the limit at the most.
	sqlCountRunning = `SELECT count(*) FROM queue WHERE ckey = ? AND phase = 2`

	sqlClaim = `UPDATE queue SET phase = 2, lease = lease + 1, attempt = attempt + 1, started = ?, runner = ?, merge = NULL, handle = NULL, reason = NULL WHERE run_id = ?`
	sqlHold  = `UPDATE queue SET phase = 1 WHERE run_id = ?`

	// By queue_key: the first of those held back.
	sqlHeldBack = `SELECT run_id, climit FROM queue WHERE ckey = ? AND phase = 1 ORDER BY start, run_id LIMIT 64`
	sqlRelease  = `UPDATE queue SET phase = 0 WHERE run_id = ?`

	// By PRIMARY KEY.
	sqlFirstAsk = `SELECT principal FROM ask WHERE run_id = ? AND withdrawn = 0 ORDER BY n LIMIT 1`
)

// claiming is one call of Claim at work.
type claiming struct {
	t       *tx
	req     *bellhop.ClaimRequest
	now     int64
	running map[int64]int64 // by limited key
	runs    []bellhop.ClaimedRun
	held    []*held // beside runs
}

// Claim takes runs whose start has come.
func (d *db) Claim(ctx context.Context, req bellhop.ClaimRequest) (runs []bellhop.ClaimedRun, next time.Time, err error) {
	err = d.do(ctx, func(t *tx) (err error) {
		c := &claiming{t: t, req: &req, now: micros(req.Now)}
		if req.Only != nil {
			next, err = c.only()
		} else {
			next, err = c.any()
		}
		runs = c.runs
		if len(c.runs) > 0 {
			t.after(func() {
				for i, h := range c.held {
					h.deadline = d.leases.clock.Now().Add(req.Lease)
					d.leases.put(c.runs[i].Run.ID, h)
				}
			})
		}
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return runs, next, nil
}

// any claims in order of start and id. A run that its limit holds back leaves
// that order until another one of its key makes room, so that the next call
// does not meet it again.
func (c *claiming) any() (next time.Time, err error) {
	for scanned := 0; len(c.runs) < c.req.N && scanned < maxScan; {
		want := min(c.req.N-len(c.runs), maxScan-scanned)
		found := make([]*record, 0, want)
		if err := c.t.query(sqlReady, collect(&found), c.now, int64(want)); err != nil {
			return next, err
		}
		for _, rec := range found {
			free, err := c.free(rec)
			if err == nil && free {
				err = c.claim(rec)
			} else if err == nil {
				_, err = c.t.exec(sqlHold, int64(rec.run.ID))
			}
			if err != nil {
				return next, err
			}
		}
		scanned += len(found)
		if len(found) < want {
			break
		}
	}
	start, err := c.t.number(sqlNextStart)
	return timeOf(start), err
}

// only claims among the runs that the request names.
func (c *claiming) only() (next time.Time, err error) {
	var found []*record
	for _, id := range c.req.Only {
		if err := c.t.query(sqlReadyOne, collect(&found), int64(id)); err != nil {
			return next, err
		}
	}
	sortByStart(found)
	for i, rec := range found {
		if i > 0 && rec.run.ID == found[i-1].run.ID {
			continue
		}
		if micros(rec.run.Start) > c.now {
			return rec.run.Start, nil
		}
		free, err := c.free(rec)
		if err != nil {
			return next, err
		}
		if !free {
			continue
		}
		if len(c.runs) == c.req.N {
			return rec.run.Start, nil
		}
		if err := c.claim(rec); err != nil {
			return next, err
		}
	}
	return next, nil
}

func sortByStart(recs []*record) {
	slices.SortFunc(recs, func(a, b *record) int {
		return cmp.Or(a.run.Start.Compare(b.run.Start), cmp.Compare(a.run.ID, b.run.ID))
	})
}

// free says whether the limit of a run's key leaves room for it.
func (c *claiming) free(rec *record) (bool, error) {
	if rec.ckey == 0 {
		return true, nil
	}
	n, ok := c.running[rec.ckey]
	if !ok {
		var err error
		if n, err = c.t.number(sqlCountRunning, rec.ckey); err != nil {
			return false, err
		}
		if c.running == nil {
			c.running = map[int64]int64{}
		}
		c.running[rec.ckey] = n
	}
	return n < rec.climit, nil
}

func (c *claiming) claim(rec *record) error {
	run := &rec.run
	if _, err := c.t.exec(sqlClaim, c.now, textOrNull(c.req.Runner), int64(run.ID)); err != nil {
		return err
	}
	if rec.ckey != 0 {
		c.running[rec.ckey]++
	}
	principal := run.AskedBy
	if rec.withdrawn {
		principal = ""
		err := c.t.query(sqlFirstAsk, func(r row) error {
			principal = r.text(0)
			return errStop
		}, int64(run.ID))
		if err != nil {
			return err
		}
	}
	started := timeOf(c.now)
	run.State, run.Started, run.Attempt, run.Error, run.Behind = bellhop.Running, &started, run.Attempt+1, "", 0
	rec.lease++
	c.runs = append(c.runs, bellhop.ClaimedRun{Run: *run, Lease: rec.lease, Principal: principal})
	c.held = append(c.held, &held{
		lease: rec.lease, known: true, lane: rec.lane, ckey: rec.ckey, asks: rec.asks, attempt: int64(run.Attempt),
		start: micros(run.Start), started: c.now, runner: c.req.Runner,
	})
	return nil
}

// release puts runs that a limit held back into the order of claims again, as
// many as there is room for, the first ones first. It is called for whatever
// makes room: a run that ends or waits again, and a waiting one that goes.
func (t *tx) release(ckey int64) error {
	type waiting struct{ id, limit int64 }
	var found []waiting
	err := t.query(sqlHeldBack, func(r row) error {
		found = append(found, waiting{r.int(0), r.int(1)})
		return nil
	}, ckey)
	if err != nil || len(found) == 0 {
		return err
	}
	running, err := t.number(sqlCountRunning, ckey)
	if err != nil {
		return err
	}
	for i, w := range found {
		if running+int64(i) >= w.limit {
			break
		}
		if _, err := t.exec(sqlRelease, w.id); err != nil {
			return err
		}
	}
	return nil
}
