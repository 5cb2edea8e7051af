package bellhop

import (
	"context"
	"time"
)

// Hold keeps runs from starting: a suppression window, or a pause. It delays
// and never drops; what runs already goes on.
type Hold struct {
	ID      int64     `json:"id"`
	Kind    HoldKind  `json:"kind"`
	Service string    `json:"service"`
	Job     string    `json:"job,omitempty"`  // "" = every job of the service
	Args    Args      `json:"args,omitempty"` // only runs that have these arguments
	From    time.Time `json:"from"`
	Until   time.Time `json:"until,omitzero"` // exclusive; zero = until somebody ends it
	By      string    `json:"by"`             // the principal who wanted it
	At      time.Time `json:"at"`             // when that was said
	// Ended is when somebody took it back, before Until; zero = nobody did.
	Ended   time.Time `json:"ended,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"`
}

// HoldKind tells windows from pauses.
type HoldKind string

// The kinds.
const (
	HoldSuppress HoldKind = "suppress"
	HoldPause    HoldKind = "pause"
)

// Covers reports whether the hold is about a run, at whatever time.
func (h Hold) Covers(service, job string, args Args) bool {
	return h.Service == service && (h.Job == "" || h.Job == job) && args.Contains(h.Args)
}

// Begun reports whether the hold has begun at the time. One that began as it
// was made has, whatever a clock shows: that of another server may be behind,
// and any may be set back.
func (h Hold) Begun(at time.Time) bool { return !h.From.After(h.At) || !at.Before(h.From) }

// Open reports whether the hold keeps runs back at the time.
func (h Hold) Open(at time.Time) bool { return h.Begun(at) && !h.Over(at) }

// Over reports whether the hold keeps nothing back any more from the time on.
func (h Hold) Over(at time.Time) bool {
	return !h.Ended.IsZero() || (!h.Until.IsZero() && !at.Before(h.Until))
}

// HoldFilter says which holds are meant. Zero fields don't narrow.
type HoldFilter struct {
	ID      int64
	Kind    HoldKind
	Service string
	Job     *string // "" = those of the whole service
	Args    Args    // those with exactly these; nil = any
	// Over: those that are over too, as long as they are kept.
	Over bool
}

// Holds keeps what keeps runs from starting. Queue.Claim obeys.
type Holds interface {
	// PutHold writes a hold and returns it with its ID; its Ended and EndedBy
	// are not used. The same key again changes nothing and returns the hold
	// that it made first; it is a Conflict when that was forgotten, or when the
	// key made something else.
	PutHold(ctx context.Context, key string, h Hold) (Hold, error)
	// EndHolds ends the holds that the filter means and that are not over at
	// now, and returns them. The same key again changes nothing and returns
	// the same holds, as they are then.
	EndHolds(ctx context.Context, key string, f HoldFilter, by string, now time.Time) ([]Hold, error)
	// Holds returns the holds that the filter means and that are not over at
	// now, by From, then ID.
	Holds(ctx context.Context, f HoldFilter, now time.Time) ([]Hold, error)
}
