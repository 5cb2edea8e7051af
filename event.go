package bellhop

import (
	"strings"
	"time"
)

// Event is one thing that a source received. A source fills it and hands it
// over; it never authorises, runs or answers on its own.
type Event struct {
	// Key is the same for the same event however often it is delivered, and
	// begins with the source's name. Up to 512 bytes.
	Key    string
	Text   string // what was said, markup of the chat already undone
	Person Person
	Origin Origin
	// Addressed: it was said to the bot (a mention, a direct message, a button,
	// a line over SSH), and Text is what follows the mention. What was not may
	// still begin with the bot's name or answer a question; else it is nothing.
	Addressed bool
	// Form answers Question, all its parameters at once; Text is not used.
	Form     Args
	Question string // Question.ID
}

// Person is who a source says is speaking.
type Person struct {
	Identity string `json:"identity"`       // ssh:alice, local:root; begins with the source's name
	Name     string `json:"name,omitempty"` // the principal's name as the proof gives it; "" = the identity
	// Listed says that the proof is one that this installation itself lists: a
	// key in authorized_keys, the owner of the control socket.
	Listed bool `json:"listed,omitempty"`
	// Outside says that the source knows this to be nobody of the house: a
	// guest, a bot, a member of another organisation, a deactivated account.
	// Such a person is never internal and in no group.
	Outside bool `json:"outside,omitempty"`
	// Channel is where they speak, by its id; "" = in no channel (a direct
	// message, a connection).
	Channel string `json:"channel,omitempty"`
	// As is the person whose rights a token has (Token.As), and Scope what it is
	// confined to: the words of Token.Allow, with spaces between them.
	As    string `json:"as,omitempty"`
	Scope string `json:"scope,omitempty"`
}

// Source returns the name of the source that knows the person.
func (p Person) Source() string {
	source, _, _ := strings.Cut(p.Identity, ":")
	return source
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

// The actions. ActionRun, ActionCancel, ActionSuppress, ActionUnsuppress,
// ActionPause and ActionResume are what an entry may name; all but ActionRun
// and ActionCancel are built in as well.
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
	ActionWhy       Action = "why" // why one run has not started

	ActionSuppress     Action = "suppress"     // a job or a service, for a time
	ActionUnsuppress   Action = "unsuppress"   // its windows, or one by its number
	ActionPause        Action = "pause"        // a job or a service, until resumed
	ActionResume       Action = "resume"       // what is paused, or one by its number
	ActionSuppressions Action = "suppressions" // windows and pauses

	ActionSchedules  Action = "schedules"  // what happens by the clock
	ActionLater      Action = "later"      // a line, at a time
	ActionUnschedule Action = "unschedule" // what was to be asked for later

	ActionPauseSchedule  Action = "pause_schedule"  // no ticks until resumed
	ActionResumeSchedule Action = "resume_schedule" // one that is paused
	ActionRunSchedule    Action = "run_schedule"    // what it asks for, now

	ActionApprove Action = "approve" // a held run
	ActionDeny    Action = "deny"    // a held run

	ActionWeb Action = "web" // a link to the web page
)

// Invocation is an event resolved to one action with typed arguments, for one
// person.
type Invocation struct {
	Key     string // the event's key plus the entry
	Action  Action
	Service string // ActionHelp: "" = all services
	Job     string
	Entry   string // name or digest of the entry; "" for built-ins
	// Args are checked against the job's parameters, defaults filled in.
	// ActionRetry: those that differ from the old run's, not checked yet.
	// ActionCancel, ActionSuppress ...: only runs that have these.
	Args     Args
	Delay    time.Duration
	MaxDelay time.Duration // a repeat pushes the run back no further than this from when it was made; 0 = not bounded
	OnRepeat OnRepeat      // "" = OnRepeatMerge
	Priority *int          // nil = the job's
	Running  bool          // ActionCancel: running ones too
	Run      RunID         // ActionCancelRun, ActionRetry, ActionLogs, ActionWhy
	From     string        // ActionSuppress: as it was written; "" = now. ActionLater: when
	Until    string        // ActionSuppress: as it was written
	Hold     int64         // ActionUnsuppress, ActionResume: the number of one; 0 = all of the job or service
	Mine     bool          // ActionRuns: only one's own
	Reason   string        // ActionDeny, ActionApprove: as it was said
	Digest   string        // ActionApprove, ActionDeny: of what is decided of (ApprovalDigest); "" = whatever the run is
	Text     string        // ActionWhy without Run, ActionLater: what would be asked
	Later    string        // ActionUnschedule: Later.ID
	Schedule string        // ActionPauseSchedule, ActionResumeSchedule, ActionRunSchedule: SERVICE/NAME
	As       string        // ActionWhy with Text: for whom; "" = who asks
	Confirm  Confirm       // ActionRun: what is asked back before
	Person   Person
	Origin   Origin
}

// Confirm says what is asked back before a command is carried out.
type Confirm string

// The ways.
const (
	ConfirmNone Confirm = ""
	ConfirmYes  Confirm = "yes"  // yes or no
	ConfirmCode Confirm = "code" // a short code, to be typed again
)

// OnRepeat says what becomes of an ask for what is asked for already: the same
// job with the same arguments.
type OnRepeat string

// The ways.
const (
	OnRepeatMerge  OnRepeat = "merge"  // it joins a run that was never claimed
	OnRepeatQueue  OnRepeat = "queue"  // a run of its own
	OnRepeatReject OnRepeat = "reject" // refused while the other waits or runs
)

// Answer is what an invocation came to. Exactly one field besides Action is
// set, and the adapter words it.
type Answer struct {
	Action    Action
	Accepted  *Accepted      // ActionRun, ActionRetry; ActionRunSchedule becomes ActionRun
	Cancelled []CancelledRun // ActionCancel, ActionCancelRun; empty = nothing to cancel
	Status    *Status        // ActionStatus
	Runs      []Run          // ActionRuns
	Run       RunID          // ActionLogs: whose output to read
	Text      string         // ActionHelp, ActionWhoami
	Holds     []Hold         // ActionSuppress, ActionPause: what was made; ActionUnsuppress, ActionResume: what was ended; ActionSuppressions: all
	Why       *Run           // ActionWhy: with its Wait
	Schedules *Schedules     // ActionSchedules
	Schedule  *ScheduleState // ActionPauseSchedule, ActionResumeSchedule: as it stands then
	Later     *Later         // ActionLater: what was written down; ActionUnschedule: what was taken back
	Decided   *Run           // ActionApprove, ActionDeny: the run as it stands then
	Question  *Question      // what is asked back; nothing was done yet
	// Login, of ActionWeb, is for who asked alone: whoever has it is them. It is
	// shown where nobody else reads, and kept nowhere.
	Login *Login
}

// Schedules is what happens by the clock.
type Schedules struct {
	States []ScheduleState `json:"schedules"`
	Later  []Later         `json:"later"`
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
	// Hold keeps it from starting at Start; nil = nothing is known to.
	Hold *Hold
	// Approval, unless nil, must be given first.
	Approval *Approval
}

// How an ask found its run.
type How string

// The ways.
const (
	Created  How = "created"
	Merged   How = "merged"   // joined a waiting run
	Repeated How = "repeated" // the same key was seen before
	Rejected How = "rejected" // the same is asked for already (RunSpec.Reject)
)

// Status is what happens now.
type Status struct {
	Running []Run
	Waiting []Run // the first 100 by earliest start, in the order in which they go
	More    bool  // more wait than Waiting shows
	Holds   []Hold
	// Config, unless nil, is the configuration that owns what happens without
	// anybody's asking, and this server has another one.
	Config *Activation
	// Brokers are those of which this server takes no messages just now, and of
	// which the person may know: internal people, those of jobs that they see.
	Brokers []IllBroker
}

// IllBroker is a broker that no messages are taken from.
type IllBroker struct {
	Name  string    `json:"name"` // its principal
	Since time.Time `json:"since"`
	Error string    `json:"error,omitempty"` // why, for admins
}
