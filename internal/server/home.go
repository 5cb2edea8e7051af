package server

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Health tells how this server and what it reaches outside are, to internal
// people: else NotAllowed. Of brokers, those that ask for jobs that the person
// may have done.
func (f front) Health(ctx context.Context, p bellhop.Person) (h bellhop.Health, err error) {
	s := f.s
	admin := s.engine.Manages(ctx, p)
	if who := s.engine.Identify(p); !who.Internal && !admin {
		return h, bellhop.Errorf(bellhop.NotAllowed, "how the server is, is for internal people, not for %s", who.Principal())
	}
	sees := s.sees(ctx, p)
	add := func(name string, err error) {
		part := bellhop.Part{Name: name, Up: err == nil}
		if err != nil && admin {
			part.Error = err.Error()
		}
		h.Parts = append(h.Parts, part)
	}
	for _, c := range s.checks(ctx) {
		if sees.Adapter(c.Name) {
			add(c.Name, c.Err)
		}
	}
	for name, own := range s.sshs {
		var err error
		if own.Addr() == nil {
			err = bellhop.Errorf(bellhop.Unavailable, "it does not listen")
		}
		add(name, err)
	}
	slices.SortStableFunc(h.Parts, func(a, b bellhop.Part) int { return cmp.Compare(a.Name, b.Name) })
	h.Working, h.Slots = len(s.runner.Working()), s.runner.Slots
	h.Servers, err = s.store.Cluster.Alive(ctx)
	return h, err
}

// linkWait is how long a chat may take to say where a message is.
const linkWait = 2 * time.Second

// Links are kept for linkFor, so that a page that is looked at doesn't ask the
// chat each time it changes; at most maxLinks of them.
const (
	linkFor  = 10 * time.Minute
	maxLinks = 1000
)

// links are those that chats have told.
type links struct {
	mu sync.Mutex
	by map[bellhop.Origin]toldLink
}

type toldLink struct {
	link string
	at   time.Time
}

// Link returns a link to the message by which a run was asked for, "" where
// there is none, or the chat does not say. Whoever is given it may see the run.
func (f front) Link(ctx context.Context, o bellhop.Origin) string {
	own := f.s.slacks[o.Source]
	if own == nil {
		return ""
	}
	l, now := &f.s.links, f.s.clock.Now()
	l.mu.Lock()
	told, known := l.by[o]
	l.mu.Unlock()
	if known && now.Sub(told.at).Abs() < linkFor {
		return told.link
	}
	ctx, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	told = toldLink{own.Link(ctx, o), now}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil || len(l.by) >= maxLinks {
		l.by = make(map[bellhop.Origin]toldLink)
	}
	l.by[o] = told
	return told.link
}

// Schedules are those that a person may see, the one whose tick comes next
// first.
func (f front) Schedules(ctx context.Context, p bellhop.Person) ([]bellhop.ScheduleState, error) {
	states, err := f.s.scheduleStates(ctx, p)
	next := func(s *bellhop.ScheduleState) time.Time {
		if len(s.Next) == 0 || s.Paused {
			return time.Unix(1<<40, 0)
		}
		return s.Next[0]
	}
	slices.SortStableFunc(states, func(a, b bellhop.ScheduleState) int { return next(&a).Compare(next(&b)) })
	return states, err
}
