package conversation

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Stage is a front end with a server behind, on which one script is run. A
// runner calls one method at a time.
type Stage interface {
	// Name is what [conditions] in scripts know it by: console, ssh, slack.
	Name() string
	// Reactions says whether reactions are seen here. Where they are not, those
	// that a script wants are left out.
	Reactions() bool
	// Say says a text. It returns when that was heard, and what it brings about
	// is written down; the answer may come later.
	Say(ctx context.Context, v Voice, text string) error
	// Next returns the next line that came to v, in order, and waits for it
	// until ctx ends. To a Voice of a channel comes what everybody there sees,
	// whoever is named.
	Next(ctx context.Context, v Voice) (Line, error)
	House
}

// House is what is behind a Stage.
type House interface {
	// Fake makes a job do what its step says. The error is for people.
	Fake(s Step) error
	// Move moves the clock on.
	Move(d time.Duration) error
	// SetClock sets it, before anybody speaks, to a time in the configured zone.
	SetClock(text string) error
	// Settle returns when nothing more will come unless somebody speaks or the
	// clock moves: all is answered, nothing works that could end by itself, and
	// every line that was told is with Next.
	Settle(ctx context.Context) error
	// Pending says, a line for each run that has not ended, what it waits for;
	// and what went wrong that the conversation may not show.
	Pending() (waits, faults []string)
}

// Inbox keeps the lines that came to one Voice.
type Inbox struct {
	mu    sync.Mutex
	lines []Line
	more  chan struct{} // closed when a line comes
}

// Add puts a line behind the others.
func (i *Inbox) Add(l Line) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lines = append(i.lines, l)
	if i.more != nil {
		close(i.more)
		i.more = nil
	}
}

// Next takes the next line, or waits for one until ctx ends.
func (i *Inbox) Next(ctx context.Context) (Line, error) {
	for {
		i.mu.Lock()
		if len(i.lines) > 0 {
			l := i.lines[0]
			i.lines = slices.Delete(i.lines, 0, 1)
			i.mu.Unlock()
			return l, nil
		}
		if i.more == nil {
			i.more = make(chan struct{})
		}
		more := i.more
		i.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return Line{}, ctx.Err()
		}
	}
}
