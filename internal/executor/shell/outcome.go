package shell

import (
	"fmt"
	"os"
	"syscall"

	"github.com/bellhop-io/bellhop"
	"golang.org/x/sys/unix"
)

// notStarted is the outcome of an attempt that could not be carried out.
func notStarted(err error) bellhop.Outcome {
	return bellhop.Outcome{End: bellhop.EndNotStarted, Error: err.Error()}
}

// ended is the outcome of a process that nobody stopped.
func ended(state *os.ProcessState) bellhop.Outcome {
	status, fault := exit(state)
	out := bellhop.Outcome{End: bellhop.EndSucceeded, ExitStatus: &status, Error: fault}
	if status != 0 {
		out.End = bellhop.EndFailed
	}
	return out
}

// stopped is the outcome of a process that was told to end, however it took it.
func stopped(cause bellhop.StopCause, state *os.ProcessState) bellhop.Outcome {
	out := bellhop.Outcome{End: cause.End, Error: cause.Reason}
	if state != nil {
		status, _ := exit(state)
		out.ExitStatus = &status
	}
	return out
}

// exit returns the status as a shell tells it, a signal n being 128+n, and for
// any but 0 the words for it.
func exit(state *os.ProcessState) (status int, fault string) {
	ws, ok := state.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		sig := ws.Signal()
		name := unix.SignalName(sig)
		if name == "" {
			name = sig.String()
		}
		return 128 + int(sig), fmt.Sprintf("killed by signal %d (%s)", int(sig), name)
	}
	status = state.ExitCode()
	if status != 0 {
		fault = fmt.Sprintf("exit status %d", status)
	}
	return status, fault
}
