// Package runner claims runs, hands them to executors, keeps their leases and
// stores their output. It reaches the engine only through bellhop.Dispatcher,
// so that the same runner can work on another machine.
package runner

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// poll is how often a runner looks for work without having been told, at
// least; at most pollSpread sooner, so that servers that were told of something
// at the same time do not go on looking at the same time.
const (
	poll       = time.Second
	pollSpread = poll / 4
)

// Guard ends attempts that this process can't end any more: the watchdog.
type Guard interface {
	// Guard begins to watch an attempt: unless extended, it is ended some time
	// before until.
	Guard(run bellhop.RunID, lease int64, handle string, until time.Time)
	// Extend moves the end of a lease.
	Extend(run bellhop.RunID, lease int64, until time.Time)
	// Release ends the watch.
	Release(run bellhop.RunID, lease int64)
	// Settle returns when Crashed was told of all that the guard has ended so
	// far.
	Settle()
}

// Options are what a Runner is made of. Name, Dispatcher, Executors and Bus are
// needed.
type Options struct {
	Name       string
	Dispatcher bellhop.Dispatcher
	Executors  map[string]bellhop.Executor // by Job.Executor
	Bus        bellhop.Bus
	Clock      bellhop.Clock // nil = the machine's
	Log        *slog.Logger  // nil = discarded
	Slots      int           // runs at a time; 0 = 16
	Guard      Guard         // nil = none
	// Jitter returns a number in [0, 1) by which looks for work are spread; nil =
	// random.
	Jitter func() float64
	// Hidden returns values that are masked in what comes of every attempt,
	// besides the secrets of its own job; nil = none.
	Hidden func() []string
}

// Runner works runs in up to Slots slots.
type Runner struct {
	Options

	wake   chan struct{} // a slot became free
	hear   chan struct{} // a cancellation came while runs were being claimed
	leave  chan struct{} // closed when what can't be written is left to the next server
	cancel context.CancelFunc
	loops  sync.WaitGroup
	works  sync.WaitGroup // attempts, and claims under way

	mu       sync.Mutex
	attempts map[lease]*attempt
	latest   map[bellhop.RunID]*attempt // of attempts, the one that began last
	busy     int                        // slots that are taken; an attempt whose end is being written takes none
	more     bool                       // the last look may have left something: a slot that becomes free is a reason to look
	claiming bool                       // runs are being claimed
	missed   bool                       // a cancellation came meanwhile
	closed   bool                       // claims no more
	over     bool                       // leave is closed: what runs is interrupted
}

// lease is what tells attempts apart.
type lease struct {
	run bellhop.RunID
	n   int64
}

// New returns a runner that is not started.
func New(o Options) *Runner {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Slots == 0 {
		o.Slots = 16
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return &Runner{
		Options: o, wake: make(chan struct{}, 1), hear: make(chan struct{}, 1), leave: make(chan struct{}),
		attempts: make(map[lease]*attempt), latest: make(map[bellhop.RunID]*attempt), more: true,
	}
}

// Start begins to claim, unless it was stopped before.
func (r *Runner) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.loops.Go(func() { r.claimLoop(ctx) })
	r.loops.Go(func() { r.extendLoop(ctx) })
	return nil
}

// StopClaiming lets running attempts go on and claims no more. It may be
// called twice.
func (r *Runner) StopClaiming() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
}

// Working returns the runs that are being worked.
func (r *Runner) Working() []bellhop.RunID {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]bellhop.RunID, 0, len(r.attempts))
	for l := range r.attempts {
		ids = append(ids, l.run)
	}
	return ids
}

// Stop claims no more, waits until ctx ends for what is running, interrupts the
// rest and returns when nothing is left. It may be called twice.
func (r *Runner) Stop(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	cancel := r.cancel
	r.mu.Unlock()
	if cancel == nil {
		return
	}
	done := make(chan struct{})
	go func() { r.works.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		r.interrupt()
		<-done
	}
	cancel()
	r.loops.Wait()
}

// interrupt ends what runs, and what is being claimed as soon as it begins.
func (r *Runner) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.over = true
	close(r.leave)
	for _, a := range r.attempts {
		a.interrupt()
	}
}

// nudge leaves a wake-up in a channel that has room for one.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// reserve returns how many more runs may be claimed: as many as there are free
// slots, and while ends can't be written, no more than one for each slot waits
// for that. Unless it is 0, Stop waits until claimed is called.
func (r *Runner) reserve() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.more = true // until the store has said that there is nothing
	n := min(r.Slots-r.busy, 2*r.Slots-len(r.attempts))
	if r.closed || n <= 0 {
		return 0
	}
	r.claiming = true
	r.works.Add(1)
	return n
}

// claimed ends a claim, after its runs have begun.
func (r *Runner) claimed(more bool) {
	r.mu.Lock()
	r.more = more
	if r.missed {
		nudge(r.hear)
	}
	r.claiming, r.missed = false, false
	r.mu.Unlock()
	r.works.Done()
}

func (r *Runner) claimLoop(ctx context.Context) {
	work, end := r.Bus.Subscribe(bellhop.TopicQueue)
	defer end()
	for {
		next := r.claim(ctx)
		wait := poll - time.Duration(r.Jitter()*float64(pollSpread))
		if !next.IsZero() {
			wait = min(wait, max(0, next.Sub(r.Clock.Now())))
		}
		timer, stop := r.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-work:
		case <-r.wake:
		case <-timer:
		}
		stop()
		// One claim for all that ends at this moment, not one for the first and
		// another for the rest.
		runtime.Gosched()
	}
}

// claim fills the free slots. It returns when to look again at the latest.
func (r *Runner) claim(ctx context.Context) (next time.Time) {
	n := r.reserve()
	if n == 0 {
		return time.Time{}
	}
	more := true
	defer func() { r.claimed(more) }()
	asked := r.Clock.Now() // the lease runs at the latest from here
	claims, next, err := r.Dispatcher.Claim(ctx, r.Name, n)
	if err != nil {
		if ctx.Err() == nil {
			r.Log.Warn("claiming", "error", err)
		}
		return time.Time{}
	}
	for _, c := range claims {
		r.begin(c, asked.Add(c.Lease))
	}
	more = len(claims) == n
	return next
}
