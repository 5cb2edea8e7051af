package conversation

import (
	"sync"
	"time"
)

// MovingClock goes as the machine's does, and can be moved on at once
// (bellhop.Clock). The zero MovingClock shows the present.
type MovingClock struct {
	mu     sync.Mutex
	ahead  time.Duration
	timers map[*timer]bool
}

type timer struct {
	due  time.Time // by this clock
	real *time.Timer
	ch   chan time.Time
}

// Now returns the time.
func (c *MovingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *MovingClock) now() time.Time { return time.Now().Add(c.ahead) }

// NewTimer returns a channel that receives once, when this clock has come that
// far, and a function that stops the timer.
func (c *MovingClock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{due: c.now().Add(d), ch: make(chan time.Time, 1)}
	if c.timers == nil {
		c.timers = map[*timer]bool{}
	}
	c.timers[t] = true
	t.real = time.AfterFunc(d, func() { c.fire(t) })
	return t.ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
		t.real.Stop()
	}
}

func (c *MovingClock) fire(t *timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timers[t] {
		delete(c.timers, t)
		t.ch <- c.now()
	}
}

// Move moves the clock on; below 0, back, which is for when nothing depends on
// it yet.
func (c *MovingClock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	now := c.now()
	for t := range c.timers {
		t.real.Reset(max(0, t.due.Sub(now)))
	}
}
