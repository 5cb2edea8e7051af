package fault

import (
	"os"
	"strings"
	"time"
	"unsafe"

	"github.com/bellhop-io/bellhop"
)

// Clock is the machine's clock after somebody has stepped it by as much as a
// file says (-10m; nothing or no file: not at all), whole seconds. As on a real
// machine, monotonic readings go on as before, so that of two times both the
// wall clock and the true distance are known.
type Clock struct {
	bellhop.SystemClock
	Path string
}

// Now returns the stepped time.
func (c Clock) Now() time.Time {
	b, err := os.ReadFile(c.Path)
	if err != nil {
		return time.Now()
	}
	by, err := time.ParseDuration(strings.TrimSpace(string(b)))
	if err != nil {
		return time.Now() // it is being written
	}
	return Step(time.Now(), by)
}

// Step moves the wall clock of a time and leaves its monotonic reading alone.
// Package time offers no way to that, so it looks into the Time: of a Time with
// such a reading, the 33 bits above the lowest 30 of its first word are the
// wall clock's seconds. A test would notice if that changed.
func Step(t time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall += uint64(int64(by/time.Second)) << 30
	return t
}
