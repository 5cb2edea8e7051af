package postgres

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/needle"
	"github.com/jackc/pgx/v5"
)

// A search takes candidates by the one index that narrows it best, in order of
// their ids and so many at the most, and looks at each. It ends when its page is
// full, which is soon where most candidates are of it, or at the last of them.

const (
	// lookCost is what a candidate costs, in rows of an index.
	lookCost = 4
	// maxJobStreams is how many jobs' ids are merged; those of more are looked
	// for among all.
	maxJobStreams = 50
	// outOfOrder is how far the times of runs are taken to lie out of the order
	// of their ids at the most, in microseconds.
	outOfOrder = int64(3600e6)
)

const (
	// Jobs are few.
	sqlJobs = `SELECT id, service, name FROM job`
	// By PRIMARY KEY: a binary search for the first run of a time or later. (With
	// times that lie out of order it finds one such place.)
	sqlFirstAt = `WITH RECURSIVE s (low, high) AS (
    SELECT coalesce(min(id), 1), coalesce(max(id), 0) + 1 FROM run
    UNION ALL SELECT CASE WHEN m.created < $1 AND m.id < s.high THEN m.id + 1 ELSE s.low END, CASE WHEN m.created < $1 AND m.id < s.high THEN s.high ELSE s.low + (s.high - s.low) / 2 END
    FROM s LEFT JOIN LATERAL (SELECT id, created FROM run WHERE id >= s.low + (s.high - s.low) / 2 ORDER BY id LIMIT 1) m ON true WHERE s.low < s.high)
  SELECT low FROM s WHERE low >= high LIMIT 1`
)

// Search lists a page of runs.
func (d *db) Search(ctx context.Context, s bellhop.RunSearch) (page bellhop.RunPage, err error) {
	var found []*record
	var next int64
	err = d.snapshot(ctx, "runs", func(t *tx) error {
		found, next = nil, 0
		q, err := t.searchOf(&s)
		if err != nil || q == nil {
			return err
		}
		t.do(`SET LOCAL plan_cache_mode = force_custom_plan`)
		t.do(`SET LOCAL enable_sort = off`)
		var ids []int64
		t.each(q.page, func(r pgx.Rows) error {
			var id int64
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		}, q.pageArgs...)
		if err := t.flush(); err != nil {
			return err
		}
		if len(ids) == s.PageSize() {
			next = ids[len(ids)-1]
		} else {
			var n int
			var last *int64
			t.each(q.end, func(r pgx.Rows) error { return r.Scan(&n, &last) }, q.endArgs...)
			if err := t.flush(); err != nil {
				return err
			}
			if n == q.most {
				next = *last
			}
		}
		t.each(sqlRunsOf, collect(&found), ids)
		return nil
	})
	page = bellhop.RunPage{Runs: []bellhop.Run{}, Next: bellhop.RunID(next)}
	for _, rec := range slices.Backward(found) { // which come by id, from the lowest up
		if s.Means(&rec.run) {
			page.Runs = append(page.Runs, rec.run)
		}
	}
	return page, err
}

// query is a search in SQL.
type query struct {
	page, end         string // the ids of a page; how many candidates there are, and which is the last
	pageArgs, endArgs []any
	most              int // so many are looked at
}

// searchOf words a search; nil when nothing can be of it.
func (t *tx) searchOf(s *bellhop.RunSearch) (*query, error) {
	low, high, err := t.bounds(s)
	if err != nil || low > high {
		return nil, err
	}
	if implied, some := needle.States(s); some {
		if len(implied) == 0 {
			return nil, nil
		}
		of := *s
		of.States = implied
		s = &of
	}
	var jobs []int32
	c := &conditions{source: "run r"}
	if s.Service != "" || s.Job != "" || s.Within != "" {
		if jobs, err = t.jobsOf(s); err != nil || len(jobs) == 0 {
			return nil, err
		}
		c.jobs = c.arg(jobs) + "::int[]"
		c.sql = append(c.sql, "r.job = ANY ("+c.jobs+")")
	}
	return c.search(s, jobs, low, high), nil
}

func (c *conditions) search(s *bellhop.RunSearch, jobs []int32, low, high int64) *query {
	q := &query{most: max(s.Scan/lookCost, 1)}
	if s.Scan <= 0 {
		q.most = bellhop.RunScan / lookCost
	}
	f := s.RunFilter
	f.Service, f.Job, f.Before, f.Limit = "", "", 0, 0
	order, last := "DESC", "min"
	if s.After > 0 {
		order, last = "ASC", "max"
	} else {
		f.Before, f.Limit = bellhop.RunID(high+1), q.most
	}
	c.narrow(f)
	c.lookFor(s)
	bound := fmt.Sprintf("id BETWEEN %d AND %d", low, high)
	from := c.source
	if len(f.States) == 0 || slices.ContainsFunc(f.States, bellhop.State.Terminal) { // else: from what waits and runs
		from = "(" + c.candidates(f.States, jobs, bound, order) + ") m"
	}
	cands := fmt.Sprintf("SELECT m.id FROM %s WHERE m.%s ORDER BY m.id %s LIMIT %d", from, bound, order, q.most)
	q.end, q.endArgs = onlyUsed("SELECT count(*), "+last+"(id) FROM ("+cands+") x", c.args)
	q.page, q.pageArgs = onlyUsed("SELECT m.id FROM ("+cands+") m"+lookInto(c.sql)+fmt.Sprintf(" ORDER BY m.id %s LIMIT %d", order, s.PageSize()), c.args)
	return q
}

// lookInto joins to candidates what some conditions look into, one by one.
func lookInto(conditions []string) string {
	where := strings.Join(append(conditions, "true"), " AND ")
	// OFFSET 0: from the ids to the runs, and never all runs against the ids.
	joins := " CROSS JOIN LATERAL (SELECT * FROM run WHERE id = m.id OFFSET 0) r"
	for _, of := range []struct{ table, as string }{{"outcome", "o"}, {"waiting", "w"}, {"running", "x"}} {
		if strings.Contains(where, of.as+".") {
			joins += " LEFT JOIN " + of.table + " " + of.as + " ON " + of.as + ".run_id = r.id"
		}
	}
	return joins + " WHERE " + where
}

// candidates returns the ids of runs by the index that narrows them best; what
// several indexes give comes in order, so that it can be merged.
func (c *conditions) candidates(in []bellhop.State, jobs []int32, bound, order string) string {
	var of []string
	ids := func(id, where string) {
		of = append(of, "(SELECT "+id+" AS id FROM "+where+" AND "+strings.Replace(bound, "id", id, 1)+" ORDER BY "+id+" "+order+")")
	}
	switch {
	case c.who != "": // each run once: by its first ask of that principal
		ids("id", "run WHERE principal = "+c.who)
		ids("a.run_id", `ask a WHERE a.principal = `+c.who+` AND NOT EXISTS (SELECT 1 FROM run b WHERE b.id = a.run_id AND b.principal = `+c.who+`)
  AND NOT EXISTS (SELECT 1 FROM ask b WHERE b.run_id = a.run_id AND b.n < a.n AND b.principal = `+c.who+`)`)
	case len(in) > 0 && !slices.Contains(in, bellhop.Succeeded):
		for _, s := range slices.Compact(slices.Sorted(slices.Values(in))) {
			switch {
			case s.Terminal():
				ids("run_id", fmt.Sprintf("outcome WHERE state <> 4 AND state = %d", numberOf(states(), s)))
			case s == bellhop.Running:
				ids("run_id", "running WHERE true")
			case s == bellhop.Waiting:
				ids("run_id", "waiting WHERE phase < 3")
			case s == bellhop.Held:
				ids("run_id", "held WHERE true")
			}
		}
	case len(jobs) > 0 && len(jobs) <= maxJobStreams:
		for _, job := range jobs {
			ids("id", fmt.Sprintf("run WHERE job = %d", job))
		}
	default:
		ids("id", "run WHERE true")
	}
	return strings.Join(of, " UNION ALL ")
}

// lookFor adds what is looked for in runs themselves.
func (c *conditions) lookFor(s *bellhop.RunSearch) {
	if len(s.Verdicts) > 0 {
		var of []int16
		for _, v := range s.Verdicts {
			of = append(of, numberOf(verdicts(), v))
		}
		c.sql = append(c.sql, "o.verdict = ANY ("+c.arg(of)+"::smallint[])")
	}
	if s.Source != "" {
		c.sql = append(c.sql, "position("+c.arg(needle.OfSource(s.Source))+"::bytea IN r.ask) > 0")
	}
	if !s.Arg.IsZero() {
		one, other := needle.OfArg(s.Arg)
		c.sql = append(c.sql, "(position("+c.arg(one)+"::bytea IN r.args) > 0 OR position("+c.arg(other)+"::bytea IN r.args) > 0)")
	}
}

var place = regexp.MustCompile(`\$\d+`)

// onlyUsed leaves out the values that a query has no place for.
func onlyUsed(sql string, args []any) (string, []any) {
	var used []any
	places := map[string]string{}
	sql = place.ReplaceAllStringFunc(sql, func(was string) string {
		if places[was] == "" {
			n, _ := strconv.Atoi(was[1:])
			used = append(used, args[n-1])
			places[was] = fmt.Sprintf("$%d", len(used))
		}
		return places[was]
	})
	return sql, used
}

// bounds returns the lowest and the highest id that a search is about.
func (t *tx) bounds(s *bellhop.RunSearch) (low, high int64, err error) {
	low, high = int64(s.After)+1, math.MaxInt64-1
	if s.Before > 0 {
		high = int64(s.Before) - 1
	}
	number := func(to func(int64)) func(pgx.Rows) error {
		return func(r pgx.Rows) error {
			var n int64
			err := r.Scan(&n)
			to(n)
			return err
		}
	}
	if !s.Since.IsZero() {
		t.each(sqlFirstAt, number(func(n int64) { low = max(low, n) }), micros(s.Since)-outOfOrder)
	}
	if !s.Until.IsZero() {
		t.each(sqlFirstAt, number(func(n int64) { high = min(high, n) }), micros(s.Until)+outOfOrder)
	}
	return low, high, t.flush()
}

// jobsOf returns the jobs that a search is about.
func (t *tx) jobsOf(s *bellhop.RunSearch) (jobs []int32, err error) {
	p := bellhop.Person{Scope: s.Within}
	t.each(sqlJobs, func(r pgx.Rows) error {
		var id int32
		var service, name string
		if err := r.Scan(&id, &service, &name); err != nil {
			return err
		}
		if (s.Service == "" || s.Service == service) && (s.Job == "" || s.Job == name) && p.Within(service, name) {
			jobs = append(jobs, id)
		}
		return nil
	})
	return jobs, t.flush()
}
