// Package engine holds the use cases: authorise, submit, claim, extend,
// finish, cancel. All rules live here; it knows no SQL, HTTP, NATS or Slack.
package engine

import (
	"context"
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
	// Jitter returns a number in [0, 1) by which pauses are spread; nil = random.
	Jitter func() float64
}

// Engine is the one place where it is decided what may be done and what
// becomes of a run. It is safe for use by many goroutines.
type Engine struct {
	store *bellhop.Store
	bus   bellhop.Bus
	clock bellhop.Clock
	log   *slog.Logger
	lease time.Duration
	rand  func() float64

	active atomic.Pointer[catalog]
	only   atomic.Pointer[onlyRuns]

	defsMu sync.Mutex
	defs   map[string]bellhop.Job // by digest

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// catalog is an activated configuration with its digests at hand.
type catalog struct {
	*bellhop.Catalog
	digests map[string]string // "service/job" -> digest
}

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
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	e := &Engine{store: o.Store, bus: o.Bus, clock: o.Clock, log: o.Log, lease: o.Lease, rand: o.Jitter, defs: make(map[string]bellhop.Job)}
	e.active.Store(&catalog{Catalog: &bellhop.Catalog{}})
	return e
}

// Activate stores the catalog's definitions and makes it the one that new asks
// are judged by. Runs already written keep the definition they name.
func (e *Engine) Activate(ctx context.Context, cat *bellhop.Catalog) error {
	next := &catalog{Catalog: cat, digests: make(map[string]string)}
	var defs []bellhop.Definition
	for _, s := range cat.Services {
		for _, j := range s.Jobs {
			d := bellhop.Definition{Digest: j.Digest(), Job: j}
			defs = append(defs, d)
			next.digests[s.Name+"/"+j.Name] = d.Digest
		}
	}
	if err := e.store.Definitions.PutDefinitions(ctx, defs); err != nil {
		return err
	}
	e.active.Store(next)
	return nil
}

// Browse makes the catalog the one that access is judged by, without writing
// anything: for a store that can only be read.
func (e *Engine) Browse(cat *bellhop.Catalog) {
	e.active.Store(&catalog{Catalog: cat, digests: make(map[string]string)})
}

// Start begins to look after lost leases: at once, and then every third of a
// lease, until Stop.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.Reap(ctx); err != nil {
		return err
	}
	ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.stopped.Go(func() {
		for {
			tick, stop := e.clock.NewTimer(e.lease / 3)
			select {
			case <-ctx.Done():
				stop()
				return
			case <-tick:
			}
			if err := e.Reap(ctx); err != nil && ctx.Err() == nil {
				e.log.Warn("looking for lost runs", "error", err)
			}
		}
	})
	return nil
}

// Stop ends what Start began. It may be called twice.
func (e *Engine) Stop() {
	if e.stop != nil {
		e.stop()
	}
	e.stopped.Wait()
}

// definition returns a job's checked definition by its digest.
func (e *Engine) definition(ctx context.Context, digest string) (bellhop.Job, error) {
	e.defsMu.Lock()
	job, ok := e.defs[digest]
	e.defsMu.Unlock()
	if ok {
		return job, nil
	}
	job, err := e.store.Definitions.Definition(ctx, digest)
	if err != nil {
		return bellhop.Job{}, err
	}
	e.defsMu.Lock()
	defer e.defsMu.Unlock()
	if len(e.defs) > 10_000 { // reloaded very often: begin anew rather than grow
		clear(e.defs)
	}
	e.defs[digest] = job
	return job, nil
}
