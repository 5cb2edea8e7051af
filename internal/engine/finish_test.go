package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

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

func TestWhatIsTriedAgain(t *testing.T) {
	exit := func(n int) *int { return &n }
	tests := []struct {
		on    []string
		out   bellhop.Outcome
		again bool
	}{
		{nil, bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: exit(1)}, true},
		{nil, bellhop.Outcome{End: bellhop.EndTimedOut}, false},
		{nil, bellhop.Outcome{End: bellhop.EndNotStarted}, false},
		{nil, bellhop.Outcome{End: bellhop.EndCancelled}, false},
		{[]string{"75"}, bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: exit(75)}, true},
		{[]string{"75"}, bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: exit(1)}, false},
		{[]string{"75"}, bellhop.Outcome{End: bellhop.EndFailed}, false},
		{[]string{"75"}, bellhop.Outcome{End: bellhop.EndTimedOut}, false},
		{[]string{"75", "timeout"}, bellhop.Outcome{End: bellhop.EndTimedOut}, true},
		{[]string{"timeout"}, bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: exit(1)}, false},
		{[]string{"not_started"}, bellhop.Outcome{End: bellhop.EndNotStarted}, true},
	}
	for _, tt := range tests {
		h := newHouse(t)
		cat := catalog()
		cat.Services[0].Jobs[0].Retries = bellhop.Retries{Max: 1, Backoff: time.Minute, Factor: 2, On: tt.on}
		if err := h.Activate(t.Context(), cat); err != nil {
			t.Fatal(err)
		}
		id := h.run(alice, ask("example", "deploy", "a")).Run
		if err := h.Finish(t.Context(), ref(h.claim(1)[0]), tt.out, nil); err != nil {
			t.Fatal(err)
		}
		if r := h.get(id); (r.State == bellhop.Waiting) != tt.again {
			t.Errorf("on %q, after %+v, it is %s", tt.on, tt.out, r.State)
			continue
		}
		if !tt.again {
			continue
		}
		c := h.claimAt(h.get(id).Start)
		if err := h.Finish(t.Context(), ref(c), tt.out, nil); err != nil {
			t.Fatal(err)
		}
		if r := h.get(id); !r.State.Terminal() {
			t.Errorf("on %q, after the last attempt, it is %s", tt.on, r.State)
		}
	}
}

func TestJitterLengthensPauses(t *testing.T) {
	h := newHouse(t)
	h.Engine = engine.New(engine.Options{Store: h.store, Bus: h.bus, Jitter: func() float64 { return 0.5 }})
	cat := catalog()
	cat.Services[0].Jobs[0].Retries = bellhop.Retries{Max: 1, Backoff: time.Hour, Factor: 1, Jitter: 0.4}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	id := h.run(alice, ask("example", "deploy", "a")).Run
	c := h.claim(1)[0]
	before := time.Now()
	h.finish(c, bellhop.EndFailed)
	if wait := h.get(id).Start.Sub(before); wait < 72*time.Minute-time.Second || wait > 73*time.Minute {
		t.Errorf("it waits %s, want an hour and a fifth", wait)
	}
}

// calls counts what is asked of a store while a run is worked.
type calls struct {
	bellhop.Queue
	bellhop.Records
	n int
}

func (c *calls) Finish(ctx context.Context, ends []bellhop.Ending) ([]error, error) {
	c.n++
	return c.Queue.Finish(ctx, ends)
}

func (c *calls) Extend(ctx context.Context, refs []bellhop.LeaseRef, lease time.Duration) ([]bellhop.Extension, error) {
	c.n++
	return c.Queue.Extend(ctx, refs, lease)
}

func (c *calls) Run(ctx context.Context, id bellhop.RunID) (bellhop.Run, error) {
	c.n++
	return c.Records.Run(ctx, id)
}

func (c *calls) Attempts(ctx context.Context, id bellhop.RunID) ([]bellhop.Attempt, error) {
	c.n++
	return c.Records.Attempts(ctx, id)
}

func TestASuccessIsOneCallOfTheStore(t *testing.T) {
	h := newHouse(t)
	h.run(alice, ask("example", "stubborn", "a"))
	claim := h.claim(1)[0]
	c := &calls{Queue: h.store.Queue, Records: h.store.Records}
	h.store.Queue, h.store.Records = c, c
	h.finish(claim, bellhop.EndSucceeded)
	if c.n != 1 {
		t.Errorf("it took %d calls", c.n)
	}
}
