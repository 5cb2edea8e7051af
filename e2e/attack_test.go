package e2e_test

import (
	"strings"
	"testing"
)

// TestAttackTerminal: what a run wrote, or an asker typed, never reaches the
// terminal of whoever looks at it later as something that a terminal acts on.
func TestAttackTerminal(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("bellhop.yaml", `
services:
  example:
    dir: .
    jobs:
      title: {run: "printf 'begin\\033]0;pwned\\007\\302\\2332Jend\\n'; printf '\\033[2Jerr\\n' >&2", report: {stdout: true}}
      fails: {run: "printf '\\033]0;pwned\\007\\302\\2332Jerr\\n' >&2; exit 3"}
      say:   {run: "echo {value}"}
    commands:
      - {command: title, job: title}
      - {command: fails, job: fails}
      - {command: "say [value]", job: say}
      - {regex: "quiet \e]0;pwned\a", job: title}
`)
	p.serve("up")
	for _, ask := range []string{"title", "fails", "say \u009b2J\x1b]0;pwned\a\u202e"} {
		p.must("bellhop", "ask", "--detach", "example "+ask)
	}
	p.until("all has ended", func() bool { return strings.Count(p.must("bellhop", "runs", "--json"), `"finished"`) == 3 })
	if out := p.must("bellhop", "runs", "--json", "--limit", "1"); !strings.Contains(out, `\u009b2J\u001b]0;pwned\u0007\u202e`) {
		t.Errorf("the argument is not as it was: %s", out)
	}
	for name, c := range map[string]struct {
		argv []string
		last string // what is shown last
	}{
		"logs":      {[]string{"logs", "000001"}, "end"},
		"runs":      {[]string{"runs"}, "000001"},
		"runs json": {[]string{"runs", "--json"}, `"000001"`},
		"unread":    {[]string{"runs", "--mine"}, "bellhop logs 000002"},
		"status":    {[]string{"status"}, "happening"},
		"check":     {[]string{"check"}, "ok: "},
		"unknown":   {[]string{"ask", "example \x1b]0;pwned\a\u009b2J"}, "example help"},
	} {
		t.Run(name, func(t *testing.T) {
			x, proc := p.atTerminal(t, "at-"+strings.ReplaceAll(name, " ", "-"), "bellhop", c.argv...)
			x.Expect(t, c.last)
			proc.wait()
			shown := x.Shown()
			for _, bad := range []string{"\x1b]", "\x1b[2J", "\u009b", "\u202e", "\a"} {
				if strings.Contains(shown, bad) {
					t.Errorf("%q reached the terminal: %q", bad, shown)
				}
			}
		})
	}
}
