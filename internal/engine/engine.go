// Package engine holds the use cases: authorise, submit, hold back, claim,
// extend, finish, cancel, keep. All rules live here; it knows no SQL, HTTP,
// NATS or Slack.
package engine

import (
	"context"
	crand "crypto/rand"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Options are what an Engine is made of. Store and Bus are needed.
type Options struct {
	Store *bellhop.Store
	Bus   bellhop.Bus
	Clock bellhop.Clock // nil = the machine's
	Log   *slog.Logger  // nil = discarded
	Lease time.Duration // 0 = 30 s
	// Server names this life of the server among those of its store; "" = at
	// random.
	Server string
	// Sweep is how often it looks for what is not to be kept any more; 0 = 1 h.
	Sweep time.Duration
	// Directory tells of groups that chats keep; nil = there are none.
	Directory bellhop.Directory
	// Reach are the names of chats that reach a person who is not connected.
	Reach []string
	// AuditKey is the key of the audit trail, 32 bytes; nil = no trail is kept.
	AuditKey []byte
	// Vault opens the secrets that jobs name; nil = there are none.
	Vault bellhop.Vault
	// Mask hides secrets in what is told of runs and recorded of asks; nil =
	// nothing is hidden.
	Mask func(string) string
	// Callback is the address at which progress of an attempt may be posted, until
	// a time; nil = there is none.
	Callback func(run bellhop.RunID, lease int64, until time.Time) string
	// WhoNow says who somebody who proved an identity at a time is by now, where
	// they spoke from: NotAllowed when they are nobody any more. nil = who they
	// were.
	WhoNow func(ctx context.Context, p bellhop.Person, proved time.Time) (bellhop.Person, error)
	// Jitter returns a number in [0, 1) by which pauses are spread; nil = random.
	Jitter func() float64
}

// Engine is the one place where it is decided what may be done and what
// becomes of a run. It is safe for use by many goroutines.
type Engine struct {
	store  *bellhop.Store
	bus    bellhop.Bus
	clock  bellhop.Clock
	log    *slog.Logger
	lease  time.Duration
	server string
	every  time.Duration // between two sweeps
	rand   func() float64

	directory bellhop.Directory
	reach     []string
	auditKey  []byte
	audited   bool // a trail is kept
	vault     bellhop.Vault
	mask      func(string) string // nil = nothing is hidden
	address   func(run bellhop.RunID, lease int64, until time.Time) string
	whoNow    func(context.Context, bellhop.Person, time.Time) (bellhop.Person, error)
	begun     atomic.Bool
	toldHead  int64 // Seq of the last head in the log; its loop's alone

	active   atomic.Pointer[catalog]
	only     atomic.Pointer[onlyRuns]
	defs     definitions
	works    works
	holds    holdCache
	lookouts lookouts
	feeds    feeds
	tallies  tallies
	lines    lines
	leading  atomic.Bool // this server is the keeper
	ticking  atomic.Bool // it has the clock's role
	// When a server with an older configuration looked last whether somebody has
	// it, and how often nobody had; the beat's alone.
	looked    time.Time
	clockless int
	swept     cursors

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// headEvery is how often the end of the audit trail is written to the log.
const headEvery = time.Minute

// New returns an engine with an empty catalog.
func New(o Options) *Engine {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.Server == "" {
		o.Server = "engine-" + crand.Text()[:8]
	}
	if o.Sweep == 0 {
		o.Sweep = time.Hour
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	e := &Engine{
		store: o.Store, bus: o.Bus, clock: o.Clock, log: o.Log, lease: o.Lease,
		server: o.Server, every: o.Sweep, rand: o.Jitter,
		directory: o.Directory, reach: o.Reach, auditKey: o.AuditKey, audited: o.AuditKey != nil,
		vault: o.Vault, mask: o.Mask, address: o.Callback, whoNow: o.WhoNow,
	}
	e.active.Store(newCatalog(&bellhop.Catalog{}))
	return e
}

// Activate stores the catalog's definitions and makes it the one that new asks
// are judged by, and the store's newest. Runs already written keep the
// definition they name.
func (e *Engine) Activate(ctx context.Context, cat *bellhop.Catalog) error {
	return e.ActivateFor(ctx, cat, bellhop.Person{})
}

// ActivateFor is Activate for a person who wanted it; the zero Person is the
// server itself.
func (e *Engine) ActivateFor(ctx context.Context, cat *bellhop.Catalog, p bellhop.Person) error {
	return e.activate(ctx, cat, p, e.only.Load() == nil) // what serves only its own asks owns nothing that happens by itself
}

// Adopt is Activate for a catalog that follows what another server activated:
// which is the newest does not change.
func (e *Engine) Adopt(ctx context.Context, cat *bellhop.Catalog) error {
	return e.activate(ctx, cat, bellhop.Person{}, false)
}

func (e *Engine) activate(ctx context.Context, cat *bellhop.Catalog, p bellhop.Person, newest bool) error {
	if err := e.beginAudit(ctx); err != nil {
		return err
	}
	next := newCatalog(cat)
	err := e.Record(ctx, &bellhop.AuditRecord{
		At: e.clock.Now(), Action: bellhop.AuditConfig, Principal: p.Principal(), Identity: p.Identity, Source: p.Source(),
		Allowed: true, Detail: "configuration " + cat.Digest,
	})
	if err != nil {
		return err
	}
	if err := e.store.Definitions.PutDefinitions(ctx, next.definitions()); err != nil {
		return err
	}
	if newest {
		err := e.store.Cluster.Activate(ctx, bellhop.Activation{Digest: cat.Digest, Server: e.server, At: e.clock.Now()})
		if err != nil {
			return err
		}
	}
	e.active.Store(next)
	e.knowHolds(ctx)
	return nil
}

// Browse makes the catalog the one that access is judged by, without writing
// anything: for a store that can only be read.
func (e *Engine) Browse(cat *bellhop.Catalog) { e.active.Store(newCatalog(cat)) }

// Start begins to look after what must happen without anybody's asking, until
// Stop: the leases of lost runners at once, and then every third of a lease;
// deadlines; and what is not to be kept any more.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.Reap(ctx); err != nil {
		return err
	}
	if err := e.store.Cluster.Beat(ctx, e.server, beatFor); err != nil {
		return err
	}
	ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.repeat(ctx, e.lease/3, "looking for lost runs", e.Reap)
	e.repeat(ctx, beatFor/3, "telling other servers of this one", e.beat)
	if e.audited {
		e.repeat(ctx, headEvery, "telling the log of the audit trail", e.tellHead)
	}
	e.stopped.Go(func() { e.expireLoop(ctx) })
	if e.only.Load() == nil {
		e.stopped.Go(func() { e.sweepLoop(ctx) })
	}
	return nil
}

// repeat does something every so often until ctx ends, for the first time
// after one pause.
func (e *Engine) repeat(ctx context.Context, every time.Duration, what string, do func(context.Context) error) {
	e.stopped.Go(func() {
		for e.sleep(ctx, every) {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				e.log.Warn(what, "error", err)
			}
		}
	})
}

// sleep waits, and reports whether ctx goes on.
func (e *Engine) sleep(ctx context.Context, d time.Duration) bool {
	tick, stop := e.clock.NewTimer(d)
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-tick:
		return ctx.Err() == nil
	}
}

// Stop ends what Start began, and gives up what this server had among others.
// It may be called twice.
func (e *Engine) Stop() {
	if e.stop == nil {
		e.stopped.Wait()
		return
	}
	e.stop()
	e.stopped.Wait()
	e.leading.Store(false)
	e.ticking.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := e.store.Cluster.Beat(ctx, e.server, 0); err != nil {
		e.log.Warn("telling other servers that this one is gone", "error", err) // they see it when its time is up
	}
}
