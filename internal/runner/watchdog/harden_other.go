//go:build !linux

package watchdog

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// harden makes this process outlive what the runner does not: signals to end,
// and a runner that reads no more.
func harden() {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	_ = os.Chdir("/")
}

// monotonic is a clock that both processes share, in nanoseconds. Here it is
// the wall clock, so setting the clock forward kills early.
func monotonic() int64 { return time.Now().UnixNano() }

// self is this program's file.
func self() string {
	if program, err := os.Executable(); err == nil {
		return program
	}
	return os.Args[0]
}
