package server

import (
	"cmp"
	"context"
	"slices"
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

// Link returns a link to the message by which a run was asked for, "" where
// there is none, or the chat does not say. Whoever is given it may see the run.
func (f front) Link(ctx context.Context, o bellhop.Origin) string {
	own := f.s.slacks[o.Source]
	if own == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	return own.Link(ctx, o)
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
