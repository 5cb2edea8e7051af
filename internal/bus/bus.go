// Package bus holds the drivers of the Bus port. So far there is one here,
// within the process.
package bus

import (
	"sync"
)

// Local is the bus within one process. Its zero value is ready to use.
type Local struct {
	mu   sync.RWMutex // of the map; those who publish don't wait for each other
	subs map[string]map[chan struct{}]struct{}
}

// Publish wakes the subscribers of topic; one that has a wake-up waiting
// already keeps that one.
func (b *Local) Publish(topic string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for c := range b.subs[topic] {
		if len(c) > 0 { // as is the rule under load; cheaper than a select
			continue
		}
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Subscribe returns a channel with room for one wake-up, and its end.
func (b *Local) Subscribe(topic string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = make(map[string]map[chan struct{}]struct{})
	}
	if b.subs[topic] == nil {
		b.subs[topic] = make(map[chan struct{}]struct{})
	}
	b.subs[topic][c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs[topic], c)
		if len(b.subs[topic]) == 0 {
			delete(b.subs, topic)
		}
	}
}
