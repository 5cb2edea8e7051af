package bellhop

import (
	"context"
	"time"
)

// ReportKind says what a report tells.
type ReportKind string

// The kinds of report.
const (
	ReportRetried ReportKind = "retried" // an attempt failed and another follows
	ReportOutcome ReportKind = "outcome"
	// ReportApproval asks an approver to decide of a held run, ReportDecided
	// tells approvers and askers of the decision. Run.Approval has both.
	ReportApproval ReportKind = "approval"
	ReportDecided  ReportKind = "decided"
	// ReportUntold tells somebody else that a report was given up: Ask.Note
	// says whose, and why.
	ReportUntold ReportKind = "untold"
	// ReportProgress tells what was posted of a run that runs: Ask.Note. It is
	// not kept for who is not there.
	ReportProgress ReportKind = "progress"
)

// Report is what is told to an origin. The adapter renders it; the output
// itself is read where Run and Attempt say.
type Report struct {
	ID      int64      // of the outbox row
	Kind    ReportKind // what it tells
	Run     Run        // as it stands now
	Attempt Attempt    // the attempt that it tells of; zero when none was made
	Rule    ReportRule // of the job's definition
	Ask     Ask        // who is told, and where
}

// ReportFormat is how output is shown.
type ReportFormat string

// The formats. A console or SSH shows all of them as they are.
const (
	FormatText   ReportFormat = "text"
	FormatCode   ReportFormat = "code"
	FormatBlocks ReportFormat = "blocks"
	FormatFile   ReportFormat = "file"
)

// ReportRule is a job's `report:`, defaults filled in.
type ReportRule struct {
	Stdout        bool         `json:"stdout"`
	Success       bool         `json:"success"`
	Format        ReportFormat `json:"format"`
	SuppressEmpty bool         `json:"suppress_empty"`
	Retried       bool         `json:"retried"`
	OnChange      bool         `json:"on_change"`
	Base64        bool         `json:"base64"` // output: base64
}

// Live reports whether output is shown while it is made.
func (r ReportRule) Live() bool {
	return r.Stdout && (r.Format == FormatText || r.Format == FormatCode) && !r.OnChange && !r.Base64
}

// Destination delivers reports to one source's origins.
//
// Deliver returns once the destination has the report, with the destination's
// reference for later edits ("" where there is none). It returns ErrGone (or
// an error that wraps it) when the origin ended with its connection; any other
// error means: try again later. It may be called for several reports at once,
// and again for a report that was delivered before the server died.
type Destination interface {
	Deliver(ctx context.Context, r Report) (ref string, err error)
}

// OutboxRow is a report as the outbox keeps it: what is told of a run is read
// when it is delivered.
type OutboxRow struct {
	ID      int64
	Kind    ReportKind
	Run     RunID
	Attempt int
	Ask     Ask
	Created time.Time
	Tries   int // deliveries that failed
}

// ReportState is where an outbox row stands.
type ReportState string

// The states of a report. Pending ones are tried when they are due.
const (
	ReportPending   ReportState = "pending"
	ReportDelivered ReportState = "delivered"
	ReportUnread    ReportState = "unread"   // waits for its person
	ReportGivenUp   ReportState = "given_up" // visibly: it stays in the record
)
