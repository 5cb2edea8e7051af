package chat

import (
	"context"
	"sync"

	"github.com/bellhop-io/bellhop"
)

// OutputSource is where a run's output is read: a Desk, or a store without a
// server.
type OutputSource interface {
	// Output calls fn for each piece of a run's output in order, as Desk has it.
	Output(ctx context.Context, run bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error
}

// CopyOutput writes a run's output, stdout to opt.Out and stderr to opt.Err.
// Terminals are given what is safe for them, anything else the bytes as they
// are.
func CopyOutput(ctx context.Context, opt Options, from OutputSource, id bellhop.RunID, follow bool) error {
	out, err := opt.ports()
	r := newReader(out, err)
	r.again = func() { _ = err.say(Style{Color: err.terminal && err.color}.again(id)) }
	return r.read(ctx, from, id, follow)
}

// Outlets returns where outcomes are written that no conversation waits for.
// What goes to a terminal is made safe for it.
func (o Options) Outlets(s Style) Outlets {
	out, err := o.ports()
	return Outlets{Out: out, Failures: out, Notes: err, Style: s}
}

func (o Options) ports() (out, err *port) {
	mu := &sync.Mutex{}
	return &port{mu: mu, w: o.Out, terminal: o.OutTerminal, color: o.Color},
		&port{mu: mu, w: o.Err, terminal: o.ErrTerminal, color: o.Color}
}
