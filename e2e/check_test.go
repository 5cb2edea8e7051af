package e2e_test

import (
	"regexp"
	"strings"
	"testing"
)

// placed is what each line of a refusal begins with.
var placed = regexp.MustCompile(`^[^:\s]+\.ya?ml:[1-9][0-9]*:[1-9][0-9]*: .+$`)

// TestCheckNeverPanics has the real binary judge files that people and
// accidents write: each is refused with exit status 1 and a place in every
// line. A thousand more are made up in internal/config.
func TestCheckNeverPanics(t *testing.T) {
	t.Parallel()
	const job = "services:\n  s:\n    jobs:\n      j: "
	const command = "services:\n  s:\n    jobs: {j: {run: 'echo {x}'}}\n    commands:\n      - "
	for name, text := range map[string]string{
		"empty":                       "",
		"a comment alone":             "# nothing\n",
		"a word":                      "hello",
		"a list":                      "- a\n- b\n",
		"binary":                      "\x00\x01\x02\xff\xfe",
		"not UTF-8":                   "bot: caf\xe9\n",
		"a tab":                       "services:\n\ts: {}\n",
		"an open bracket":             "services: {s: {jobs: [",
		"an open quote":               "bot: \"bell\nservices: {}\n",
		"two documents":               "services: {}\n---\nservices: {}\n",
		"an alias to nowhere":         "services: *none\n",
		"an alias to itself":          "services: &a {s: *a}\n",
		"many aliases":                "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nservices: *c\n",
		"very deep":                   "services: " + strings.Repeat("[", 5000),
		"a very long line":            "bot: " + strings.Repeat("x", 1<<20) + "\n",
		"a key twice":                 "bot: a\nbot: b\nservices: {}\n",
		"an unknown key":              "servces: {}\n",
		"an unset variable":           "store: \"sqlite:${NOT_SET_ANYWHERE}\"\nservices: {}\n",
		"an include of nothing":       "include: [nothing/*.yaml]\nservices: {s: {comands: []}}\n",
		"an include of itself":        "include: [bellhop.yaml]\nservices: {s: {comands: []}}\n",
		"a lease that is too short":   "lease: 1ms\nservices: {}\n",
		"a bad time zone":             "timezone: Europe/Nowhere\nservices: {}\n",
		"a reserved service":          "services: {help: {}}\n",
		"a bad name":                  "services: {\"Bad Name\": {}}\n",
		"a job with nothing to run":   job + "{}\n",
		"a placeholder in code":       job + "{run: \"sh -c {x}\"}\n",
		"arithmetic on a value":       job + "{run: 'echo $(({x}))'}\n",
		"a reserved placeholder":      job + "{run: 'echo {x|y}'}\n",
		"shell that does not parse":   job + "{run: 'if then'}\n",
		"a mapping by mistake":        job + "{run: {name}}\n",
		"a parameter of no type":      job + "{run: 'echo {x}', params: {x: {type: colour}}}\n",
		"a default that does not fit": job + "{run: 'echo {x}', params: {x: {type: int, default: many}}}\n",
		"a bad pattern":               job + "{run: 'echo {x}', params: {x: {pattern: '('}}}\n",
		"a command of no job":         command + "{command: say, job: other}\n",
		"a parameter left out":        command + "{command: say, job: j}\n",
		"an open parameter":           command + "{command: 'say [x', job: j}\n",
		"a bad regex":                 command + "{regex: '(', job: j}\n",
		"two commands that are one":   command + "{command: 'say [x]', job: j}\n      - {command: 'SAY [x]', job: j}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("bellhop.yaml", text)
			r := p.run("bellhop", "check")
			if r.status != 1 || r.stderr != "" {
				t.Fatalf("exit status %d, want 1\n%.500s%.2000s", r.status, r.stdout, r.stderr)
			}
			for line := range strings.Lines(r.stdout) {
				if !placed.MatchString(strings.TrimRight(line, "\n")) {
					t.Errorf("no place in %.300q", line)
				}
			}
			if r.stdout == "" {
				t.Error("nothing is said")
			}
		})
	}
}
