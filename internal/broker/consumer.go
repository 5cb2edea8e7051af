// Package broker makes runs of the messages that brokers deliver: it judges
// them, asks for what they want, and acknowledges them when that is written
// down. It knows brokers by the port Subscription alone.
package broker

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// firstPause and longestPause bound how long it takes until what is away is
	// tried again; the pause doubles each time.
	firstPause   = 250 * time.Millisecond
	longestPause = 30 * time.Second
	// settleTime is how long a broker may take to settle messages, and stopTime
	// how long a store may take to write down what it was given before the stop.
	settleTime = 10 * time.Second
	stopTime   = 5 * time.Second
)

// House is Bellhop as brokers see it.
type House interface {
	// Take asks for the runs that messages want, each under its key: the same
	// key again is the same run. There is an error for each; nil, and Conflict,
	// say that it is written down or need not be, Unavailable and Internal that
	// it may be later.
	Take(ctx context.Context, b *bellhop.Broker, wants []bellhop.Invocation) []error
}

// Options are what a Consumer is made of.
type Options struct {
	Broker    bellhop.Broker
	Member    string // the name of this server among those that share the messages
	Subscribe bellhop.Subscribe
	House     House
	Clock     bellhop.Clock  // nil = the machine's
	Log       *slog.Logger   // nil = discarded
	Random    func() float64 // 0 to 1, for pauses; nil = by chance
	// Longest is how long a pause becomes; 0 = 30 s.
	Longest time.Duration
}

// Consumer takes the messages of one broker. It connects again, for ever, when
// the broker goes away, with growing pauses.
type Consumer struct {
	opt  Options
	stop context.CancelFunc
	loop sync.WaitGroup

	mu     sync.Mutex
	fault  error // why nothing is taken just now
	since  time.Time
	halted bool      // on_invalid: stop
	toldAt time.Time // when the log had an invalid message
	untold int       // how many it did not have since
	warned bool      // that messages have nothing to know them by
}

// New returns a consumer that is not started.
func New(o Options) *Consumer {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Longest <= 0 {
		o.Longest = longestPause
	}
	o.Log = o.Log.With("broker", o.Broker.Principal(), "address", o.Broker.Address)
	return &Consumer{opt: o, fault: bellhop.Errorf(bellhop.Unavailable, "not connected yet"), since: o.Clock.Now()}
}

// Start begins to take messages. A broker that is away is no error.
func (c *Consumer) Start(ctx context.Context) {
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.loop.Go(func() { c.run(ctx) })
}

// Stop ends that: what is being written down is, and what else was taken goes
// back. It may be called twice.
func (c *Consumer) Stop() {
	if c.stop != nil {
		c.stop()
	}
	c.loop.Wait()
}

// Ready says why no messages are taken; nil = they are.
func (c *Consumer) Ready() error { return c.state().Err }

func (c *Consumer) state() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := State{Name: c.opt.Broker.Principal(), Err: c.fault}
	if s.Err != nil {
		s.Since = c.since
	}
	return s
}

// Halted reports whether an invalid message has stopped it.
func (c *Consumer) Halted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.halted
}

// halt is the error of an invalid message that is to stop everything.
type halt struct{ err error }

func (h halt) Error() string { return h.err.Error() }

// stuck is the error of an invalid message that can't be put aside. What is
// wrong with it quotes the message, so that is not a part of what it says.
type stuck struct{ fault, err error }

func (s stuck) Error() string { return "an invalid message can't be put aside: " + s.err.Error() }

// run has one subscription after the other.
func (c *Consumer) run(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		worked, err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if h, ok := errors.AsType[halt](err); ok {
			c.mu.Lock()
			c.halted = true
			c.mu.Unlock()
			c.ill(slog.LevelError, bellhop.Errorf(bellhop.Invalid, "it was stopped by an invalid message, which is still there (on_invalid: stop); the log says what is wrong with it"), "message", h.err)
			<-ctx.Done()
			return
		}
		if worked {
			attempt = 0
		}
		var about []any
		if s, ok := errors.AsType[stuck](err); ok {
			about = []any{"message", s.fault}
		}
		c.ill(slog.LevelWarn, bellhop.Errorf(bellhop.Unavailable, "%w; it is tried again", err), about...)
		if c.pause(ctx, c.after(attempt)) != nil {
			return
		}
	}
}

// session takes messages until the broker is gone. worked says that some were
// settled, so that the next failure is the first one again.
func (c *Consumer) session(ctx context.Context) (worked bool, err error) {
	sub, err := c.opt.Subscribe(ctx, &c.opt.Broker, c.opt.Member)
	if err != nil {
		return false, err
	}
	defer sub.Close()
	c.well()
	for {
		ms, err := sub.Receive(ctx, c.opt.Broker.MaxInFlight)
		if err != nil {
			return worked, err
		}
		if err := c.handle(ctx, sub, ms); err != nil {
			return worked, err
		}
		worked = true
	}
}

func (c *Consumer) after(failures int) time.Duration {
	return min(Pause(failures, c.opt.Random()), c.opt.Longest)
}

// Pause is how long to wait after so many failures in a row, 0 being the first:
// twice as long each time, from half of that to all of it, as random (0 to 1)
// says, so that servers do not come back all at once.
func Pause(failures int, random float64) time.Duration {
	d := longestPause
	if failures < 16 {
		d = min(d, firstPause<<failures)
	}
	return d/2 + time.Duration(random*float64(d/2))
}

func (c *Consumer) pause(ctx context.Context, d time.Duration) error {
	timer, stop := c.opt.Clock.NewTimer(d)
	defer stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer:
		return nil
	}
}

// ill notes why nothing is taken, which everybody may be told. The log has it
// once, not at every attempt, with what else there is to say about it.
func (c *Consumer) ill(level slog.Level, err error, about ...any) {
	c.mu.Lock()
	before := c.fault
	c.fault = err
	if before == nil {
		c.since = c.opt.Clock.Now()
	}
	c.mu.Unlock()
	if before == nil || before.Error() != err.Error() {
		c.opt.Log.Log(context.Background(), level, "no messages are taken from the broker", append([]any{"error", err}, about...)...)
	}
}

func (c *Consumer) well() {
	c.mu.Lock()
	before := c.fault
	c.fault = nil
	c.mu.Unlock()
	if before != nil {
		c.opt.Log.Info("messages are taken from the broker")
	}
}
