// Package bench measures the real thing: invocations go through the engine
// into a store of their own, each with its record in the audit trail, and the
// real runner works them. It prints one
// JSON line per measurement, with the keys of the harness that measures other
// job libraries, so that the two can stand beside each other.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Place is a store that was made for measuring.
type Place struct {
	Store *bellhop.Store
	Bus   bellhop.Bus // that goes with the store; nil = within the process
	Sync  string      // what makes a commit durable, for the reader: "sqlite, WAL, synchronous=FULL"
	// Remove closes the store and takes away all that it left. It is called
	// once, also after an interruption.
	Remove func(ctx context.Context) error
}

// Opener makes an empty store at url. It never gives one that somebody uses,
// and leaves nothing when it fails.
type Opener func(ctx context.Context, url string) (*Place, error)

// Options say what to measure. Open and Out are needed. A shape whose number
// is 0 is left out.
type Options struct {
	URL  string
	Open Opener

	Submit   int // submits, by Callers at a time
	Callers  int
	Work     int           // runs that do nothing, worked in Slots slots
	Slots    int           //
	Rate     int           // submits a second for a time of For
	For      time.Duration //
	Exec     int           // runs of Argv, Parallel at a time
	Parallel int           //
	Argv     []string      //
	History  int           // finished runs that the store is filled with first
	// Unaudited leaves out the audit trail, which a server never does, to see
	// what it costs.
	Unaudited bool

	// Watchdog starts the process that ends what a killed bench would leave;
	// nil = this program with the argument "watchdog".
	Watchdog []string
	Out      io.Writer    // takes the lines
	Progress io.Writer    // takes what people may read meanwhile; nil = nobody
	Log      *slog.Logger // nil = discarded
}

// Line is one measurement. Rate is operations a second; percentiles are in
// milliseconds, and 0 where the shape has none.
type Line struct {
	Peer  string  `json:"peer"`
	Shape string  `json:"shape"` // submit, work, latency, exec, history or claim
	N     int     `json:"n"`
	Rate  float64 `json:"rate_per_s"`
	P50   float64 `json:"p50_ms,omitempty"`
	P95   float64 `json:"p95_ms,omitempty"`
	P99   float64 `json:"p99_ms,omitempty"`
	Note  string  `json:"note,omitempty"`
}

// Run measures, prints, and removes the store, whatever happens. When ctx ends
// first, the error is ctx.Err().
func Run(ctx context.Context, o Options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	place, err := o.Open(ctx, o.URL)
	if err != nil {
		return err
	}
	defer func() {
		if gone := place.Remove(context.WithoutCancel(ctx)); gone != nil {
			err = errors.Join(err, bellhop.Errorf(bellhop.Unavailable, "what was measured could not be removed; remove it by hand: %w", gone))
		}
	}()
	h, err := newHouse(ctx, o, place)
	if err != nil {
		return err
	}
	defer h.close()
	for _, shape := range []func(context.Context) error{h.history, h.submits, h.works, h.latencies, h.execs} {
		if err := shape(ctx); ctx.Err() != nil { // what else went wrong then is its consequence
			return ctx.Err()
		} else if err != nil {
			return err
		}
	}
	return nil
}

// check refuses what can't be measured. The words are the command line's.
func (o *Options) check() error {
	bad := func(format string, args ...any) error { return bellhop.Errorf(bellhop.Invalid, format, args...) }
	switch {
	case o.Submit+o.Work+o.Rate+o.Exec+o.History == 0:
		return bad("there is nothing to measure; name --submit, --work, --latency, --exec or --history")
	case o.Submit > 0 && o.Callers < 1:
		return bad("--callers is %d; at least one must submit", o.Callers)
	case o.Work > 0 && o.Slots < 1, o.Rate > 0 && o.Slots < 1:
		return bad("--slots is %d; at least one run must have a place", o.Slots)
	case o.Rate > 0 && o.For < time.Second:
		return bad("--for is %s; latency is measured for a second at least", o.For)
	case o.Exec > 0 && o.Parallel < 1:
		return bad("--parallel is %d; at least one command must run at a time", o.Parallel)
	case o.Exec > 0 && len(o.Argv) == 0:
		return bad("--exec needs a command after --, such as: -- sh -c 'echo hello'")
	case o.Exec == 0 && len(o.Argv) > 0:
		return bad("the command %.40q has no --exec N that says how often it is run", o.Argv[0])
	}
	return nil
}

// print writes a line.
func (h *house) print(l Line) error {
	l.Rate = rounded(l.Rate, 1)
	for _, ms := range []*float64{&l.P50, &l.P95, &l.P99} {
		*ms = rounded(*ms, 3)
	}
	l.Peer = "bellhop"
	l.Note = h.place.Sync + "; " + l.Note
	if h.o.Unaudited {
		l.Note += "; without the audit trail"
	}
	return json.NewEncoder(h.o.Out).Encode(l)
}

// tell lets people know what goes on.
func (h *house) tell(format string, args ...any) {
	fmt.Fprintf(h.o.Progress, format+"\n", args...)
}

// perSecond is how often something that happened n times did within a time.
func perSecond(n int, took time.Duration) float64 {
	return float64(n) / max(took, time.Microsecond).Seconds()
}

// spread sets the percentiles of a line.
func (l *Line) spread(took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(p float64) float64 {
		d := took[min(len(took)-1, int(p*float64(len(took))))]
		return float64(d.Microseconds()) / 1000
	}
	l.P50, l.P95, l.P99 = at(.5), at(.95), at(.99)
}

// rounded keeps as many decimals as mean something.
func rounded(x float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(x*unit) / unit
}
