package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestScheduleMissed has a server be down for hours, by its clock, and the clock
// go back afterwards.
func TestScheduleMissed(t *testing.T) {
	t.Parallel()
	c := newRig(t, rigSeed(t), 1, "")
	s := c.servers[0]
	now := time.Now().UTC()
	minute := now.Add(30 * time.Minute).Minute()
	text := "timezone: UTC\nservices:\n  c:\n    jobs: {say: {run: 'true', params: {word: {}}, concurrency: unlimited}}\n    commands: [{command: 'say [word]', job: say}]\n    schedules:\n"
	for _, missed := range []string{"one", "skip", "all"} {
		text += fmt.Sprintf("      - {name: %[1]s, cron: '%[2]d * * * *', job: say, args: {word: %[1]s}, missed: %[1]s}\n", missed, minute)
	}
	s.write("bellhop.yaml", text)
	counts := func() string {
		n := map[string]int{}
		for _, r := range s.runs() {
			n[r.Args["word"]]++
		}
		return fmt.Sprintf("one %d, skip %d, all %d", n["one"], n["skip"], n["all"])
	}
	// said waits until the clock has looked: what is put off comes after schedules.
	said := func(word string) {
		t.Helper()
		s.must("bellhop", "ask", "in", "1s", "c", "say", word)
		s.until("what was put off is done", func() bool {
			return strings.Contains(s.must("bellhop", "runs", "--json"), `"word":"`+word+`"`)
		})
	}
	c.up(0, "")
	said("first")
	s.proc.kill9()
	c.step(3 * time.Hour)
	c.up(0, "")
	said("second")
	const want = "one 1, skip 0, all 3"
	if got := counts(); got != want {
		t.Errorf("after three hours down: %s, want %s", got, want)
	}
	if got := s.must("bellhop", "schedules"); !strings.Contains(got, "brought no run: missed, as some before it") {
		t.Errorf("schedules says\n%s", got)
	}
	c.step(0)
	said("third")
	s.proc.signal(15)
	s.proc.wait()
	c.up(0, "")
	said("fourth")
	c.step(3 * time.Hour)
	said("fifth")
	if got := counts(); got != want {
		t.Errorf("after the clock went back and forth: %s, want %s", got, want)
	}
}
