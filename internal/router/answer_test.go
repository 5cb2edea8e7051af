package router_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/bellhop-io/bellhop"
)

func TestWhatIsAnsweredWhenNothingMatches(t *testing.T) {
	r := mustRouter(t, example())
	const ask, can = "`help` lists what you can ask", "help` lists what it can do"
	for _, c := range []struct {
		name, line string
		code       bellhop.Code
		want       string
	}{
		{"nothing", "", bellhop.Invalid, "the line is empty; " + ask},
		{"only a dot", " . ", bellhop.Invalid, "the line is empty; " + ask},
		{"nothing like it", "foo", bellhop.NotFound, "I don't know `foo`; " + ask},
		{"a service with a typing error", "exmaple", bellhop.NotFound, "I don't know `exmaple`. Did you mean `example`? (" + ask + ")"},
		{"two typing errors", "exmaple say helo", bellhop.NotFound, "I don't know `exmaple say helo`. Did you mean `example say hello` or `example say hello [name]`? (" + ask + ")"},
		{"swapped letters in a short word", "sya hello", bellhop.NotFound, "I don't know `sya hello`. Did you mean `example say hello` or `example say hello [name]`? (" + ask + ")"},
		{"the service was left out", "say hello Bob", bellhop.NotFound, "I don't know `say hello Bob`. Did you mean `example say hello [name]` or `example say hello`? (" + ask + ")"},
		{"another word", "example say goodbye", bellhop.NotFound, "I don't know `example say goodbye`. Did you mean `example say hello [name]` or `example say hello`? (`example " + can + ")"},
		{"nothing like it in the service", "example foo bar", bellhop.NotFound, "I don't know `example foo bar`; `example " + can},
		{"the beginning of a command", "example do", bellhop.Invalid, "`python [some_arg]` is missing: write `example do python [some_arg]`"},
		{"an abbreviation", "ser in gr web", bellhop.NotFound, "I don't know `ser in gr web`. Did you mean `servers in group [group]`? (" + ask + ")"},
		{"a built-in with a typing error", "stauts", bellhop.NotFound, "I don't know `stauts`. Did you mean `status`? (" + ask + ")"},
		{"words before it", "please deploy staging now", bellhop.NotFound, "I don't know `please deploy staging now`. Did you mean `deploys deploy [env] now`? (" + ask + ")"},
		{"at most three", "deploys deplo", bellhop.NotFound, "I don't know `deploys deplo`. Did you mean `deploys deploy [env]`, `deploys deploy cancel` or `deploys deploy [env] now`? (`deploys " + can + ")"},
		{"help of no service", "help exampel", bellhop.NotFound, "I don't know `help exampel`. Did you mean `help example`? (`help` lists the services)"},
		{"help of a command", "help example say", bellhop.NotFound, "I don't know `help example say`. Did you mean `help example`? (`help` lists the services)"},
		{"which run to deny", "DENY", bellhop.Invalid, "which run? Write `deny RUN`; `runs` lists the latest"},
		{"a missing argument", "deploys deploy", bellhop.Invalid, "env is missing: write `deploys deploy [env]`"},
		{"a missing argument without prefix", "servers in group.", bellhop.Invalid, "group is missing: write `servers in group [group]`"},
		{"a missing run", "logs", bellhop.Invalid, "which run? Write `logs RUN`; `runs` lists the latest"},
		{"not a run", "logs it", bellhop.Invalid, `"it" is not the id of a run; it is six or more letters and digits such as 00002a (see: runs)`},
		{"a bad value", "deploys deploy prod", bellhop.Invalid, "in `deploys deploy [env]`: env expects one of staging, production, not \"prod\""},
		{"a bad value for a cancel", "deploys deploy cancel prod", bellhop.Invalid, "in `deploys deploy cancel [env]`: env expects one of staging, production, not \"prod\""},
		{"a bad rest of the line", "example do python 1 2", bellhop.Invalid, "in `example do python [some_arg]`: some_arg expects a whole number, not \"1 2\""},
		{"a bad value for a regex", "deploys restart web 12 times", bellhop.Invalid, "in `deploys /(?i)restart (?P<host>\\S+)( (?P<times>\\d+) times)?/`: times expects at most 9, not \"12\""},
		{"a dash", "example say hello -rf", bellhop.Invalid, "in `example say hello [name]`: name is \"-rf\", which begins with - and could be taken for an option; its parameter would have to say `dash: true`"},
		{"a dash in a phrase", "example say hello '-rf'", bellhop.Invalid, "in `example say hello [name]`: name is \"-rf\", which begins with - and could be taken for an option; its parameter would have to say `dash: true`"},
		{"control characters", "a\x1b[31mb\x00c\u202ed`e`", bellhop.NotFound, "I don't know `a\ufffd[31mb\ufffdc\ufffdd'e'`; " + ask},
		{"long", strings.Repeat("é", 100), bellhop.NotFound, "I don't know `" + strings.Repeat("é", 60) + "...`; " + ask},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := r.Resolve(c.line)
			if err == nil {
				t.Fatalf("understood as %+v", inv)
			}
			if got := err.Error(); got != c.want {
				t.Errorf("%q\n got %s\nwant %s", c.line, got, c.want)
			}
			if got := bellhop.CodeOf(err); got != c.code {
				t.Errorf("code %s, want %s", got, c.code)
			}
		})
	}
}

func TestAllMissingArgumentsAreNamed(t *testing.T) {
	r := mustRouter(t, simple("suppress from [from] to [until] because [why]"))
	_, err := r.Resolve("s suppress from")
	const want = "from, until and why are missing: write `s suppress from [from] to [until] because [why]`"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNearMissesAmongManyCommands(t *testing.T) {
	var patterns []string
	for i := range 10_000 {
		patterns = append(patterns, fmt.Sprintf("restart cluster%d node [n]", i))
	}
	r := mustRouter(t, simple(patterns...))
	_, err := r.Resolve("s restrat cluster777 node 3")
	if err == nil || !strings.Contains(err.Error(), "Did you mean `s restart cluster777 node [n]`") {
		t.Errorf("got %v", err)
	}
}

func TestAnswersAreSafeToShow(t *testing.T) {
	r := mustRouter(t, example())
	for _, hostile := range []string{"\x1b]0;x\a", "\u202e", "\u2028", "\r\n", "\x00", "\u200b", "\xff", "`"} {
		for _, line := range []string{hostile, "x" + hostile, "example x" + hostile, "help x" + hostile, "logs x" + hostile, "deploys deploy x" + hostile, "approve x" + hostile, "pause x" + hostile, "pause example x" + hostile, "suppress x" + hostile + " until 9", "retry 00002a with x" + hostile} {
			_, err := r.Resolve(line)
			if err == nil {
				t.Errorf("%q was understood", line)
				continue
			}
			for _, c := range err.Error() {
				if c != ' ' && !unicode.IsPrint(c) && c != unicode.ReplacementChar {
					t.Errorf("%q is answered with %q", line, err)
					break
				}
			}
		}
	}
}
