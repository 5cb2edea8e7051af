package bellhop

import "time"

// Event is one thing that a source received. A source fills it and hands it
// over; it never authorises, runs or answers on its own.
type Event struct {
	// Key is the same for the same event however often it is delivered, and
	// begins with the source's name. Up to 512 bytes.
	Key    string
	Text   string // what was said, markup of the chat already undone
	Person Person
	Origin Origin
}

// Person is who a source says is speaking.
type Person struct {
	Identity string // ssh:alice, local:root; begins with the source's name
	Name     string // the principal's name as the proof gives it; "" = the identity
	// Listed says that the proof is one that this installation itself lists: a
	// key in authorized_keys, the owner of the control socket.
	Listed bool
}

// Principal returns the name that records keep.
func (p Person) Principal() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Identity
}

// Action is what an invocation wants.
type Action string

// The actions. ActionRun and ActionCancel are what an entry may name; the
// others are built in.
const (
	ActionRun       Action = "run"
	ActionCancel    Action = "cancel"     // waiting runs of a job
	ActionCancelRun Action = "cancel_run" // one run, whatever its state
	ActionRetry     Action = "retry"
	ActionHelp      Action = "help"
	ActionStatus    Action = "status"
	ActionRuns      Action = "runs"
	ActionLogs      Action = "logs"
	ActionWhoami    Action = "whoami"
)

// Invocation is an event resolved to one action with typed arguments, for one
// person.
type Invocation struct {
	Key     string // the event's key plus the entry
	Action  Action
	Service string // ActionHelp: "" = all services
	Job     string
	Entry   string // name or digest of the entry; "" for built-ins
	Args    Args   // checked against the job's parameters, defaults filled in
	Delay   time.Duration
	Running bool  // ActionCancel: running ones too
	Run     RunID // ActionCancelRun, ActionRetry, ActionLogs
	Mine    bool  // ActionRuns: only one's own
	Person  Person
	Origin  Origin
}

// Answer is what an invocation came to. Exactly one field besides Action is
// set, and the adapter words it.
type Answer struct {
	Action    Action
	Accepted  *Accepted      // ActionRun, ActionRetry
	Cancelled []CancelledRun // ActionCancel, ActionCancelRun; empty = nothing to cancel
	Status    *Status        // ActionStatus
	Runs      []Run          // ActionRuns
	Run       RunID          // ActionLogs: whose output to read
	Text      string         // ActionHelp, ActionWhoami
}

// Accepted says that a run is written down.
type Accepted struct {
	Run    RunID
	How    How
	Start  time.Time // earliest start
	Behind RunID     // a run of the same concurrency key that goes first; 0 = none
	Job    string    // SERVICE JOB, for people
	Rule   ReportRule
	Ended  bool // Repeated, and the run has ended already
}

// How an ask found its run.
type How string

// The ways.
const (
	Created  How = "created"
	Merged   How = "merged"   // joined a waiting run
	Repeated How = "repeated" // the same key was seen before
)

// Status is what happens now.
type Status struct {
	Running []Run
	Waiting []Run // the first 100 by earliest start
	More    bool  // more wait than Waiting shows
}
