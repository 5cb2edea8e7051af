// Package postgres is the store on a Postgres database, which several servers
// may share.
//
// What waits and what runs are two narrow tables, and the record of a run is
// inserted when it is made and when it ends, and not changed in between
// (migrations/00001_first.sql). Every change is one transaction of a few
// statements that carry arrays; what many callers submit and finish at once
// shares one (group.go). Statements travel together, so that a transaction
// costs two or three round trips however many runs it is about (tx.go).
//
// Between servers:
//   - Claims lock rows of waiting and skip what others have locked.
//   - Whoever claims or finishes a run of a limited key first locks that key
//     (lockBounds), after the rows of its own runs. Keys are locked in order.
//   - Whoever takes a waiting run away, or moves it, lets another of its key
//     pass afterwards. One too many does no harm: the next claim counts.
//   - Claims lock all holds against changes, for sharing (lockHolds).
//
// Deadlocks that remain possible are found by the database, and what it ends
// for one is made again.
//
// A server's audit is a chain of its own, so that no other server is in the way;
// within the server, one transaction at a time has its end, from its last
// statements to the commit (audit.go).
//
// A commit whose answer is lost is looked up by the transaction's number
// (tx.go), so that nothing is done twice. Leases, roles and servers live by
// the database's clock.
//
// Attempts are counted by leases: the number of a run's lease is that of its
// attempt in Attempt.N, OutboxRow.Attempt and Chunk.Attempt. (Run.Attempt is
// less where attempts did not count.)
package postgres

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say what to open.
type Options struct {
	// URL is that of the database: postgres://user:password@host:port/database.
	// The settings of libpq's URLs are understood (sslmode, ...), and
	// pool_max_conns.
	URL string
	// Clock tells when leases, roles and servers end. nil = the database's own
	// clock, which is what servers that share a store need.
	Clock bellhop.Clock
	Log   *slog.Logger // nil = none
	// schema is where the store is; "" = mainSchema.
	schema string
}

// WithDefaults returns a copy with the defaults filled in, but for Clock.
func (o Options) WithDefaults() Options {
	o.schema = cmp.Or(o.schema, mainSchema)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// db is every port of the store.
type db struct {
	name   string // of the database, for people: no password in it
	schema string
	config *pgxpool.Config
	log    *slog.Logger
	clock  bellhop.Clock // for pauses
	given  bellhop.Clock // nil: the database's
	pool   *pgxpool.Pool
	life   atomic.Pointer[string] // of the database, as far as is known
	names  *names
	slot   int16 // of output_size

	outages outages
	audit   audit

	submits  *group[*submitting]
	finishes *group[*finishing]
	outputs  *group[*appending]
	records  *group[*recording]

	closed atomic.Bool
	once   sync.Once
}

const (
	// maxConns is how many connections a server has at the most, if the URL
	// does not say: its committers, a few claimers and a few readers.
	maxConns = 16
	// Committers: while one transaction waits for the disk, the other works.
	submitters = 2
	finishers  = 2
	appenders  = 1
	recorders  = 1
)

// Open opens the store in the database at o.URL, makes its tables when there
// are none, and brings older ones up to date. It fails with Invalid when the
// URL is wrong, the database refuses the user or is older than Postgres 15, or
// the store was written by a newer Bellhop; with Unavailable when the database
// can't be reached.
func Open(ctx context.Context, o Options) (_ *bellhop.Store, err error) {
	o = o.WithDefaults()
	config, name, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["search_path"] = o.schema
	d := &db{name: name, schema: o.schema, config: config, log: o.Log, clock: bellhop.SystemClock{}, given: o.Clock, slot: int16(rand.IntN(16))}
	d.outages = outages{log: o.Log, clock: d.clock, store: name}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	id, err := d.prepare(ctx)
	if err != nil {
		return nil, d.openError(err)
	}
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, d.openError(err)
	}
	if err := d.pool.Ping(ctx); err != nil {
		return nil, d.openError(err)
	}
	if err := d.findLife(ctx); err != nil {
		return nil, d.openError(err)
	}
	d.names = newNames(d)
	d.submits = newGroup(submitters, func(s *submitting) int { return len(s.runs) }, d.submitAll)
	d.finishes = newGroup(finishers, func(f *finishing) int { return len(f.ends) }, d.finishAll)
	d.outputs = newGroup(appenders, func(a *appending) int { return len(a.batches) }, d.appendAll)
	d.records = newGroup(recorders, func(r *recording) int { return len(r.recs) }, d.recordAll)
	return &bellhop.Store{
		ID: id, Definitions: d, Queue: d, Records: d, Outputs: d, Outbox: d, Holds: d, Approvals: d, Values: d, Secrets: d, Audit: d, Retention: d, Cluster: d, Admin: d, Shared: true,
	}, nil
}

// parse reads a URL. pgx's own errors may show parts of it, so they are left
// out.
func parse(url string) (config *pgxpool.Config, name string, err error) {
	config, err = pgxpool.ParseConfig(url)
	if err != nil {
		return nil, "", bellhop.Errorf(bellhop.Invalid, "the URL of the store can't be read; write `store: postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with %%40 for @, %%2F for / and so on within the password")
	}
	c := config.ConnConfig
	if !hasMaxConns(url) {
		config.MaxConns = maxConns
	}
	config.MaxConnIdleTime = 5 * time.Minute
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	for setting, value := range map[string]string{
		"application_name": "bellhop",
		"search_path":      mainSchema,
		// What is looked up is found by an index, whatever the statistics of
		// tables say that were empty a moment ago.
		"enable_seqscan":    "off",
		"enable_hashjoin":   "off",
		"enable_mergejoin":  "off",
		"enable_bitmapscan": "off",
		"plan_cache_mode":   "force_generic_plan",
		"jit":               "off",
		// A server that was frozen within a transaction must not stop the others.
		"idle_in_transaction_session_timeout": "10s",
		"lock_timeout":                        "20s",
		"statement_timeout":                   "0",
	} {
		if setting == "application_name" && c.RuntimeParams[setting] != "" {
			continue
		}
		c.RuntimeParams[setting] = value
	}
	return config, nameOf(c), nil
}

// now is the time that leases live by, NULL for the database's own.
func (d *db) now() *int64 {
	if d.given == nil {
		return nil
	}
	us := micros(d.given.Now())
	return &us
}

// storeNow is the SQL for the store's clock; $1 is what db.now gives.
const storeNow = `coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)`

// Advisory locks of this package; the second number is 0, a bound's, or a hash.
const (
	lockClassBound   = 0x42656c01
	lockClassAlike   = 0x42656c02
	lockClassHolds   = 0x42656c03
	lockClassMigrate = 0x42656c04
	lockClassValue   = 0x42656c05
)

const (
	// Evaluated in the order of the array, which is sorted.
	sqlLock         = `SELECT pg_advisory_xact_lock($1::int, k) FROM unnest($2::int[]) k`
	sqlLockHolds    = `SELECT pg_advisory_xact_lock($1::int, 0)`
	sqlLockedShared = `SELECT pg_advisory_xact_lock_shared($1::int, 0)`
)

func ignore(pgx.Rows) error { return nil }
