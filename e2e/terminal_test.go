package e2e_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/bellhop-io/bellhop/internal/chat/chattest"
)

const terminalConfig = `
chats: {ssh: {listen: "127.0.0.1:%PORT%", authorized_keys: authorized_keys}}
services:
  example:
    dir: .
    jobs:
      hello: {run: "echo Hello {name}", report: {stdout: true}}
      paint: {run: [echo, "{colour}"], params: {colour: {enum: [magenta, ochre]}}, report: {stdout: true}}
      gate:  {run: "echo begun; sleep 600", report: {stdout: true}}
    commands:
      - {command: "say hello [name]", job: hello}
      - {command: "paint [colour]", job: paint}
      - {command: gate, job: gate}
`

// atTerminal starts a program with a terminal of its own as all its streams.
func (p *place) atTerminal(t *testing.T, name, program string, args ...string) (*chattest.Terminal, *process) {
	t.Helper()
	x := chattest.OpenTerminal(t, 80, 24)
	cmd := p.command(program, args...)
	cmd.Stdin = x.Slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return x, p.startOn(name, cmd, x.Slave)
}

// TestPrompt talks at a prompt, on this machine and over SSH: completion,
// history, and Ctrl-C, which asks before it cancels.
func TestPrompt(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string][]string{
		"chat": {"bellhop", "chat"},
		"ssh":  {"ssh-as", "alice", "-tt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "ssh" {
				need(t, "ssh", "apt-get install openssh-client")
			}
			p := newPlace(t)
			port := freePort(t)
			p.env = append(p.env, "SSH_PORT="+port)
			p.admit("alice")
			p.write("bellhop.yaml", strings.ReplaceAll(terminalConfig, "%PORT%", port))
			p.serve("up")
			x, proc := p.atTerminal(t, "prompt", argv[0], argv[1:]...)
			x.Expect(t, "Type help")
			x.Type(t, "exa\tsay hello Bob\r")
			x.Expect(t, "accepted 000001: example hello")
			x.Expect(t, "Hello Bob")
			x.Type(t, "\x1b[A\r") // the line before
			x.Expect(t, "accepted 000002")
			x.Expect(t, "Hello Bob")
			x.Type(t, "example paint mag\t\r")
			x.Expect(t, "accepted 000003")
			x.Expect(t, "magenta")
			x.Type(t, "example gate\r")
			x.Expect(t, "begun")
			x.Type(t, "\x03")
			x.Expect(t, "Cancel 000004?")
			x.Type(t, "n")
			x.Type(t, "\x03")
			x.Expect(t, "Cancel 000004?")
			x.Type(t, "y")
			x.Expect(t, "example gate was cancelled")
			x.Type(t, "exit\r")
			if status := proc.wait(); status != 0 {
				t.Errorf("exit status %d: %q", status, x.Shown())
			}
		})
	}
}

// TestColours are there on a terminal, unless they are not wanted.
func TestColours(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("bellhop.yaml", strings.ReplaceAll(terminalConfig, "%PORT%", freePort(t)))
	p.write("authorized_keys", "")
	p.serve("up")
	p.must("bellhop", "ask", "example", "say", "hello", "Bob")
	for name, c := range map[string]struct {
		env  string
		want bool
	}{
		"as usual":    {"A=1", true},
		"NO_COLOR":    {"NO_COLOR=1", false},
		"no NO_COLOR": {"NO_COLOR=", true},
		"a dumb one":  {"TERM=dumb", false},
	} {
		t.Run(name, func(t *testing.T) {
			q := *p
			q.env = append(append([]string(nil), p.env...), c.env)
			x, proc := q.atTerminal(t, "runs-"+strings.ReplaceAll(name, " ", "-"), "bellhop", "runs")
			x.Expect(t, "example hello")
			if status := proc.wait(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			if got := strings.Contains(x.Shown(), "\x1b[32m"); got != c.want {
				t.Errorf("colours %t, want %t: %q", got, c.want, x.Shown())
			}
		})
	}
	if out := p.must("bellhop", "runs"); strings.Contains(out, "\x1b") {
		t.Errorf("colours where there is no terminal: %q", out)
	}
}

// TestDemoAtATerminal ends with a prompt.
func TestDemoAtATerminal(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	x, proc := p.atTerminal(t, "demo", "bellhop", "demo")
	x.Expect(t, "failed: exit status 3")
	x.Expect(t, "Type help")
	x.Type(t, "example say hello Bob\r")
	x.Expect(t, "Hello Bob")
	x.Type(t, "exit\r")
	if status := proc.wait(); status != 0 {
		t.Errorf("exit status %d: %q", status, x.Shown())
	}
}
