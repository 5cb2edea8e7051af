// Package chat is what all text front ends share: the desk that they speak to,
// the conversation that a person has with it, and the words in which answers
// and reports are told.
package chat

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// Desk is Bellhop as one connection of one person sees it. There are two: the
// server's own (SSH), and a client of the control socket (console, ask).
//
// A Desk belongs to one session. Errors are *bellhop.Error where the asker is
// to be told something; a Desk over a socket waits and reconnects by itself
// until ctx ends, so an error of it is final.
type Desk interface {
	// Ask hands over one line. The same key is the same invocation, however
	// often it is handed over. It returns after what it says is durable.
	// "why RUN" is answered with the run's record.
	Ask(ctx context.Context, key, text string) (bellhop.Answer, error)
	// Output calls fn for each piece of a run's output in order, from the
	// beginning. With follow it goes on until the run has ended; without, it
	// returns at the end of what there is. An error of fn ends it.
	Output(ctx context.Context, run bellhop.RunID, follow bool, fn func(bellhop.Chunk) error) error
	// Reports calls fn for each report to this session until ctx ends. When fn
	// returns nil, the report has been read, even if ctx has ended meanwhile;
	// otherwise, or when the connection ends first, it stays unread for the
	// person. A report may come twice,
	// with the same ID.
	Reports(ctx context.Context, fn func(bellhop.Report) error) error
	// Unread calls fn for each report to this person that no connection has
	// read, oldest first, with the same meaning of its result.
	Unread(ctx context.Context, fn func(bellhop.Report) error) error
	// Cancel ends one run, as `cancel RUN` does.
	Cancel(ctx context.Context, run bellhop.RunID) ([]bellhop.CancelledRun, error)
	// Complete returns the whole words that may stand in place of the last,
	// maybe empty, word of line.
	Complete(ctx context.Context, line string) ([]string, error)
}
