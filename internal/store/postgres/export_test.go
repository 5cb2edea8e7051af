package postgres

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// CheckServer says what an old server is told.
func CheckServer(version int) error { return (&db{name: "postgres://db/x"}).checkServer(version) }

// LockClassHolds is what claims lock for sharing.
const LockClassHolds = lockClassHolds

// FateOf makes a transaction, has between happen, and says what is known of it
// by the life of the database in which it was made, and whether a new life was
// noticed.
func FateOf(ctx context.Context, s *bellhop.Store, between func()) (fate string, noticed bool, err error) {
	d := s.Queue.(*db)
	life := d.life.Load()
	var xid string
	if err := d.pool.QueryRow(ctx, sqlForceXID).Scan(&xid); err != nil {
		return "", false, err
	}
	between()
	fate = d.fate(ctx, xid, life)
	return fate, *d.life.Load() != *life, nil
}
