package sshchat_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
)

func TestConformance(t *testing.T) {
	chattest.Run(t, chattest.Front{
		Exit: chat.SSHExit(),
		Lines: func(t *testing.T, d *chattest.Desk, input string) (string, string, int) {
			h := open(t, nil)
			h.desk = d
			r := h.ssh(t, "alice", input, "-T", "127.0.0.1")
			return r.stdout, r.stderr, r.status
		},
		Prompt: func(t *testing.T, d *chattest.Desk, x *chattest.Terminal) func() {
			h := open(t, nil)
			h.desk = d
			wait := h.terminal(t, x, "-tt", "127.0.0.1")
			return func() {
				if status := wait(); status != 0 {
					t.Errorf("exit status %d", status)
				}
			}
		},
	})
}

func TestExec(t *testing.T) {
	live := chattest.TextRule()
	success := bellhop.ReportRule{Success: true, Format: bellhop.FormatText}
	failed := chattest.Plan{Rule: success, State: bellhop.Failed, Verdict: bellhop.Fail}
	for name, c := range map[string]struct {
		plan   chattest.Plan
		err    error
		stdout string
		status int
		stderr []string
	}{
		"output of both channels":     {plan: chattest.Plan{Rule: live, Output: []chattest.Piece{chattest.Out("Hello "), chattest.Err("careful\n"), chattest.Out("Bob\n")}}, stdout: "Hello Bob\n", stderr: []string{"accepted 000001: example hello\n", "careful\n"}},
		"success line":                {plan: chattest.Plan{Rule: success}, stdout: "example hello succeeded (000001)\n"},
		"silence":                     {plan: chattest.Plan{}},
		"empty output":                {plan: chattest.Plan{Rule: live}, stdout: "example hello succeeded and wrote nothing (000001)\n"},
		"own exit status":             {plan: with(failed, 3, chattest.Err("no such file\n")), status: 3, stderr: []string{"example hello failed: exit status 3 (000001)", "  no such file\n", "to read its log: logs 000001"}},
		"ended by a signal":           {plan: with(failed, 137), status: 137},
		"failed without a status":     {plan: failed, status: 1},
		"timed out":                   {plan: chattest.Plan{Rule: success, State: bellhop.TimedOut, Status: 143, Error: "after 5 s"}, status: 124, stderr: []string{"timed out: after 5 s"}},
		"cancelled before it started": {plan: chattest.Plan{Rule: success, State: bellhop.Cancelled}, status: 143, stderr: []string{"was cancelled"}},
		"not understood":              {err: bellhop.Errorf(bellhop.Invalid, "what?"), status: 127, stderr: []string{"what?\n"}},
		"not found":                   {err: bellhop.Errorf(bellhop.NotFound, "no run"), status: 127},
		"not allowed":                 {err: bellhop.Errorf(bellhop.NotAllowed, "restricted"), status: 126},
		"not accepted":                {err: bellhop.Errorf(bellhop.Unavailable, "disk full"), status: 125},
		"conflict":                    {err: bellhop.Errorf(bellhop.Conflict, "ended already"), status: 125},
		"fault of our own":            {err: bellhop.Errorf(bellhop.Internal, "oops"), status: 125, stderr: []string{"Bellhop failed: oops"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			h.desk.OnRun("example say hello", c.plan)
			if c.err != nil {
				h.desk.OnError("example say hello", c.err)
			}
			wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "example", "say", "hello"), c.stdout, c.status, c.stderr...)
		})
	}
}

func with(p chattest.Plan, status int, output ...chattest.Piece) chattest.Plan {
	p.Status, p.Output = status, output
	return p
}

func TestExecTextArrivesAsSent(t *testing.T) {
	h := open(t, nil)
	for _, text := range []string{"''", "say  `id` $(id) \\ \"x\"", "a\nb", "emoji 🛎", strings.Repeat("x", 100_000)} {
		h.desk.OnAnswer(text, bellhop.Answer{Action: bellhop.ActionHelp, Text: "ok"})
		wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", text), "ok\n", 0)
	}
}

func TestExecAboveTheLimitIsNotAsked(t *testing.T) {
	h := open(t, func(o *sshchat.Options) { o.Limits.Command = 10 })
	wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "longer than ten"), "", 127, "longer than 10 bytes")
	if asked := h.desk.Asked(); len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
}

func TestExecOnATerminal(t *testing.T) {
	h := open(t, nil)
	h.desk.OnRun("work", chattest.Plan{Rule: chattest.TextRule(), Hold: true, Output: []chattest.Piece{chattest.Out("a\x1b[2Jb\n"), chattest.Err("c\n")}})
	x := chattest.OpenTerminal(t, 80, 24)
	wait := h.terminal(t, x, "-tt", "127.0.0.1", "work")
	x.Expect(t, "accepted 000001: example hello\r\n")
	x.Expect(t, "ab\r\n")
	x.Expect(t, "c\r\n")
	x.Type(t, "\x03")
	x.Expect(t, "Cancel 000001? [y/N]")
	x.Type(t, "n\x03")
	x.Expect(t, "Cancel 000001? [y/N]")
	x.Type(t, "y")
	x.Expect(t, "was cancelled: cancelled by alice")
	if status := wait(); status != 143 {
		t.Errorf("status %d, want 143", status)
	}
}

func TestClosingLeavesTheRun(t *testing.T) {
	h := open(t, nil)
	h.desk.OnRun("work", chattest.Plan{Rule: chattest.TextRule(), Hold: true, Output: []chattest.Piece{chattest.Out("started\n")}})
	x := chattest.OpenTerminal(t, 80, 24)
	wait := h.terminal(t, x, "-tt", "127.0.0.1", "work")
	x.Expect(t, "started")
	x.Type(t, "\r~.") // OpenSSH's own escape: disconnect
	if status := wait(); status != 255 {
		t.Errorf("status %d", status)
	}
	h.waitClosed(t)
	if c := h.desk.Cancelled(); len(c) != 0 {
		t.Errorf("cancelled %v", c)
	}
}

func TestStopSaysThatRunsGoOn(t *testing.T) {
	h := open(t, nil)
	h.desk.OnRun("work", chattest.Plan{Rule: chattest.TextRule(), Hold: true})
	var wg sync.WaitGroup
	wg.Go(func() {
		wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "work"), "", 255, "000001 goes on; to see it: logs 000001")
	})
	h.desk.WaitAsked(1)
	h.stop(t)
	wg.Wait()
	h.stop(t)
}

func TestFiftyConnections(t *testing.T) {
	h := open(t, nil)
	h.desk.OnAnswer("help", bellhop.Answer{Action: bellhop.ActionHelp, Text: "ok"})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "ok\n", 0) })
	}
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sessions) != 50 {
		t.Errorf("%d sessions", len(h.sessions))
	}
}

func TestExecPrintsALoginLink(t *testing.T) {
	h := open(t, nil)
	const link = "http://127.0.0.1:8080/login/CODE.PART"
	h.desk.OnAnswer("web", bellhop.Answer{Action: bellhop.ActionWeb, Login: &bellhop.Login{Link: link}})
	r := h.ssh(t, "alice", "", "127.0.0.1", "web")
	if r.status != 0 || !strings.HasPrefix(r.stdout, "Open this in a browser within ") || !strings.HasSuffix(r.stdout, ":\n"+link+"\n") || strings.Contains(r.stderr, link) {
		t.Errorf("%d %q %q", r.status, r.stdout, r.stderr)
	}
}
