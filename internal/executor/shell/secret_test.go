package shell_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/executortest"
)

// TestSecretsReachTheEnvironmentAlone: not the script, where $ is the shell's
// and secret:NAME a text like any other.
func TestSecretsReachTheEnvironmentAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	job := compiled(t, bellhop.JobSource{Script: `echo "$TOKEN|$PLAIN|secret:token"; tr '\0' ' ' < /proc/$$/cmdline 2>/dev/null`})
	job.Env = map[string]string{"TOKEN": "secret:token", "PLAIN": "a secret:token"}
	task := taskOf(job)
	task.Secrets = map[string]string{"token": "hunter2 $(id)\nx"}
	sink := executortest.NewSink()
	if out := h.Execute(t.Context(), task, sink); out.End != bellhop.EndSucceeded {
		t.Fatalf("ended %s: %s", out.End, out.Error)
	}
	first, rest, _ := strings.Cut(sink.Text(bellhop.Stdout), "secret:token\n")
	if first != "hunter2 $(id)\nx|a secret:token|" || strings.Contains(rest, "hunter2") {
		t.Errorf("it prints %q, then %q", first, rest)
	}
	err := filepath.WalkDir(h.home, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if b, _ := os.ReadFile(path); strings.Contains(string(b), "hunter2") {
				t.Errorf("it is in %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestWithoutItsSecretNothingStarts: an empty password might do as well.
func TestWithoutItsSecretNothingStarts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	job := compiled(t, bellhop.JobSource{Script: "echo started"})
	job.Env = map[string]string{"TOKEN": "secret:token", "OTHER": "secret:other"}
	task := taskOf(job)
	task.Secrets = map[string]string{"other": "hunter2x"}
	sink := executortest.NewSink()
	out := h.Execute(t.Context(), task, sink)
	if out.End != bellhop.EndNotStarted || !strings.Contains(out.Error, "secret token") || sink.Text(bellhop.Stdout) != "" {
		t.Errorf("ended %s: %s; it printed %q", out.End, out.Error, sink.Text(bellhop.Stdout))
	}
}
