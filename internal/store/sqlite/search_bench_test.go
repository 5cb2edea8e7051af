package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
)

// BenchmarkSearch: each page of searches among a million runs, the first and
// the slowest of those that follow. BELLHOP_MILLION names a file that keeps
// them; without it they are made anew.
func BenchmarkSearch(b *testing.B) {
	path := os.Getenv("BELLHOP_MILLION")
	if path == "" {
		path = filepath.Join(b.TempDir(), "million.db")
	}
	if _, err := os.Stat(path); err != nil {
		fillMillion(b, path)
	}
	s := openBenchAt(b, path)
	storetest.BenchSearches(b, s)
}

// fillMillion writes a million ended runs: of two jobs that take turns, and a
// rare one; asked by two people in turn; each hundredth failed, and now and then
// one was FIXED.
func fillMillion(b *testing.B, path string) {
	b.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	digest := benchJob().Digest()
	if err := s.Definitions.PutDefinitions(context.Background(), []bellhop.Definition{{Digest: digest, Job: benchJob()}}); err != nil {
		b.Fatal(err)
	}
	var subs []bellhop.Submission
	for i, who := range []string{"alice", "bob"} {
		for j, name := range []string{"even", "odd", "rare"} {
			sub := benchSubmission(digest, int64(10*i+j), 0)
			sub.Run.Job, sub.Ask.Principal = name, who
			subs = append(subs, sub)
		}
	}
	if _, err := s.Queue.Submit(context.Background(), subs); err != nil {
		b.Fatal(err)
	}
	if err := s.Admin.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		`CREATE TEMP TABLE j AS SELECT name, id FROM job`,
		`WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 1000099)
 INSERT INTO run (id, job, definition, created, principal, ask, args)
 SELECT i, (SELECT id FROM j WHERE name = CASE WHEN i % 50000 = 7 THEN 'rare' WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END), 1, ?1 - (1000099 - i) * 2592000, (SELECT id FROM principal WHERE name = CASE i % 2 WHEN 0 THEN 'alice' ELSE 'bob' END),
  (SELECT ask FROM run WHERE id = 1), CAST('{"env":"' || CASE i % 3 WHEN 0 THEN 'prod' ELSE 'staging' END || '","n":"' || i || '"}' AS BLOB) FROM n`,
		`INSERT INTO ended (run_id, state, verdict, previous, attempt, lease, how, priority, output, start, deadline, started, finished, runner)
 SELECT id, CASE WHEN id % 100 = 0 THEN 5 ELSE 4 END, CASE WHEN id % 1000 = 0 THEN 4 WHEN id % 100 = 0 THEN 3 WHEN id % 9973 = 0 THEN 2 ELSE 1 END, 4, 1, 1, 1, 4, 0, created, 0, created, created + 1000 * (id % 60000), 'here' FROM run WHERE id >= 100`,
	} {
		args := []any{}
		if len(statement) > 100 && statement[0] == 'W' {
			args = append(args, time.Now().UnixMicro())
		}
		if _, err := db.Exec(statement, args...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTally counts among the million of BenchmarkSearch.
func BenchmarkTally(b *testing.B) {
	path := os.Getenv("BELLHOP_MILLION")
	if path == "" {
		path = filepath.Join(b.TempDir(), "million.db")
		fillMillion(b, path)
	}
	storetest.BenchTallies(b, openBenchAt(b, path))
}
