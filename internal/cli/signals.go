package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible ends its context at the first SIGINT or SIGTERM. What SIGHUP
// means is the verb's to say: see hangup, and up.
func interruptible() (context.Context, func()) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// hangup ends the context at SIGHUP too, when the terminal goes, unless the
// process was started so as to outlive that (nohup).
func hangup(ctx context.Context) (context.Context, func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// outlivePipes makes writing to a pipe that nobody reads an error: whoever
// serves others does not die of it. (Ignoring the signal would do that for the
// processes of runs as well.)
func outlivePipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
