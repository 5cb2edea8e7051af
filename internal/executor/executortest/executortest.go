// Package executortest is the suite that every bellhop.Executor passes. It
// knows nothing of how jobs are carried out: who calls it brings jobs that
// behave as it asks for.
package executortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Jobs are definitions that behave as their names say.
type Jobs struct {
	Hello    bellhop.Job // writes "hello\n" to stdout and succeeds
	Both     bellhop.Job // writes "out\n" to stdout and "err\n" to stderr and succeeds
	Fails    bellhop.Job // writes "oops\n" to stderr and ends with status 3
	Missing  bellhop.Job // can't be started
	Echo     bellhop.Job // has a parameter "text" and writes its value to stdout, unchanged
	Polite   bellhop.Job // writes "ready\n", goes on for an hour, and when asked to stop writes "bye\n" and succeeds
	Stubborn bellhop.Job // as Polite, but does not end when asked, and neither do helpers that it started
}

// Harness is what is tested.
type Harness struct {
	// New returns an executor for one test, with a short time between asking
	// and killing. It cleans up with t.Cleanup.
	New  func(t *testing.T) bellhop.Executor
	Jobs Jobs
	// Left names what is left of a run on this machine (processes, folders).
	Left func(run bellhop.RunID) []string
}

// Wait is how long the suite waits for what must happen.
const Wait = 20 * time.Second

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"outcomes", testOutcomes},
		{"an argument arrives unchanged", testArguments},
		{"a handle is given before the end", testHandle},
		{"stopping asks first", testPolite},
		{"stopping kills what does not end", testStubborn},
		{"a context that has ended starts nothing", testEnded},
		{"many at once", testMany},
	} {
		t.Run(tc.name, func(t *testing.T) { t.Parallel(); tc.test(t, h) })
	}
}

// Sink records what it is given, and whether it is used after its Close.
type Sink struct {
	mu      sync.Mutex
	out     [3]bytes.Buffer
	all     bytes.Buffer
	handles []string
	closed  bool
	late    bool
	changed chan struct{}
}

// NewSink returns an empty Sink.
func NewSink() *Sink { return &Sink{changed: make(chan struct{})} }

// Write implements bellhop.Sink.
func (s *Sink) Write(c bellhop.Channel, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out[c].Write(p)
	s.all.Write(p)
	s.touch()
}

// Handle implements bellhop.Sink.
func (s *Sink) Handle(h string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles = append(s.handles, h)
	s.touch()
}

func (s *Sink) touch() {
	s.late = s.late || s.closed
	close(s.changed)
	s.changed = make(chan struct{})
}

// Text returns what has come from one channel.
func (s *Sink) Text(c bellhop.Channel) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out[c].String()
}

// All returns what has come from both channels, in order of arrival.
func (s *Sink) All() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// Handles returns the handles that were given.
func (s *Sink) Handles() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.handles...)
}

// Await waits until stdout holds want.
func (s *Sink) Await(t testing.TB, want string) {
	t.Helper()
	limit := time.After(Wait)
	for {
		s.mu.Lock()
		got, changed := s.out[bellhop.Stdout].String(), s.changed
		s.mu.Unlock()
		if strings.Contains(got, want) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("stdout never held %q; it is %.200q", want, got)
		}
	}
}

// Close marks the end of Execute and fails the test if the sink was used later.
func (s *Sink) Close(t testing.TB) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.late {
			t.Error("the sink was used after Execute had returned")
		}
	})
}

func task(run bellhop.RunID, job bellhop.Job) bellhop.Task {
	return bellhop.Task{Run: run, Lease: 1, Attempt: 1, Job: job, Args: bellhop.Args{}, Principal: "alice"}
}

func testOutcomes(t *testing.T, h Harness) {
	ex := h.New(t)
	for i, tc := range []struct {
		name     string
		job      bellhop.Job
		end      bellhop.End
		status   int // -1 = none
		out, err string
	}{
		{"hello", h.Jobs.Hello, bellhop.EndSucceeded, 0, "hello\n", ""},
		{"both", h.Jobs.Both, bellhop.EndSucceeded, 0, "out\n", "err\n"},
		{"fails", h.Jobs.Fails, bellhop.EndFailed, 3, "", "oops\n"},
		{"missing", h.Jobs.Missing, bellhop.EndNotStarted, -1, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := NewSink()
			run := bellhop.RunID(1000 + i)
			got := ex.Execute(t.Context(), task(run, tc.job), sink)
			sink.Close(t)
			status := -1
			if got.ExitStatus != nil {
				status = *got.ExitStatus
			}
			if got.End != tc.end || status != tc.status {
				t.Errorf("ended %s with status %d (%s), want %s with %d", got.End, status, got.Error, tc.end, tc.status)
			}
			if (got.Error == "") != (tc.end == bellhop.EndSucceeded) || strings.Contains(got.Error, "\n") {
				t.Errorf("Error is %q, want one line unless it succeeded", got.Error)
			}
			if out, err := sink.Text(bellhop.Stdout), sink.Text(bellhop.Stderr); out != tc.out || err != tc.err {
				t.Errorf("stdout %q and stderr %q, want %q and %q", out, err, tc.out, tc.err)
			}
			h.nothingLeft(t, run)
		})
	}
}

func testArguments(t *testing.T, h Harness) {
	ex := h.New(t)
	for i, text := range []string{"Bob", "Bob; touch pwned", "$(id)", "`id`", "<poem>", `a'b"c\d`, "{text}", "%s%n", "two\nlines\n", "👋", "", "*", strings.Repeat("x", 100_000)} {
		t.Run(fmt.Sprintf("%.20q", text), func(t *testing.T) {
			sink := NewSink()
			job := task(bellhop.RunID(2000+i), h.Jobs.Echo)
			job.Args["text"] = bellhop.Text(text)
			got := ex.Execute(t.Context(), job, sink)
			sink.Close(t)
			if got.End != bellhop.EndSucceeded || sink.Text(bellhop.Stdout) != text {
				t.Errorf("ended %s (%s) with stdout %.100q, want %.100q", got.End, got.Error, sink.Text(bellhop.Stdout), text)
			}
		})
	}
}

func testHandle(t *testing.T, h Harness) {
	sink := NewSink()
	h.New(t).Execute(t.Context(), task(3000, h.Jobs.Hello), sink)
	sink.Close(t)
	if got := sink.Handles(); len(got) == 0 || got[0] == "" {
		t.Errorf("handles are %q, want at least one", got)
	}
}

// start executes a job, and returns once it says that it is ready.
func (h Harness) start(t *testing.T, ctx context.Context, run bellhop.RunID, job bellhop.Job) (*Sink, <-chan bellhop.Outcome) {
	t.Helper()
	ex, sink, done := h.New(t), NewSink(), make(chan bellhop.Outcome, 1)
	go func() {
		out := ex.Execute(ctx, task(run, job), sink)
		sink.Close(t)
		done <- out
	}()
	sink.Await(t, "ready\n")
	return sink, done
}

func await(t *testing.T, done <-chan bellhop.Outcome) bellhop.Outcome {
	t.Helper()
	select {
	case out := <-done:
		return out
	case <-time.After(Wait):
		t.Fatal("Execute did not return after its context had ended")
		return bellhop.Outcome{}
	}
}

func testPolite(t *testing.T, h Harness) {
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	sink, done := h.start(t, ctx, 4000, h.Jobs.Polite)
	stop(&bellhop.StopCause{End: bellhop.EndCancelled, Reason: "cancelled by alice"})
	out := await(t, done)
	if out.End != bellhop.EndCancelled || out.Error != "cancelled by alice" {
		t.Errorf("ended %s (%s), want cancelled by alice, though it succeeded", out.End, out.Error)
	}
	if !strings.HasSuffix(sink.Text(bellhop.Stdout), "bye\n") {
		t.Errorf("stdout is %q: it was not asked to stop, or its last words were lost", sink.Text(bellhop.Stdout))
	}
	h.nothingLeft(t, 4000)
}

func testStubborn(t *testing.T, h Harness) {
	for i, tc := range []struct {
		name string
		stop func(context.Context) (context.Context, func())
		end  bellhop.End
	}{
		{"cancelled", causing(&bellhop.StopCause{End: bellhop.EndCancelled, Reason: "cancelled"}), bellhop.EndCancelled},
		{"lease lost", causing(&bellhop.StopCause{End: bellhop.EndCrashed, Reason: "lost"}), bellhop.EndCrashed},
		{"no cause", causing(nil), bellhop.EndInterrupted},
		{"a cause of another kind", causing(errors.New("something")), bellhop.EndInterrupted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			run := bellhop.RunID(5000 + i)
			ctx, stop := tc.stop(t.Context())
			defer stop()
			_, done := h.start(t, ctx, run, h.Jobs.Stubborn)
			stop()
			if out := await(t, done); out.End != tc.end || out.Error == "" {
				t.Errorf("ended %s (%q), want %s with a reason", out.End, out.Error, tc.end)
			}
			h.nothingLeft(t, run)
		})
	}
}

func causing(cause error) func(context.Context) (context.Context, func()) {
	return func(ctx context.Context) (context.Context, func()) {
		ctx, cancel := context.WithCancelCause(ctx)
		return ctx, func() { cancel(cause) }
	}
}

func testEnded(t *testing.T, h Harness) {
	ctx, stop := context.WithCancelCause(t.Context())
	stop(&bellhop.StopCause{End: bellhop.EndTimedOut, Reason: "too long"})
	sink := NewSink()
	out := h.New(t).Execute(ctx, task(6000, h.Jobs.Hello), sink)
	sink.Close(t)
	if out.End != bellhop.EndTimedOut || sink.All() != "" || len(sink.Handles()) > 0 {
		t.Errorf("ended %s with output %q and handles %q, want timed out and neither", out.End, sink.All(), sink.Handles())
	}
}

func testMany(t *testing.T, h Harness) {
	ex := h.New(t)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			text := fmt.Sprintf("number %d", i)
			job := task(bellhop.RunID(7000+i), h.Jobs.Echo)
			job.Args["text"] = bellhop.Text(text)
			sink := NewSink()
			out := ex.Execute(t.Context(), job, sink)
			sink.Close(t)
			if out.End != bellhop.EndSucceeded || sink.Text(bellhop.Stdout) != text {
				t.Errorf("ended %s (%s) with stdout %q, want %q", out.End, out.Error, sink.Text(bellhop.Stdout), text)
			}
		})
	}
	wg.Wait()
}

// nothingLeft fails unless what is left of a run goes away.
func (h Harness) nothingLeft(t *testing.T, run bellhop.RunID) {
	t.Helper()
	limit := time.Now().Add(Wait)
	for {
		left := h.Left(run)
		if len(left) == 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("left of run %s: %q", run, left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
