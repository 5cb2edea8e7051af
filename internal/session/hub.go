// Package session delivers reports to people who are connected: over SSH, at
// the console, by `ask`. Such an origin ends with its connection, and what it
// has not read by then stays unread for the person.
package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

// settle is how long after the start of a server a session of its former life
// may take to come back, before its reports are shown to other sessions of the
// same person.
const settle = 30 * time.Second

// Hub knows the connected sessions. It is the Destination of every source
// whose origins are sessions.
type Hub struct {
	clock   bellhop.Clock
	started time.Time

	mu   sync.Mutex
	live map[string]*Session
	seen map[string]bool // sessions attached since the start, until settled
}

// New returns a hub without sessions.
func New(clock bellhop.Clock) *Hub {
	return &Hub{clock: clock, started: clock.Now(), live: make(map[string]*Session), seen: make(map[string]bool)}
}

// Session is one connection that takes reports.
type Session struct {
	hub  *Hub
	id   string
	in   chan Delivery
	gone chan struct{}
	once sync.Once
}

// Delivery is a report and the answer that is waited for: true when it was
// read. Read returns false when nobody waits for the answer any more: whoever
// has read the report then writes that down.
type Delivery struct {
	Report bellhop.Report
	Read   func(bool) bool
}

// Attach makes the session with that id live. A session that was attached
// under the same id before has ended.
func (h *Hub) Attach(id string) *Session {
	s := &Session{hub: h, id: id, in: make(chan Delivery), gone: make(chan struct{})}
	h.mu.Lock()
	old := h.live[id]
	h.live[id] = s
	if h.settled() {
		h.seen = nil
	} else {
		h.seen[id] = true
	}
	h.mu.Unlock()
	if old != nil {
		old.Close()
	}
	return s
}

// Ended reports whether the session with that id is over, so that others may
// read what it has not.
func (h *Hub) Ended(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[id] == nil && (h.settled() || h.seen[id])
}

func (h *Hub) settled() bool { return h.clock.Now().Sub(h.started) >= settle }

// Here reports whether an origin's session is connected.
func (h *Hub) Here(o bellhop.Origin) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[o.Session] != nil
}

// Deliver hands a report to its session and waits until it is read. It returns
// ErrGone when the session is not here, or ends first.
func (h *Hub) Deliver(ctx context.Context, r bellhop.Report) (string, error) {
	h.mu.Lock()
	s := h.live[r.Ask.Origin.Session]
	h.mu.Unlock()
	if s == nil {
		return "", bellhop.ErrGone
	}
	read := make(chan bool, 1)
	var over atomic.Bool // answered, or not waited for any more
	d := Delivery{Report: r, Read: func(ok bool) bool {
		if !over.CompareAndSwap(false, true) {
			return false
		}
		read <- ok
		return true
	}}
	select {
	case s.in <- d:
	case <-s.gone:
		return "", bellhop.ErrGone
	case <-ctx.Done():
		return "", ctx.Err()
	}
	var end error
	select {
	case ok := <-read:
		return "", unread(ok)
	case <-s.gone:
		end = bellhop.ErrGone
	case <-ctx.Done():
		end = ctx.Err()
	}
	if over.CompareAndSwap(false, true) {
		return "", end
	}
	return "", unread(<-read) // it was read, and then the connection ended
}

func unread(read bool) error {
	if read {
		return nil
	}
	return bellhop.ErrGone
}

// Next waits for a report. It returns ErrGone when the session was closed.
func (s *Session) Next(ctx context.Context) (Delivery, error) {
	select {
	case d := <-s.in:
		return d, nil
	case <-s.gone:
		return Delivery{}, bellhop.ErrGone
	case <-ctx.Done():
		return Delivery{}, ctx.Err()
	}
}

// Close ends the session. It may be called twice.
func (s *Session) Close() {
	s.once.Do(func() {
		s.hub.mu.Lock()
		if s.hub.live[s.id] == s {
			delete(s.hub.live, s.id)
		}
		s.hub.mu.Unlock()
		close(s.gone)
	})
}
