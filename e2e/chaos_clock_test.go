package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestClockRunsBackwards steps a server's clock back by two hours while a run
// is at work, and between two lives. What was asked goes on, nothing takes a
// negative time, and no lease is lost.
func TestClockRunsBackwards(t *testing.T) {
	t.Parallel()
	c := newRig(t, rigSeed(t), 1, "")
	s := c.servers[0]
	c.step(2 * time.Hour)
	c.up(0, "")
	work := s.start("work", "bellhop", "ask", "c", "one", "first", "k", "3000") // longer than its lease
	s.until("the run begins", func() bool { return c.signs() > 0 })
	c.step(0)
	if status := work.wait(); status != 0 || work.stdout() != "done first\n" {
		t.Errorf("status %d: %s%s", status, work.stdout(), work.stderr())
	}
	if got := s.must("bellhop", "ask", "c", "one", "second", "k", "1"); got != "done second\n" {
		t.Errorf("after the step: %q", got)
	}
	c.step(time.Hour)
	s.proc.signal(15)
	if status := s.proc.wait(); status != 0 {
		t.Errorf("the server ended with status %d:\n%s", status, s.proc.stderr())
	}
	c.step(-24 * time.Hour)
	c.up(0, "")
	if got := s.must("bellhop", "ask", "c", "one", "third", "k", "1"); got != "done third\n" {
		t.Errorf("in the next life: %q", got)
	}
	for _, r := range s.runs() {
		if r.State != "succeeded" || r.Attempt != 1 {
			t.Errorf("run %s is %s after %d attempts: %s", r.ID, r.State, r.Attempt, r.Error)
		}
	}
	for _, text := range []string{s.must("bellhop", "runs"), s.must("bellhop", "status")} {
		for word := range strings.FieldsSeq(text) {
			if strings.HasPrefix(word, "-") && strings.ContainsAny(word, "0123456789") {
				t.Errorf("something takes a negative time:\n%s", text)
			}
		}
	}
}

// TestNoFaultsInTheProgram looks whether the program that people get has
// anything of the faults in it.
func TestNoFaultsInTheProgram(t *testing.T) {
	t.Parallel()
	has := func(path string) bool {
		out, err := exec.Command("go", "tool", "nm", path).CombinedOutput()
		if err != nil {
			t.Fatalf("go tool nm %s: %v\n%s", path, err, out)
		}
		if !strings.Contains(string(out), "internal/store/sqlite.(*writer).loop") {
			t.Fatalf("%s has no names of functions, so nothing is known of it", path)
		}
		return strings.Contains(string(out), "internal/fault.")
	}
	if has(bin.path) {
		t.Error("the program has faults in it; they belong behind the build tag chaos")
	}
	dir, err := buildChaos()
	if err != nil {
		t.Fatal(err)
	}
	if !has(dir + "/bellhop") {
		t.Error("the program with faults has none")
	}
}
