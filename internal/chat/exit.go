package chat

import (
	"context"
	"errors"

	"github.com/bellhop-io/bellhop"
)

// ExitTable says which exit status a front end ends with. This is the one
// place where codes and outcomes become exit statuses of a conversation.
type ExitTable struct {
	// Own: a run that failed gives its own exit status, where it has one.
	Own bool

	Failed    int // the run failed (and Own is not set, or it has no status)
	TimedOut  int // the run timed out
	Cancelled int // the run was cancelled (and Own is not set, or it has no status)

	NotUnderstood int // Invalid, NotFound
	NotAllowed    int
	NotAccepted   int // Conflict, Unavailable
	Internal      int

	Waited      int // the caller's own deadline passed; the run goes on
	Interrupted int // the caller ended the conversation; the run goes on
}

// SSHExit is the table of commands over SSH: the run's own status, 127 not
// understood, 126 not allowed, 125 not accepted, 124 timed out. A cancelled
// run that tells no status of its own gives 143, as if SIGTERM had ended it.
// Interrupted is 255, which is what ssh says of a lost connection.
func SSHExit() ExitTable {
	return ExitTable{
		Own: true, Failed: 1, TimedOut: 124, Cancelled: 143,
		NotUnderstood: 127, NotAllowed: 126, NotAccepted: 125, Internal: 125,
		Waited: 255, Interrupted: 255,
	}
}

// AskExit is the table of `bellhop ask` and `bellhop chat`: 0 every run
// succeeded, 1 one did not, 2 not understood, 3 not allowed, 4 waited too
// long, 5 not accepted, 70 a fault of Bellhop's own, 130 interrupted.
func AskExit() ExitTable {
	return ExitTable{
		Failed: 1, TimedOut: 1, Cancelled: 1,
		NotUnderstood: 2, NotAllowed: 3, NotAccepted: 5, Internal: 70,
		Waited: 4, Interrupted: 130,
	}
}

// OfError returns the status for an ask that came to nothing; 0 for nil.
func (t ExitTable) OfError(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.DeadlineExceeded):
		return t.Waited
	case errors.Is(err, context.Canceled):
		return t.Interrupted
	}
	switch bellhop.CodeOf(err) {
	case bellhop.Invalid, bellhop.NotFound:
		return t.NotUnderstood
	case bellhop.NotAllowed:
		return t.NotAllowed
	case bellhop.Conflict, bellhop.Unavailable:
		return t.NotAccepted
	default:
		return t.Internal
	}
}

// OfRun returns the status for a run that has ended. It is 0 only for a run
// that succeeded.
func (t ExitTable) OfRun(r bellhop.Run) int {
	own := 0
	if t.Own && r.ExitStatus != nil && *r.ExitStatus > 0 && *r.ExitStatus <= 255 {
		own = *r.ExitStatus
	}
	switch r.State {
	case bellhop.Succeeded:
		return 0
	case bellhop.TimedOut:
		return t.TimedOut
	case bellhop.Cancelled:
		if own != 0 {
			return own
		}
		return t.Cancelled
	default:
		if own != 0 {
			return own
		}
		return t.Failed
	}
}
