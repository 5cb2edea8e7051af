package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
)

// BenchmarkSearch: each page of searches among a million runs, as of SQLite.
func BenchmarkSearch(b *testing.B) {
	url := pgtest.URL(b)
	s := open(b, url, nil)
	job := benchJob()
	digest := job.Digest()
	if err := s.Definitions.PutDefinitions(ctx, []bellhop.Definition{{Digest: digest, Job: job}}); err != nil {
		b.Fatal(err)
	}
	var subs []bellhop.Submission
	for i, name := range []string{"even", "odd", "rare"} {
		sub := benchSubmission(digest, int64(i), 0)
		sub.Run.Job = name
		subs = append(subs, sub)
	}
	if _, err := s.Queue.Submit(ctx, subs); err != nil {
		b.Fatal(err)
	}
	pgtest.Exec(b, url, fmt.Sprintf(`SET search_path = bellhop;
INSERT INTO run (id, lane, job, definition, retry_of, after, created, principal, ask, args)
 SELECT i, 1, (SELECT id FROM job WHERE name = CASE WHEN i %% 50000 = 7 THEN 'rare' WHEN i %% 2 = 0 THEN 'even' ELSE 'odd' END), 1, 0, 0, %d - (1000099 - i)::bigint * 2592000, CASE i %% 2 WHEN 0 THEN 'alice' ELSE 'bob' END,
  (SELECT ask FROM run ORDER BY id LIMIT 1), convert_to('{"env":"' || CASE i %% 3 WHEN 0 THEN 'prod' ELSE 'staging' END || '","n":"' || i || '"}', 'UTF8') FROM generate_series(100, 1000099) i;
INSERT INTO outcome (run_id, state, verdict, previous, rank, how, attempt, lease, start, deadline, started, finished, output)
 SELECT id, CASE WHEN id %% 100 = 0 THEN 5 ELSE 4 END, CASE WHEN id %% 1000 = 0 THEN 4 WHEN id %% 100 = 0 THEN 3 WHEN id %% 9973 = 0 THEN 2 ELSE 1 END, 4, 4, 1, 1, 1, created, 0, created, created + 1000 * (id %% 60000), 0 FROM run WHERE id >= 100;
ANALYZE run; ANALYZE outcome; SELECT brin_summarize_new_values('outcome_finished'), brin_summarize_new_values('run_created')`, time.Now().UnixMicro()))
	storetest.BenchSearches(b, s)
	storetest.BenchTallies(b, s)
}
