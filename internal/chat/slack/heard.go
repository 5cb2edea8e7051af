package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// heard remembers what was handed over, so that what comes again, by another
// socket, as another kind of event or once more, is neither asked nor answered
// again. The House would not run it twice; but it would answer twice.
type heard struct {
	mu    sync.Mutex
	known map[string]*hearing
}

// hearing is one thing that was handed over, or is being.
type hearing struct {
	at    time.Time
	done  chan struct{} // closed when err is known
	err   error         // Unavailable: it may come again
	acted bool          // it came to something
}

const (
	// heardFor is how long it is remembered here, heardStored in the store.
	heardFor    = 10 * time.Minute
	heardStored = 7 * 24 * time.Hour
	maxHeard    = 100_000
)

// The two values that are stored.
const (
	markActed = "acted"
	markHeard = "heard"
)

// once calls fn unless the key was heard. What comes meanwhile waits for it.
func (c *Chat) once(ctx context.Context, key string, fn func(*hearing) error) error {
	h, mine := c.heard.begin(key, c.now())
	if !mine {
		select {
		case <-h.done:
			return h.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	before, err := c.mark(ctx, key)
	switch {
	case err != nil:
		h.err = err
	case before != "":
		h.acted = before == markActed
	default:
		h.err = fn(h)
	}
	if h.err != nil {
		c.heard.forget(key)
	}
	close(h.done)
	return h.err
}

func (l *heard) begin(key string, now time.Time) (h *hearing, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.known[key]; ok {
		return h, false
	}
	if len(l.known) >= maxHeard {
		for k, h := range l.known {
			if now.Sub(h.at) > heardFor {
				delete(l.known, k)
			}
		}
	}
	h = &hearing{at: now, done: make(chan struct{})}
	l.known[key] = h
	return h, true
}

func (l *heard) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, key)
}

// became notes that what has the key came to something.
func (l *heard) became(key string, now time.Time) {
	h := &hearing{at: now, done: make(chan struct{}), acted: true}
	close(h.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[key] = h
}

// acted reports whether what has the key came to something before.
func (c *Chat) acted(ctx context.Context, key string) (bool, error) {
	c.heard.mu.Lock()
	h, ok := c.heard.known[key]
	c.heard.mu.Unlock()
	if ok {
		select {
		case <-h.done:
			return h.acted, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	m, err := c.mark(ctx, key)
	return m == markActed, err
}

// mark returns what is stored of a key; "" = nothing.
func (c *Chat) mark(ctx context.Context, key string) (string, error) {
	v, err := c.opt.Values.Get(ctx, c.space(), markKey(key), c.now())
	switch {
	case bellhop.CodeOf(err) == bellhop.NotFound:
		return "", nil
	case err != nil:
		return "", bellhop.Errorf(bellhop.Unavailable, "the store is away: %w", err)
	}
	return string(v.Value), nil
}

// setMark stores that something was heard and answered.
func (c *Chat) setMark(key string, acted bool) {
	m := markHeard
	if acted {
		m = markActed
	}
	// A mark is late when the chat is stopped already, and worth it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), 5*time.Second)
	defer cancel()
	if _, err := c.opt.Values.Put(ctx, c.space(), markKey(key), []byte(m), -1, heardStored, c.now()); err != nil {
		c.opt.Log.Warn("that something was heard could not be written", "key", key, "error", err)
	}
}

// markKey is the key of a value, which is shorter than that of an event may
// be.
func markKey(key string) string {
	if len(key) > 150 {
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:])
	}
	return "heard/" + key
}
