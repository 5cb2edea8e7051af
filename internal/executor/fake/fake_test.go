package fake_test

import (
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/executortest"
	"github.com/bellhop-io/bellhop/internal/executor/fake"
)

func job(name string) bellhop.Job { return bellhop.Job{Service: "s", Name: name} }

func TestExecutor(t *testing.T) {
	long := fake.Step{Takes: time.Hour}
	executortest.Run(t, executortest.Harness{
		New: func(*testing.T) bellhop.Executor {
			e := fake.New(fake.Options{})
			e.Set("s", "hello", fake.Play{Steps: []fake.Step{{Text: "hello\n"}}})
			e.Set("s", "both", fake.Play{Steps: []fake.Step{{Text: "out\n"}, {Channel: bellhop.Stderr, Text: "err\n"}}})
			e.Set("s", "fails", fake.Play{Steps: []fake.Step{{Channel: bellhop.Stderr, Text: "oops\n"}}, Exit: 3})
			e.Set("s", "missing", fake.Play{Missing: "no such program"})
			e.Set("s", "echo", fake.Play{Steps: []fake.Step{{Text: "{text}"}}})
			e.Set("s", "polite", fake.Play{Steps: []fake.Step{{Text: "ready\n"}, long}, Bye: "bye\n"})
			e.Set("s", "stubborn", fake.Play{Steps: []fake.Step{{Text: "ready\n"}, long}})
			return e
		},
		Jobs: executortest.Jobs{
			Hello: job("hello"), Both: job("both"), Fails: job("fails"), Missing: job("missing"),
			Echo: job("echo"), Polite: job("polite"), Stubborn: job("stubborn"),
		},
		Left: func(bellhop.RunID) []string { return nil },
	})
}

// execute carries out one attempt and returns how it ended, and its stdout.
func execute(t *testing.T, e *fake.Executor, name string) (bellhop.Outcome, string) {
	t.Helper()
	sink := executortest.NewSink()
	out := e.Execute(t.Context(), bellhop.Task{Run: 1, Job: job(name)}, sink)
	return out, sink.Text(bellhop.Stdout)
}

func TestPlaysInTurn(t *testing.T) {
	e := fake.New(fake.Options{})
	e.Set("s", "flaky", fake.Play{Exit: 1}, fake.Play{Steps: []fake.Step{{Text: "{nothing} better\n"}}})
	for i, want := range []struct {
		end bellhop.End
		out string
	}{
		{bellhop.EndFailed, ""}, {bellhop.EndSucceeded, "{nothing} better\n"}, {bellhop.EndSucceeded, "{nothing} better\n"},
	} {
		if out, text := execute(t, e, "flaky"); out.End != want.end || text != want.out {
			t.Errorf("attempt %d ended %s with %q, want %s with %q", i, out.End, text, want.end, want.out)
		}
	}
	e.Set("s", "flaky")
	if out, _ := execute(t, e, "flaky"); out.End != bellhop.EndSucceeded {
		t.Errorf("set anew it ended %s", out.End)
	}
}

func TestWhatIsNotFake(t *testing.T) {
	e := fake.New(fake.Options{})
	for range 2 {
		if out, _ := execute(t, e, "real"); out.End != bellhop.EndNotStarted || out.Error == "" {
			t.Errorf("ended %s (%s), want not started", out.End, out.Error)
		}
	}
	if got := e.Refused(); len(got) != 1 || got[0] != "s real" {
		t.Errorf("refused %q", got)
	}
	inner := fake.New(fake.Options{})
	inner.Set("s", "real", fake.Play{Exit: 7})
	e = fake.New(fake.Options{Else: inner})
	if out, _ := execute(t, e, "real"); out.ExitStatus == nil || *out.ExitStatus != 7 || len(e.Refused()) > 0 {
		t.Errorf("another executor did not carry it out: %+v, refused %q", out, e.Refused())
	}
}
