// Package storetest is the suite that every driver of bellhop.Store passes:
// about one test for each sentence of the ports' contracts. A driver's own
// tests call Run with its way to make a store.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Driver makes stores. Every test has a store of its own and runs beside
// others.
type Driver struct {
	// Open makes a new, empty store that lives by the given clock, and closes
	// it when the test ends. Closing twice must do no harm.
	Open func(t *testing.T, clock bellhop.Clock) *bellhop.Store
	// Reopen closes a store of Open and opens what it has stored, as a server
	// does that is started again. The new one is closed when the test ends.
	Reopen func(t *testing.T, s *bellhop.Store, clock bellhop.Clock) *bellhop.Store
	// Beside opens what a store of Open has stored once more, as another server
	// does; nil when the driver does not allow that. It is closed when the test
	// ends.
	Beside func(t *testing.T, s *bellhop.Store, clock bellhop.Clock) *bellhop.Store
}

// Run runs the suite.
func Run(t *testing.T, d Driver) {
	t.Helper()
	for _, group := range []map[string]func(*fixture){
		submitTests(), mergeTests(), claimTests(), limitTests(), leaseTests(), finishTests(), cancelTests(),
		recordTests(), searchTests(), tallyTests(), outputTests(), outboxTests(), storeTests(), concurrencyTests(),
		rejectTests(), orderTests(), holdTests(), followTests(), retentionTests(), clusterTests(),
		approvalTests(), approvalKeyTests(), voteTests(), lapseTests(),
		depthTests(), valueTests(), secretTests(), auditTests(), auditRunTests(), auditFilterTests(),
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				clock := NewClock(time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC))
				f := &fixture{T: t, driver: d, clock: clock, ctx: t.Context()}
				f.s = d.Open(t, clock)
				f.must(f.s.Definitions.PutDefinitions(f.ctx, []bellhop.Definition{{Digest: Job().Digest(), Job: Job()}}))
				test(f)
			})
		}
	}
}

// Job is the definition that the suite's runs are of.
func Job() bellhop.Job {
	return bellhop.Job{
		Service: "example", Name: "hello", Executor: "shell", Spec: json.RawMessage(`{"script":"echo hello"}`),
		Params: []bellhop.Param{{Name: "name", Type: bellhop.TypeString}}, Timeout: time.Minute, Concurrency: 1, OnCrash: bellhop.CrashRerun,
	}
}

// Clock stands still until a test moves it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows t.
func NewClock(t time.Time) *Clock { return &Clock{now: t} }

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// NewTimer returns a real timer: no store needs one to be held still.
func (c *Clock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	return bellhop.SystemClock{}.NewTimer(d)
}

// fixture is one test's store and what helps to use it.
type fixture struct {
	*testing.T
	driver Driver
	s      *bellhop.Store
	clock  *Clock
	ctx    context.Context
	n      int // of submissions
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("unexpected error: %v (%v)", err, errors.Unwrap(err))
	}
}

// same fails the test unless got is want.
func (f *fixture) same(what string, got, want any) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Fatalf("%s is %+v, want %+v", what, got, want)
	}
}

func (f *fixture) code(err error, want bellhop.Code) {
	f.Helper()
	if bellhop.CodeOf(err) != want {
		f.Fatalf("error is %v (code %q), want code %q", err, bellhop.CodeOf(err), want)
	}
}

func (f *fixture) now() time.Time { return f.clock.Now() }

// reopen closes the store and opens it again.
func (f *fixture) reopen() {
	f.Helper()
	f.s = f.driver.Reopen(f.T, f.s, f.clock)
}

// spec changes a submission before it is made.
type spec func(*bellhop.Submission)

func by(who string) spec {
	return func(s *bellhop.Submission) {
		s.Ask.Principal, s.Ask.Identity, s.Ask.Origin.Person = who, "ssh:"+who, "ssh:"+who
	}
}
func key(k string) spec   { return func(s *bellhop.Submission) { s.Ask.Key = k } }
func merge(k string) spec { return func(s *bellhop.Submission) { s.Run.MergeKey = k } }
func in(d time.Duration) spec {
	return func(s *bellhop.Submission) { s.Run.Start = s.Now.Add(d) }
}
func limit(key string, n int) spec {
	return func(s *bellhop.Submission) { s.Run.ConcurrencyKey, s.Run.Concurrency = key, n }
}
func job(service, job string) spec {
	return func(s *bellhop.Submission) { s.Run.Service, s.Run.Job = service, job }
}
func args(a bellhop.Args) spec { return func(s *bellhop.Submission) { s.Run.Args = a } }
func session(id string) spec   { return func(s *bellhop.Submission) { s.Ask.Origin.Session = id } }

// submission makes one by alice that may start now, with a key of its own,
// without limit and not to be merged, and then applies the specs.
func (f *fixture) submission(specs ...spec) bellhop.Submission {
	f.n++
	s := bellhop.Submission{
		Now: f.now(),
		Run: bellhop.RunSpec{Service: "example", Job: "hello", Digest: Job().Digest(), Start: f.now(), ConcurrencyKey: "example hello"},
		Ask: bellhop.Ask{
			Principal: "alice", Identity: "ssh:alice", Key: fmt.Sprintf("test:%d", f.n), At: f.now(),
			Origin: bellhop.Origin{Source: "ssh", Channel: "c", Thread: "t", Message: "m", Person: "ssh:alice"},
		},
	}
	for _, change := range specs {
		change(&s)
	}
	return s
}

func (f *fixture) submit(specs ...spec) bellhop.Submitted {
	f.Helper()
	out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(specs...)})
	f.must(err)
	return out[0]
}

const lease = 30 * time.Second

func (f *fixture) claim(n int) []bellhop.ClaimedRun {
	f.Helper()
	runs, _ := f.claimNext(n)
	return runs
}

func (f *fixture) claimNext(n int, only ...bellhop.RunID) ([]bellhop.ClaimedRun, time.Time) {
	f.Helper()
	runs, next, err := f.s.Queue.Claim(f.ctx, bellhop.ClaimRequest{Runner: "runner-1", N: n, Now: f.now(), Lease: lease, Only: only})
	f.must(err)
	return runs, next
}

// claimOne claims the one run that is there.
func (f *fixture) claimOne() bellhop.ClaimedRun {
	f.Helper()
	runs := f.claim(10)
	if len(runs) != 1 {
		f.Fatalf("claimed %v, want one run", ids(runs))
	}
	return runs[0]
}

func ids(runs []bellhop.ClaimedRun) []bellhop.RunID {
	out := make([]bellhop.RunID, len(runs))
	for i, r := range runs {
		out[i] = r.Run.ID
	}
	return out
}

func ref(c bellhop.ClaimedRun) bellhop.LeaseRef {
	return bellhop.LeaseRef{Run: c.Run.ID, Lease: c.Lease}
}

// ending makes one that succeeds.
func (f *fixture) ending(r bellhop.LeaseRef) bellhop.Ending {
	zero := 0
	return bellhop.Ending{
		Ref: r, Now: f.now(), End: bellhop.EndSucceeded, ExitStatus: &zero, State: bellhop.Succeeded, Report: bellhop.ReportOutcome,
		Verdict: verdict(bellhop.Succeeded),
	}
}

// failing makes one that fails.
func (f *fixture) failing(r bellhop.LeaseRef) bellhop.Ending {
	three := 3
	e := f.ending(r)
	e.End, e.ExitStatus, e.State, e.Reason, e.Verdict = bellhop.EndFailed, &three, bellhop.Failed, "exit status 3", verdict(bellhop.Failed)
	return e
}

// again makes one after which the run waits again.
func (f *fixture) again(r bellhop.LeaseRef, end bellhop.End, in time.Duration) bellhop.Ending {
	return bellhop.Ending{Ref: r, Now: f.now(), End: end, State: bellhop.Waiting, Start: f.now().Add(in), Reason: "it " + string(end)}
}

func (f *fixture) finish(e bellhop.Ending) {
	f.Helper()
	errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{e})
	f.must(err)
	f.must(errs[0])
}

// verdict is the rule that the engine has for the two states.
func verdict(state bellhop.State) func(bellhop.State) bellhop.Verdict {
	return func(previous bellhop.State) bellhop.Verdict {
		switch {
		case state == bellhop.Succeeded && previous == bellhop.Failed:
			return bellhop.Fixed
		case state == bellhop.Succeeded:
			return bellhop.Success
		case previous == bellhop.Succeeded:
			return bellhop.Regression
		}
		return bellhop.Fail
	}
}

func (f *fixture) run(id bellhop.RunID) bellhop.Run {
	f.Helper()
	r, err := f.s.Records.Run(f.ctx, id)
	f.must(err)
	return r
}

func (f *fixture) cancel(c bellhop.Cancellation) []bellhop.CancelledRun {
	f.Helper()
	if c.Key == "" {
		f.n++
		c.Key = fmt.Sprintf("cancel:%d", f.n)
	}
	c.Now = f.now()
	if c.By == "" {
		c.By = c.Principal
	}
	out, err := f.s.Queue.Cancel(f.ctx, c)
	f.must(err)
	return out
}

func (f *fixture) due() []bellhop.OutboxRow {
	f.Helper()
	rows, _, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Now: f.now(), N: 1000})
	f.must(err)
	return rows
}

// reported returns who is told of what, in order.
func (f *fixture) reported() []string {
	f.Helper()
	out := []string{}
	for _, r := range f.due() {
		out = append(out, fmt.Sprintf("%s %s %d #%d", r.Ask.Principal, r.Kind, r.Run, r.Attempt))
	}
	return out
}
