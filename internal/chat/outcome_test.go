package chat_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
)

// told is what an outcome came to, as out, failures and notes.
func told(t *testing.T, p chattest.Plan, shown chat.Shown, change func(*bellhop.Report)) (string, string, string) {
	t.Helper()
	d := chattest.NewDesk()
	d.AddUnread(p)
	var out, failures, notes bytes.Buffer
	err := d.Unread(t.Context(), func(r bellhop.Report) error {
		if change != nil {
			change(&r)
		}
		to := chat.Outlets{Out: &out, Failures: &failures, Notes: &notes, Style: chat.Style{Now: now, Command: "bellhop "}}
		return chat.WriteOutcome(t.Context(), to, d, r, shown)
	})
	if err != nil || len(d.Read()) != 1 {
		t.Fatalf("read %v, %v", d.Read(), err)
	}
	return out.String(), failures.String(), notes.String()
}

func TestWriteOutcome(t *testing.T) {
	text, success := chattest.TextRule(), bellhop.ReportRule{Success: true, Format: bellhop.FormatText}
	hello := []chattest.Piece{chattest.Out("Hel"), chattest.Err("oops\n"), chattest.Out("lo")}
	change, changeOut := success, text
	change.OnChange, changeOut.OnChange = true, true
	suppress := text
	suppress.SuppressEmpty = true
	b64 := text
	b64.Base64 = true
	encoded := base64.StdEncoding.EncodeToString([]byte("a\x00b"))
	live := chat.Shown{Live: true, Stdout: true}
	failure := "example hello failed: exit status 3 (000001)\nthe end of its stderr:\n  oops\nto read its log: bellhop logs 000001\n"

	for name, c := range map[string]struct {
		plan                 chattest.Plan
		shown                chat.Shown
		change               func(*bellhop.Report)
		out, failures, notes string
	}{
		"stdout wins over the success line": {plan: chattest.Plan{Rule: text, Output: hello}, out: "Hello"},
		"shown live is not repeated":        {plan: chattest.Plan{Rule: text, Output: hello}, shown: live},
		"success line":                      {plan: chattest.Plan{Rule: success, Output: hello}, out: "example hello succeeded (000001)\n"},
		"silence":                           {plan: chattest.Plan{Output: hello}},
		"empty says so":                     {plan: chattest.Plan{Rule: text, Output: hello[1:2]}, out: "example hello succeeded and wrote nothing (000001)\n"},
		"empty, live":                       {plan: chattest.Plan{Rule: text}, shown: chat.Shown{Live: true}, out: "example hello succeeded and wrote nothing (000001)\n"},
		"suppress_empty":                    {plan: chattest.Plan{Rule: suppress}},
		"blocks are shown as they are":      {plan: chattest.Plan{Rule: bellhop.ReportRule{Stdout: true, Format: bellhop.FormatBlocks}, Output: hello}, out: "Hello"},
		"base64":                            {plan: chattest.Plan{Rule: b64, Output: []chattest.Piece{chattest.Out(encoded + "\n")}}, out: "a\x00b"},
		"base64 of two lines":               {plan: chattest.Plan{Rule: b64, Output: []chattest.Piece{chattest.Out(encoded + "\n" + encoded)}}, out: encoded + "\n" + encoded},
		"not base64":                        {plan: chattest.Plan{Rule: b64, Output: []chattest.Piece{chattest.Out("!\n")}}, out: "!\n"},
		"a gap": {plan: chattest.Plan{Rule: text, Output: []chattest.Piece{chattest.Out("a"), {Channel: bellhop.Stdout, Text: "z\n", Skip: 1234}}},
			out: "a\n[... 1,234 bytes not kept ...]\nz\n"},
		"on change, first":      {plan: chattest.Plan{Rule: change, Verdict: bellhop.Success}, out: "example hello succeeded (000001)\n"},
		"on change, same":       {plan: chattest.Plan{Rule: changeOut, Verdict: bellhop.Success, Previous: bellhop.Succeeded, Output: hello}},
		"on change, fixed":      {plan: chattest.Plan{Rule: change, Verdict: bellhop.Fixed, Previous: bellhop.Failed}, out: "example hello is fixed: it succeeded after a failure (000001)\n"},
		"on change, still bad":  {plan: chattest.Plan{Rule: change, State: bellhop.Failed, Status: 3, Verdict: bellhop.Fail, Previous: bellhop.Failed}},
		"on change, regression": {plan: chattest.Plan{Rule: change, State: bellhop.Failed, Status: 3, Verdict: bellhop.Regression, Previous: bellhop.Succeeded}, failures: "example hello failed, after a success: exit status 3 (000001)\nto read its log: bellhop logs 000001\n"},
		"on change, timed out":  {plan: chattest.Plan{Rule: change, State: bellhop.TimedOut, Verdict: bellhop.Aborted, Previous: bellhop.Failed}, failures: "example hello timed out (000001)\nto read its log: bellhop logs 000001\n"},
		"warnings always":       {plan: chattest.Plan{Warnings: []string{"old\ncopy"}}, notes: "warning: old^Jcopy (000001)\n"},
		"failure":               {plan: chattest.Plan{State: bellhop.Failed, Status: 3, Error: "exit status 3", Output: hello}, failures: failure},
		"failure, live":         {plan: chattest.Plan{Rule: text, State: bellhop.Failed, Status: 3, Output: hello}, shown: live, failures: strings.Replace(failure, "the end of its stderr:\n  oops\n", "", 1)},
		"failure, cut off":      {plan: chattest.Plan{Rule: text, State: bellhop.Failed, Status: 3, Output: hello}, shown: chat.Shown{Live: true, Err: fmt.Errorf("x")}, failures: failure, notes: "the live output of 000001 was cut off; to read all of it: bellhop logs 000001\n"},
		"failure with a reason": {plan: chattest.Plan{State: bellhop.Failed, Status: 137, Error: "killed\x1b"}, failures: "example hello failed: exit status 137: killed^[ (000001)\nto read its log: bellhop logs 000001\n"},
		"could not start":       {plan: chattest.Plan{State: bellhop.Failed, Error: "no bash"}, change: noAttempt, failures: "example hello failed: no bash (000001)\n"},
		"cancelled":             {plan: chattest.Plan{State: bellhop.Cancelled, Error: "cancelled by bob"}, change: noAttempt, failures: "example hello was cancelled: cancelled by bob (000001)\n"},
		"third attempt":         {plan: chattest.Plan{Rule: success}, change: func(r *bellhop.Report) { r.Run.Attempt = 3 }, out: "example hello succeeded, at attempt 3 (000001)\n"},
		"retried": {plan: chattest.Plan{State: bellhop.Waiting, Status: 3}, change: func(r *bellhop.Report) {
			r.Kind, r.Run.Start = bellhop.ReportRetried, now.Add(10*time.Second)
		}, notes: "example hello: attempt 1 failed: exit status 3; it is tried again in 10 s (000001)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, failures, notes := told(t, c.plan, c.shown, c.change)
			if out != c.out || failures != c.failures || notes != c.notes {
				t.Errorf("out %q\nfailures %q\nnotes %q\nwant %q\n%q\n%q", out, failures, notes, c.out, c.failures, c.notes)
			}
		})
	}
}

// What nobody asked for by itself says where it comes from.
func TestOutcomeOfWhatFollows(t *testing.T) {
	text, success := chattest.TextRule(), bellhop.ReportRule{Success: true, Format: bellhop.FormatText}
	hello := []chattest.Piece{chattest.Out("Hello")}
	follows := func(r *bellhop.Report) { r.Run.After = 74 }
	change := success
	change.OnChange = true
	notify := func(r *bellhop.Report) { r.Ask = bellhop.Ask{N: -1, Principal: "ops"} }
	failure := "example hello failed: exit status 3 (000001)\nalice asked for it; you are told because of its job's `on_failure`\nto read its log: bellhop logs 000001\n"
	for name, c := range map[string]struct {
		plan                 chattest.Plan
		change               func(*bellhop.Report)
		out, failures, notes string
	}{
		"success":                {chattest.Plan{Rule: success}, follows, "example hello succeeded (000001, follows 00002a)\n", "", ""},
		"stdout":                 {chattest.Plan{Rule: text, Output: hello}, follows, "Hello", "", "example hello (000001, follows 00002a):\n"},
		"failure":                {chattest.Plan{State: bellhop.Failed, Status: 3}, follows, "", "example hello failed: exit status 3 (000001, follows 00002a)\nto read its log: bellhop logs 000001\n", ""},
		"told because it failed": {chattest.Plan{State: bellhop.Failed, Status: 3}, notify, "", failure, ""},
		"told though nothing has changed": {chattest.Plan{Rule: change, State: bellhop.Failed, Status: 3, Verdict: bellhop.Fail, Previous: bellhop.Failed},
			notify, "", failure, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, failures, notes := told(t, c.plan, chat.Shown{}, c.change)
			if out != c.out || failures != c.failures || notes != c.notes {
				t.Errorf("out %q\nfailures %q\nnotes %q\nwant %q\n%q\n%q", out, failures, notes, c.out, c.failures, c.notes)
			}
		})
	}
}

func TestOutputThatIsNotKeptAnyMore(t *testing.T) {
	forgotten := func(r *bellhop.Report) { r.Run.OutputForgotten = true }
	gone := "the output of 000001 is not kept any more; how long it is, `keep:` in the configuration says\n"
	if out, _, notes := told(t, chattest.Plan{Rule: chattest.TextRule()}, chat.Shown{}, forgotten); out != "" || notes != gone {
		t.Errorf("out %q, notes %q", out, notes)
	}
	if _, got, _ := told(t, chattest.Plan{State: bellhop.Failed, Status: 3, Error: "no"}, chat.Shown{}, forgotten); got != "example hello failed: exit status 3: no (000001)\n"+gone {
		t.Errorf("%q", got)
	}
}

// A report that is read later names its run once.
func TestAwayNamesWhatItFollowsOnce(t *testing.T) {
	d := chattest.NewDesk()
	d.AddUnread(chattest.Plan{Rule: chattest.TextRule(), Output: []chattest.Piece{chattest.Out("Hello\n")}})
	var all bytes.Buffer
	err := d.Unread(t.Context(), func(r bellhop.Report) error {
		r.Run.After, r.Run.Finished = 74, at(-time.Minute)
		return chat.WriteAway(t.Context(), chat.Outlets{Out: &all, Failures: &all, Notes: &all, Style: chat.Style{Now: now}}, d, r)
	})
	if want := "000001 example hello succeeded at 14:02:05 (1 min ago), follows 00002a\nHello\n"; err != nil || all.String() != want {
		t.Errorf("%q, %v; want %q", all.String(), err, want)
	}
}

func noAttempt(r *bellhop.Report) { r.Attempt = bellhop.Attempt{}; r.Run.Attempt = 0 }

func TestFailureShowsTheLastLinesOfStderr(t *testing.T) {
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, "line %d \x1b[31mred\x1b[2J\n", i)
	}
	_, got, _ := told(t, chattest.Plan{State: bellhop.Failed, Status: 1, Output: []chattest.Piece{chattest.Err(lines.String())}}, chat.Shown{}, nil)
	if n := strings.Count(got, "\n  line "); n != 20 || !strings.Contains(got, "  line 980 red\n") || !strings.Contains(got, "  line 999 red\n") {
		t.Errorf("%d lines: %q", n, got)
	}
	long := strings.Repeat("x", 100_000) + "END"
	_, got, _ = told(t, chattest.Plan{State: bellhop.Failed, Status: 1, Output: []chattest.Piece{chattest.Err(long)}}, chat.Shown{}, nil)
	if len(got) > 2300 || !strings.Contains(got, "xEND\n") {
		t.Errorf("%d bytes", len(got))
	}
}
