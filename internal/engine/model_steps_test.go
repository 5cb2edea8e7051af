package engine_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
)

func (m *modelled) cancelRun() {
	r := m.pick("run", nil)
	if r == nil {
		return
	}
	answer, err := m.do(bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: r.id})
	m.ok(err)
	want := m.cancelled(r)
	if got := answer.Cancelled; len(got) != 1 || got[0].Run != r.id || got[0].Effect != want {
		m.t.Fatalf("cancelling %s: %+v, want %s", r, got, want)
	}
}

// cancelled ends a run in the model because somebody said so.
func (m *modelled) cancelled(r *mrun) bellhop.CancelEffect {
	switch {
	case over(r):
		return bellhop.CancelTooLate
	case running(r):
		if r.stopping == "" {
			r.stopping = m.done[len(m.done)-1].inv.Person.Principal()
		}
		return bellhop.CancelStopping
	}
	m.become(r, bellhop.Cancelled, bellhop.Aborted)
	return bellhop.CancelDone
}

func (m *modelled) cancelJob() {
	job, args := m.drawJob()
	inv := bellhop.Invocation{Action: bellhop.ActionCancel, Service: "m", Job: job.def.Name}
	if rapid.Bool().Draw(m.t, "some") {
		inv.Args = args
	}
	inv.Running = rapid.Bool().Draw(m.t, "running")
	answer, err := m.do(inv)
	m.ok(err)
	got := map[bellhop.RunID]bellhop.CancelEffect{}
	for _, c := range answer.Cancelled {
		got[c.Run] = c.Effect
	}
	for _, r := range m.sorted(func(r *mrun) bool {
		return !over(r) && r.job == job && r.args.Contains(inv.Args) && (inv.Running || !running(r))
	}) {
		if want := m.cancelled(r); got[r.id] != want {
			m.t.Fatalf("%s is %q, want %q", r, got[r.id], want)
		}
		delete(got, r.id)
	}
	if len(got) > 0 {
		m.t.Fatalf("cancelled besides: %v", got)
	}
}

func (m *modelled) hold() {
	inv := bellhop.Invocation{Action: bellhop.ActionPause, Service: "m"}
	if rapid.IntRange(0, 2).Draw(m.t, "kind") > 0 {
		inv.Action = bellhop.ActionSuppress
		inv.From = m.minutes("from", 0, 4).String()
		inv.Until = m.minutes("for", 1, 8).String()
	}
	if job, args := m.drawJob(); rapid.IntRange(0, 3).Draw(m.t, "of") > 0 {
		inv.Job = job.def.Name
		if rapid.Bool().Draw(m.t, "some") {
			inv.Args = args
		}
	}
	answer, err := m.do(inv)
	m.ok(err)
	h := answer.Holds[0]
	if i := slices.IndexFunc(m.holds, func(o bellhop.Hold) bool { return o.ID == h.ID }); i >= 0 {
		if inv.Action != bellhop.ActionPause || !m.holds[i].Open(m.now) {
			m.t.Fatalf("%+v is %+v, which is there already", inv, h)
		}
		return
	}
	if len(answer.Holds) != 1 || h.Service != "m" || h.Job != inv.Job || !h.Args.Equal(inv.Args) {
		m.t.Fatalf("%+v makes %+v", inv, answer.Holds)
	}
	m.holds = append(m.holds, h)
}

func (m *modelled) release() {
	var open []int
	for i, h := range m.holds {
		if !h.Over(m.now) {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return
	}
	h := m.holds[open[rapid.IntRange(0, len(open)-1).Draw(m.t, "hold")]]
	inv := bellhop.Invocation{Action: bellhop.ActionUnsuppress, Service: "m", Job: h.Job, Args: h.Args}
	if h.Kind == bellhop.HoldPause {
		inv.Action = bellhop.ActionResume
	}
	if rapid.Bool().Draw(m.t, "number") {
		inv = bellhop.Invocation{Action: inv.Action, Hold: h.ID}
	}
	answer, err := m.do(inv)
	m.ok(err)
	var want, got []int64
	for _, i := range open {
		o := &m.holds[i]
		same := o.Kind == h.Kind && o.Job == h.Job && (len(inv.Args) == 0 || o.Args.Equal(inv.Args))
		if inv.Hold == h.ID && o.ID == h.ID || inv.Hold == 0 && same {
			o.Ended = m.now
			want = append(want, o.ID)
		}
	}
	for _, o := range answer.Holds {
		got = append(got, o.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		m.t.Fatalf("%+v ends %v, want %v", inv, got, want)
	}
}

func (m *modelled) expire() {
	_, err := m.engine.Expire(m.ctx())
	m.ok(err)
	for _, r := range m.sorted(func(r *mrun) bool {
		return toCome(r) && !r.claimed && r.job.def.Deadline > 0 && !m.now.Before(r.deadline())
	}) {
		m.become(r, bellhop.Cancelled, bellhop.Aborted)
	}
}

// wait lets time go by.
func (m *modelled) wait() { m.pass(m.minutes("wait", 1, 6), m.minutes("wait", 1, 6)) }

// jump steps the wall clock.
func (m *modelled) jump() {
	m.pass(time.Duration(rapid.IntRange(-4, 4).Draw(m.t, "jump"))*30*time.Second, 0)
}

func (m *modelled) pass(wall, mono time.Duration) {
	m.jumped = m.jumped || wall < 0
	m.now, m.world.mono = m.now.Add(wall), m.world.mono.Add(mono)
	m.wall.set(m.now)
	m.mono.set(m.world.mono)
}

// reap looks for lost runners: those that have not extended their lease.
func (m *modelled) reap() {
	m.ok(m.engine.Reap(m.ctx()))
	for _, r := range m.sorted(running) {
		if r.until.Before(m.world.mono) || r.until.Equal(m.world.mono) || r.abandoned && m.kind.proves {
			m.follow(m.end(r, bellhop.EndCrashed, true))
		}
	}
}

// restart closes the store under what runs, and opens it again: nobody comes
// back for it.
func (m *modelled) restart() {
	m.ok(m.store.Admin.Close())
	m.reopen()
	for _, r := range m.sorted(running) {
		r.abandoned = true
	}
	m.reap()
}

// check compares everything.
func (m *modelled) check() {
	runs, err := m.store.Records.Runs(m.ctx(), bellhop.RunFilter{})
	m.ok(err)
	if len(runs) != len(m.runs) {
		m.t.Fatalf("there are %d runs, want %d: %+v", len(runs), len(m.runs), runs)
	}
	lanes := map[string]int{}
	for i := range runs {
		got, r := &runs[i], m.runs[runs[i].ID]
		if r == nil {
			m.t.Fatalf("nobody asked for %+v", got)
		}
		if got.State != r.state || got.Verdict != r.verdict || got.Attempt != r.attempt || got.Priority != r.priority || got.RetryOf != r.retryOf || got.After != r.after {
			m.t.Fatalf("%s is %s %q, attempt %d, priority %d, after %d; want %+v", r, got.State, got.Verdict, got.Attempt, got.Priority, got.After, r)
		}
		if toCome(r) && !got.Start.Equal(r.start) {
			m.t.Fatalf("%s starts at %s, want %s", r, got.Start, r.start)
		}
		if toCome(r) && !r.claimed && !got.Deadline.Equal(r.deadline()) {
			m.t.Fatalf("%s has the deadline %s, want %s", r, got.Deadline, r.deadline())
		}
		m.checkApproval(got, r)
		if got.State == bellhop.Running {
			if lanes[r.lane()]++; r.job.def.Concurrency > 0 && lanes[r.lane()] > r.job.def.Concurrency {
				m.t.Fatalf("%d runs of %s at a time", lanes[r.lane()], r.lane())
			}
		}
	}
	m.checkHolds()
	m.checkReports()
}

// checkHolds compares what keeps runs back, now and later.
func (m *modelled) checkHolds() {
	holds, err := m.store.Holds.Holds(m.ctx(), bellhop.HoldFilter{}, m.now)
	m.ok(err)
	var want, got []int64
	for _, h := range m.holds {
		if !h.Over(m.now) {
			want = append(want, h.ID)
		}
	}
	for _, h := range holds {
		got = append(got, h.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		m.t.Fatalf("there are the holds %v, want %v", got, want)
	}
}
