package postgres

import (
	"context"
	"log/slog"

	"github.com/bellhop-io/bellhop"
)

// CheckServer says what an old server is told.
func CheckServer(version int) error { return (&db{name: "postgres://db/x"}).checkServer(version) }

// SQLDepth counts what is not done yet, up to a bound.
const SQLDepth = sqlDepth

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

// ForgetEnd has the end of the audit read anew, as after a transaction that was
// undone.
func ForgetEnd(s *bellhop.Store) {
	a := &s.Audit.(*db).audit
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = false
}

// Outages logs outages of a store by a clock.
type Outages struct{ o outages }

// NewOutages starts with a store that works.
func NewOutages(log *slog.Logger, clock bellhop.Clock) *Outages {
	return &Outages{outages{log: log, clock: clock, store: "x"}}
}

// Fail is a call that fails because the database is away, or can't be written.
func (o *Outages) Fail(writesOnly bool, err error) {
	state := away
	if writesOnly {
		state = readOnly
	}
	o.o.failure(state, "trying", "it is away", err)
}

// Succeed is a call that goes well.
func (o *Outages) Succeed(wrote bool) { o.o.success(wrote) }

// LapsedQuery finds held runs whose approval has not come in time.
const LapsedQuery = sqlLapsed

// ListOf is the query for a list of runs, and its values.
func ListOf(f bellhop.RunFilter) (query string, args []any) { return listOf(f) }
