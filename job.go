package bellhop

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Job is a definition of work, checked once and known by its digest. It
// travels with each claim, so its JSON form holds all that an executor needs.
type Job struct {
	Service  string            `json:"service"`
	Name     string            `json:"name"`
	Executor string            `json:"executor"` // shell
	Spec     json.RawMessage   `json:"spec"`     // the executor's own checked form
	Params   []Param           `json:"params,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	// Timeout ends an attempt; 0 = none.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Concurrency is how many runs of one concurrency key may run at a time;
	// 0 = unlimited.
	Concurrency int `json:"concurrency"`
	// ConcurrencyKey is a template over the arguments ("deploy-{env}"); "" =
	// one key for the job.
	ConcurrencyKey string     `json:"concurrency_key,omitempty"`
	OnCrash        OnCrash    `json:"on_crash"`
	Retries        Retries    `json:"retries,omitzero"`
	Report         ReportRule `json:"report"`
	// MaxOutput caps each of stdout and stderr, in bytes: half of it from the
	// beginning, half from the end. 0 = DefaultMaxOutput.
	MaxOutput int64 `json:"max_output,omitempty"`
	// Priority is 0 to 9; the highest goes first.
	Priority int `json:"priority"`
	// Deadline is how long after its earliest start a run may begin at the
	// latest, else it is given up and its askers are told; 0 = whenever.
	Deadline time.Duration `json:"deadline,omitempty"`
	// Callback is how long each attempt has an address at which progress may be
	// posted (Task.Callback); 0 = it has none.
	Callback  time.Duration `json:"callback,omitempty"`
	Then      []Follow      `json:"then,omitempty"`
	OnFailure OnFailure     `json:"on_failure,omitzero"`
	// Keep, where it is set, is kept instead of the configuration's own.
	Keep Keep   `json:"keep,omitzero"`
	Help string `json:"-"`
	// Allow and Approve say who may have it done. They are judged by the active
	// configuration, and so are no part of the work that the digest stands for.
	Allow   []Rule   `json:"-"`
	Approve *Approve `json:"-"`
}

// DefaultPriority is that of a job which does not say otherwise.
const DefaultPriority = 5

// Follow is a job that follows another one's end. It is of the same service.
type Follow struct {
	Job string `json:"job"`
	// Args are templates over the arguments of the run before ("{ip}"). A
	// parameter that is not here has that run's argument of the same name,
	// else its default.
	Args  Args          `json:"args,omitempty"`
	Delay time.Duration `json:"delay,omitempty"`
	On    FollowOn      `json:"on"`
}

// FollowOn says after which ends a job follows.
type FollowOn string

// The ends.
const (
	FollowSuccess FollowOn = "success" // succeeded
	FollowFailure FollowOn = "failure" // failed or timed out
	FollowAlways  FollowOn = "always"  // any end of an attempt after which the run does not go on
)

// OnFailure says what a failure brings besides the reports to those who asked:
// it failed (not to be tried again) or timed out.
type OnFailure struct {
	// Notify are told as well: a person by the name that records keep (alice),
	// who finds it unread at the next connection.
	Notify []string `json:"notify,omitempty"`
	// Job follows, as in Follow; "" = none.
	Job  string `json:"job,omitempty"`
	Args Args   `json:"args,omitempty"`
}

// Keep says how long runs and their output are kept after they have ended; 0
// = not said here, below 0 = for ever. MaxOutput bounds all output together,
// in bytes, and is the configuration's alone; 0 = not bounded.
type Keep struct {
	Runs      time.Duration `json:"runs,omitempty"`
	Output    time.Duration `json:"output,omitempty"`
	MaxOutput int64         `json:"-"`
}

// DefaultMaxOutput is how much of each of stdout and stderr is kept: 10 MiB.
const DefaultMaxOutput = 10 << 20

// Retries says how often a failed attempt is followed by another, and how
// soon. Crashes have a limit of their own (MaxCrashes).
type Retries struct {
	Max     int           `json:"max"`     // attempts after the first; 0 = none
	Backoff time.Duration `json:"backoff"` // before the first of them
	// Factor is what the pause is multiplied by each time, 1 to 10 (0 = 2); it never
	// becomes longer than an hour, or than Backoff if that is longer.
	Factor float64 `json:"factor"`
	// Jitter is by how much of itself a pause is lengthened at random, 0 to 1.
	Jitter float64 `json:"jitter"`
	// On holds the exit statuses after which it is tried again, and the words
	// timeout and not_started; empty = every failure of what was started.
	On []string `json:"on,omitempty"`
}

// OnCrash says what becomes of a run whose runner was lost.
type OnCrash string

// The ways.
const (
	CrashRerun OnCrash = "rerun"
	CrashFail  OnCrash = "fail"
)

// MaxCrashes is how many attempts of a run may crash before it is failed.
const MaxCrashes = 3

// Digest identifies the definition: 32 hex digits of a SHA-256 over its JSON
// form. What does not change the work (help) does not change the digest.
func (j Job) Digest() string {
	b, err := json.Marshal(j)
	if err != nil { // every field is plain data; Spec was valid JSON when checked
		panic("bellhop: a job that can't be written as JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Param returns the parameter with that name.
func (j Job) Param(name string) (Param, bool) {
	for _, p := range j.Params {
		if p.Name == name {
			return p, true
		}
	}
	return Param{}, false
}

// Definition is a job's checked definition as the store keeps it.
type Definition struct {
	Digest string
	Job    Job
}

// Bind makes the arguments of a run from those that were asked: every one is a
// parameter of the job and a good value for it, and defaults fill the rest.
// The error is Invalid and says what was expected.
func (j Job) Bind(asked Args) (Args, error) {
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if _, ok := j.Param(name); !ok {
			return nil, Errorf(Invalid, "%s %s has no parameter %.40q; it has: %s", j.Service, j.Name, name, cmp.Or(strings.Join(j.paramNames(), ", "), "none"))
		}
	}
	bound := make(Args, len(j.Params))
	for _, p := range j.Params {
		v, ok := asked[p.Name]
		switch {
		case ok:
			if err := p.Check(v); err != nil {
				return nil, err
			}
		case p.Default != nil:
			v = *p.Default
		default:
			return nil, Errorf(Invalid, "%s is missing: %s %s needs it", p.Name, j.Service, j.Name)
		}
		bound[p.Name] = v
	}
	return bound, nil
}

func (j Job) paramNames() []string {
	names := make([]string, len(j.Params))
	for i, p := range j.Params {
		names[i] = p.Name
	}
	return names
}

// Position is a place in a configuration file; Line and Col count from 1.
type Position struct {
	File string
	Line int
	Col  int
}

// Fault is something wrong in a configuration.
type Fault struct {
	Pos     Position
	Message string
}

// String returns file:line:col: message.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.Pos.File, f.Pos.Line, f.Pos.Col, f.Message)
}

// Entry is one thing in a service that can ask: so far, a command.
type Entry struct {
	Service string
	Name    string // of its own, else a digest of its text
	Pattern string // "say hello [name]"; "" when Regex is set
	Aliases []string
	Regex   string // RE2, anchored
	Help    string
	Action  Action
	Job     string // "" = the whole service: ActionSuppress, ActionUnsuppress, ActionPause, ActionResume
	Args    Args   // fixed by the configuration; ActionSuppress: from and until too
	Delay   time.Duration
	// MaxDelay, OnRepeat and Priority are those of Invocation.
	MaxDelay time.Duration
	OnRepeat OnRepeat
	Priority *int
	Running  bool    // ActionCancel: running ones too
	Allow    []Rule  // besides those of the service and the job
	Confirm  Confirm // what is asked back before
	Pos      Position
}

// Title names the entry for people: what is said, as the configuration has it.
func (e *Entry) Title() string {
	switch {
	case e.Pattern != "":
		return e.Service + " `" + e.Pattern + "`"
	case e.Regex != "":
		return e.Service + " /" + e.Regex + "/"
	}
	return e.Service + " " + e.Name
}

// Service is a named group in the configuration.
type Service struct {
	Name        string
	Description string
	Restricted  bool
	// RestrictedPos is where that is said; zero = it is the default.
	RestrictedPos Position `json:"-"`
	Allow         []Rule   // instead of Restricted, when there are any
	NoPrefix      bool     // prefix: none
	Jobs          []Job
	Entries       []Entry
	Schedules     []Schedule
	Webhooks      []Webhook
	Brokers       []Broker
	Sources       []SourceEntry
	Pos           Position
}

// Job returns the job with that name.
func (s *Service) Job(name string) (*Job, bool) {
	for i := range s.Jobs {
		if s.Jobs[i].Name == name {
			return &s.Jobs[i], true
		}
	}
	return nil, false
}

// Catalog is all that can be asked for: one checked configuration.
type Catalog struct {
	Bot      string // the name that people call
	Services []Service
	Zone     *time.Location // in which people say times; nil = the machine's
	Keep     Keep
	Access   Access
	Page     bool     // there is a web page
	Sources  []string // outside sources, by name
	// Digest identifies the configuration as a whole: 32 hex digits.
	Digest string
}

// Service returns the service with that name.
func (c *Catalog) Service(name string) (*Service, bool) {
	for i := range c.Services {
		if c.Services[i].Name == name {
			return &c.Services[i], true
		}
	}
	return nil, false
}

// JobSource is what an executor's Compiler is given of a job: the text as it
// stands in the configuration.
type JobSource struct {
	Service   string
	Script    string   // run: as text; "" when Argv is set
	Argv      []string // run: as a list
	Shell     string   // bash or sh; "" = bash
	Dir       string   // relative to the configuration's folder; "" = workspace/SERVICE
	ScriptURL string
	SHA256    string
	Params    []Param // declared ones
}

// CompiledJob is an executor's checked form of a JobSource.
type CompiledJob struct {
	Spec json.RawMessage
	// Names holds the parameters that templates name, in order of appearance,
	// each once.
	Names []string
}

// JobFault is something wrong with a JobSource. Item is the index in Argv, -1
// for Script, -2 for the job as a whole; Line and Col count from 1 within that
// text.
type JobFault struct {
	Item, Line, Col int
	Message         string
}

// Compiler checks an executor's part of a job when a configuration is loaded.
// All faults are returned at once; with any, the CompiledJob is not to be used.
type Compiler interface {
	Compile(src JobSource) (CompiledJob, []JobFault)
}
