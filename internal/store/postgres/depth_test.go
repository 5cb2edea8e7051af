package postgres_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/jackc/pgx/v5"
)

// TestDepthLooksAtNoHistory has many reports that were delivered, and a plan
// that reads none of them.
func TestDepthLooksAtNoHistory(t *testing.T) {
	url := pgtest.URL(t)
	s := open(t, url, bellhop.SystemClock{})
	pgtest.Exec(t, url, `INSERT INTO bellhop.report (run_id, ask_n, attempt, kind, state, created, due, principal)
  SELECT n, 0, 1, 1, CASE WHEN n <= 7 THEN 0 ELSE 2 END, n, n, 'alice' FROM generate_series(1, 50000) n; ANALYZE bellhop.report`)
	got, err := s.Admin.Depth(ctx)
	if want := (bellhop.Depth{Outbox: 7}); err != nil || got != want {
		t.Errorf("the depth is %+v, %v; want %+v", got, err, want)
	}
	c, err := pgx.Connect(ctx, url)
	must(t, err)
	defer c.Close(ctx)
	rows, err := c.Query(ctx, `EXPLAIN (ANALYZE, COSTS OFF) `+strings.NewReplacer("$1", "100000", "FROM held", "FROM bellhop.held", "JOIN waiting", "JOIN bellhop.waiting",
		"FROM waiting", "FROM bellhop.waiting", "FROM running", "FROM bellhop.running", "FROM report", "FROM bellhop.report").Replace(postgres.SQLDepth))
	must(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if plan := strings.Join(lines, "\n"); !strings.Contains(plan, "using report_due") || strings.Contains(plan, "Seq Scan on report") {
		t.Errorf("the plan is\n%s", plan)
	}
}
