package sqlite

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// A list of runs is the intersection of streams of ids, each from the newest
// down and each by an index of its own: those of a job, of a state, of a
// person. Whichever stream is behind is asked for its next id at or below the
// others', so a rare thing is found among ten million runs without looking at
// all of them.

// listPage is how many ids a stream reads at once.
const listPage = 64

const (
	// Jobs are few, so that they are looked through.
	sqlJobs = `SELECT id, service, name FROM job`

	sqlIDs = `SELECT id FROM run WHERE id <= ? ORDER BY id DESC LIMIT ? + 0`
	// By run_job.
	sqlIDsOfJob = `SELECT id FROM run WHERE job = ?3 AND id <= ?1 ORDER BY id DESC LIMIT ?2 + 0`
	// By ended_state.
	sqlIDsOfState = `SELECT run_id FROM ended WHERE state = ?3 AND run_id <= ?1 ORDER BY run_id DESC LIMIT ?2 + 0`
	// By PRIMARY KEY, among what waits or runs.
	sqlIDsRunning = `SELECT run_id FROM queue WHERE running = 1 AND run_id <= ?1 ORDER BY run_id DESC LIMIT ?2 + 0`
	sqlIDsWaiting = `SELECT run_id FROM queue q WHERE running = 0 AND run_id <= ?1 AND NOT EXISTS (SELECT 1 FROM held h WHERE h.run_id = q.run_id AND h.given = 0)
  ORDER BY run_id DESC LIMIT ?2 + 0`
	sqlIDsHeld = `SELECT run_id FROM held WHERE given = 0 AND run_id <= ?1 ORDER BY run_id DESC LIMIT ?2 + 0`
	// By run_principal and ask_principal.
	sqlIDsAsked  = `SELECT id FROM run WHERE principal = ?3 AND id <= ?1 ORDER BY id DESC LIMIT ?2 + 0`
	sqlIDsJoined = `SELECT DISTINCT run_id FROM ask WHERE principal = ?3 AND run_id <= ?1 ORDER BY run_id DESC LIMIT ?2 + 0`
	// By PRIMARY KEY.
	sqlCreatedAt = `SELECT id, created FROM run WHERE id >= ? ORDER BY id LIMIT 1`
	sqlFirstRun  = `SELECT id FROM run ORDER BY id LIMIT 1`
)

// stream gives ids along a way, from the highest down or from the lowest up.
type stream interface {
	// next returns the first id that is not before at, 0 when there is none. at
	// never goes back from call to call.
	next(at int64) (int64, error)
}

// indexed is a stream along one index.
type indexed struct {
	way
	ctx   context.Context
	c     *conn
	query string
	arg   []driver.Value
	ids   []int64 // that were read and are to come
	end   bool    // there are no more behind ids
}

func (s *indexed) next(at int64) (int64, error) {
	for {
		for len(s.ids) > 0 && s.isBefore(s.ids[0], at) {
			s.ids = s.ids[1:]
		}
		if len(s.ids) > 0 || s.end {
			break
		}
		var page []int64
		args := append([]driver.Value{at, int64(listPage)}, s.arg...)
		if err := s.c.query(s.ctx, s.of(s.query), collectIDs(&page), args...); err != nil {
			return 0, err
		}
		s.spend(listPage)
		s.ids, s.end = page, len(page) < listPage
	}
	if len(s.ids) == 0 {
		return 0, nil
	}
	return s.ids[0], nil
}

// either is the union of streams.
type either struct {
	way
	of []stream
}

func (e either) next(at int64) (int64, error) {
	best := int64(0)
	for _, s := range e.of {
		id, err := s.next(at)
		if err != nil {
			return 0, err
		}
		if best == 0 || id != 0 && e.isBefore(id, best) {
			best = id
		}
	}
	return best, nil
}

// both is the intersection of streams.
type both []stream

func (b both) next(at int64) (int64, error) {
	id, _, err := b.find(way{}, at)
	return id, err
}

// find is next as far as a way allows: an id that was not found is one before
// which there is none.
func (b both) find(w way, at int64) (id int64, found bool, err error) {
	for first := true; ; first = false {
		if !first && w.spent() {
			return at, false, nil
		}
		farthest := at
		for _, s := range b {
			id, err := s.next(farthest)
			if err != nil || id == 0 {
				return 0, false, err
			}
			farthest = id
		}
		if farthest == at {
			return at, true, nil
		}
		at = farthest
	}
}

// Runs lists runs, newest first.
func (d *db) Runs(ctx context.Context, f bellhop.RunFilter) (runs []bellhop.Run, err error) {
	err = d.read(ctx, "runs", func(c *conn) error {
		return c.snapshot(func() error {
			runs = []bellhop.Run{}
			return c.list(ctx, f, &runs)
		})
	})
	return runs, err
}

func (c *conn) list(ctx context.Context, f bellhop.RunFilter, out *[]bellhop.Run) error {
	ids, err := c.filtered(ctx, way{}, f, "")
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		ids = both{&indexed{ctx: ctx, c: c, query: sqlIDs}}
	}
	low, high := int64(1), int64(math.MaxInt64)
	if !f.Since.IsZero() || !f.Until.IsZero() {
		if low, high, err = c.between(runTimes(), f.Since, f.Until); err != nil {
			return err
		}
	}
	if f.Before > 0 {
		high = min(high, int64(f.Before)-1)
	}
	for high > 0 && (f.Limit <= 0 || len(*out) < f.Limit) {
		id, err := ids.next(high)
		if err != nil || id < low || id == 0 {
			return err
		}
		high = id - 1
		rec, err := c.find(ctx, bellhop.RunID(id))
		if err != nil {
			return err
		}
		if rec == nil || rec.run.Created.Before(f.Since) || !f.Until.IsZero() && !rec.run.Created.Before(f.Until) {
			continue
		}
		*out = append(*out, rec.run)
	}
	return nil
}

// filtered returns the streams of all but the times of a filter, and of what
// somebody is confined to (Person.Scope); none = all runs.
func (c *conn) filtered(ctx context.Context, w way, f bellhop.RunFilter, within string) (all both, err error) {
	along := func(query string, arg ...driver.Value) stream {
		return &indexed{way: w, ctx: ctx, c: c, query: query, arg: arg}
	}
	if f.Service != "" || f.Job != "" || within != "" {
		jobs, err := c.jobsOf(ctx, f, within)
		if err != nil {
			return nil, err
		}
		any := either{way: w}
		for _, job := range jobs {
			any.of = append(any.of, along(sqlIDsOfJob, job))
		}
		all = append(all, any)
	}
	if len(f.States) > 0 {
		any := either{way: w}
		for _, state := range slices.Compact(slices.Sorted(slices.Values(f.States))) {
			switch {
			case state == bellhop.Waiting:
				any.of = append(any.of, along(sqlIDsWaiting))
			case state == bellhop.Running:
				any.of = append(any.of, along(sqlIDsRunning))
			case state == bellhop.Held:
				any.of = append(any.of, along(sqlIDsHeld))
			case state.Terminal():
				any.of = append(any.of, along(sqlIDsOfState, numberOf(states(), state)))
			}
		}
		all = append(all, any)
	}
	if f.Principal != "" {
		id, err := c.number(sqlPrincipalID, f.Principal)
		if err != nil {
			return nil, err
		}
		all = append(all, either{w, []stream{along(sqlIDsAsked, id), along(sqlIDsJoined, id)}})
	}
	return all, nil
}

// jobsOf returns the jobs that a filter is about, and that somebody is confined
// to.
func (c *conn) jobsOf(ctx context.Context, f bellhop.RunFilter, within string) (jobs []int64, err error) {
	p := bellhop.Person{Scope: within}
	err = c.query(ctx, sqlJobs, func(r row) error {
		service, name := r.text(1), r.text(2)
		if (f.Service == "" || f.Service == service) && (f.Job == "" || f.Job == name) && p.Within(service, name) {
			jobs = append(jobs, r.int(0))
		}
		return nil
	})
	return jobs, err
}

// times are how the rows of a table lie in time. There is no index on that:
// times grow with the ids, but for clocks that go back and callers that were
// overtaken. The store knows how far they ever fell behind (slack), so a
// binary search that allows for it is right, and each row is looked at again.
type times struct {
	slack           string // the number's name
	first, last, at string // the first id; the last id and its time; both of the first row from an id on
}

func runTimes() times { return times{numberSlack, sqlFirstRun, sqlLastRun, sqlCreatedAt} }

// between returns bounds of the ids of rows with times between two.
func (c *conn) between(of times, since, until time.Time) (low, high int64, err error) {
	slack, err := c.number(sqlNumber, of.slack)
	if err != nil {
		return 0, 0, err
	}
	first, err := c.number(of.first)
	if err != nil {
		return 0, 0, err
	}
	last, err := c.number(of.last)
	if err != nil {
		return 0, 0, err
	}
	low, high = first, last
	if !since.IsZero() { // what is more than slack before it has none after it among those before
		if low, err = c.search(of, first, last, micros(since)-slack); err != nil {
			return 0, 0, err
		}
	}
	if !until.IsZero() {
		if high, err = c.search(of, first, last, micros(until)+slack); err != nil {
			return 0, 0, err
		}
	}
	return low, high, nil
}

// search returns an id so that the row before it is of before a time, and the
// one that it names of that time or after; any such place will do.
func (c *conn) search(of times, low, high, at int64) (int64, error) {
	high++ // as if one were there, of a late time
	for low < high {
		middle := low + (high-low)/2
		id, found := high, int64(math.MaxInt64)
		err := c.query(context.Background(), of.at, func(r row) error {
			id, found = r.int(0), r.int(1)
			return errStop
		}, middle)
		if err != nil {
			return 0, err
		}
		if found < at && id < high {
			low = id + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// minSlack is the least slack, so that it is written rarely.
const minSlack = int64(1e6)

// pace is what the writer remembers of times.
type pace struct {
	name  string // times.slack
	last  int64  // the latest time so far, or later
	slack int64
}

// noteTime takes care that the file's slack is at least how far the time of a
// new row lies behind the latest one before it.
func (t *tx) noteTime(p *pace, at int64) error {
	behind := p.last - at
	p.last = max(p.last, at)
	if behind <= p.slack {
		return nil
	}
	for p.slack = max(p.slack, minSlack); p.slack < behind; p.slack *= 2 {
	}
	_, err := t.c.exec(sqlSetNumber, p.name, p.slack)
	return err
}
