package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// sqlTally is by ended_finished, and by PRIMARY KEY of run; the names are looked
// up for what is left.
var sqlTally = `SELECT j.service, j.name, t.state, t.verdict, t.class, t.n, t.took FROM (
  SELECT r.job, e.state, e.verdict, CASE WHEN e.started = 0 THEN -1 ` + tallyClasses() + ` END AS class, count(*) AS n, sum(CASE WHEN e.started > 0 THEN e.finished - e.started END) AS took
  FROM ended e CROSS JOIN run r ON r.id = e.run_id WHERE e.finished >= ? AND e.finished < ? GROUP BY 1, 2, 3, 4) t CROSS JOIN job j ON j.id = t.job`

func tallyClasses() string {
	var b strings.Builder
	bounds := bellhop.TallyBounds()
	for i, d := range bounds {
		fmt.Fprintf(&b, "WHEN e.finished - e.started < %d THEN %d ", d.Microseconds(), i)
	}
	return b.String() + fmt.Sprintf("ELSE %d", len(bounds))
}

// Tally counts runs that ended in a span of time.
func (d *db) Tally(ctx context.Context, since, until time.Time) (all []bellhop.Tally, err error) {
	type key struct {
		service, job   string
		state, verdict int64
	}
	of := map[key]int{}
	err = d.read(ctx, "what ended", func(c *conn) error {
		return c.query(ctx, sqlTally, func(r row) error {
			k := key{r.text(0), r.text(1), r.int(2), r.int(3)}
			i, known := of[k]
			if !known {
				i = len(all)
				of[k] = i
				all = append(all, bellhop.Tally{Service: k.service, Job: k.job, State: wordOf(states(), k.state), Verdict: wordOf(verdicts(), k.verdict)})
			}
			t := &all[i]
			t.Count += r.int(5)
			if class := r.int(4); class >= 0 {
				t.Timed += r.int(5)
				t.Took += time.Duration(r.int(6)) * time.Microsecond
				t.Spread[class] += r.int(5)
			}
			return nil
		}, micros(since), micros(until))
	})
	return all, err
}
