package bellhop

import "time"

// Clock tells the time and wakes. Every long-lived part takes one, so that a
// test can hold time still.
type Clock interface {
	// Now returns the present, with a monotonic reading where the platform
	// has one.
	Now() time.Time
	// NewTimer returns a channel that receives once, d from now, and a
	// function that stops the timer.
	NewTimer(d time.Duration) (<-chan time.Time, func())
}

// SystemClock is the machine's own clock.
type SystemClock struct{}

// Now returns time.Now().
func (SystemClock) Now() time.Time { return time.Now() }

// NewTimer wraps time.NewTimer.
func (SystemClock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
