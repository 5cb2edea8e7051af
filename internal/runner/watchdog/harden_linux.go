package watchdog

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// harden makes this process outlive what the runner does not: signals to
// end, and a runner that reads no more. It lets go of every file but the first
// three, and of the folder.
func harden() {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGUSR1, syscall.SIGUSR2)
	_ = os.Chdir("/")
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name.Name())
		if err != nil || fd < 3 {
			continue
		}
		// What the Go runtime polls with is its own.
		if to, err := os.Readlink("/proc/self/fd/" + name.Name()); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			_ = unix.Close(fd)
		}
	}
}

// monotonic is the clock that both processes share, in nanoseconds. It stands
// still while the machine sleeps, as leases do.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails for bad arguments only
	return ts.Nano()
}

// self is this very program, even when its file was replaced by an update.
func self() string { return "/proc/self/exe" }
