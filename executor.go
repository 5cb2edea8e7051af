package bellhop

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Channel is one of a run's output channels.
type Channel uint8

// The channels.
const (
	Stdout Channel = 1
	Stderr Channel = 2
)

// String returns stdout or stderr.
func (c Channel) String() string {
	if c == Stderr {
		return "stderr"
	}
	return "stdout"
}

// Task is one attempt of a run, as an executor is given it: what the
// invocation holds, never how to reach the origin.
type Task struct {
	Run       RunID
	Lease     int64
	Attempt   int
	Job       Job
	Args      Args
	Principal string // of the first ask
	// Secrets are the values of what Job.Env names as secret:NAME, by name.
	// They go nowhere but into the process's environment.
	Secrets map[string]string
	// Traceparent, unless "", is the attempt in its trace, in the form of W3C
	// Trace Context, for the process's environment.
	Traceparent string
	// Callback is the address at which progress may be posted, from wherever the
	// work is done; "" = there is none. Whoever has it may post.
	Callback string
}

// Sink takes what an attempt gives while it goes on. It may be used by several
// goroutines at once.
type Sink interface {
	// Write takes output in the order of its arrival. It keeps no reference to
	// p. It may block, which holds the process back, and it never fails: what
	// is above the cap is counted.
	Write(c Channel, p []byte)
	// Handle records what the attempt consists of ("pgid:4711"), as soon as it
	// is known, for whoever must end it when this runner can't.
	Handle(handle string)
}

// Outcome is how an attempt ended.
type Outcome struct {
	End        End
	ExitStatus *int   // nil when there was none; a signal n is 128+n
	Error      string // one line for people; "" when it succeeded
	Result     json.RawMessage
	Warnings   []string // told with the outcome, whatever the report flags
}

// Executor carries out one attempt at a time per call; calls run at once.
//
// Execute returns when the attempt is over and nothing of it is left: no
// process, no temporary file. When ctx ends, it stops the attempt (first
// asking, then killing) and returns the Outcome whose End StopEnd(ctx) gives.
// The outcome's End is never EndCrashed unless StopEnd says so. Execute must
// call sink.Handle before the attempt can outlive this process, as far as the
// platform allows, and may call sink only before it returns.
type Executor interface {
	Execute(ctx context.Context, task Task, sink Sink) Outcome
}

// StopCause is the cause with which an executor's context is cancelled.
type StopCause struct {
	End    End    // EndCancelled, EndTimedOut, EndInterrupted or EndCrashed
	Reason string // for people
}

// Error returns the reason.
func (s *StopCause) Error() string { return s.Reason }

// StopEnd returns why ctx ended: its StopCause, or an interruption when it was
// cancelled without one. ok is false while it has not ended.
func StopEnd(ctx context.Context) (cause StopCause, ok bool) {
	if ctx.Err() == nil {
		return StopCause{}, false
	}
	var s *StopCause
	if errors.As(context.Cause(ctx), &s) {
		return *s, true
	}
	return StopCause{End: EndInterrupted, Reason: "the server stopped"}, true
}

// Dispatcher is the engine as a runner sees it, through one small port. In the
// server it is a function call; from another machine it will be messages.
// Every method but Claim is fenced: under a lease that is not the current one
// it changes nothing and says ErrLeaseLost.
type Dispatcher interface {
	// Claim takes up to n runs that may start now. It returns at once; when it
	// has fewer than n, next says when to look again at the latest (zero:
	// nothing is planned), TopicQueue when to look sooner.
	Claim(ctx context.Context, runner string, n int) (tasks []Claim, next time.Time, err error)
	// Extend lengthens leases, and tells per lease whether it still holds and
	// whether its run is to be stopped. The result is in the order of refs.
	Extend(ctx context.Context, refs []LeaseRef) ([]Extension, error)
	// Output stores chunks, and drops stored ones that fell out of the cap.
	Output(ctx context.Context, out []OutputBatch) error
	// Finish ends an attempt, with the last of its output (nil = none). What
	// becomes of the run is the engine's to say.
	Finish(ctx context.Context, ref LeaseRef, out Outcome, last *OutputBatch) error
}

// Claim is a run handed to a runner.
type Claim struct {
	Task  Task
	Lease time.Duration // how long the lease lasts from the claim
}

// LeaseRef names a run and the lease under which it is worked.
type LeaseRef struct {
	Run    RunID
	Lease  int64  // grows with every claim of the run
	Handle string // Extend: what the attempt consists of, "" = not known yet
}

// Extension is the answer to one extended lease.
type Extension struct {
	Lost bool // the lease is not the current one: stop, write nothing more
	// Stop, unless nil, asks to end the attempt.
	Stop *StopCause
}
