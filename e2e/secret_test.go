package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

const secretConfig = `
services:
  s:
    jobs:
      show: {run: "echo token $TOKEN", env: {TOKEN: "secret:staging"}, report: {stdout: true}}
      wait: {run: "echo begun; sleep 600", env: {TOKEN: "secret:production"}, report: {stdout: true}}
    commands: [{command: show, job: show}, {command: wait, job: wait}]
`

func (p *place) setSecret(name, value string) {
	p.t.Helper()
	cmd := p.command("bellhop", "secret", "set", name)
	cmd.Stdin = strings.NewReader(value)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
}

// TestAttackSwappedSecret: who may write to the store's file, and has no key,
// gives a job the secret of another one.
func TestAttackSwappedSecret(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("bellhop.yaml", secretConfig)
	p.setSecret("staging", "hunter2-staging")
	p.setSecret("production", "hunter2-production")
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: p.path("bellhop.db"), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Secrets.Secret(t.Context(), "", "production")
	if err == nil {
		s.Name = "staging"
		err = store.Secrets.PutSecret(t.Context(), s)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Admin.Close(); err != nil {
		t.Fatal(err)
	}
	r := p.run("bellhop", "up")
	if r.status != 2 || !strings.Contains(r.stderr, "bellhop.yaml:5:53: secret staging can't be opened") || strings.Contains(r.stderr+r.stdout, "hunter2") {
		t.Errorf("exit status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
	p.setSecret("staging", "hunter2-staging")
	if out := p.must("bellhop", "ask", "s", "show"); out != "token ***\n" {
		t.Errorf("it prints %q", out)
	}
}

// TestSecretIsInNoCommandLine looks at every process of a run, and at the
// watchdog beside the server.
func TestSecretIsInNoCommandLine(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("there is no /proc")
	}
	p := newPlace(t)
	p.write("bellhop.yaml", secretConfig)
	p.setSecret("staging", "hunter2-staging")
	p.setSecret("production", "hunter2-production")
	p.serve("up")
	p.must("bellhop", "ask", "--detach", "s", "wait")
	p.until("it has begun", func() bool { return strings.Contains(p.must("bellhop", "logs", "000001"), "begun") })
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatal(lines, err)
	}
	watchdogs := 0
	for _, file := range lines {
		line, _ := os.ReadFile(file) // it may have ended
		if strings.Contains(string(line), "hunter2-") {
			t.Errorf("%s is %q", file, line)
		}
		if strings.Contains(string(line), "watchdog") {
			watchdogs++
		}
	}
	if watchdogs == 0 {
		t.Error("the watchdog was not looked at")
	}
}

// TestSecretIsAskedForHidden: on a terminal a value is not shown.
func TestSecretIsAskedForHidden(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("bellhop.yaml", secretConfig)
	x, proc := p.atTerminal(t, "set", "bellhop", "secret", "set", "staging")
	x.Expect(t, "the value of staging: ")
	x.Type(t, "hunter2-staging\r")
	if status := proc.wait(); status != 0 {
		t.Fatalf("exit status %d: %q", status, x.Shown())
	}
	if strings.Contains(x.Shown(), "hunter2") {
		t.Errorf("it is shown: %q", x.Shown())
	}
	p.setSecret("production", "hunter2-production")
	if out := p.must("bellhop", "ask", "s", "show"); out != "token ***\n" {
		t.Errorf("it prints %q", out)
	}

	x, proc = p.atTerminal(t, "left", "bellhop", "secret", "set", "staging")
	x.Expect(t, "the value of staging: ")
	x.Type(t, "hunt\x03")
	if status := proc.wait(); status != 130 {
		t.Errorf("after Ctrl-C: exit status %d: %q", status, x.Shown())
	}
	if strings.Contains(x.Shown(), "hunt") {
		t.Errorf("it is shown: %q", x.Shown())
	}
}
