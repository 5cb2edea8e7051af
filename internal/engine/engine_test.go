package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice = bellhop.Person{Identity: "ssh:alice", Name: "alice", Listed: true}
	bob   = bellhop.Person{Identity: "ssh:bob", Name: "bob", Listed: true}
	guest = bellhop.Person{Identity: "ssh:guest"}
	owner = bellhop.Person{Identity: "local:root", Listed: true}
)

// job is a job of the test catalog.
func job(service, name string, change func(*bellhop.Job)) bellhop.Job {
	j := bellhop.Job{
		Service: service, Name: name, Executor: "test", Spec: json.RawMessage(`{}`), Concurrency: 1, OnCrash: bellhop.CrashRerun,
		Params: []bellhop.Param{{Name: "env", Type: bellhop.TypeString}},
	}
	if change != nil {
		change(&j)
	}
	return j
}

func catalog() *bellhop.Catalog {
	return &bellhop.Catalog{Services: []bellhop.Service{
		{Name: "example", Jobs: []bellhop.Job{
			job("example", "deploy", nil),
			job("example", "free", func(j *bellhop.Job) { j.Concurrency = 0 }),
			job("example", "keyed", func(j *bellhop.Job) { j.ConcurrencyKey = "deploy-{env}" }),
			job("example", "stubborn", func(j *bellhop.Job) {
				j.Retries = bellhop.Retries{Max: 2, Backoff: time.Minute}
				j.Report.Retried = true
			}),
			job("example", "once", func(j *bellhop.Job) { j.OnCrash = bellhop.CrashFail }),
		}},
		{Name: "secret", Restricted: true, Jobs: []bellhop.Job{job("secret", "deploy", nil)}},
	}}
}

// house is an engine on a real store.
type house struct {
	*engine.Engine
	t     *testing.T
	store *bellhop.Store
	bus   *bus.Local
	keys  int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "bellhop.db"), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Admin.Close() })
	b := &bus.Local{}
	h := &house{Engine: engine.New(engine.Options{Store: store, Bus: b, Lease: time.Minute}), t: t, store: store, bus: b}
	if err := h.Activate(t.Context(), catalog()); err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(service, name, env string) bellhop.Invocation {
	return bellhop.Invocation{Action: bellhop.ActionRun, Service: service, Job: name, Entry: "e", Args: bellhop.Args{"env": bellhop.Text(env)}}
}

// do has an invocation done for a person, with a key of its own unless it has one.
func (h *house) do(p bellhop.Person, inv bellhop.Invocation) (bellhop.Answer, error) {
	h.keys++
	if inv.Key == "" {
		inv.Key = strings.Repeat("k", h.keys)
	}
	inv.Person, inv.Origin = p, bellhop.Origin{Source: "ssh", Person: p.Identity, Session: "s-" + p.Principal()}
	return h.Do(h.t.Context(), inv)
}

func (h *house) run(p bellhop.Person, inv bellhop.Invocation) *bellhop.Accepted {
	h.t.Helper()
	a, err := h.do(p, inv)
	if err != nil {
		h.t.Fatal(err)
	}
	return a.Accepted
}

// claim takes what may start, n at the most.
func (h *house) claim(n int) []bellhop.Claim {
	h.t.Helper()
	claims, _, err := h.Claim(h.t.Context(), "r", n)
	if err != nil {
		h.t.Fatal(err)
	}
	return claims
}

// claimAt claims the one run that may start at some time to come.
func (h *house) claimAt(now time.Time) bellhop.Claim {
	h.t.Helper()
	runs, _, err := h.store.Queue.Claim(h.t.Context(), bellhop.ClaimRequest{Runner: "r", N: 1, Now: now, Lease: time.Minute})
	if err != nil || len(runs) != 1 {
		h.t.Fatal(runs, err)
	}
	return bellhop.Claim{Task: bellhop.Task{Run: runs[0].Run.ID, Lease: runs[0].Lease}}
}

func ref(c bellhop.Claim) bellhop.LeaseRef {
	return bellhop.LeaseRef{Run: c.Task.Run, Lease: c.Task.Lease}
}

func (h *house) finish(c bellhop.Claim, end bellhop.End) {
	h.t.Helper()
	if err := h.Finish(h.t.Context(), ref(c), bellhop.Outcome{End: end, Error: "because"}, nil); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) get(id bellhop.RunID) bellhop.Run {
	h.t.Helper()
	r, err := h.store.Records.Run(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func wantCode(t *testing.T, err error, code bellhop.Code) {
	t.Helper()
	if bellhop.CodeOf(err) != code {
		t.Errorf("got %v, want an error of code %q", err, code)
	}
}

func TestTheGate(t *testing.T) {
	h := newHouse(t)
	if _, err := h.do(guest, ask("example", "deploy", "a")); err != nil {
		t.Errorf("a guest may not use an open service: %v", err)
	}
	_, err := h.do(guest, ask("secret", "deploy", "a"))
	wantCode(t, err, bellhop.NotAllowed)
	if _, err := h.do(alice, ask("secret", "deploy", "a")); err != nil {
		t.Errorf("alice may not use a restricted service: %v", err)
	}
	_, err = h.do(alice, ask("example", "nothing", "a"))
	wantCode(t, err, bellhop.NotFound)
	wantCode(t, h.May(guest, "gone"), bellhop.NotAllowed)
	wantCode(t, h.MayManage(alice), bellhop.NotAllowed)
	wantCode(t, h.MayManage(bellhop.Person{Identity: "local:root"}), bellhop.NotAllowed)
	if err := h.MayManage(owner); err != nil {
		t.Error(err)
	}
}

func TestWhatOneMayNotSee(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("secret", "deploy", "production")).Run
	for _, inv := range []bellhop.Invocation{
		{Action: bellhop.ActionCancelRun, Run: id}, {Action: bellhop.ActionLogs, Run: id}, {Action: bellhop.ActionRetry, Run: id},
	} {
		_, err := h.do(guest, inv)
		wantCode(t, err, bellhop.NotAllowed)
	}
	wantCode(t, h.ReadOutput(t.Context(), guest, id, 0, 0, false, nil), bellhop.NotAllowed)
	status, err := h.Status(t.Context(), guest)
	if err != nil || len(status.Waiting) != 1 || status.Waiting[0].Args != nil || status.Waiting[0].Job != "deploy" {
		t.Errorf("a guest's status shows %+v, %v", status, err)
	}
	runs, err := h.Runs(t.Context(), guest, bellhop.RunFilter{})
	if err != nil || len(runs) != 1 || runs[0].Args != nil {
		t.Errorf("a guest's list shows %+v, %v", runs, err)
	}
	if runs, _ := h.Runs(t.Context(), bob, bellhop.RunFilter{}); runs[0].Args == nil {
		t.Error("bob, who may run it, does not see its arguments")
	}
	c := h.claim(1)[0]
	out := bellhop.Outcome{End: bellhop.EndFailed, Error: "production is down", Result: json.RawMessage(`"production"`), Warnings: []string{"production"}}
	if err := h.Finish(t.Context(), ref(c), out, nil); err != nil {
		t.Fatal(err)
	}
	runs, err = h.Runs(t.Context(), guest, bellhop.RunFilter{})
	if told := fmt.Sprintf("%+v", runs); err != nil || strings.Contains(told, "production") || strings.Contains(told, "s-alice") {
		t.Errorf("a guest's list tells %s, %v", told, err)
	}
}

func TestTheSameKeyIsTheSameInvocation(t *testing.T) {
	h := newHouse(t)
	inv := ask("example", "deploy", "a")
	inv.Key = "same"
	first := h.run(alice, inv)
	c := h.claim(1)
	h.finish(c[0], bellhop.EndSucceeded)
	second := h.run(alice, inv)
	if second.How != bellhop.Repeated || second.Run != first.Run || !second.Ended {
		t.Errorf("%+v after %+v", second, first)
	}
	_, err := h.Do(t.Context(), bellhop.Invocation{Action: bellhop.ActionRun, Service: "example", Job: "deploy", Person: alice})
	wantCode(t, err, bellhop.Invalid)
	long := ask("example", "deploy", "a")
	long.Key = strings.Repeat("x", 600)
	_, err = h.do(alice, long)
	wantCode(t, err, bellhop.Invalid)

	cancel := bellhop.Invocation{Action: bellhop.ActionCancel, Service: "example", Job: "deploy", Key: "cancel"}
	three := h.run(alice, ask("example", "deploy", "b")).Run
	one, err := h.do(alice, cancel)
	if err != nil || len(one.Cancelled) != 1 || one.Cancelled[0].Run != three {
		t.Fatalf("%+v, %v", one, err)
	}
	four := h.run(alice, ask("example", "deploy", "c")).Run
	again, err := h.do(alice, cancel)
	if err != nil || len(again.Cancelled) != 1 || again.Cancelled[0].Run != three {
		t.Errorf("the same cancellation again: %+v, %v", again, err)
	}
	if got := h.get(four).State; got != bellhop.Waiting {
		t.Errorf("the same cancellation again took out a later run: %s", got)
	}
}

func TestMergeAndDelay(t *testing.T) {
	h := newHouse(t)
	slow := ask("example", "deploy", "a")
	slow.Delay = time.Hour
	first := h.run(alice, slow)
	second := h.run(bob, slow)
	if second.How != bellhop.Merged || second.Run != first.Run || !second.Start.After(first.Start) {
		t.Fatalf("%+v after %+v, want it merged and pushed back", second, first)
	}
	if other := h.run(bob, ask("example", "deploy", "b")); other.How != bellhop.Created {
		t.Errorf("other arguments: %+v", other)
	}
	h.finish(h.claim(1)[0], bellhop.EndSucceeded)
	if got := h.claim(10); len(got) != 0 {
		t.Fatalf("claimed before its time: %+v", got)
	}
	if now := h.run(alice, ask("example", "deploy", "a")); now.How != bellhop.Merged || now.Run != first.Run {
		t.Errorf("without delay: %+v", now)
	}
	c := h.claim(10)
	if len(c) != 1 || c[0].Task.Run != first.Run || c[0].Task.Principal != "alice" {
		t.Fatalf("claimed %+v", c)
	}
	if late := h.run(bob, ask("example", "deploy", "a")); late.How != bellhop.Created || late.Behind != first.Run {
		t.Errorf("merged into a running run: %+v", late)
	}
	h.finish(c[0], bellhop.EndSucceeded)
	for _, who := range []string{"alice", "bob"} {
		rows, err := h.store.Outbox.Unread(t.Context(), "", "s-"+who, 100)
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, r := range rows {
			if r.Run == first.Run {
				told++
			}
		}
		if told == 0 {
			t.Errorf("%s is not told of the outcome", who)
		}
	}
}

func TestConcurrency(t *testing.T) {
	h := newHouse(t)
	for _, env := range []string{"a", "b", "a2"} {
		h.run(alice, ask("example", "deploy", env))
		h.run(alice, ask("example", "free", env))
		h.run(alice, ask("example", "keyed", env[:1]))
	}
	perJob := map[string]int{}
	claims := h.claim(100)
	for _, c := range claims {
		perJob[c.Task.Job.Name]++
	}
	// keyed: a, b, and a merged into the first.
	if perJob["deploy"] != 1 || perJob["free"] != 3 || perJob["keyed"] != 2 {
		t.Errorf("claimed %v", perJob)
	}
	for _, c := range claims {
		h.finish(c, bellhop.EndSucceeded)
	}
	if next := h.claim(100); len(next) != 1 || next[0].Task.Args["env"].Text != "b" {
		t.Errorf("then %+v, want deploy b: the order of asking", next)
	}
}

func TestVerdicts(t *testing.T) {
	h := newHouse(t)
	steps := []struct {
		end   bellhop.End
		state bellhop.State
		want  bellhop.Verdict
	}{
		{bellhop.EndSucceeded, bellhop.Succeeded, bellhop.Success},
		{bellhop.EndFailed, bellhop.Failed, bellhop.Regression},
		{bellhop.EndCancelled, bellhop.Cancelled, bellhop.Aborted},
		{bellhop.EndFailed, bellhop.Failed, bellhop.Fail},
		{bellhop.EndTimedOut, bellhop.TimedOut, bellhop.Aborted},
		{bellhop.EndSucceeded, bellhop.Succeeded, bellhop.Fixed},
		{bellhop.EndNotStarted, bellhop.Failed, bellhop.Broken},
		{bellhop.EndSucceeded, bellhop.Succeeded, bellhop.Fixed},
	}
	for i, s := range steps {
		id := h.run(alice, ask("example", "deploy", "a")).Run
		h.finish(h.claim(1)[0], s.end)
		if got := h.get(id); got.State != s.state || got.Verdict != s.want {
			t.Errorf("step %d: %s is %s %s, want %s %s", i, s.end, got.State, got.Verdict, s.state, s.want)
		}
	}
}

func TestInterruptedBurnsNoAttempt(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	for range 5 {
		c := h.claim(1)
		if len(c) != 1 || c[0].Task.Attempt != 1 {
			t.Fatalf("claimed %+v", c)
		}
		h.finish(c[0], bellhop.EndInterrupted)
		if got := h.get(id); got.State != bellhop.Waiting || got.Attempt != 0 || got.Error != "because" {
			t.Fatalf("%+v", got)
		}
	}
	attempts, err := h.store.Records.Attempts(t.Context(), id)
	if err != nil || len(attempts) != 5 {
		t.Errorf("the record has %d attempts, %v", len(attempts), err)
	}
}

func TestWhatRunsAgainKeepsItsPlace(t *testing.T) {
	for _, end := range []bellhop.End{bellhop.EndInterrupted, bellhop.EndCrashed} {
		h := newHouse(t)
		first := h.run(alice, ask("example", "deploy", "a")).Run
		h.run(alice, ask("example", "deploy", "b"))
		h.finish(h.claim(1)[0], end)
		if again := h.claim(1); len(again) != 1 || again[0].Task.Run != first {
			t.Errorf("%s: claimed %+v, want the first again", end, again)
		}
	}
}

func TestCrashes(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	for i := 1; i <= bellhop.MaxCrashes; i++ {
		c := h.claim(1)
		if len(c) != 1 || c[0].Task.Attempt != i {
			t.Fatalf("crash %d: claimed %+v", i, c)
		}
		h.finish(c[0], bellhop.EndCrashed)
	}
	if got := h.get(id); got.State != bellhop.Failed || got.Verdict != bellhop.Broken || !strings.Contains(got.Error, "crashed three times") {
		t.Errorf("%+v", got)
	}
	id = h.run(alice, ask("example", "once", "a")).Run
	h.finish(h.claim(1)[0], bellhop.EndCrashed)
	if got := h.get(id); got.State != bellhop.Failed || !strings.Contains(got.Error, "on_crash: fail") {
		t.Errorf("on_crash: fail: %+v", got)
	}
}

func TestRetriesAfterFailure(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "stubborn", "a")).Run
	told := func(kind bellhop.ReportKind) (n int) {
		rows, err := h.store.Outbox.Unread(t.Context(), "", "s-alice", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Kind == kind {
				n++
			}
		}
		return n
	}
	// The pause doubles: a minute, two, each with up to a tenth more.
	for i, want := range []time.Duration{time.Minute, 2 * time.Minute} {
		c := h.claimAt(h.get(id).Start)
		before := time.Now()
		h.finish(c, bellhop.EndFailed)
		r := h.get(id)
		if wait := r.Start.Sub(before); r.State != bellhop.Waiting || wait < want || wait > want+want/10+time.Second {
			t.Fatalf("after failure %d it is %s and waits %s, want about %s", i+1, r.State, wait, want)
		}
		if n := told(bellhop.ReportRetried); n != i+1 {
			t.Errorf("%d failed attempts were told of, want %d", n, i+1)
		}
		if n := told(bellhop.ReportOutcome); n != 0 {
			t.Errorf("the outcome was told %d times before there was one", n)
		}
	}
	h.finish(h.claimAt(h.get(id).Start), bellhop.EndFailed)
	if r := h.get(id); r.State != bellhop.Failed || r.Attempt != 3 || r.Verdict != bellhop.Fail {
		t.Errorf("%+v", r)
	}
	if n := told(bellhop.ReportOutcome); n != 1 {
		t.Errorf("the outcome was told %d times", n)
	}
	// What could not be started, or took too long, is not tried again.
	for _, end := range []bellhop.End{bellhop.EndNotStarted, bellhop.EndTimedOut, bellhop.EndCancelled} {
		id := h.run(alice, ask("example", "stubborn", "b")).Run
		h.finish(h.claim(1)[0], end)
		if r := h.get(id); !r.State.Terminal() {
			t.Errorf("after %s it is %s", end, r.State)
		}
	}
}

func TestAStaleLeaseChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.run(alice, ask("example", "deploy", "a"))
	old := h.claim(1)[0]
	h.finish(old, bellhop.EndCrashed)
	current := h.claim(1)[0]
	out := bellhop.OutputBatch{Ref: ref(old), Chunks: []bellhop.Chunk{{Seq: 1, Channel: bellhop.Stdout, Data: []byte("x")}}}
	if err := h.Output(t.Context(), []bellhop.OutputBatch{out}); !errors.Is(err, bellhop.ErrLeaseLost) {
		t.Errorf("output: %v", err)
	}
	if err := h.Finish(t.Context(), ref(old), bellhop.Outcome{End: bellhop.EndSucceeded}, &out); !errors.Is(err, bellhop.ErrLeaseLost) {
		t.Errorf("finish: %v", err)
	}
	if ext, err := h.Extend(t.Context(), []bellhop.LeaseRef{ref(old), ref(current)}); err != nil || !ext[0].Lost || ext[1].Lost {
		t.Errorf("extend: %+v, %v", ext, err)
	}
	chunks, err := h.store.Outputs.Output(t.Context(), old.Task.Run, 0, 0, 1000)
	if err != nil || len(chunks) != 0 {
		t.Errorf("a stale lease wrote %+v, %v", chunks, err)
	}
}

func TestCancel(t *testing.T) {
	h := newHouse(t)
	// A waiting run goes at once, and is reported.
	id := h.run(alice, ask("example", "deploy", "a")).Run
	got, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
	if err != nil || got.Cancelled[0].Effect != bellhop.CancelDone {
		t.Fatalf("%+v, %v", got, err)
	}
	if r := h.get(id); r.State != bellhop.Cancelled || r.Verdict != bellhop.Aborted || !strings.Contains(r.Error, "bob") {
		t.Errorf("%+v", r)
	}
	got, err = h.do(bob, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
	if err != nil || got.Cancelled[0].Effect != bellhop.CancelTooLate {
		t.Errorf("again: %+v, %v", got, err)
	}
	// A running one is asked to stop.
	id = h.run(alice, ask("example", "deploy", "a")).Run
	c := h.claim(1)[0]
	got, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
	if err != nil || got.Cancelled[0].Effect != bellhop.CancelStopping {
		t.Fatalf("%+v, %v", got, err)
	}
	ext, err := h.Extend(t.Context(), []bellhop.LeaseRef{ref(c)})
	if err != nil || ext[0].Stop == nil || ext[0].Stop.End != bellhop.EndCancelled {
		t.Fatalf("%+v, %v", ext, err)
	}
	// `action: cancel` leaves the running one alone, unless told.
	id2 := h.run(alice, ask("example", "deploy", "b")).Run
	got, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionCancel, Service: "example", Job: "deploy"})
	if err != nil || len(got.Cancelled) != 1 || got.Cancelled[0].Run != id2 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = h.do(guest, bellhop.Invocation{Action: bellhop.ActionCancel, Service: "secret", Job: "deploy"})
	wantCode(t, err, bellhop.NotAllowed)
}

func TestRetry(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	_, err := h.do(alice, bellhop.Invocation{Action: bellhop.ActionRetry, Run: id})
	wantCode(t, err, bellhop.Conflict)
	h.finish(h.claim(1)[0], bellhop.EndFailed)
	again := h.run(bob, bellhop.Invocation{Action: bellhop.ActionRetry, Run: id})
	if r := h.get(again.Run); again.Run == id || r.RetryOf != id || r.AskedBy != "bob" || r.Args["env"].Text != "a" {
		t.Errorf("%+v", r)
	}
	changed := catalog()
	changed.Services[0].Jobs[0].Params = append(changed.Services[0].Jobs[0].Params, bellhop.Param{Name: "sha", Type: bellhop.TypeString})
	if err := h.Activate(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	_, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionRetry, Run: id})
	wantCode(t, err, bellhop.Conflict)
	_, err = h.do(alice, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 999})
	wantCode(t, err, bellhop.NotFound)
}

func TestARunKeepsTheDefinitionItNames(t *testing.T) {
	h := newHouse(t)
	h.run(alice, ask("example", "deploy", "a"))
	changed := catalog()
	changed.Services[0].Jobs[0].Spec = json.RawMessage(`{"new":true}`)
	if err := h.Activate(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if merged := h.run(alice, ask("example", "deploy", "a")); merged.How != bellhop.Created {
		t.Errorf("merged into a run of another definition: %+v", merged)
	}
	if got := string(h.claim(1)[0].Task.Job.Spec); got != `{}` {
		t.Errorf("claimed with the definition %s", got)
	}
}

func TestReadOutputFollowsToTheEnd(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	c := h.claim(1)[0]
	chunk := func(seq, offset int64, s string) *bellhop.OutputBatch {
		return &bellhop.OutputBatch{Ref: ref(c), Attempt: 1, Chunks: []bellhop.Chunk{{Seq: seq, Attempt: 1, Channel: bellhop.Stdout, Offset: offset, Data: []byte(s)}}}
	}
	if err := h.Output(t.Context(), []bellhop.OutputBatch{*chunk(1, 0, "one\n")}); err != nil {
		t.Fatal(err)
	}
	first, done := make(chan struct{}), make(chan string)
	go func() {
		var all strings.Builder
		err := h.ReadOutput(t.Context(), alice, id, 0, 0, true, func(ch bellhop.Chunk) error {
			if all.Len() == 0 {
				close(first)
			}
			all.Write(ch.Data)
			return nil
		})
		if err != nil {
			all.WriteString(err.Error())
		}
		done <- all.String()
	}()
	<-first
	if err := h.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndSucceeded}, chunk(2, 4, "two\n")); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != "one\ntwo\n" {
		t.Errorf("followed %q", got)
	}
}

func TestServeOnlyOwn(t *testing.T) {
	h := newHouse(t)
	h.run(alice, ask("example", "free", "before"))
	h.ServeOnlyOwn()
	if got := h.claim(10); len(got) != 0 {
		t.Errorf("claimed somebody else's %+v", got)
	}
	own := h.run(alice, ask("example", "free", "own")).Run
	got := h.claim(10)
	if len(got) != 1 || got[0].Task.Run != own {
		t.Errorf("claimed %+v, want its own", got)
	}
}

// broken is a store whose writes fail.
type broken struct{ bellhop.Queue }

func (broken) Submit(context.Context, []bellhop.Submission) ([]bellhop.Submitted, error) {
	return nil, bellhop.Errorf(bellhop.Unavailable, "the disk is full")
}

func TestWhatIsNotWrittenIsNotAccepted(t *testing.T) {
	h := newHouse(t)
	h.store.Queue = broken{h.store.Queue}
	_, err := h.do(alice, ask("example", "deploy", "a"))
	wantCode(t, err, bellhop.Unavailable)
	if err == nil || !strings.HasPrefix(err.Error(), "not accepted: ") {
		t.Errorf("%v", err)
	}
}

func TestReapTakesOverAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bellhop.db")
	open := func() *house {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Clock: bellhop.SystemClock{}})
		if err != nil {
			t.Fatal(err)
		}
		h := &house{Engine: engine.New(engine.Options{Store: store, Bus: &bus.Local{}}), t: t, store: store}
		if err := h.Activate(t.Context(), catalog()); err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	crashed := h.run(alice, ask("example", "free", "a")).Run
	unwanted := h.run(alice, ask("example", "free", "b")).Run
	fails := h.run(alice, ask("example", "once", "c")).Run
	if got := h.claim(10); len(got) != 3 {
		t.Fatalf("claimed %d", len(got))
	}
	if _, err := h.do(alice, bellhop.Invocation{Key: "c", Action: bellhop.ActionCancelRun, Run: unwanted}); err != nil {
		t.Fatal(err)
	}
	if err := h.store.Admin.Close(); err != nil {
		t.Fatal(err)
	}
	h = open()
	defer h.store.Admin.Close()
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	if r := h.get(crashed); r.State != bellhop.Waiting || !strings.Contains(r.Error, "was lost while it ran") {
		t.Errorf("crashed: %s, %q", r.State, r.Error)
	}
	if r := h.get(unwanted); r.State != bellhop.Cancelled {
		t.Errorf("cancelled before the crash: %s", r.State)
	}
	if r := h.get(fails); r.State != bellhop.Failed {
		t.Errorf("on_crash: fail: %s", r.State)
	}
	if got := h.claim(10); len(got) != 1 || got[0].Task.Attempt != 2 {
		t.Errorf("claimed again: %+v", got)
	}
}
