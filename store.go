package bellhop

import (
	"context"
	"time"
)

// Store is a store's aggregates, split so that each port is small. What must
// change together changes within one call of one port.
//
// For every method: it returns after the change is durable; an error of code
// Unavailable means that nothing is known to have been written and that the
// same call may be made again; calls may be made at once from any goroutine;
// slices of results are in the order of the slices given. Times are stored to
// the microsecond at least.
type Store struct {
	// ID is chosen at random when the store is made. Processes of its runs
	// carry it, so that two servers on one machine never end each other's.
	ID          string
	Definitions Definitions
	Queue       Queue
	Records     Records
	Outputs     Outputs
	Outbox      Outbox
	Holds       Holds
	Approvals   Approvals
	Values      Values
	Secrets     Secrets
	Audit       Audit
	Retention   Retention
	Cluster     Cluster
	Admin       StoreAdmin
	// Shared: other servers may use the store at the same time, so that what
	// is in it changes without a hint.
	Shared bool
}

// Definitions keeps checked definitions of jobs, each once, for ever.
type Definitions interface {
	// PutDefinitions stores those that are not there yet.
	PutDefinitions(ctx context.Context, defs []Definition) error
	// Definition returns the job with that digest, or NotFound.
	Definition(ctx context.Context, digest string) (Job, error)
}

// Submission is a run to be written, with its first ask. Its definition must
// be stored already.
type Submission struct {
	Run RunSpec
	Ask Ask // N is set by the store; Key must not be empty
	Now time.Time
	// Audit, unless nil, is written in the same change with the run that it
	// came to, unless the key was seen before. It is not looked at any more when
	// Submit has returned.
	Audit *AuditRecord
}

// RunSpec is what a new run consists of.
type RunSpec struct {
	Service, Job, Digest string
	Args                 Args
	Start                time.Time // earliest start
	// MergeKey is equal for runs of the same definition and arguments. A
	// submission joins a run with the same key that was never claimed: its
	// start is replaced and the ask added. A run has at most 10,000 asks: what
	// would bring more makes a new run, which takes the key over. Empty: never
	// merge, never be merged into.
	MergeKey string
	// ConcurrencyKey and Concurrency bound how many runs with the same key are
	// running. Concurrency 0: unlimited, and the key serves verdicts only. The
	// number that was submitted last counts for all of the key.
	ConcurrencyKey string
	Concurrency    int
	// AlikeKey, unless empty, lets the run be found until it has ended. With
	// Reject, no run is made while one with the same AlikeKey waits or runs:
	// that one is returned, and How is Rejected.
	AlikeKey string
	Reject   bool
	// MaxDelay bounds how far merging may move the start from the run's
	// creation: it never becomes later than that. 0: not bounded. It is told
	// with each ask; among several, the nearest bound holds.
	MaxDelay time.Duration
	// Priority is 0 to 9; of the runs that may start, those with the highest
	// go first. Merging keeps the higher one.
	Priority int
	// Deadline is how long after its earliest start a run may begin its first
	// attempt at the latest; 0 = whenever. Merging moves it with the start.
	Deadline time.Duration
	RetryOf  RunID // the run that this one repeats; 0 = none
	// Approval, unless nil, keeps the run Held until it is given
	// (Approvals.Vote): it can't be claimed, takes no place under its
	// concurrency key, and keeps its first Approval. Its Votes are not taken
	// over; its Notify are told in the same change (ReportApproval). Otherwise a
	// held run is like a waiting one: asks merge into it, Reject sees it, Cancel
	// and Expire end it.
	Approval *Approval
	After    RunID // the run that this one follows (then); 0 = none. The store fills it in for Ending.Follow
}

// Submitted is what became of a Submission.
type Submitted struct {
	Run    RunID
	How    How
	Start  time.Time
	Behind RunID // a run of the same limited concurrency key that goes before it, because it runs or comes first; 0 = none
	// Ended: How is Repeated, and the run has ended already.
	Ended bool
}

// ClaimRequest asks for runs to work.
type ClaimRequest struct {
	Runner string
	N      int // at most this many
	Now    time.Time
	Lease  time.Duration
	Only   []RunID // when non-nil, claim only among these
}

// ClaimedRun is a run under a new lease.
type ClaimedRun struct {
	Run       Run
	Lease     int64
	Principal string // of the first ask that is not withdrawn
}

// Ending is the end of an attempt, and what it makes of the run.
type Ending struct {
	Ref        LeaseRef
	Now        time.Time
	End        End
	ExitStatus *int
	Reason     string
	Result     []byte
	Warnings   []string
	// State is a terminal state, or Waiting when the run is to be claimed
	// again from Start on; with a zero Start it keeps the one it had, and with
	// it its place.
	State State
	Start time.Time
	// Verdict gives the verdict of a terminal state from the last succeeded or
	// failed state of the same service, job and concurrency key ("" = none).
	// It is called while the change is made, maybe twice, and is pure.
	Verdict func(previous State) Verdict
	// Output is stored first, in the same change; nil = none.
	Output *OutputBatch
	// Report, unless "", is written to the outbox for every ask that is not
	// withdrawn, in the same transaction.
	Report ReportKind
	// Follow holds runs that this one brings, for a terminal State: each is
	// submitted in the same change, with the asks of this run that are not
	// withdrawn (all of them when all are), in order; its Ask.Key is
	// "then:RUN/INDEX" and is not noted as a key. It merges, waits and is held
	// like any other. Reject is not used.
	Follow []RunSpec
	// Notify are told of the outcome (ReportOutcome) though they did not ask:
	// their report's Ask has N -1 and what is given here, and they have no
	// right to the run. For a terminal State.
	Notify []Ask
	// FreeAttempt says that the attempt does not count (Run.Attempt goes back
	// by one when the run waits again).
	FreeAttempt bool
}

// Cancellation asks to end one run, or the runs of a job.
type Cancellation struct {
	Key     string // of the invocation; the same key again gives the same answer
	Run     RunID  // one run; 0 = those of the job below
	Service string
	Job     string
	Args    Args // of a job's runs, those that have these arguments
	// Running: running ones are stopped too.
	Running bool
	// All: the runs go, whoever asked for them. Otherwise only Principal's own
	// asks are withdrawn, and a run goes with its last one.
	All       bool
	Principal string
	By        string // who is named in the record
	Now       time.Time
}

// CancelEffect says what a cancellation did to a run.
type CancelEffect string

// The effects.
const (
	CancelDone      CancelEffect = "cancelled" // it was not running, and is over now
	CancelWithdrawn CancelEffect = "withdrawn" // one's ask is gone; the run stays for others
	CancelStopping  CancelEffect = "stopping"  // it runs, and its runner is told
	CancelTooLate   CancelEffect = "finished"  // it had ended already
	CancelNotYours  CancelEffect = "not_yours" // one has no ask in it, and All was not set
)

// CancelledRun is what a cancellation did to one run.
type CancelledRun struct {
	Run    RunID        `json:"run"`
	Effect CancelEffect `json:"effect"`
	State  State        `json:"state"` // of the run now
}

// LostRun is a running run whose lease has run out.
type LostRun struct {
	Ref     LeaseRef
	Run     Run
	Runner  string
	Crashes int // attempts of this run that crashed before this one
	// Stop is what Extend would have answered: the run was being cancelled.
	Stop *StopCause
}

// Queue is the hot part: runs that wait or run.
type Queue interface {
	// Submit writes runs with their asks. A key that was seen in the last 7
	// days or longer changes nothing and returns what it made (Repeated; when
	// that was no run, Run is 0). Withdrawn asks count as seen.
	Submit(ctx context.Context, subs []Submission) ([]Submitted, error)
	// Claim takes runs whose start has come, in order of priority (highest
	// first), start, id, that no concurrency limit and no open hold (Holds)
	// keeps back and whose deadline has not passed. A run that was kept back
	// takes its place in that order again. next is when to look again at the
	// latest: the earliest start among those that wait for their time, or the
	// earliest end of an open hold that keeps runs back; zero when there is
	// neither; it is now or earlier when more could be claimed at once.
	Claim(ctx context.Context, req ClaimRequest) (runs []ClaimedRun, next time.Time, err error)
	// Extend lengthens leases to lease from now and returns, per lease,
	// whether it is lost and whether its run is being cancelled.
	Extend(ctx context.Context, refs []LeaseRef, lease time.Duration) ([]Extension, error)
	// Finish ends attempts: each under its current lease, else its error is
	// ErrLeaseLost and it changes nothing; nor does one with State Waiting when
	// the run is being cancelled, whose error is ErrStopping. errs has one entry per ending.
	Finish(ctx context.Context, ends []Ending) (errs []error, err error)
	// Cancel does what c says, in one change. Runs that went are reported to
	// each ask (ReportOutcome, state Cancelled), held ones also to
	// Approval.Notify (ReportDecided).
	Cancel(ctx context.Context, c Cancellation) ([]CancelledRun, error)
	// Lost returns running runs whose lease has run out; leases given out
	// before the store was opened have, when the store proves that their
	// holder is dead.
	Lost(ctx context.Context) ([]LostRun, error)
	// Expire ends up to n waiting or held runs that were never claimed and whose
	// deadline has passed, as Cancelled with verdict Aborted and the given
	// reason, and reports that to each ask (ReportOutcome). next is the
	// earliest deadline among the others, zero when there is none.
	Expire(ctx context.Context, now time.Time, n int, reason string) (gone []RunID, next time.Time, err error)
}

// RunFilter narrows a list of runs. Zero fields don't narrow.
type RunFilter struct {
	Service   string
	Job       string
	States    []State
	Since     time.Time // created at or after
	Until     time.Time // created before
	Principal string    // with an ask of this principal
	Before    RunID     // only smaller ids: the next page
	Limit     int       // 0 = no limit
}

// Records is what is known of runs.
type Records interface {
	// Run returns one run, or NotFound.
	Run(ctx context.Context, id RunID) (Run, error)
	// Runs lists runs, newest first.
	Runs(ctx context.Context, f RunFilter) ([]Run, error)
	// Search lists a page of runs, however rare they are in at most about the
	// time in which s.Scan rows are read. Where runs were not made in the order
	// of their times (Created), by more than an hour, some at an end of a span
	// (Since, Until) may be missing.
	Search(ctx context.Context, s RunSearch) (RunPage, error)
	// Tally counts the runs that ended at or after since, and before until, in any
	// order.
	Tally(ctx context.Context, since, until time.Time) ([]Tally, error)
	// CameOf returns the first n runs that repeat a run or follow it (RetryOf,
	// After), oldest first.
	CameOf(ctx context.Context, id RunID, n int) ([]Run, error)
	// Active returns runs that run, by start, and the first n that wait or are
	// held, by earliest start; more says that there are more of these.
	Active(ctx context.Context, n int) (running, waiting []Run, more bool, err error)
	// Asks returns a run's asks in order.
	Asks(ctx context.Context, id RunID) ([]Ask, error)
	// Attempts returns a run's ended attempts in order.
	Attempts(ctx context.Context, id RunID) ([]Attempt, error)
}

// Chunk is a piece of output. Attempt is that of Attempt.N, which is the number
// of the lease; Seq orders an attempt's chunks across channels by arrival;
// Offset is the place of Data in its channel, in bytes
// from the attempt's beginning, so that a gap shows what was not kept.
type Chunk struct {
	Seq     int64 // from 1 within the attempt
	Attempt int
	Channel Channel
	Offset  int64
	At      time.Time
	Data    []byte // 1 to 64 KiB
}

// OutputBatch is output of one attempt.
type OutputBatch struct {
	Ref     LeaseRef
	Attempt int
	Chunks  []Chunk
	Drop    []int64 // Seqs of this attempt that are to be forgotten
}

// Outputs keeps output.
type Outputs interface {
	// AppendOutput stores batches; one that is not under its run's current
	// lease is left out and its error is ErrLeaseLost.
	AppendOutput(ctx context.Context, batches []OutputBatch) (errs []error, err error)
	// Output returns chunks of a run after the given attempt and seq, in
	// order, up to about limit bytes (at least one chunk if there is any).
	Output(ctx context.Context, id RunID, afterAttempt int, afterSeq int64, limit int) ([]Chunk, error)
	// Tail returns the last chunks of one channel of one attempt, in order,
	// with at least limit bytes if there are so many.
	Tail(ctx context.Context, id RunID, attempt int, c Channel, limit int) ([]Chunk, error)
}

// Settlement is what became of a report.
type Settlement struct {
	ID    int64
	State ReportState // ReportPending: try again at Due
	Due   time.Time
	Ref   string // the destination's reference
	Error string // why it was not delivered
	Now   time.Time
	// Tell are those who are told, by a ReportUntold each and in the same
	// change, that a report was given up.
	Tell []Ask
}

// DueRequest asks for reports to deliver.
type DueRequest struct {
	// Server is who asks. Reports to an origin whose Server is another one that
	// lives (Cluster.Beat) are left to that.
	Server string
	Now    time.Time
	N      int
	For    time.Duration
}

// Outbox keeps reports until they are delivered. Rows are written by Queue,
// Approvals and Tell.
type Outbox interface {
	// Due takes up to d.N pending reports whose time has come, those that wait
	// longest first, and says when another one is due (zero: none). A row that
	// was taken is not given to anybody again for d.For, unless its taker is a
	// server that lives no more, or it is settled as pending: then when it is
	// due.
	Due(ctx context.Context, d DueRequest) (rows []OutboxRow, next time.Time, err error)
	// Settle records what became of reports.
	Settle(ctx context.Context, s []Settlement) error
	// Unread returns unread and pending reports of a session, or the unread
	// ones of a principal, oldest first. Exactly one of the two is given.
	Unread(ctx context.Context, principal, session string, n int) ([]OutboxRow, error)
	// Tell writes a report of a kind for each of some asks, whose N is -1 in it,
	// while the run runs under that lease; else the error is ErrLeaseLost, and
	// nothing is written.
	Tell(ctx context.Context, ref LeaseRef, kind ReportKind, asks []Ask, now time.Time) error
}

// Depth is how much of a store is not done yet.
type Depth struct {
	Held, Waiting, Running int64 // runs
	Outbox                 int64 // reports that are pending
}

// DepthMost is the number from which on a Depth may say that number.
const DepthMost = 100_000

// StoreAdmin is what is done to a store as a whole.
type StoreAdmin interface {
	// Backup writes a consistent copy of the store to a file that does not
	// exist yet, while the store is in use.
	Backup(ctx context.Context, path string) error
	// Ping returns nil when the store can be read and written.
	Ping(ctx context.Context) error
	// Depth returns how much is not done yet. It looks at what waits and runs
	// alone, never at history, and costs little however much that is: a driver
	// may stop counting at DepthMost.
	Depth(ctx context.Context) (Depth, error)
	// Close waits for what is under way and closes the store. It may be called
	// twice.
	Close() error
}
