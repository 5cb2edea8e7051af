// Package api is the HTTP API, its handler and its client: on the control
// socket now, with the paths that the public API will have. Errors are RFC
// 9457 problem documents with a code.
package api

import (
	"encoding/json"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Headers of this API.
const (
	headerKey     = "Idempotency-Key"
	headerSession = "Bellhop-Session"
	headerSource  = "Bellhop-Source"
)

// askBody asks for something in words, or for a run of a job.
type askBody struct {
	Text    string       `json:"text,omitempty"`
	Service string       `json:"service,omitempty"`
	Job     string       `json:"job,omitempty"`
	Args    bellhop.Args `json:"args,omitempty"`
}

// object is the run object that the API shows: the run's own JSON form, and
// which run it repeats or follows.
type object struct {
	bellhop.Run
	RetryOf bellhop.RunID `json:"retry_of,omitempty"`
	After   bellhop.RunID `json:"after,omitempty"`
}

func toObject(r bellhop.Run) object { return object{Run: r, RetryOf: r.RetryOf, After: r.After} }

func (o object) back() bellhop.Run {
	out := o.Run
	out.RetryOf, out.After = o.RetryOf, o.After
	return out
}

// RunJSON is the run object as the API shows it.
func RunJSON(r bellhop.Run) ([]byte, error) { return json.Marshal(toObject(r)) }

// page is one page of a list of runs.
type page struct {
	Runs []object `json:"runs"`
	// Next is what `before` takes for the next page; 0 = this is the last.
	Next bellhop.RunID `json:"next,omitempty"`
}

// run is the run object with what a front end words besides.
type run struct {
	object
	Start    time.Time     `json:"start"`
	Behind   bellhop.RunID `json:"behind,omitempty"`
	Previous bellhop.State `json:"previous,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Priority int           `json:"priority"`
	Deadline time.Time     `json:"deadline,omitzero"`
}

func toRun(r bellhop.Run) run {
	return run{
		object: toObject(r), Start: r.Start, Behind: r.Behind, Previous: r.Previous, Warnings: r.Warnings,
		Priority: r.Priority, Deadline: r.Deadline,
	}
}

func (r run) back() bellhop.Run {
	out := r.object.back()
	out.Start, out.Behind, out.Previous, out.Warnings = r.Start, r.Behind, r.Previous, r.Warnings
	out.Priority, out.Deadline = r.Priority, r.Deadline
	return out
}

func toRuns(runs []bellhop.Run) []run {
	out := make([]run, len(runs))
	for i, r := range runs {
		out[i] = toRun(r)
	}
	return out
}

func fromRuns(runs []run) []bellhop.Run {
	out := make([]bellhop.Run, len(runs))
	for i, r := range runs {
		out[i] = r.back()
	}
	return out
}

// accepted is bellhop.Accepted.
type accepted struct {
	Run    bellhop.RunID      `json:"run"`
	How    bellhop.How        `json:"how"`
	Start  time.Time          `json:"start"`
	Behind bellhop.RunID      `json:"behind,omitempty"`
	Job    string             `json:"job"`
	Rule   bellhop.ReportRule `json:"rule"`
	Ended  bool               `json:"ended,omitempty"`
	Hold   *bellhop.Hold      `json:"hold,omitempty"`
	// Approval, unless absent, must be given first.
	Approval *bellhop.Approval `json:"approval,omitempty"`
}

// status is bellhop.Status.
type status struct {
	Running []run               `json:"running"`
	Waiting []run               `json:"waiting"`
	More    bool                `json:"more,omitempty"`
	Holds   []bellhop.Hold      `json:"holds"`
	Config  *bellhop.Activation `json:"config,omitempty"`
	Brokers []bellhop.IllBroker `json:"brokers,omitempty"`
}

func toStatus(s *bellhop.Status) *status {
	if s == nil {
		return nil
	}
	return &status{
		Running: toRuns(s.Running), Waiting: toRuns(s.Waiting), More: s.More,
		Holds: append([]bellhop.Hold{}, s.Holds...), Config: s.Config, Brokers: s.Brokers,
	}
}

func (s *status) back() *bellhop.Status {
	if s == nil {
		return nil
	}
	return &bellhop.Status{Running: fromRuns(s.Running), Waiting: fromRuns(s.Waiting), More: s.More, Holds: s.Holds, Config: s.Config, Brokers: s.Brokers}
}

// answer is bellhop.Answer.
type answer struct {
	Action    bellhop.Action         `json:"action"`
	Accepted  *accepted              `json:"accepted,omitempty"`
	Cancelled []bellhop.CancelledRun `json:"cancelled,omitempty"`
	Status    *status                `json:"status,omitempty"`
	Runs      []run                  `json:"runs,omitempty"`
	Run       bellhop.RunID          `json:"run,omitempty"`
	Text      string                 `json:"text,omitempty"`
	Holds     []bellhop.Hold         `json:"holds,omitempty"`
	Why       *run                   `json:"why,omitempty"`
	Decided   *run                   `json:"decided,omitempty"`
	Question  *bellhop.Question      `json:"question,omitempty"`
	Schedules *bellhop.Schedules     `json:"schedules,omitempty"`
	Schedule  *bellhop.ScheduleState `json:"schedule,omitempty"`
	Later     *bellhop.Later         `json:"later,omitempty"`
	Login     *bellhop.Login         `json:"login,omitempty"`
}

func toAnswer(a bellhop.Answer) answer {
	out := answer{
		Action: a.Action, Cancelled: a.Cancelled, Status: toStatus(a.Status), Runs: toRuns(a.Runs), Run: a.Run, Text: a.Text,
		Holds: a.Holds, Question: a.Question, Schedules: a.Schedules, Schedule: a.Schedule, Later: a.Later, Login: a.Login,
	}
	if a.Accepted != nil {
		x := accepted(*a.Accepted)
		out.Accepted = &x
	}
	if a.Why != nil {
		x := toRun(*a.Why)
		out.Why = &x
	}
	if a.Decided != nil {
		x := toRun(*a.Decided)
		out.Decided = &x
	}
	return out
}

func (a answer) back() bellhop.Answer {
	out := bellhop.Answer{
		Action: a.Action, Cancelled: a.Cancelled, Status: a.Status.back(), Runs: fromRuns(a.Runs), Run: a.Run, Text: a.Text,
		Holds: a.Holds, Question: a.Question, Schedules: a.Schedules, Schedule: a.Schedule, Later: a.Later, Login: a.Login,
	}
	if a.Accepted != nil {
		x := bellhop.Accepted(*a.Accepted)
		out.Accepted = &x
	}
	if a.Why != nil {
		x := a.Why.back()
		out.Why = &x
	}
	if a.Decided != nil {
		x := a.Decided.back()
		out.Decided = &x
	}
	return out
}

// chunk is bellhop.Chunk.
type chunk struct {
	Attempt int       `json:"attempt"`
	Seq     int64     `json:"seq"`
	Channel string    `json:"channel"`
	Offset  int64     `json:"offset"`
	At      time.Time `json:"at"`
	Data    []byte    `json:"data"` // base64
}

func toChunk(c bellhop.Chunk) chunk {
	return chunk{Attempt: c.Attempt, Seq: c.Seq, Channel: c.Channel.String(), Offset: c.Offset, At: c.At, Data: c.Data}
}

func (c chunk) back() bellhop.Chunk {
	ch := bellhop.Stdout
	if c.Channel == bellhop.Stderr.String() {
		ch = bellhop.Stderr
	}
	return bellhop.Chunk{Attempt: c.Attempt, Seq: c.Seq, Channel: ch, Offset: c.Offset, At: c.At, Data: c.Data}
}

// report is bellhop.Report.
type report struct {
	ID      int64              `json:"id"`
	Kind    bellhop.ReportKind `json:"kind"`
	Run     run                `json:"run"`
	Attempt bellhop.Attempt    `json:"attempt"`
	Rule    bellhop.ReportRule `json:"rule"`
	Ask     bellhop.Ask        `json:"ask"`
}

func toReport(r bellhop.Report) report {
	return report{ID: r.ID, Kind: r.Kind, Run: toRun(r.Run), Attempt: r.Attempt, Rule: r.Rule, Ask: r.Ask}
}

func (r report) back() bellhop.Report {
	return bellhop.Report{ID: r.ID, Kind: r.Kind, Run: r.Run.back(), Attempt: r.Attempt, Rule: r.Rule, Ask: r.Ask}
}

// Server describes the server that answers on a control socket.
type Server struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Config  string `json:"config"`
	// Solo: it is an `ask` that serves itself.
	Solo bool `json:"solo"`
	// Zone is the time zone in which people say times: a name of the IANA
	// database, or Local; "" = the machine's.
	Zone string `json:"zone,omitempty"`
	// Working holds the runs that it works now.
	Working []bellhop.RunID `json:"working"`
}

// Reloaded says what a reload came to.
type Reloaded struct {
	Services int `json:"services"`
	Jobs     int `json:"jobs"`
	// Restart holds the keys that changed and are read at start only, sorted.
	Restart []string `json:"restart,omitempty"`
}

func decode[T any](b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}
