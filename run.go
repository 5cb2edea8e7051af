package bellhop

import (
	"encoding/json"
	"time"
)

// State is where a run stands.
type State string

// The states. The last four are terminal.
const (
	Held      State = "held"
	Waiting   State = "waiting"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	TimedOut  State = "timed_out"
)

// Terminal reports whether a run in this state never changes again.
func (s State) Terminal() bool {
	return s == Succeeded || s == Failed || s == Cancelled || s == TimedOut
}

// ParseState reads the name of a state; anything else is an Invalid error.
func ParseState(s string) (State, error) {
	switch State(s) {
	case Held, Waiting, Running, Succeeded, Failed, Cancelled, TimedOut:
		return State(s), nil
	}
	return "", Errorf(Invalid, "state %q does not exist; the states are held, waiting, running, succeeded, failed, cancelled, timed_out", s)
}

// Verdict is what an outcome means to people, beside the state.
type Verdict string

// The verdicts.
const (
	Success    Verdict = "SUCCESS"
	Fixed      Verdict = "FIXED"      // succeeded after a failure
	Fail       Verdict = "FAIL"       // failed, and not after a success
	Regression Verdict = "REGRESSION" // failed after a success
	Broken     Verdict = "ERROR"      // could not run, or crashed too often
	Aborted    Verdict = "ABORTED"    // cancelled, timed out
)

// End is how one attempt ended. Interrupted and crashed are ends of an attempt,
// never states of a run.
type End string

// The ends of an attempt.
const (
	EndSucceeded   End = "succeeded"
	EndFailed      End = "failed"      // the process said so
	EndNotStarted  End = "not_started" // could not be carried out at all
	EndTimedOut    End = "timed_out"
	EndCancelled   End = "cancelled"
	EndInterrupted End = "interrupted" // the server stopped in good order; burns no attempt
	EndCrashed     End = "crashed"     // the runner or its lease was lost
)

// Run is one durable execution of a job. Its JSON form is the one run object
// of `runs --json`, the API and events; times are RFC 3339 with nanoseconds.
type Run struct {
	ID         RunID      `json:"id"`
	Service    string     `json:"service"`
	Job        string     `json:"job"`
	Args       Args       `json:"args"`
	State      State      `json:"state"`
	Verdict    Verdict    `json:"verdict,omitempty"`
	AskedBy    string     `json:"asked_by"` // principal of the first ask
	Origin     Origin     `json:"origin"`   // of the first ask
	Created    time.Time  `json:"created"`
	Started    *time.Time `json:"started,omitempty"` // of the present or last attempt
	Finished   *time.Time `json:"finished,omitempty"`
	Attempt    int        `json:"attempt"` // 0 before the first claim
	ExitStatus *int       `json:"exit_status,omitempty"`
	Error      string     `json:"error,omitempty"` // why it failed or was cancelled, or why it waits again

	// OutputForgotten: its output was deleted, as `keep:` says.
	OutputForgotten bool `json:"output_forgotten,omitempty"`
	// Wait says why it has not started, while it waits; the engine fills it in.
	Wait *Wait `json:"wait,omitempty"`
	// Approval is what it had to wait for, and who gave it; nil = nothing.
	Approval *Approval `json:"approval,omitempty"`

	Digest   string          `json:"-"` // of the job's definition
	Start    time.Time       `json:"-"` // earliest start
	Previous State           `json:"-"` // last succeeded or failed state before this outcome, same job and concurrency key
	Result   json.RawMessage `json:"-"`
	Warnings []string        `json:"-"` // told with the outcome, whatever the report flags
	RetryOf  RunID           `json:"-"` // the run that this one repeats; 0 = none
	After    RunID           `json:"-"` // the run that this one follows; 0 = none
	Behind   RunID           `json:"-"` // while waiting: the running run of the same concurrency key; 0 = none
	Priority int             `json:"-"` // 0-9
	Deadline time.Time       `json:"-"` // its first attempt begins before; zero = whenever

	unmasked string // ApprovalDigest, when the arguments are masked
}

// Wait says why a run has not started. Of several reasons, the one that lasts
// longest as far as is known stands here.
type Wait struct {
	Reason WaitReason `json:"reason"`
	Until  time.Time  `json:"until,omitzero"`   // zero = not known
	Behind RunID      `json:"behind,omitempty"` // WaitConcurrency: a run that goes first
	Hold   *Hold      `json:"hold,omitempty"`   // WaitSuppressed, WaitPaused: of those that are open, the one that lasts longest
	More   int        `json:"more,omitempty"`   // WaitSuppressed, WaitPaused: how many others are open besides Hold
	After  string     `json:"after,omitempty"`  // WaitBackoff: how the last attempt ended
}

// WaitReason is the kind of a Wait.
type WaitReason string

// The reasons.
const (
	WaitApproval    WaitReason = "approval"
	WaitDelay       WaitReason = "delay"       // its earliest start has not come
	WaitBackoff     WaitReason = "backoff"     // it failed, and is tried again later
	WaitSuppressed  WaitReason = "suppressed"  // a window is open
	WaitPaused      WaitReason = "paused"      // until somebody resumes it
	WaitConcurrency WaitReason = "concurrency" // others of its key go first
	WaitPlace       WaitReason = "place"       // every place of the runners is taken, or none looks
)

// Attempt is one try of a run.
type Attempt struct {
	N          int       `json:"n"` // from 1, counts every claim: the number of its lease
	Runner     string    `json:"runner"`
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended"`
	End        End       `json:"end"`
	ExitStatus *int      `json:"exit_status,omitempty"`
	Reason     string    `json:"reason,omitempty"`
}

// Ask is who wants a run. A run has one or more.
type Ask struct {
	N         int       `json:"n"` // from 0 within its run
	Principal string    `json:"principal"`
	Identity  string    `json:"identity"`
	Key       string    `json:"key"`
	Origin    Origin    `json:"origin"`
	At        time.Time `json:"at"`
	Withdrawn bool      `json:"withdrawn,omitempty"`
	// Note is what is told besides (ReportUntold, ReportProgress).
	Note string `json:"note,omitempty"`
}

// Origin is a return address.
type Origin struct {
	Source  string `json:"source"` // name of the source: console, ssh, ask, ...
	Channel string `json:"channel,omitempty"`
	Thread  string `json:"thread,omitempty"`
	Message string `json:"message,omitempty"`
	Person  string `json:"person,omitempty"` // identity
	// Session names the connection that an ask came by, where the origin ends
	// with it; 1 to 128 bytes, chosen at random by whoever opened it.
	Session string `json:"session,omitempty"`
	// Server names the server that holds the connection, where there is one.
	Server string `json:"server,omitempty"`
}
