package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// boottime is a clock of the machine that nobody steps, in nanoseconds.
func boottime() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// rigWork is a run's process: this program, told JOURNAL TAG KEY MS. It notes
// in the journal that it has begun, every few milliseconds that it lives, and
// that it has ended. So does a child of its own in another session, which only
// SIGKILL ends, as nothing but SIGKILL ends the process itself.
func rigWork(args []string) int {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	journal, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer journal.Close()
	say := func(what string) {
		fmt.Fprintf(journal, "%s %s %s %d %s %s %d\n", what, os.Getenv("BELLHOP_RUN"), os.Getenv("BELLHOP_LEASE"), boottime(), args[1], args[2], os.Getpid())
	}
	ms, far := 120_000, len(args) == 3 // the child ends at some time, should everything fail
	if !far {
		if ms, err = strconv.Atoi(args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	until := boottime() + int64(ms)*int64(time.Millisecond)
	tick := func() {
		for boottime() < until {
			say("tick")
			time.Sleep(10 * time.Millisecond) // between two signs of life
		}
	}
	if far {
		tick()
		return 0
	}
	say("start")
	_ = journal.Sync()
	child := exec.Command(os.Args[0], "chaos-work", args[0], args[1], args[2])
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tick()
	_ = child.Process.Kill()
	_ = child.Wait()
	say("end")
	_ = journal.Sync()
	fmt.Println("done " + args[1])
	return 0
}
