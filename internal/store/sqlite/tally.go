package sqlite

import (
	"context"
	"sort"
	"time"

	"github.com/bellhop-io/bellhop"
)

// By ended_finished, and by PRIMARY KEY of run. SQLite would sort the rows to
// group them, which takes longer than to count them here.
const sqlTally = `SELECT (r.job << 8) + (e.state << 4) + e.verdict, CASE e.started WHEN 0 THEN -1 ELSE max(e.finished - e.started, 0) END
  FROM ended e CROSS JOIN run r ON r.id = e.run_id WHERE e.finished >= ? AND e.finished < ?`

// Tally counts runs that ended in a span of time.
func (d *db) Tally(ctx context.Context, since, until time.Time) (all []bellhop.Tally, err error) {
	bounds := bellhop.TallyBounds()
	of := map[int64]*bellhop.Tally{}
	names := map[int64][2]string{}
	err = d.read(ctx, "what ended", func(c *conn) error {
		err := c.query(ctx, sqlTally, func(r row) error {
			kind, took := r.int(0), time.Duration(r.int(1))*time.Microsecond
			t := of[kind]
			if t == nil {
				t = &bellhop.Tally{State: wordOf(states(), kind>>4&15), Verdict: wordOf(verdicts(), kind&15)}
				of[kind] = t
			}
			t.Count++
			if took >= 0 {
				t.Timed++
				t.Took += took
				t.Spread[sort.Search(len(bounds), func(i int) bool { return took < bounds[i] })]++
			}
			return nil
		}, micros(since), micros(until))
		if err != nil || len(of) == 0 {
			return err
		}
		return c.query(ctx, sqlJobs, func(r row) error {
			names[r.int(0)] = [2]string{r.text(1), r.text(2)}
			return nil
		})
	})
	for kind, t := range of {
		t.Service, t.Job = names[kind>>8][0], names[kind>>8][1]
		all = append(all, *t)
	}
	return all, err
}
