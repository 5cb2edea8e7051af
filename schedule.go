package bellhop

import "time"

// Schedule is an entry that asks for a run of a job by the clock.
type Schedule struct {
	Service string
	Name    string // of its own, else a digest of its text
	Cron    string // as it is written: five or six fields, @daily, @every 5m
	// Zone is the time zone of its times of day; "" = the configuration's.
	Zone string
	Job  string
	Args Args // checked, defaults filled in
	// Jitter spreads starts: each tick's run starts up to that later, by a part
	// that is the same on every server.
	Jitter  time.Duration
	Missed  Missed
	Overlap Overlap
	// From and Until bound its ticks: none before From, none at or after Until;
	// zero = no bound.
	From, Until time.Time
	Paused      bool // it has no ticks
	// ReportTo is who is told of its runs, as in on_failure.notify; "" = nobody.
	ReportTo string
	Pos      Position `json:"-"`
}

// Principal is who asks for the runs of a schedule: schedule:SERVICE/NAME.
func (s *Schedule) Principal() string { return SourceSchedule + ":" + s.Service + "/" + s.Name }

// SourceSchedule is the source of what the clock asks for.
const SourceSchedule = "schedule"

// Missed says what becomes of ticks that came while nobody could ask for runs.
type Missed string

// The ways. A tick that is at most MissedAfter late was not missed.
const (
	MissedOne  Missed = "one"  // one run for all of them
	MissedSkip Missed = "skip" // none
	MissedAll  Missed = "all"  // a run for each, of the newest MissedMost that are not older than MissedAge
)

// The bounds of what is made up for.
const (
	MissedAfter = time.Minute
	MissedAge   = 24 * time.Hour
	MissedMost  = 100
)

// Overlap says what becomes of a tick while the run of the one before has not
// ended.
type Overlap string

// The ways.
const (
	OverlapSkip   Overlap = "skip"   // no run is asked for
	OverlapQueue  Overlap = "queue"  // it waits its turn
	OverlapCancel Overlap = "cancel" // the run before is cancelled
)

// ScheduleState is how a schedule stands, and what is asked for later by
// somebody.
type ScheduleState struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Job     string `json:"job"`
	Cron    string `json:"cron"`
	Zone    string `json:"zone,omitempty"`
	// Paused: it has no ticks. PausedBy is who wants that, and PausedAt since
	// when; "" = the configuration does.
	Paused   bool      `json:"paused,omitempty"`
	PausedBy string    `json:"paused_by,omitempty"`
	PausedAt time.Time `json:"paused_at,omitzero"`
	// Next are its next ticks, three at most.
	Next []time.Time `json:"next,omitempty"`
	// Last is the tick for which a run was asked for last, Run that run, and
	// State how it stands; "" = it is not known any more.
	Last  time.Time `json:"last,omitzero"`
	Run   RunID     `json:"run,omitempty"`
	State State     `json:"state,omitempty"`
	// Note is why nothing was asked for at a later tick, Noted; "" = there was none.
	Noted time.Time `json:"noted,omitzero"`
	Note  string    `json:"note,omitempty"`
}

// Later is something that a person wants to ask for at a time.
type Later struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Text   string    `json:"text"` // as it is said then
	Person Person    `json:"person"`
	Origin Origin    `json:"origin"`
	Key    string    `json:"key"`  // of the event that asked for it
	Made   time.Time `json:"made"` // when that was
	// Failed is why it came to nothing when its time came.
	Failed string `json:"failed,omitempty"`
}
