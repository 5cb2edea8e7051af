package broker

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// State is how a broker is doing.
type State struct {
	Name string // its principal
	Err  error  // why no messages are taken; nil = they are
	// Since is when Err began, whatever it was first.
	Since time.Time
}

// Set has a consumer for each broker of the active configuration.
type Set struct {
	make func(bellhop.Broker) *Consumer

	follow sync.Mutex // one at a time
	mu     sync.Mutex
	order  []string // principals
	by     map[string]*Consumer
	ended  bool
}

// NewSet returns an empty set, whose consumers are made by a function.
func NewSet(make func(bellhop.Broker) *Consumer) *Set {
	return &Set{make: make, by: map[string]*Consumer{}}
}

// Follow starts what is new among brokers, stops what is not there any more,
// and starts anew what has changed or was stopped by an invalid message.
func (s *Set) Follow(ctx context.Context, brokers []bellhop.Broker) {
	s.follow.Lock()
	defer s.follow.Unlock()
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	next, order := map[string]*Consumer{}, make([]string, 0, len(brokers))
	var fresh, old []*Consumer
	for _, b := range brokers {
		name := b.Principal()
		c := s.by[name]
		if c == nil || c.Halted() || !same(c.opt.Broker, b) {
			c = s.make(b)
			fresh = append(fresh, c)
		}
		next[name], order = c, append(order, name)
	}
	for name, c := range s.by {
		if next[name] != c {
			old = append(old, c)
		}
	}
	s.by, s.order = next, order
	s.mu.Unlock()
	stopAll(old)
	for _, c := range fresh {
		c.Start(ctx)
	}
}

// Stop stops all. It may be called twice.
func (s *Set) Stop() {
	s.follow.Lock()
	defer s.follow.Unlock()
	s.mu.Lock()
	s.ended = true
	var all []*Consumer
	for _, c := range s.by {
		all = append(all, c)
	}
	s.mu.Unlock()
	stopAll(all)
}

// States are in the order of the configuration.
func (s *Set) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]State, len(s.order))
	for i, name := range s.order {
		all[i] = s.by[name].state()
	}
	return all
}

func stopAll(all []*Consumer) {
	var wait sync.WaitGroup
	for _, c := range all {
		wait.Go(c.Stop)
	}
	wait.Wait()
}

// same reports whether brokers do the same, wherever they stand.
func same(a, b bellhop.Broker) bool {
	a.Pos, b.Pos = bellhop.Position{}, bellhop.Position{}
	return reflect.DeepEqual(a, b)
}
