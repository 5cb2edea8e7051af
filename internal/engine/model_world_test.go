package engine_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// world is what the rules of a run come to, in memory: the model that a real
// engine on a real store is held against.
type world struct {
	now   time.Time // the wall clock
	mono  time.Time // what leases run by; it never goes back
	runs  map[bellhop.RunID]*mrun
	keys  map[string]bellhop.RunID // of asks that made or joined a run
	no    map[string]bool          // of asks that were refused
	holds []bellhop.Hold           // as the engine said them
	last  map[string]bellhop.State // succeeded or failed, by lane
}

// mrun is a run of the model.
type mrun struct {
	id        bellhop.RunID
	job       *mjob
	args      bellhop.Args
	state     bellhop.State
	verdict   bellhop.Verdict
	created   time.Time
	start     time.Time
	bounds    []time.Time // start is moved no further
	joinable  bool        // by an ask that merges
	priority  int
	asks      []string // principals
	claimed   bool     // ever
	attempt   int
	crashes   int
	failures  int
	lease     int64
	until     time.Time // of the lease, on the monotonic clock
	stopping  string    // who wanted it gone while it runs
	retryOf   bellhop.RunID
	after     bellhop.RunID
	abandoned bool // its runner is gone
	kept      mkept
	expires   time.Time
	votes     []string // who said yes or no of it while it was held
	decided   int      // how many asks were told that it was approved
}

// mjob is what the model knows of a job.
type mjob struct {
	def     bellhop.Job
	follows []mfollow
	reject  bool
}

type mfollow struct {
	job   string
	on    bellhop.FollowOn
	delay time.Duration
}

const modelLease = time.Minute

func modelCatalog() (*bellhop.Catalog, map[string]*mjob) {
	jobs := map[string]*mjob{}
	add := func(name string, change func(*bellhop.Job), follows ...mfollow) {
		def := job("m", name, change)
		for _, f := range follows {
			def.Then = append(def.Then, bellhop.Follow{Job: f.job, On: f.on, Delay: f.delay})
		}
		jobs[name] = &mjob{def: def, follows: follows}
	}
	add("one", nil)
	add("two", func(j *bellhop.Job) { j.Concurrency, j.Priority, j.Deadline = 2, 5, 4*time.Minute })
	add("free", func(j *bellhop.Job) {
		j.Concurrency, j.Retries = 0, bellhop.Retries{Max: 1, Backoff: time.Minute, Factor: 1}
	})
	add("keyed", func(j *bellhop.Job) { j.ConcurrencyKey, j.OnCrash = "k-{env}", bellhop.CrashFail })
	add("shared", func(j *bellhop.Job) { j.ConcurrencyKey, j.Priority = "k-{env}", 3 })
	add("block", nil, mfollow{"unblock", bellhop.FollowSuccess, 2 * time.Minute}, mfollow{"one", bellhop.FollowFailure, 0})
	add("unblock", nil)
	add("gated", func(j *bellhop.Job) {
		j.Deadline = 6 * time.Minute
		j.Approve = &bellhop.Approve{By: []string{"alice", "bob"}, Count: 2, Self: true, Within: 3 * time.Minute, Notify: []string{"ops"}}
	})
	add("opener", nil, mfollow{"gated", bellhop.FollowSuccess, time.Minute})
	jobs["one"].reject = true
	s := bellhop.Service{Name: "m", Entries: []bellhop.Entry{{Service: "m", Job: "one", OnRepeat: bellhop.OnRepeatReject}}}
	for _, name := range []string{"one", "two", "free", "keyed", "shared", "block", "unblock", "gated", "opener"} {
		s.Jobs = append(s.Jobs, jobs[name].def)
	}
	return &bellhop.Catalog{Services: []bellhop.Service{s}, Zone: time.UTC}, jobs
}

func (r *mrun) lane() string {
	if r.job.def.ConcurrencyKey != "" {
		return "k-" + r.args["env"].Text
	}
	return r.job.def.Name
}

func (r *mrun) alike(job *mjob, args bellhop.Args) bool { return r.job == job && r.args.Equal(args) }

func (r *mrun) deadline() time.Time {
	if r.job.def.Deadline == 0 {
		return time.Time{}
	}
	return r.start.Add(r.job.def.Deadline)
}

func (r *mrun) String() string {
	return fmt.Sprintf("%s %s %s", r.id, r.job.def.Name, r.args["env"].Text)
}

// sorted are the runs in the order of their ids.
func (w *world) sorted(which func(*mrun) bool) []*mrun {
	var out []*mrun
	for _, r := range w.runs {
		if which == nil || which(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *mrun) int { return cmp.Compare(a.id, b.id) })
	return out
}

func running(r *mrun) bool { return r.state == bellhop.Running }
func waiting(r *mrun) bool { return r.state == bellhop.Waiting }
func over(r *mrun) bool    { return r.state.Terminal() }

// unapproved is held until it is approved.
func unapproved(r *mrun) bool { return r.state == bellhop.Held }

// toCome is what was never claimed yet, or waits again.
func toCome(r *mrun) bool { return waiting(r) || unapproved(r) }

// held reports whether a hold keeps a run back at a time.
func (w *world) held(job *mjob, args bellhop.Args, at time.Time) bool {
	return slices.ContainsFunc(w.holds, func(h bellhop.Hold) bool { return h.Open(at) && h.Covers("m", job.def.Name, args) })
}

// asked is one submission.
type asked struct {
	job       *mjob
	args      bellhop.Args
	start     time.Time
	maxDelay  time.Duration
	priority  int
	repeat    bellhop.OnRepeat
	principal []string
	retryOf   bellhop.RunID
	after     bellhop.RunID
}

// rejects returns the run that an ask is refused for.
func (w *world) rejects(a asked) *mrun {
	for _, r := range w.sorted(func(r *mrun) bool { return !over(r) && r.alike(a.job, a.args) }) {
		if a.repeat == bellhop.OnRepeatReject && (r.job.reject) {
			return r
		}
	}
	return nil
}

// joins returns the run that an ask joins.
func (w *world) joins(a asked) *mrun {
	if a.repeat == bellhop.OnRepeatQueue || a.retryOf != 0 {
		return nil
	}
	for _, r := range w.sorted(func(r *mrun) bool { return toCome(r) && !r.claimed && r.joinable && r.alike(a.job, a.args) }) {
		return r
	}
	return nil
}

// join has an ask join a run.
func (w *world) join(r *mrun, a asked) {
	r.start = a.start
	if a.maxDelay > 0 {
		r.bounds = append(r.bounds, r.created.Add(a.maxDelay))
	}
	for _, b := range r.bounds {
		if r.start.After(b) {
			r.start = b
		}
	}
	r.priority = max(r.priority, a.priority)
	r.asks = append(r.asks, a.principal...)
}

// make writes a new run.
func (w *world) make(id bellhop.RunID, a asked) *mrun {
	r := &mrun{
		id: id, job: a.job, args: a.args, state: bellhop.Waiting, created: w.now, start: a.start, priority: a.priority,
		joinable: a.repeat != bellhop.OnRepeatQueue && a.retryOf == 0, asks: slices.Clone(a.principal), retryOf: a.retryOf, after: a.after,
	}
	if a.maxDelay > 0 {
		r.bounds = append(r.bounds, w.now.Add(a.maxDelay))
	}
	if a.job.def.Approve != nil {
		r.state, r.expires = bellhop.Held, w.now.Add(a.job.def.Approve.Within)
	}
	w.runs[id] = r
	return r
}

// claimable are the runs that a claim of n takes, in order.
func (w *world) claimable(n int) (take []*mrun) {
	busy := map[string]int{}
	for _, r := range w.sorted(running) {
		busy[r.lane()]++
	}
	ready := w.sorted(func(r *mrun) bool {
		return waiting(r) && !r.start.After(w.now) && !w.held(r.job, r.args, w.now) &&
			(r.claimed || r.job.def.Deadline == 0 || w.now.Before(r.deadline()))
	})
	slices.SortStableFunc(ready, func(a, b *mrun) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), a.start.Compare(b.start), cmp.Compare(a.id, b.id))
	})
	for _, r := range ready {
		limit := r.job.def.Concurrency
		if len(take) == n || limit > 0 && busy[r.lane()] >= limit {
			continue
		}
		busy[r.lane()]++
		take = append(take, r)
	}
	return take
}

// end is the end of an attempt; it returns the asks that follow.
func (w *world) end(r *mrun, end bellhop.End, lost bool) (follows []asked) {
	def := &r.job.def
	state, verdict := bellhop.Failed, bellhop.Fail
	switch end {
	case bellhop.EndSucceeded:
		state, verdict = bellhop.Succeeded, bellhop.Success
	case bellhop.EndTimedOut:
		state, verdict = bellhop.TimedOut, bellhop.Aborted
	case bellhop.EndCancelled:
		state, verdict = bellhop.Cancelled, bellhop.Aborted
	case bellhop.EndInterrupted:
		state = bellhop.Waiting
		r.attempt--
	case bellhop.EndFailed:
		if r.failures < def.Retries.Max {
			state = bellhop.Waiting
		}
	case bellhop.EndCrashed:
		r.crashes++
		verdict = bellhop.Broken
		if def.OnCrash != bellhop.CrashFail && r.crashes < bellhop.MaxCrashes {
			state = bellhop.Waiting
		}
	}
	if r.stopping != "" && (state == bellhop.Waiting || lost) {
		if end == bellhop.EndInterrupted {
			r.attempt++
		}
		state, verdict = bellhop.Cancelled, bellhop.Aborted
	}
	if end == bellhop.EndFailed || end == bellhop.EndTimedOut {
		r.failures++
	}
	if state == bellhop.Waiting && end == bellhop.EndFailed {
		r.start = w.now.Add(def.Retries.Backoff)
	}
	return w.become(r, state, verdict)
}

// become ends a run's attempt in a state, and says what follows.
func (w *world) become(r *mrun, state bellhop.State, verdict bellhop.Verdict) (follows []asked) {
	r.state = state
	if !over(r) {
		return nil
	}
	r.kept.finished = w.now
	lane := r.job.def.Name + " " + r.lane()
	switch {
	case state == bellhop.Succeeded && w.last[lane] == bellhop.Failed:
		verdict = bellhop.Fixed
	case verdict == bellhop.Fail && w.last[lane] == bellhop.Succeeded:
		verdict = bellhop.Regression
	}
	r.verdict = verdict
	if state == bellhop.Succeeded || state == bellhop.Failed {
		w.last[lane] = state
	}
	for _, f := range r.job.follows {
		failed := state == bellhop.Failed || state == bellhop.TimedOut
		if f.on == bellhop.FollowSuccess && state == bellhop.Succeeded || f.on == bellhop.FollowFailure && failed {
			follows = append(follows, asked{job: &mjob{def: bellhop.Job{Name: f.job}}, args: r.args, start: w.now.Add(f.delay), principal: r.asks, after: r.id})
		}
	}
	return follows
}
