package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

var now = time.Date(2026, 3, 4, 14, 3, 5, 0, time.UTC)

func at(d time.Duration) *time.Time { t := now.Add(d); return &t }

func TestAnswerText(t *testing.T) {
	accepted := func(a bellhop.Accepted) bellhop.Answer {
		a.Run, a.Job = 74, "example hello_to"
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: &a}
	}
	cancelled := func(effects ...bellhop.CancelEffect) bellhop.Answer {
		a := bellhop.Answer{Action: bellhop.ActionCancel}
		for i, e := range effects {
			a.Cancelled = append(a.Cancelled, bellhop.CancelledRun{Run: bellhop.RunID(74 + i), Effect: e, State: bellhop.TimedOut})
		}
		return a
	}
	for name, c := range map[string]struct {
		answer bellhop.Answer
		want   string
	}{
		"accepted":             {accepted(bellhop.Accepted{How: bellhop.Created, Start: now}), "accepted 00002a: example hello_to"},
		"delayed":              {accepted(bellhop.Accepted{How: bellhop.Created, Start: now.Add(time.Second)}), "accepted 00002a: example hello_to, starts in 1 s"},
		"delayed, told late":   {accepted(bellhop.Accepted{How: bellhop.Created, Start: now.Add(635 * time.Millisecond)}), "accepted 00002a: example hello_to, starts in 1 s"},
		"behind":               {accepted(bellhop.Accepted{How: bellhop.Created, Start: now, Behind: 73}), "accepted 00002a: example hello_to, waits for 000029"},
		"merged":               {accepted(bellhop.Accepted{How: bellhop.Merged, Start: now.Add(61 * time.Second)}), "joined 00002a: example hello_to, starts in 1 min 1 s"},
		"repeated":             {accepted(bellhop.Accepted{How: bellhop.Repeated, Ended: true}), "asked before: 00002a: example hello_to, has ended already"},
		"nothing to cancel":    {cancelled(), "There is nothing to cancel."},
		"cancelled":            {cancelled(bellhop.CancelDone, bellhop.CancelStopping), "cancelled 00002a\nstopping 00002b"},
		"others want it":       {cancelled(bellhop.CancelWithdrawn), "withdrew your ask for 00002a; others still want it"},
		"too late":             {cancelled(bellhop.CancelTooLate), "00002a had ended already (timed out)"},
		"not yours":            {cancelled(bellhop.CancelNotYours), "00002a is not yours to cancel: you did not ask for it"},
		"help keeps lines":     {bellhop.Answer{Action: bellhop.ActionHelp, Text: "a\n\tb\x1b[2J\n"}, "a\n\tb^[[2J"},
		"no runs":              {bellhop.Answer{Action: bellhop.ActionRuns}, "There are no runs."},
		"nothing is happening": {bellhop.Answer{Action: bellhop.ActionStatus, Status: &bellhop.Status{}}, "Nothing is happening."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (chat.Style{Now: now}).AnswerText(c.answer); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestStatusText(t *testing.T) {
	one := bellhop.Run{ID: 74, Service: "example", Job: "hello", AskedBy: "alice", State: bellhop.Running, Started: at(-65 * time.Second), Attempt: 1}
	wait := func(r bellhop.Run) bellhop.Run {
		r.Service, r.Job, r.AskedBy, r.State = "deploys", "deploy", "bob\x1b", bellhop.Waiting
		return r
	}
	got := chat.Style{Now: now}.StatusText(bellhop.Status{
		Running: []bellhop.Run{one},
		Waiting: []bellhop.Run{
			wait(bellhop.Run{ID: 75, Start: now.Add(55 * time.Second)}),
			wait(bellhop.Run{ID: 76, Start: now, Behind: 74}),
			wait(bellhop.Run{ID: 77, Start: now.Add(26 * time.Hour), Attempt: 1, Error: "exit status 3"}),
			wait(bellhop.Run{ID: 78, Start: now}),
		},
		More: true,
	})
	want := `1 run is running:
  00002a example hello, since 14:02:00 (1 min 5 s), asked by alice
More than 4 runs are waiting:
  00002b deploys deploy, until 14:04:00 (in 55 s), delayed, asked by bob^[
  00002c deploys deploy, behind 00002a, asked by bob^[
  00002d deploys deploy, until 2026-03-05 16:03 (in 1 day 2 h), again after: exit status 3, asked by bob^[
  00002e deploys deploy, for a free place, asked by bob^[
  ... and more`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if two := (chat.Style{Now: now}).StatusText(bellhop.Status{Running: []bellhop.Run{one, one}}); !strings.HasPrefix(two, "2 runs are running:") {
		t.Error(two)
	}
}

// TestStatusTextOfBrokers names those that are not well, and why as far as that
// may be told.
func TestStatusTextOfBrokers(t *testing.T) {
	got := chat.Style{Now: now}.StatusText(bellhop.Status{Brokers: []bellhop.IllBroker{
		{Name: "broker:shop/orders", Since: now.Add(-time.Minute), Error: "it is away\x1b"}, {Name: "broker:shop/alarms", Since: now.Add(-30 * time.Second)},
	}})
	want := `Nothing is happening.
No messages are taken from broker:shop/orders since 14:02:05: it is away^[
No messages are taken from broker:shop/alarms since 14:02:35`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestStatusTextWithoutAServer(t *testing.T) {
	run := bellhop.Run{ID: 74, Service: "example", Job: "hello", AskedBy: "alice", State: bellhop.Running, Started: at(-65 * time.Second), Attempt: 1}
	wait := bellhop.Run{ID: 78, Service: "example", Job: "hello", AskedBy: "bob", State: bellhop.Waiting, Start: now}
	elsewhere := chat.Style{Now: now, Offline: true, Others: true}
	if got := elsewhere.StatusText(bellhop.Status{Running: []bellhop.Run{{ID: 74, Service: "a", Job: "b", AskedBy: "bob", State: bellhop.Running}}}); got != "1 run is running:\n  00002a a b, asked by bob" {
		t.Errorf("no server here, but another one: %q", got)
	}
	offline := chat.Style{Now: now, Offline: true}
	want := `1 run was running; it runs again when a server starts:
  00002a example hello, since 14:02:00, asked by alice
1 run is waiting:
  00002e example hello, until a server starts, asked by bob`
	if got := offline.StatusText(bellhop.Status{Running: []bellhop.Run{run}, Waiting: []bellhop.Run{wait}}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if two := offline.StatusText(bellhop.Status{Running: []bellhop.Run{run, run}}); !strings.HasPrefix(two, "2 runs were running; they run again when a server starts:") {
		t.Error(two)
	}
}

func TestRunsTable(t *testing.T) {
	runs := []bellhop.Run{
		{ID: 74, Service: "example", Job: "hello_to", AskedBy: "alice", State: bellhop.Failed, Verdict: bellhop.Regression, Created: now, Started: at(0), Finished: at(1500 * time.Millisecond), Error: "exit status 3"},
		{ID: 75, Service: "a", Job: "b", AskedBy: "bob", State: bellhop.Waiting, Created: now.Add(-48 * time.Hour)},
		{ID: 76, Service: "a", Job: "b", AskedBy: "bob", State: bellhop.Waiting, Created: now, After: 74, Error: "exit status 3",
			Wait: &bellhop.Wait{Reason: bellhop.WaitBackoff, Until: now.Add(10 * time.Second), After: "exit status 3"}},
		{ID: 77, Service: "a", Job: "b", AskedBy: "bob", State: bellhop.Waiting, Created: now, RetryOf: 74,
			Wait: &bellhop.Wait{Reason: bellhop.WaitPaused, Hold: &paused}},
	}
	want := `RUN     STATE                JOB               ASKED BY  CREATED           TOOK   WHY
00002a  failed (regression)  example hello_to  alice     14:03:05          1.5 s  exit status 3
00002b  waiting              a b               bob       2026-03-02 14:03
00002c  waiting              a b               bob       14:03:05                 until 14:03:15 (in 10 s), again after: exit status 3; fol...
00002d  waiting              a b               bob       14:03:05                 paused since yesterday 09:12 by carol; repeats 00002a`
	if got := (chat.Style{Now: now}).RunsTable(runs); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	colored := chat.Style{Now: now, Color: true}.RunsTable(runs)
	if plain := strings.NewReplacer("\x1b[31m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(colored); plain != want || plain == colored {
		t.Errorf("coloured:\n%s", colored)
	}
}

func TestDurationAndCount(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0 s", 1: "1 ms", 350 * time.Millisecond: "350 ms", time.Second: "1 s", 1001 * time.Millisecond: "1 s", 2051 * time.Millisecond: "2.1 s", 9990 * time.Millisecond: "10 s",
		998 * time.Millisecond: "1 s", 901 * time.Millisecond: "1 s", 900 * time.Millisecond: "900 ms", 59*time.Second + 1: "1 min", 59*time.Minute + 59*time.Second + 1: "1 h", 24*time.Hour - 1: "1 day",
		125 * time.Second: "2 min 5 s", time.Hour: "1 h", 200 * time.Minute: "3 h 20 min", 50 * time.Hour: "2 days 2 h",
	} {
		if got := chat.Duration(d); got != want {
			t.Errorf("%v: %q, want %q", int64(d), got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1234: "1,234", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := chat.Count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestExitTables(t *testing.T) {
	status := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		run      bellhop.Run
		ssh, ask int
	}{
		"succeeded":         {bellhop.Run{State: bellhop.Succeeded, ExitStatus: status(0)}, 0, 0},
		"own status":        {bellhop.Run{State: bellhop.Failed, ExitStatus: status(3)}, 3, 1},
		"failed, status 0":  {bellhop.Run{State: bellhop.Failed, ExitStatus: status(0)}, 1, 1},
		"failed, no status": {bellhop.Run{State: bellhop.Failed}, 1, 1},
		"timed out":         {bellhop.Run{State: bellhop.TimedOut, ExitStatus: status(137)}, 124, 1},
		"cancelled":         {bellhop.Run{State: bellhop.Cancelled}, 143, 1},
		"cancelled, killed": {bellhop.Run{State: bellhop.Cancelled, ExitStatus: status(137)}, 137, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if ssh, ask := chat.SSHExit().OfRun(c.run), chat.AskExit().OfRun(c.run); ssh != c.ssh || ask != c.ask {
				t.Errorf("ssh %d, ask %d; want %d, %d", ssh, ask, c.ssh, c.ask)
			}
		})
	}
	for _, c := range []struct {
		err      error
		ssh, ask int
	}{
		{nil, 0, 0},
		{bellhop.Errorf(bellhop.Invalid, "x"), 127, 2},
		{bellhop.Errorf(bellhop.NotFound, "x"), 127, 2},
		{fmt.Errorf("y: %w", bellhop.Errorf(bellhop.NotAllowed, "x")), 126, 3},
		{bellhop.Errorf(bellhop.Conflict, "x"), 125, 5},
		{bellhop.Errorf(bellhop.Unavailable, "x"), 125, 5},
		{errors.New("x"), 125, 70},
		{context.DeadlineExceeded, 255, 4},
		{context.Canceled, 255, 130},
	} {
		if ssh, ask := chat.SSHExit().OfError(c.err), chat.AskExit().OfError(c.err); ssh != c.ssh || ask != c.ask {
			t.Errorf("%v: ssh %d, ask %d; want %d, %d", c.err, ssh, ask, c.ssh, c.ask)
		}
	}
}

// A failed run never ends with 0, whatever its status says.
func TestOnlySuccessIsZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := bellhop.Run{State: rapid.SampledFrom([]bellhop.State{bellhop.Succeeded, bellhop.Failed, bellhop.Cancelled, bellhop.TimedOut}).Draw(t, "state")}
		if rapid.Bool().Draw(t, "has") {
			n := rapid.IntRange(-300, 600).Draw(t, "status")
			r.ExitStatus = &n
		}
		for _, table := range []chat.ExitTable{chat.SSHExit(), chat.AskExit()} {
			got := table.OfRun(r)
			if (got == 0) != (r.State == bellhop.Succeeded) || got < 0 || got > 255 {
				t.Fatalf("%+v ends with %d", r, got)
			}
		}
	})
}
