package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

// sqlTally is by outcome_finished, and run by PRIMARY KEY or all of it, as the
// planner finds best.
var sqlTally = `SELECT j.service, j.name, t.state, t.verdict, t.class, t.n, t.took FROM (
  SELECT r.job, o.state, o.verdict, CASE WHEN o.started = 0 THEN -1 ` + tallyClasses() + ` END AS class, count(*) AS n, coalesce(sum(CASE WHEN o.started > 0 THEN o.finished - o.started END), 0)::bigint AS took
  FROM outcome o JOIN run r ON r.id = o.run_id WHERE o.finished >= $1 AND o.finished < $2 GROUP BY 1, 2, 3, 4) t JOIN job j ON j.id = t.job`

func tallyClasses() string {
	var b strings.Builder
	bounds := bellhop.TallyBounds()
	for i, d := range bounds {
		fmt.Fprintf(&b, "WHEN o.finished - o.started < %d THEN %d ", d.Microseconds(), i)
	}
	return b.String() + fmt.Sprintf("ELSE %d", len(bounds))
}

// Tally counts runs that ended in a span of time.
func (d *db) Tally(ctx context.Context, since, until time.Time) (all []bellhop.Tally, err error) {
	type key struct {
		service, job   string
		state, verdict int16
	}
	var of map[key]int
	err = d.snapshot(ctx, "what ended", func(t *tx) error {
		all, of = nil, map[key]int{}
		t.do(`SET LOCAL plan_cache_mode = force_custom_plan`)
		t.do(`SET LOCAL enable_bitmapscan = on`)
		t.do(`SET LOCAL max_parallel_workers_per_gather = 0`)
		t.each(sqlTally, func(r pgx.Rows) error {
			var k key
			var class int
			var n, took int64
			if err := r.Scan(&k.service, &k.job, &k.state, &k.verdict, &class, &n, &took); err != nil {
				return err
			}
			i, known := of[k]
			if !known {
				i = len(all)
				of[k] = i
				all = append(all, bellhop.Tally{Service: k.service, Job: k.job, State: wordOf(states(), k.state), Verdict: wordOf(verdicts(), k.verdict)})
			}
			t := &all[i]
			t.Count += n
			if class >= 0 {
				t.Timed += n
				t.Took += time.Duration(took) * time.Microsecond
				t.Spread[class] += n
			}
			return nil
		}, micros(since), micros(until))
		return nil
	})
	return all, err
}
