package bellhop

import "time"

// History is what became of a run, for those who may see it.
type History struct {
	Run  Run
	Asks []Ask // in order; Key, Origin.Session and Origin.Server are left out
	// Attempts are those that have ended, and the one that is under way, whose End
	// is "".
	Attempts []Attempt
	Changes  []Change // in the order of their times
	// RetryOf and After are what it repeats and follows, CameOf what repeats and
	// follows it (RetryOf, After say which), as far as they may be seen, 50 at most.
	RetryOf, After *Run
	CameOf         []Run
}

// Change is something that happened to a run.
type Change struct {
	At   time.Time  `json:"at"`
	Kind ChangeKind `json:"kind"`
	// State is that of the run from then on; "" = the one before.
	State   State  `json:"state,omitempty"`
	By      string `json:"by,omitempty"`      // principal
	Attempt int    `json:"attempt,omitempty"` // Attempt.N
	Reason  string `json:"reason,omitempty"`
}

// ChangeKind is what happened.
type ChangeKind string

// What happens to runs.
const (
	ChangeAsked    ChangeKind = "asked"    // it was made
	ChangeJoined   ChangeKind = "joined"   // somebody else asked for it
	ChangeApproved ChangeKind = "approved" // one approval
	ChangeDenied   ChangeKind = "denied"
	ChangeBegun    ChangeKind = "begun"    // an attempt began
	ChangeAgain    ChangeKind = "again"    // an attempt ended, and it waits again
	ChangeEnded    ChangeKind = "ended"    // it is over
	ChangeRecorded ChangeKind = "recorded" // the audit trail has it: Reason says what; for admins
)
