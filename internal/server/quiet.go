package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// quietFor is how long the same warning is not repeated.
const quietFor = time.Minute

// quiet is a log that does not repeat itself: while the store is away, every
// part of the server that looks into it again and again finds that out again
// and again. The driver says when the store goes, and when it is back.
type quiet struct {
	slog.Handler
	told *told
}

type told struct {
	mu   sync.Mutex
	last map[string]time.Time
	more map[string]int // warnings that were left out since
}

// quietLog returns a log that writes to another one.
func quietLog(to *slog.Logger) *slog.Logger {
	if to == nil {
		return nil
	}
	return slog.New(quiet{to.Handler(), &told{last: map[string]time.Time{}, more: map[string]int{}}})
}

// Handle leaves out a warning because of an Unavailable error that was given
// within the last minute.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level != slog.LevelWarn {
		return q.Handler.Handle(ctx, r)
	}
	key := ""
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && bellhop.CodeOf(err) == bellhop.Unavailable {
			key = r.Message + "\n" + err.Error()
		}
		return key == ""
	})
	if key == "" {
		return q.Handler.Handle(ctx, r)
	}
	q.told.mu.Lock()
	last, more := q.told.last[key], q.told.more[key]
	if again := !last.IsZero() && r.Time.Sub(last) < quietFor; again {
		q.told.more[key]++
		q.told.mu.Unlock()
		return nil
	}
	for old, at := range q.told.last { // so that there are never many
		if r.Time.Sub(at) >= 2*quietFor {
			delete(q.told.last, old)
			delete(q.told.more, old)
		}
	}
	q.told.last[key] = r.Time
	q.told.mu.Unlock()
	if more > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", more))
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs keeps the log quiet.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.told}
}

// WithGroup keeps the log quiet.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name), q.told} }
