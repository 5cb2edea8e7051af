package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/needle"
)

// A search walks along the streams of a list (list.go) and looks at what they
// have in common, some runs at a time; or, where nothing else narrows it, at all
// runs, window by window. Each row costs something, and when all is spent the
// page ends.

const (
	// siftStep is how many runs a window has, checkStep how many are looked at
	// together otherwise.
	siftStep  = 2048
	checkStep = 128
	// What a run that is looked at costs, and one that is read, in rows of an
	// index.
	checkCost = 3
	readCost  = 30
)

const (
	// By PRIMARY KEY. What is looked at is put behind.
	sqlSift  = `SELECT r.id FROM run r WHERE r.id BETWEEN ?1 AND ?2`
	sqlCheck = `SELECT r.id FROM json_each(?1) c CROSS JOIN run r ON r.id = c.value WHERE ?2`
	sqlShelf = `SELECT min(id), max(id) FROM (SELECT id FROM run WHERE id <= ?1 ORDER BY id DESC LIMIT ?2 + 0)`
)

// Search lists a page of runs.
func (d *db) Search(ctx context.Context, s bellhop.RunSearch) (page bellhop.RunPage, err error) {
	err = d.read(ctx, "runs", func(c *conn) error {
		return c.snapshot(func() (err error) {
			page, err = c.page(ctx, &s)
			return err
		})
	})
	return page, err
}

func (c *conn) page(ctx context.Context, s *bellhop.RunSearch) (page bellhop.RunPage, err error) {
	page.Runs = []bellhop.Run{}
	w, err := c.newWalk(ctx, s)
	if err != nil {
		return page, err
	}
	for first := true; !w.over && len(page.Runs) < s.PageSize() && (first || !w.spent()); first = false {
		ids, err := w.some(s.PageSize() - len(page.Runs))
		if err != nil {
			return page, err
		}
		for i, id := range ids {
			if len(page.Runs) == s.PageSize() {
				w.at, w.over = ids[i], false
				break
			}
			rec, err := c.find(ctx, bellhop.RunID(id))
			if err != nil {
				return page, err
			}
			w.spend(readCost)
			if rec == nil || rec.run.Created.Before(s.Since) || !s.Until.IsZero() && !rec.run.Created.Before(s.Until) || !s.Means(&rec.run) {
				continue
			}
			page.Runs = append(page.Runs, rec.run)
		}
	}
	if !w.over {
		page.Next = bellhop.RunID(w.before(w.at))
	}
	if w.up {
		slices.Reverse(page.Runs)
	}
	return page, nil
}

// walk is one way through ids.
type walk struct {
	way
	ctx      context.Context
	c        *conn
	ids      both  // nil = all
	at, last int64 // the next id that is not decided, and the one that ends the way
	over     bool  // there are no more
	look     string
	args     []driver.Value // of look
}

func (c *conn) newWalk(ctx context.Context, s *bellhop.RunSearch) (*walk, error) {
	left := s.Scan
	if left <= 0 {
		left = bellhop.RunScan
	}
	w := &walk{way: way{up: s.After > 0, left: &left}, ctx: ctx, c: c}
	low, high, err := c.bounds(s)
	if err != nil {
		return nil, err
	}
	if w.at, w.last = high, low; w.up {
		w.at, w.last = low, high
	}
	w.over = low > high
	f := s.RunFilter
	if implied, some := needle.States(s); some {
		f.States = implied
		w.over = w.over || len(implied) == 0
	}
	w.lookFor(s)
	if w.ids, err = c.filtered(ctx, w.way, f, s.Within); err != nil {
		return nil, err
	}
	if len(w.ids) == 0 && w.look == "" {
		w.ids = both{&indexed{way: w.way, ctx: ctx, c: c, query: sqlIDs}}
	}
	return w, nil
}

// bounds returns the lowest and the highest id that a search is about.
func (c *conn) bounds(s *bellhop.RunSearch) (low, high int64, err error) {
	if low, err = c.number(sqlFirstRun); err != nil {
		return 0, 0, err
	}
	if high, err = c.number(sqlLastRun); err != nil {
		return 0, 0, err
	}
	if !s.Since.IsZero() || !s.Until.IsZero() {
		if low, high, err = c.between(runTimes(), s.Since, s.Until); err != nil {
			return 0, 0, err
		}
	}
	if s.Before > 0 {
		high = min(high, int64(s.Before)-1)
	}
	return max(low, int64(s.After)+1, 1), high, nil
}

// lookFor makes what is looked for in runs themselves.
func (w *walk) lookFor(s *bellhop.RunSearch) {
	place := func(v driver.Value) string {
		w.args = append(w.args, v)
		return fmt.Sprintf("?%d", 2+len(w.args))
	}
	if len(s.Verdicts) > 0 {
		var mask int64
		for _, v := range s.Verdicts {
			mask |= 1 << max(numberOf(verdicts(), v), 0)
		}
		w.look += " AND EXISTS (SELECT 1 FROM ended e WHERE e.run_id = r.id AND (" + place(mask) + " >> e.verdict) & 1)"
	}
	if s.Source != "" {
		w.look += " AND instr(r.ask, " + place(needle.OfSource(s.Source)) + ") > 0"
	}
	if !s.Arg.IsZero() {
		one, other := needle.OfArg(s.Arg)
		w.look += " AND (instr(r.args, " + place(one) + ") > 0 OR instr(r.args, " + place(other) + ") > 0)"
	}
}

// some returns some ids further along the way, if any: n when nothing is looked
// for in the runs themselves.
func (w *walk) some(n int) (ids []int64, err error) {
	if w.ids == nil {
		return w.sift()
	}
	if w.look != "" {
		n = checkStep
	}
	for len(ids) < n && !w.over && (len(ids) == 0 || !w.spent()) {
		id, found, err := w.ids.find(w.way, w.at)
		if err != nil {
			return nil, err
		}
		if w.over = id == 0 || w.isBefore(w.last, id); w.over {
			break
		}
		if w.at = id; !found {
			break
		}
		ids = append(ids, id)
		w.pass(id)
	}
	return w.checked(ids)
}

// pass goes on behind an id.
func (w *walk) pass(id int64) {
	w.over = id == w.last
	w.at = w.after(id)
}

// checked returns those in which there is what is looked for.
func (w *walk) checked(ids []int64) (good []int64, err error) {
	if w.look == "" || len(ids) == 0 {
		return ids, nil
	}
	list := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, id, 10)
	}
	w.spend(checkCost * len(ids))
	err = w.c.query(w.ctx, sqlCheck+w.look, collectIDs(&good), append([]driver.Value{string(append(list, ']')), int64(1)}, w.args...)...)
	return good, err
}

// sift looks at the next window of all runs.
func (w *walk) sift() (ids []int64, err error) {
	var low, high int64
	err = w.c.query(w.ctx, w.of(sqlShelf), func(r row) error {
		low, high = r.int(0), r.int(1)
		return errStop
	}, w.at, int64(siftStep))
	if err != nil {
		return nil, err
	}
	end := low
	if w.up {
		end = high
	}
	if w.over = low == 0; w.over {
		return nil, nil
	}
	if !w.isBefore(end, w.last) {
		end = w.last
	}
	w.spend(siftStep)
	err = w.c.query(w.ctx, sqlSift+w.look, collectIDs(&ids), append([]driver.Value{min(w.at, end), max(w.at, end)}, w.args...)...)
	slices.Sort(ids)
	if !w.up {
		slices.Reverse(ids)
	}
	w.pass(end)
	return ids, err
}

func collectIDs(ids *[]int64) func(row) error {
	return func(r row) error {
		*ids = append(*ids, r.int(0))
		return nil
	}
}

// way is how one goes through ids: down unless up, as far as left allows; nil =
// however far.
type way struct {
	up   bool
	left *int
}

func (w way) spend(n int) {
	if w.left != nil {
		*w.left -= n
	}
}

func (w way) spent() bool { return w.left != nil && *w.left <= 0 }

// isBefore reports whether a comes before b.
func (w way) isBefore(a, b int64) bool {
	if w.up {
		return a < b
	}
	return a > b
}

// after is the next id behind one, before the one in front of it.
func (w way) after(id int64) int64 {
	if w.up {
		return id + 1
	}
	return id - 1
}

func (w way) before(id int64) int64 { return 2*id - w.after(id) }

// of words a query for the way; it is written for the one down.
func (w way) of(query string) string {
	if w.up {
		return strings.NewReplacer(" <= ?", " >= ?", " DESC", " ASC").Replace(query)
	}
	return query
}
