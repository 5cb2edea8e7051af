package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// modelStore is a kind of store that the model is held against.
type modelStore struct {
	name string
	// fresh returns what opens one new store again and again, and what removes
	// it.
	fresh func(t *testing.T, clock bellhop.Clock) (open func() *bellhop.Store, remove func())
	// proves: a store that was opened again knows that who had it before is dead.
	proves bool
	// walks is how many the short form takes.
	walks int
}

var modelStores = []modelStore{
	{name: "sqlite", fresh: freshSQLite, proves: true, walks: 16},
	{name: "postgres", fresh: freshPostgres, walks: 3},
}

func freshPostgres(t *testing.T, clock bellhop.Clock) (open func() *bellhop.Store, remove func()) {
	url := pgtest.URL(t)
	return func() *bellhop.Store {
		store, err := postgres.Open(t.Context(), postgres.Options{URL: url, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}, func() {}
}

func freshSQLite(t *testing.T, clock bellhop.Clock) (open func() *bellhop.Store, remove func()) {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return func() *bellhop.Store {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, "bellhop.db"), Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}, func() { _ = os.RemoveAll(dir) }
}

// TestModel drives an engine on a real store at random, beside a model of the
// rules in memory, and compares them after every step. In its short form it
// takes the same steps each time; BELLHOP_MODEL=N takes N random walks.
func TestModel(t *testing.T) {
	for _, kind := range modelStores {
		t.Run(kind.name, func(t *testing.T) {
			checks, seed := kind.walks, "1"
			if n, err := strconv.Atoi(os.Getenv("BELLHOP_MODEL")); err == nil && n > 0 {
				checks, seed = n, "0"
			}
			setFlags(t, map[string]string{
				"rapid.checks": strconv.Itoa(checks), "rapid.seed": seed, "rapid.steps": "100", "rapid.nofailfile": "true",
			})
			rapid.Check(t, func(rt *rapid.T) {
				m := newModelled(t, rt, kind)
				defer m.close()
				rt.Repeat(m.actions())
			})
		})
	}
}

// setFlags sets flags for a test, but those that were given.
func setFlags(t *testing.T, values map[string]string) {
	t.Helper()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range values {
		if given[name] {
			continue
		}
		f := flag.Lookup(name)
		before := f.Value.String()
		if err := f.Value.Set(value); err != nil { // not flag.Set, after which it would count as given
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(before) })
	}
}

// handClock shows what it is set to. Its timers are the machine's; no rule
// depends on them.
type handClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func (*handClock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	return bellhop.SystemClock{}.NewTimer(d)
}

// modelled is an engine and its model.
type modelled struct {
	*world
	t          *rapid.T
	kind       modelStore
	jobs       map[string]*mjob
	catalog    *bellhop.Catalog
	focus      []string // of a walk: few jobs, so that its runs meet
	envs       []string
	jumped     bool // the clock has gone back, after which receipts know holds a little late
	wall, mono *handClock
	open       func() *bellhop.Store
	remove     func()
	store      *bellhop.Store
	engine     *engine.Engine
	n          int
	done       []doneAsk               // in order
	gone       map[bellhop.RunID]*mrun // that were forgotten
}

// doneAsk is an invocation with its answer, to be asked again.
type doneAsk struct {
	inv    bellhop.Invocation
	answer bellhop.Answer
	err    error
}

func newModelled(t *testing.T, rt *rapid.T, kind modelStore) *modelled {
	m := &modelled{world: &world{runs: map[bellhop.RunID]*mrun{}, keys: map[string]bellhop.RunID{}, no: map[string]bool{}, last: map[string]bellhop.State{}}}
	m.t, m.kind, m.wall, m.mono = rt, kind, &handClock{at: noon}, &handClock{at: noon}
	m.world.now, m.world.mono = noon, noon
	m.catalog, m.jobs = modelCatalog()
	m.catalog, m.gone = withKeep(m.catalog), map[bellhop.RunID]*mrun{}
	m.focus = rapid.SampledFrom([][]string{{"one"}, {"two"}, {"free"}, {"keyed", "shared"}, {"block"}, {"block", "one"}, {"gated"}, {"gated", "opener"}, {"one", "two", "free", "keyed", "shared", "block", "gated"}}).Draw(rt, "focus")
	m.envs = rapid.SampledFrom([][]string{{"a"}, {"a", "b"}}).Draw(rt, "envs")
	m.open, m.remove = kind.fresh(t, m.mono)
	m.reopen()
	return m
}

func (m *modelled) close() {
	_ = m.store.Admin.Close()
	m.remove()
}

// reopen opens the store, with a new engine on it.
func (m *modelled) reopen() {
	m.store = m.open()
	m.engine = engine.New(engine.Options{
		Store: m.store, Bus: &bus.Local{}, Clock: m.wall, Lease: modelLease, Jitter: func() float64 { return 0 },
	})
	m.ok(m.engine.Activate(m.ctx(), m.catalog))
}

func (m *modelled) ctx() context.Context { return m.t.Context() }

// ok fails on an error.
func (m *modelled) ok(err error) {
	if err != nil {
		m.t.Helper()
		m.t.Fatal(err)
	}
}

// actions are the steps, each as often as its weight says.
func (m *modelled) actions() map[string]func(*rapid.T) {
	all := map[string]func(*rapid.T){"": func(t *rapid.T) { m.t = t; m.check() }}
	for _, step := range []struct {
		name   string
		weight int
		do     func()
	}{
		{"submit", 6, m.submit}, {"claim", 4, m.claim}, {"finish", 5, m.finish}, {"wait", 3, m.wait},
		{"retry", 1, m.retry}, {"again", 1, m.again}, {"stale", 1, m.stale}, {"extend", 1, m.extend},
		{"cancel run", 1, m.cancelRun}, {"cancel job", 1, m.cancelJob}, {"hold", 1, m.hold}, {"release", 1, m.release},
		{"expire", 1, m.expire}, {"vote", 2, m.vote}, {"lapse", 1, m.lapse}, {"jump", 1, m.jump}, {"reap", 1, m.reap}, {"restart", 1, m.restart},
		{"print", 4, m.print}, {"tell", 2, m.tell}, {"forget", 3, m.forget},
	} {
		for n := range step.weight {
			all[fmt.Sprint(step.name, " ", n)] = func(t *rapid.T) { m.t = t; step.do() }
		}
	}
	return all
}

// do has an invocation done by a person of the draw.
func (m *modelled) do(inv bellhop.Invocation) (bellhop.Answer, error) {
	m.n++
	inv.Key = fmt.Sprint("k", m.n)
	inv.Person = rapid.SampledFrom([]bellhop.Person{alice, bob}).Draw(m.t, "who")
	inv.Origin = bellhop.Origin{Source: "ssh", Session: "s-" + inv.Person.Name}
	a, err := m.engine.Do(m.ctx(), inv)
	m.done = append(m.done, doneAsk{inv, a, err})
	return a, err
}

func (m *modelled) drawJob() (*mjob, bellhop.Args) {
	name := rapid.SampledFrom(m.focus).Draw(m.t, "job")
	return m.jobs[name], bellhop.Args{"env": bellhop.Text(rapid.SampledFrom(m.envs).Draw(m.t, "env"))}
}

func (m *modelled) minutes(what string, least, most int) time.Duration {
	return time.Duration(rapid.IntRange(least, most).Draw(m.t, what)) * 30 * time.Second
}

func (m *modelled) submit() {
	job, args := m.drawJob()
	inv := bellhop.Invocation{Action: bellhop.ActionRun, Service: "m", Job: job.def.Name, Args: args}
	inv.OnRepeat = rapid.SampledFrom([]bellhop.OnRepeat{"", "", bellhop.OnRepeatMerge, bellhop.OnRepeatQueue, bellhop.OnRepeatReject}).Draw(m.t, "on_repeat")
	if inv.OnRepeat == bellhop.OnRepeatReject && !job.reject {
		inv.OnRepeat = ""
	}
	inv.Delay = m.minutes("delay", 0, 4)
	a := asked{job: job, args: args, repeat: inv.OnRepeat, priority: job.def.Priority}
	if rapid.IntRange(0, 3).Draw(m.t, "bounded") == 0 {
		inv.MaxDelay = inv.Delay + m.minutes("max_delay", 1, 4)
	}
	if rapid.IntRange(0, 3).Draw(m.t, "urgent") == 0 {
		p := rapid.IntRange(0, 9).Draw(m.t, "priority")
		inv.Priority, a.priority = &p, p
	}
	a.start, a.maxDelay = m.now.Add(inv.Delay), inv.MaxDelay
	answer, err := m.do(inv)
	last := m.done[len(m.done)-1].inv
	a.principal = []string{last.Person.Principal()}
	if r := m.rejects(a); r != nil {
		if bellhop.CodeOf(err) != bellhop.Conflict {
			m.t.Fatalf("%s is alike, and the answer is %+v, %v", r, answer.Accepted, err)
		}
		m.no[last.Key] = true
		return
	}
	m.ok(err)
	r := m.accept(answer.Accepted, a)
	m.keys[last.Key] = r.id
}

// accept holds an answer against the model, and has it make or join a run.
func (m *modelled) accept(got *bellhop.Accepted, a asked) *mrun {
	r, how := m.joins(a), bellhop.Merged
	if r != nil {
		m.join(r, a)
	} else {
		if m.runs[got.Run] != nil {
			m.t.Fatalf("%+v, want a new run", got)
		}
		r, how = m.make(got.Run, a), bellhop.Created
	}
	if got.Run != r.id || got.How != how || !got.Start.Equal(r.start) {
		m.t.Fatalf("accepted as %+v; want %s %s at %s", got, how, r, r.start)
	}
	if held := m.held(r.job, r.args, latest(m.now, r.start)); !m.jumped && (got.Hold != nil) != held {
		m.t.Fatalf("%s: the receipt tells of hold %+v; want one: %t", r, got.Hold, held)
	}
	return r
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pick draws one of the runs; nil when there is none.
func (m *modelled) pick(what string, which func(*mrun) bool) *mrun {
	runs := m.sorted(which)
	if len(runs) == 0 {
		return nil
	}
	return runs[rapid.IntRange(0, len(runs)-1).Draw(m.t, what)]
}

func (m *modelled) retry() {
	old := m.pick("old", nil)
	if old == nil {
		return
	}
	answer, err := m.do(bellhop.Invocation{Action: bellhop.ActionRetry, Run: old.id})
	if !over(old) {
		if bellhop.CodeOf(err) != bellhop.Conflict {
			m.t.Fatalf("a retry of %s, which is %s: %v", old, old.state, err)
		}
		return
	}
	m.ok(err)
	last := m.done[len(m.done)-1].inv
	job := m.jobs[old.job.def.Name]
	r := m.accept(answer.Accepted, asked{job: job, args: old.args, start: m.now, priority: job.def.Priority, principal: []string{last.Person.Principal()}, retryOf: old.id})
	m.keys[last.Key] = r.id
}

// again asks something once more, under the same key.
func (m *modelled) again() {
	if len(m.done) == 0 {
		return
	}
	d := m.done[rapid.IntRange(0, len(m.done)-1).Draw(m.t, "again")]
	if d.err != nil && !m.no[d.inv.Key] {
		return // it was refused without a note of it, and may be done by now
	}
	answer, err := m.engine.Do(m.ctx(), d.inv)
	switch {
	case m.nameless(d) && err != nil:
		if bellhop.CodeOf(err) != bellhop.NotFound {
			m.t.Fatalf("%s of %s, which was forgotten: %+v, %v", d.inv.Action, d.inv.Run, answer, err)
		}
	case d.err != nil && m.no[d.inv.Key]:
		if bellhop.CodeOf(err) != bellhop.Conflict {
			m.t.Fatalf("refused, and again: %+v, %v", answer.Accepted, err)
		}
	case d.answer.Accepted != nil:
		m.ok(err)
		r := m.ever(m.keys[d.inv.Key])
		if got := answer.Accepted; got.How != bellhop.Repeated || got.Run != r.id || got.Ended != over(r) {
			m.t.Fatalf("%s again is %+v", r, got)
		}
	case d.answer.Decided != nil:
		m.ok(err)
		if got, was := answer.Decided, d.answer.Decided; got.ID != was.ID || got.State != was.State || got.Verdict != was.Verdict || len(got.Approval.Votes) != len(was.Approval.Votes) {
			m.t.Fatalf("decided as %+v, and again %+v", was, got)
		}
	case d.answer.Action == bellhop.ActionCancelRun || d.answer.Action == bellhop.ActionCancel:
		m.ok(err)
		if len(answer.Cancelled) != len(d.answer.Cancelled) {
			m.t.Fatalf("cancelled %+v, and again %+v", d.answer.Cancelled, answer.Cancelled)
		}
		for i, c := range d.answer.Cancelled {
			if again := answer.Cancelled[i]; again.Run != c.Run || again.Effect != c.Effect {
				m.t.Fatalf("cancelled %+v, and again %+v", c, again)
			}
		}
	}
}

func (m *modelled) claim() {
	n := rapid.IntRange(1, 4).Draw(m.t, "n")
	want := m.claimable(n)
	claims, next, err := m.engine.Claim(m.ctx(), "r", n)
	m.ok(err)
	if len(claims) != len(want) {
		m.t.Fatalf("claimed %d runs, want %v (%v)", len(claims), want, m.sorted(waiting))
	}
	for i, c := range claims {
		r := want[i]
		if c.Task.Run != r.id || c.Task.Lease <= r.lease || c.Task.Attempt != r.attempt+1 || !c.Task.Args.Equal(r.args) || c.Task.Principal != r.asks[0] {
			m.t.Fatalf("claimed %+v, want %s", c.Task, r)
		}
		r.state, r.claimed, r.attempt, r.lease = bellhop.Running, true, r.attempt+1, c.Task.Lease
		r.until, r.abandoned = m.world.mono.Add(modelLease), false
	}
	if len(claims) < n {
		m.checkNext(next)
	}
}

// checkNext holds against the model when there is to be looked again: not
// after a run could start. What a limit keeps back needs no look: it is told
// when there is room.
func (m *modelled) checkNext(next time.Time) {
	busy := map[string]int{}
	for _, r := range m.sorted(running) {
		busy[r.lane()]++
	}
	soon := func(r *mrun, at time.Time) {
		limit := r.job.def.Concurrency
		missed := !r.claimed && r.job.def.Deadline > 0 && !at.Before(r.deadline())
		if at.After(m.now) && !m.held(r.job, r.args, at) && !missed && (limit == 0 || busy[r.lane()] < limit) && (next.IsZero() || next.After(at)) {
			m.t.Fatalf("%s can start at %s, and the next look is at %s", r, at, next)
		}
	}
	for _, r := range m.sorted(waiting) {
		soon(r, r.start)
		for _, h := range m.holds {
			if h.Open(m.now) && !h.Until.IsZero() && !r.start.After(m.now) && h.Covers("m", r.job.def.Name, r.args) {
				soon(r, h.Until)
			}
		}
	}
}

func (m *modelled) finish() {
	r := m.pick("run", running)
	if r == nil || r.abandoned {
		return
	}
	end := rapid.SampledFrom([]bellhop.End{
		bellhop.EndSucceeded, bellhop.EndSucceeded, bellhop.EndFailed, bellhop.EndFailed, bellhop.EndTimedOut, bellhop.EndInterrupted,
		bellhop.EndCrashed, bellhop.EndCrashed, bellhop.EndCrashed, bellhop.EndCancelled,
	}).Draw(m.t, "end")
	m.ok(m.engine.Finish(m.ctx(), bellhop.LeaseRef{Run: r.id, Lease: r.lease}, bellhop.Outcome{End: end}, nil))
	m.follow(m.end(r, end, false))
}

// follow has what follows made, or joined, in the model.
func (m *modelled) follow(follows []asked) {
	for _, a := range follows {
		a.job = m.jobs[a.job.def.Name]
		a.priority = a.job.def.Priority
		if r := m.joins(a); r != nil {
			m.join(r, a)
			continue
		}
		runs, err := m.store.Records.Runs(m.ctx(), bellhop.RunFilter{Job: a.job.def.Name, Service: "m"})
		m.ok(err)
		i := slices.IndexFunc(runs, func(r bellhop.Run) bool { return r.After == a.after && m.runs[r.ID] == nil })
		if i < 0 {
			m.t.Fatalf("%s does not follow %s", a.job.def.Name, a.after)
		}
		m.make(runs[i].ID, a)
	}
}

// stale has somebody come back whose lease is over.
func (m *modelled) stale() {
	r := m.pick("run", func(r *mrun) bool { return r.lease > 0 })
	if r == nil {
		return
	}
	ref := bellhop.LeaseRef{Run: r.id, Lease: r.lease}
	if running(r) {
		ref.Lease--
	}
	if err := m.engine.Finish(m.ctx(), ref, bellhop.Outcome{End: bellhop.EndSucceeded}, nil); !errors.Is(err, bellhop.ErrLeaseLost) {
		m.t.Fatalf("%s, under an old lease: %v", r, err)
	}
}

func (m *modelled) extend() {
	r := m.pick("run", running)
	if r == nil || r.abandoned {
		return
	}
	ext, err := m.engine.Extend(m.ctx(), []bellhop.LeaseRef{{Run: r.id, Lease: r.lease}})
	m.ok(err)
	if ext[0].Lost || (ext[0].Stop != nil) != (r.stopping != "") {
		m.t.Fatalf("%s is extended as %+v, %q wants it gone", r, ext[0], r.stopping)
	}
	r.until = m.world.mono.Add(modelLease)
}
