package postgres

import (
	"context"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

// Each count ends at a bound. waiting and running hold nothing that has ended,
// and are read by their PRIMARY KEY or as a whole; held and its part of waiting
// by PRIMARY KEY; the outbox by report_due.
const sqlDepth = `SELECT
  (SELECT count(*) FROM (SELECT 1 FROM held d JOIN waiting w ON w.run_id = d.run_id WHERE w.phase = 3 LIMIT $1) n),
  (SELECT count(*) FROM (SELECT 1 FROM waiting LIMIT $1) n),
  (SELECT count(*) FROM (SELECT 1 FROM running LIMIT $1) n),
  (SELECT count(*) FROM (SELECT 1 FROM report WHERE state = 0 ORDER BY due, id LIMIT $1) n)`

// Depth counts up to DepthMost of each.
func (d *db) Depth(ctx context.Context) (got bellhop.Depth, err error) {
	var all int64
	err = d.read(ctx, "what is not done yet", sqlDepth, func() {}, func(r pgx.Rows) error {
		return r.Scan(&got.Held, &all, &got.Running, &got.Outbox)
	}, bellhop.DepthMost)
	got.Waiting = max(0, all-got.Held)
	return got, err
}
