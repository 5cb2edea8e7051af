package slack

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// seen knows, for each channel, up to where all that was said was heard.
type seen struct {
	mu     sync.Mutex
	places map[string]*cursor
	gaps   int // so far
}

// cursor is where hearing a channel stands. Time stamps of Slack sort as texts.
type cursor struct {
	seen  string          // all up to here was heard
	last  string          // the latest that was heard
	open  map[string]bool // being heard, or to be heard again
	saved string
	// held: there was a gap that is not read yet, so what is heard now does not
	// tell that all before was.
	held bool
}

// hold notes that nothing may have been heard for a while.
func (s *seen) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps++
	for _, p := range s.places {
		p.held = true
	}
}

// gap is the number of the latest gap.
func (s *seen) gap() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gaps
}

// begin notes that a message is being heard.
func (s *seen) begin(channel, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(channel).open[ts] = true
}

// end notes that a message was heard; without ok, it is to be heard again.
func (s *seen) end(channel, ts string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.at(channel)
	if !ok {
		return
	}
	delete(p.open, ts)
	p.last = max(p.last, ts)
	p.move()
}

func (s *seen) at(channel string) *cursor {
	p := s.places[channel]
	if p == nil {
		p = &cursor{open: make(map[string]bool)}
		s.places[channel] = p
	}
	return p
}

// move sets the cursor to the latest message before which none is open.
func (p *cursor) move() {
	if p.held {
		return
	}
	to := p.last
	for ts := range p.open {
		if before := stampOf(stamp(ts).Add(-time.Microsecond)); before < to {
			to = before
		}
	}
	p.seen = max(p.seen, to)
}

// from returns where a channel is to be read from; "" = it was never heard.
func (s *seen) from(channel string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(channel).seen
}

// reached notes that a channel was read up to a time stamp, and all of it was
// heard. gap is the latest one when reading began: what opened meanwhile is not
// read yet.
func (s *seen) reached(channel, ts string, gap int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.at(channel)
	for open := range p.open { // what failed before, and was heard again since
		if open <= ts {
			delete(p.open, open)
		}
	}
	p.held = p.held && gap != s.gaps
	p.last = max(p.last, ts)
	p.move()
}

// changed returns what is to be stored.
func (s *seen) changed() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make(map[string]string)
	for channel, p := range s.places {
		if p.seen != p.saved && p.seen != "" {
			list[channel] = p.seen
		}
	}
	return list
}

func (s *seen) stored(list map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, ts := range list {
		s.at(channel).saved = ts
	}
}

// loadSeen reads where the last life of the chat stood.
func (c *Chat) loadSeen(ctx context.Context) error {
	const many = 500
	for after := ""; ; {
		list, err := c.opt.Values.List(ctx, c.space(), "seen/", after, many, c.now())
		if err != nil {
			return bellhop.Errorf(bellhop.Unavailable, "chat %s: what was heard last can't be read: %w", c.opt.Name, err)
		}
		c.seen.mu.Lock()
		for _, v := range list {
			p := c.seen.at(strings.TrimPrefix(v.Key, "seen/"))
			p.seen, p.last, p.saved = string(v.Value), string(v.Value), string(v.Value)
			after = v.Key
		}
		c.seen.mu.Unlock()
		if len(list) < many {
			return nil
		}
	}
}

// saveSeen stores where hearing stands. It may be late: what is read again has
// its key.
func (c *Chat) saveSeen(ctx context.Context) {
	list := c.seen.changed()
	for channel, ts := range maps.Clone(list) {
		if _, err := c.opt.Values.Put(ctx, c.space(), "seen/"+channel, []byte(ts), -1, 0, c.now()); err != nil {
			delete(list, channel)
		}
	}
	c.seen.stored(list)
}

// saveSeenEvery is how often it is stored.
const saveSeenEvery = 2 * time.Second

func (c *Chat) saveSeenLoop() {
	for c.sleep(saveSeenEvery) {
		c.saveSeen(c.ctx)
	}
}
