package postgres_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/jackc/pgx/v5"
)

// TestAPageReadsLittleMoreThanItself: of 6,000 that wait, or 1,000 of one
// person, and never each of them against all others. Between those that wait
// lie others of the same job and the same person that have ended.
func TestAPageReadsLittleMoreThanItself(t *testing.T) {
	url := pgtest.URL(t)
	s := withJob(t, open(t, url, nil))
	_, err := s.Queue.Submit(ctx, []bellhop.Submission{submission("a", "k", 0)})
	must(t, err)
	pgtest.Exec(t, url, `SET search_path = bellhop;
INSERT INTO job (service, name) VALUES ('example', 'rare');
INSERT INTO run (id, lane, job, definition, retry_of, after, created, principal, ask)
  SELECT g, 1, CASE WHEN g % 2000 = 1999 OR g % 2 = 0 AND g < 5000 THEN j.id ELSE 1 END, 1, 0, 0, g, CASE WHEN g % 2000 = 1998 OR g % 2 = 1 AND g < 5000 THEN 'rare' ELSE 'p' || g % 10 END, ''
  FROM generate_series(1000, 10999) g, job j WHERE j.name = 'rare';
INSERT INTO outcome (run_id, state, verdict, previous, rank, how, attempt, lease, start, deadline, started, finished, output) SELECT g, 4, 0, 0, 4, 1, 1, 1, g, 0, g, g, 0 FROM generate_series(1000, 4999) g;
INSERT INTO waiting (run_id, phase, rank, start, deadline, told, patience, latest, lane, ckey, job, principal) SELECT g, 0, 4, g, 0, 0, 0, 0, 1, 0, r.job, r.principal FROM generate_series(5000, 10999) g JOIN run r ON r.id = g;
INSERT INTO ask (run_id, n, principal, ask) SELECT g, 1, 'rare', '' FROM generate_series(6999, 10999, 1000) g;
INSERT INTO held (run_id, expires) SELECT g, g FROM generate_series(5000, 7999) g; UPDATE waiting SET phase = 3 WHERE run_id < 8000`)
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `SET search_path = bellhop; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off; SET enable_sort = off; SET jit = off; SET plan_cache_mode = force_custom_plan`)
	must(t, err)
	waiting, held := []bellhop.State{bellhop.Waiting}, []bellhop.State{bellhop.Held}
	for name, c := range map[string]struct {
		filter bellhop.RunFilter
		most   int // rows through any part of the plan
	}{
		"what waits":               {bellhop.RunFilter{States: waiting, Limit: 20}, 100},
		"what waits or runs":       {bellhop.RunFilter{States: []bellhop.State{bellhop.Waiting, bellhop.Running}, Limit: 20}, 100},
		"a later page":             {bellhop.RunFilter{States: waiting, Before: 9000, Limit: 20}, 100},
		"what is held":             {bellhop.RunFilter{States: held, Limit: 20}, 100},
		"a later page of it":       {bellhop.RunFilter{States: held, Before: 6000, Limit: 20}, 100},
		"what is to come":          {bellhop.RunFilter{States: append(held, waiting...), Limit: 20}, 100},
		"one person's":             {bellhop.RunFilter{Principal: "p3", Limit: 20}, 2000},
		"one person's, which wait": {bellhop.RunFilter{Principal: "p3", States: waiting, Limit: 20}, 100},
		"a rare job's, which wait": {bellhop.RunFilter{Job: "rare", States: waiting, Limit: 20}, 100},
		"a common job's":           {bellhop.RunFilter{Service: "example", Job: "hello", States: waiting, Limit: 20}, 100},
		"a later page of that":     {bellhop.RunFilter{Service: "example", Job: "hello", States: waiting, Before: 9000, Limit: 20}, 100},
		"a rare job's, held":       {bellhop.RunFilter{Job: "rare", States: held, Limit: 20}, 100},
		"a rare job's, to come":    {bellhop.RunFilter{Job: "rare", States: append(held, waiting...), Limit: 20}, 100},
		"of a rare person, held":   {bellhop.RunFilter{Principal: "rare", States: held, Limit: 20}, 100},
		"of a rare person":         {bellhop.RunFilter{Principal: "rare", States: waiting, Limit: 20}, 100},
		"all of a rare person":     {bellhop.RunFilter{Principal: "rare", States: waiting}, 100},
		"all of a rare job":        {bellhop.RunFilter{Job: "rare", States: waiting}, 100},
		"of both":                  {bellhop.RunFilter{Job: "rare", Principal: "rare", States: waiting, Limit: 20}, 100},
		"of times":                 {bellhop.RunFilter{Job: "rare", States: waiting, Until: time.UnixMicro(9000), Limit: 20}, 100},
		"a rare job's, not ended":  {bellhop.RunFilter{Job: "rare", States: []bellhop.State{bellhop.Waiting, bellhop.Running}, Limit: 20}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			query, args := postgres.ListOf(c.filter)
			readsAtMost(t, conn, c.most, query, args...)
		})
	}
	t.Run("what was approved too late", func(t *testing.T) { readsAtMost(t, conn, 100, postgres.LapsedQuery, int64(5009), 50) })
}

var planRows = regexp.MustCompile(`(?:actual.* rows=|Rows Removed by [A-Za-z ]+: )(\d+)(?: loops=(\d+))?`)

// readsAtMost wants no more rows through any part of a query's plan.
func readsAtMost(t *testing.T, conn *pgx.Conn, most int, query string, args ...any) {
	t.Helper()
	plan, err := conn.Query(ctx, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "+query, args...)
	must(t, err)
	lines, err := pgx.CollectRows(plan, pgx.RowTo[string])
	must(t, err)
	for _, line := range lines {
		found := planRows.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		n, _ := strconv.Atoi(found[1])
		if loops, err := strconv.Atoi(found[2]); err == nil {
			n *= loops
		}
		if n > most {
			t.Errorf("%d rows, want %d at the most: %s", n, most, line)
		}
	}
}

// TestWhatWaitedBeforeAnUpdateIsListed: its job and person are filled in.
func TestWhatWaitedBeforeAnUpdateIsListed(t *testing.T) {
	url := pgtest.URL(t)
	s := withJob(t, open(t, url, nil))
	made, err := s.Queue.Submit(ctx, []bellhop.Submission{submission("a", "k", 0)})
	must(t, err)
	must(t, s.Admin.Close())
	pgtest.Exec(t, url, `ALTER TABLE bellhop.waiting DROP COLUMN job, DROP COLUMN principal; DROP INDEX bellhop.outcome_finished, bellhop.run_retry, bellhop.run_after; DELETE FROM bellhop.goose_db_version WHERE version_id >= 4`)
	s = open(t, url, nil)
	run, err := s.Records.Run(ctx, made[0].Run)
	must(t, err)
	for name, f := range map[string]bellhop.RunFilter{"job": {Service: run.Service, Job: run.Job}, "person": {Principal: run.AskedBy}} {
		f.States = []bellhop.State{bellhop.Waiting}
		if runs, err := s.Records.Runs(ctx, f); err != nil || len(runs) != 1 {
			t.Errorf("by its %s: %v (%v), want one run", name, runs, err)
		}
	}
}
