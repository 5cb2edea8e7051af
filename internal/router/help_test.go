package router_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/router"
)

func notDeploys(service string, _ *bellhop.Entry) bool { return service != "deploys" }

const builtins = `
Everywhere:

  help SERVICE                       what a service can do
  status                             what runs and what waits
  runs                               the latest runs
  runs mine                          the latest runs that you asked for
  logs RUN                           the output of a run
  why RUN                            why a run has not started
  why SERVICE COMMAND                whether you may ask for this, and which rule says so
  approve RUN                        lets a run start that waits for approval
  deny RUN                           refuses it
  deny RUN because REASON            refuses it, and says why
  cancel RUN                         ends a run
  retry RUN                          does a run once more
  retry RUN with NAME=VALUE ...      the same with other arguments
  pause SERVICE [JOB]                starts nothing of it until it is resumed
  resume SERVICE [JOB]               lets it start again
  resume NUMBER                      ends one of the pauses
  suppress SERVICE [JOB] until TIME  starts nothing of it until then
  suppress SERVICE [JOB] from TIME until TIME
      the same, from a time on
  suppressions                       what is suppressed or paused
  unsuppress SERVICE [JOB]           ends what is suppressed
  unsuppress NUMBER                  ends one of the suppressions
  schedules                          what happens by the clock, and what is asked for later
  pause schedule SERVICE/NAME        has it ask for nothing until it is resumed
  resume schedule SERVICE/NAME       lets it go on with its next time
  run schedule SERVICE/NAME          asks now for what it asks for
  at TIME SERVICE COMMAND            asks for this at a time
  in 20m SERVICE COMMAND             asks for this after a while
  unschedule ID                      takes back what was to be asked for later
  whoami                             who you are to Bellhop

To see what a service can do: help SERVICE, or just its name
`

func TestHelp(t *testing.T) {
	r := mustRouter(t, example())
	for _, c := range []struct {
		name, service string
		may           router.May
		want          string
	}{
		{"general", "", nil, `Services:

  deploys    Brings the site to its machines
  example    Examples
  inventory
` + builtins},
		{"general, with a lock", "", notDeploys, `Services:

  🔒 deploys    Brings the site to its machines
     example    Examples
     inventory

  🔒 restricted: you may not use it
` + builtins},
		{"a service", "example", nil, `example: Examples

  example say hello             Says hello
  example greet me              the same as example say hello
  example say hello [name]      Says hello to [name]
  example do python [some_arg]  Runs a script
      [some_arg] a whole number
`},
		{"a service that is locked", "Deploys", notDeploys, `🔒 deploys: Brings the site to its machines
This service is restricted: you may not use it.

  deploys deploy [env]         runs deploy
      [env] where to; one of staging, production
  deploys deploy [env] now     runs deploy
      [env] where to; one of staging, production
  deploys deploy cancel        cancels deploy while it waits
  deploys deploy cancel [env]  cancels deploy, also while it runs
      [env] where to; one of staging, production
  deploys /(?i)restart (?P<host>\S+)( (?P<times>\d+) times)?/
      Restarts a host
      [times] a whole number from 1 to 9; default 1
`},
		{"a service without prefix", "inventory", nil, `inventory

  servers in group [group]  runs list
  ping [hosts...]           runs ping
      [hosts] any number of words
`},
		{"a built-in command", "Pause", nil, "Everywhere:\n\n  pause SERVICE [JOB]          starts nothing of it until it is resumed\n  pause schedule SERVICE/NAME  has it ask for nothing until it is resumed\n"},
		{"a built-in command with more behind it", "suppress deploys", nil, `Everywhere:

  suppress SERVICE [JOB] until TIME  starts nothing of it until then
      TIME: a time such as 18:30, a date, or a duration such as 2h
  suppress SERVICE [JOB] from TIME until TIME
      the same, from a time on
      TIME: a time such as 18:30, a date, or a duration such as 2h
`},
		{"no service", "exampel", nil, "I don't know `help exampel`. Did you mean `help example`? (`help` lists the services)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.Help(c.service, c.may); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestHelpOfNothing(t *testing.T) {
	r := mustRouter(t, &bellhop.Catalog{Bot: "bellhop", Services: []bellhop.Service{}})
	if got := r.Help("", nil); !strings.HasPrefix(got, "There are no services yet") || !strings.Contains(got, "  status") {
		t.Errorf("got %s", got)
	}
	r = mustRouter(t, &bellhop.Catalog{Services: []bellhop.Service{{Name: "s"}}})
	if got, want := r.Help("s", nil), "s\n\nIt has no commands.\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestHelpDescribesParameters(t *testing.T) {
	def := bellhop.Text("1h")
	for _, c := range []struct {
		name  string
		param bellhop.Param
		want  string
	}{
		{"text", bellhop.Param{Type: bellhop.TypeString}, ""},
		{"text with help", bellhop.Param{Type: bellhop.TypeString, Help: "who"}, "who"},
		{"text with a length", bellhop.Param{Type: bellhop.TypeString, Min: "2", Max: "8"}, "a text from 2 to 8 characters"},
		{"number", bellhop.Param{Type: bellhop.TypeNumber, Max: "1.5"}, "a number of at most 1.5"},
		{"int", bellhop.Param{Type: bellhop.TypeInt, Min: "1"}, "a whole number of at least 1"},
		{"bool", bellhop.Param{Type: bellhop.TypeBool}, "true or false"},
		{"pattern", bellhop.Param{Type: bellhop.TypePattern, Pattern: "v[0-9]+"}, "like v[0-9]+"},
		{"duration with a default that can't count", bellhop.Param{Type: bellhop.TypeDuration, Default: &def}, "a duration such as 90s, 1h30m or 2d"},
		{"date", bellhop.Param{Type: bellhop.TypeDate}, "a date such as 2026-01-31"},
		{"JSON", bellhop.Param{Type: bellhop.TypeJSON}, "JSON"},
		{"a long enum", bellhop.Param{Type: bellhop.TypeEnum, Enum: strings.Split("a b c d e f g h i j k l m n", " ")}, "one of a, b, c, d, e, f, g, h, i, j, k, l, ..."},
		{"hostile help", bellhop.Param{Type: bellhop.TypeString, Help: "a\nb\x1b[31m"}, "a b\ufffd[31m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := simple("do [x]")
			c.param.Name = "x"
			cat.Services[0].Jobs[0].Params[0] = c.param
			want := "s\n\n  s do [x]  runs j1\n"
			if c.want != "" {
				want += "      [x] " + c.want + "\n"
			}
			if got := mustRouter(t, cat).Help("s", nil); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Commands of one job that differ in what becomes of a repeat, or in who goes
// first, don't look alike.
func TestHelpTellsCommandsApart(t *testing.T) {
	cat := simple("do [x]", "do [x] again", "do [x] once", "do [x] first", "do [x] in words")
	e := cat.Services[0].Entries
	for i := range e {
		e[i].Job = "j1"
	}
	e[1].OnRepeat = bellhop.OnRepeatQueue
	e[2].OnRepeat = bellhop.OnRepeatReject
	e[3].Priority, e[3].OnRepeat = new(9), bellhop.OnRepeatQueue
	e[4].Priority, e[4].Help = new(9), "As it says"
	const want = `s

  s do [x]           runs j1
  s do [x] again     runs j1 (once for each ask)
  s do [x] once      runs j1 (not while the same waits or runs)
  s do [x] first     runs j1 (once for each ask, priority 9)
  s do [x] in words  As it says
`
	if got := mustRouter(t, cat).Help("s", nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestComplete(t *testing.T) {
	cat := example()
	cat.Services[0].Jobs[1].Params[0].Type = bellhop.TypeBool
	cat.Services[1].Jobs[0].Params[0].Enum = []string{"staging", "production", "us east"}
	r := mustRouter(t, cat)
	for _, c := range []struct {
		name, line string
		may        router.May
		want       []string
	}{
		{"nothing", "", nil, []string{"approve", "at", "cancel", "deny", "deploys", "example", "help", "in", "inventory", "logs", "pause", "ping", "resume", "retry", "run", "runs", "schedules", "servers", "status", "suppress", "suppressions", "unschedule", "unsuppress", "whoami", "why"}},
		{"what one may", "", func(s string, _ *bellhop.Entry) bool { return s == "example" }, []string{"approve", "at", "cancel", "deny", "example", "help", "in", "logs", "pause", "resume", "retry", "run", "runs", "schedules", "status", "suppress", "suppressions", "unschedule", "unsuppress", "whoami", "why"}},
		{"a beginning", "EX", nil, []string{"example"}},
		{"several", "re", nil, []string{"resume", "retry"}},
		{"commands", "example ", nil, []string{"do", "greet", "help", "say"}},
		{"commands behind more space", "  Example \u00a0 ", nil, []string{"do", "greet", "help", "say"}},
		{"the second word", "example say h", nil, []string{"hello"}},
		{"values of bool", "example say hello ", nil, []string{"false", "true"}},
		{"enum and literals", "deploys deploy ", nil, []string{`"us east"`, "cancel", "production", "staging"}},
		{"an enum's beginning", "deploys deploy s", nil, []string{"staging"}},
		{"behind a value", "deploys deploy whatever ", nil, []string{"now"}},
		{"behind a phrase", `deploys deploy "us east" n`, nil, []string{"now"}},
		{"one may not", "deploys ", notDeploys, nil},
		{"one may not, deeper", "deploys deploy s", notDeploys, nil},
		{"without prefix", "servers in ", nil, []string{"group"}},
		{"without prefix, with it", "inventory servers ", nil, []string{"in"}},
		{"without prefix, one may not", "servers in ", func(_ string, _ *bellhop.Entry) bool { return false }, nil},
		{"help", "help ", notDeploys, []string{"example", "inventory"}},
		{"help of two", "help example ", nil, nil},
		{"runs", "runs m", nil, []string{"mine"}},
		{"a run", "logs ", nil, nil},
		{"nothing like it", "foo bar", nil, nil},
		{"a dot is not the end", "deploys deploy. ", nil, nil},
		{"complete already", "example say hello", nil, []string{"hello"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.Complete(c.line, c.may); !slices.Equal(got, c.want) {
				t.Errorf("%q: got %q, want %q", c.line, got, c.want)
			}
		})
	}
}

func TestAddressed(t *testing.T) {
	for _, c := range []struct {
		name, text, rest string
		ok               bool
	}{
		{"its name", "bellhop example say hello", "example say hello", true},
		{"its name in capitals", "Bellhop status", "status", true},
		{"a comma", "Bellhop, status", "status", true},
		{"a colon", "bellhop: status", "status", true},
		{"space before", "  bellhop\tstatus ", "status", true},
		{"its name alone", "bellhop", "", true},
		{"its name as the beginning of a word", "bellhops are great", "", false},
		{"its name with a dot and more", "bellhop.example.com is down", "", false},
		{"its name later", "the bellhop said so", "", false},
		{"a mention", "@bellhop status", "status", true},
		{"a mention later", "morning! hey @Bellhop: status", "status", true},
		{"a mention in brackets", "(@bellhop status", "status", true},
		{"a mention as a possessive", "@bellhop's status", "", false},
		{"the first mention counts", "a @bellhop say @bellhop b", "say @bellhop b", true},
		{"a mention of another", "@bellhopper @bellhop status", "status", true},
		{"an address", "mail alice@bellhop now", "", false},
		{"an address, then a mention", "mail alice@bellhop.example, @bellhop status", "status", true},
		{"what is said stays as typed", "bellhop say  “a  b”.", "say  “a  b”.", true},
		{"nothing", "", "", false},
		{"only an @", "@", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rest, ok := router.Addressed("bellhop", c.text)
			if rest != c.rest || ok != c.ok {
				t.Errorf("%q: got %q, %v, want %q, %v", c.text, rest, ok, c.rest, c.ok)
			}
		})
	}
	if rest, ok := router.Addressed("", "status"); ok {
		t.Errorf("a bot without name was called with %q", rest)
	}
}

// A line gives all parameters of its pattern, so a default counts only where
// the line may leave the parameter out.
func TestHelpTellsADefaultWhereItCounts(t *testing.T) {
	for _, c := range []struct {
		name, alias, regex string
		cancel, want       bool
	}{
		{name: "in the pattern"},
		{name: "left out in an alias", alias: "do", want: true},
		{name: "in an alias too", alias: "make [x]"},
		{name: "in a group of a regex", regex: "do( (?P<x>.*))?", want: true},
		{name: "cancelling", alias: "do", cancel: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := simple("do [x]")
			e := &cat.Services[0].Entries[0]
			cat.Services[0].Jobs[0].Params[0] = bellhop.Param{Name: "x", Type: bellhop.TypeInt, Default: new(bellhop.Text("3"))}
			if c.alias != "" {
				e.Aliases = []string{c.alias}
			}
			if c.regex != "" {
				e.Pattern, e.Regex = "", c.regex
			}
			if c.cancel {
				e.Action = bellhop.ActionCancel
			}
			if got := mustRouter(t, cat).Help("s", nil); strings.Contains(got, "; default 3\n") != c.want || !strings.Contains(got, "[x] a whole number") {
				t.Errorf("default shown: %v, want %v:\n%s", !c.want, c.want, got)
			}
		})
	}
}

func TestTheWebPageIsOfferedWhereThereIsOne(t *testing.T) {
	for _, page := range []bool{false, true} {
		cat := example()
		cat.Page = page
		r := mustRouter(t, cat)
		if got := strings.Contains(r.Help("", nil), "\n  web  "); got != page {
			t.Errorf("page %v: help has it: %v", page, got)
		}
		if got := slices.Contains(r.Complete("w", nil), "web"); got != page {
			t.Errorf("page %v: completed: %v", page, got)
		}
		if inv, err := r.Resolve("Web"); err != nil || inv.Action != bellhop.ActionWeb {
			t.Errorf("page %v: %+v, %v", page, inv, err)
		}
	}
}
