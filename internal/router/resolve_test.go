package router_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func TestResolveFillsTheInvocation(t *testing.T) {
	r := mustRouter(t, example())
	type args = bellhop.Args
	hello := bellhop.Invocation{Action: bellhop.ActionRun, Service: "example", Job: "hello", Entry: "e11", Args: args{}, Delay: time.Second}
	deploy := func(entry string) bellhop.Invocation {
		return bellhop.Invocation{Action: bellhop.ActionRun, Service: "deploys", Job: "deploy", Entry: entry, Args: args{"env": bellhop.Text("staging")}}
	}
	restart := func(times string) bellhop.Invocation {
		return bellhop.Invocation{Action: bellhop.ActionRun, Service: "deploys", Job: "restart", Entry: "e25", Args: args{"host": bellhop.Text("Web-1"), "times": bellhop.Text(times)}}
	}
	servers := bellhop.Invocation{Action: bellhop.ActionRun, Service: "inventory", Job: "list", Entry: "e31", Args: args{"group": bellhop.Text("WEB")}}
	help := func(service string) bellhop.Invocation {
		return bellhop.Invocation{Action: bellhop.ActionHelp, Service: service}
	}
	for _, c := range []struct {
		name, line string
		want       bellhop.Invocation
	}{
		{"a command", "example say hello", hello},
		{"a command as a sentence", "Example, ", bellhop.Invocation{}},
		{"a command in capitals and with a dot", "EXAMPLE Say HELLO.", hello},
		{"an alias", "example greet me", hello},
		{"an argument before a literal", "deploys deploy staging now", deploy("e22")},
		{"an argument at the end", "deploys deploy staging", deploy("e21")},
		{"cancel, all of them", "deploys deploy cancel", bellhop.Invocation{Action: bellhop.ActionCancel, Service: "deploys", Job: "deploy", Entry: "e23", Args: args{}}},
		{"cancel, narrowed, running ones too", "deploys deploy cancel staging", bellhop.Invocation{Action: bellhop.ActionCancel, Service: "deploys", Job: "deploy", Entry: "e24", Args: args{"env": bellhop.Text("staging")}, Running: true}},
		{"a regex", "deploys restart Web-1 3 times", restart("3")},
		{"a regex on the normal line", "deploys  RESTART \t Web-1.", restart("1")},
		{"a regex's group that is one phrase", `deploys restart "Web-1" 2 times`, restart("2")},
		{"without prefix", "servers in group WEB", servers},
		{"without prefix, but with it", "inventory servers in group WEB", servers},
		{"help", "help", help("")},
		{"help in capitals", "HELP.", help("")},
		{"help of a service", "help Example", help("example")},
		{"a service's help", "Example help", help("example")},
		{"a service alone", "example", help("example")},
		{"a service without prefix alone", "inventory", help("inventory")},
		{"status", "status", bellhop.Invocation{Action: bellhop.ActionStatus}},
		{"runs", "runs", bellhop.Invocation{Action: bellhop.ActionRuns}},
		{"runs mine", "runs mine", bellhop.Invocation{Action: bellhop.ActionRuns, Mine: true}},
		{"logs", "logs 00002a", bellhop.Invocation{Action: bellhop.ActionLogs, Run: 74}},
		{"cancel a run", "Cancel 00002A.", bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: 74}},
		{"retry", `retry "00002a"`, bellhop.Invocation{Action: bellhop.ActionRetry, Run: 74}},
		{"whoami", "whoami", bellhop.Invocation{Action: bellhop.ActionWhoami}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Resolve(c.line)
			if c.want.Action == "" {
				if err == nil {
					t.Fatalf("%q was understood as %+v", c.line, got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q\n got %+v\nwant %+v", c.line, got, c.want)
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	for _, c := range []struct {
		name     string
		patterns []string
		line     string
		want     string // entry
	}{
		{"literal before one word", []string{"say [x] now", "say hello now"}, "s say hello now", "e2"},
		{"literal before rest", []string{"say [x]", "say hello"}, "s say hello", "e2"},
		{"one word before rest", []string{"deploy [x]", "deploy [y] now"}, "s deploy staging now", "e2"},
		{"rest when one word does not match", []string{"deploy [x]", "deploy [y] now"}, "s deploy staging later", "e1"},
		{"rest takes all words", []string{"deploy [x]", "deploy [y] now"}, "s deploy staging now then", "e1"},
		{"the first place decides", []string{"[x] b c", "a [y] [z]"}, "s a b c", "e2"},
		{"an early literal that leads nowhere", []string{"a [x] d", "[y] b c"}, "s a b c", "e2"},
		{"deep ways that lead nowhere", []string{"a a [x] e", "a [x] a d", "[x] [y] [z] [w]"}, "s a a a a", "e3"},
		{"the end before an empty list", []string{"ping [hosts...]", "ping"}, "s ping", "e2"},
		{"an empty list", []string{"ping [hosts...]", "ping x"}, "s ping", "e1"},
		{"literal before list", []string{"ping [hosts...]", "ping x"}, "s ping x", "e2"},
		{"one word before list", []string{"ping [hosts...]", "ping [x] y"}, "s ping x y", "e2"},
		{"a phrase is no literal", []string{"say hello", "say [x]"}, `s say "hello"`, "e2"},
		{"a service's help before its rest", []string{"[x]", "y"}, "s help", ""},
		{"type does not matter", []string{"say [x] b", "say [y...]"}, "s say -1 b", "e1"},
		{"letters beyond ASCII", []string{"straße [x]", "ÉTÉ", "σς"}, "s été", "e2"},
		{"final sigma", []string{"[x]", "ΣΣ"}, "s σς", "e2"},
		{"the Kelvin sign", []string{"[x]", "kelvin"}, "s \u212aelvin", "e2"},
		{"a literal is no regex", []string{"[x]", "a.c"}, "s abc", "e1"},
		{"a literal with a dot", []string{"[x]", "a.c"}, "s a.c", "e2"},
		{"a pattern's final dot goes too", []string{"say hello."}, "s say hello", "e1"},
		{"a pattern's quotes become plain", []string{"what’s up"}, "s what's up", "e1"},
		{"a line's quotes become plain", []string{"what's up"}, "s what’s up", "e1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := mustRouter(t, simple(c.patterns...)).Resolve(c.line)
			if err != nil {
				t.Fatal(err)
			}
			if inv.Entry != c.want {
				t.Errorf("%q means %s %+v, want %s", c.line, inv.Entry, inv, c.want)
			}
		})
	}
}

func TestFixedArguments(t *testing.T) {
	cat := simple("now [x]", "stop")
	s := &cat.Services[0]
	s.Jobs[0].Params = append(s.Jobs[0].Params, param("flag"), param("other=o"))
	s.Entries[0].Args = bellhop.Args{"flag": bellhop.Text("-rf")}
	s.Entries[1].Action, s.Entries[1].Job = bellhop.ActionCancel, "j1"
	s.Entries[1].Args = bellhop.Args{"flag": bellhop.Text("-rf")}
	r := mustRouter(t, cat)
	for _, c := range []struct {
		name, line string
		want       bellhop.Args
	}{
		{"a run has them, and the defaults", "s now a", bellhop.Args{"x": bellhop.Text("a"), "flag": bellhop.Text("-rf"), "other": bellhop.Text("o")}},
		{"a cancel has them alone", "s stop", bellhop.Args{"flag": bellhop.Text("-rf")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the second sees what the first left
				inv, err := r.Resolve(c.line)
				if err != nil {
					t.Fatal(err)
				}
				if !inv.Args.Equal(c.want) {
					t.Errorf("got %v, want %v", inv.Args, c.want)
				}
				inv.Args["x"] = bellhop.Text("changed")
			}
		})
	}
	if _, ok := s.Entries[1].Args["x"]; ok {
		t.Error("the configuration's arguments were changed")
	}
	if p, _ := s.Jobs[0].Param("flag"); p.Default != nil {
		t.Error("one command's arguments became the job's defaults")
	}
}

func TestRegexesGoInFileOrderAfterAllPatterns(t *testing.T) {
	cat := simple("", "", "say [x] twice")
	s := &cat.Services[0]
	s.Entries[0].Regex, s.Entries[1].Regex = "say (a+)", "say .*"
	r := mustRouter(t, cat)
	for _, c := range []struct{ name, line, want string }{
		{"the first that matches", "s say aa", "e1"},
		{"the next", "s say ab", "e2"},
		{"a pattern goes first", "s say a twice", "e3"},
		{"phrases keep their quotes and space", `s  say  "a  b"`, "e2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := r.Resolve(c.line)
			if err != nil {
				t.Fatal(err)
			}
			if inv.Entry != c.want {
				t.Errorf("%q means %s, want %s", c.line, inv.Entry, c.want)
			}
		})
	}
	for _, line := range []string{"s xsay a", "say a", "s SAY b"} {
		if inv, err := r.Resolve(line); err == nil {
			t.Errorf("%q was understood as %+v", line, inv)
		}
	}
}

func TestLinesOfOthersAreNotForCommandsWithoutPrefix(t *testing.T) {
	cat := simple("[who] is on call", "")
	cat.Services[0].NoPrefix = true
	cat.Services[0].Entries[1].Regex = ".*"
	other := simple("say hi").Services[0]
	other.Name = "other"
	cat.Services = append(cat.Services, other)
	r := mustRouter(t, cat)
	for _, c := range []struct{ name, line, want string }{
		{"its own", "alice is on call", "e1"},
		{"its own by regex", "anything else", "e2"},
		{"behind its name", "s anything else", "e2"},
		{"another service's", "other is on call", ""},
		{"a built-in's", "cancel is on call", ""},
		{"an announced one's", "approve is on call", ""},
		{"a phrase is no name", `"other" is on call`, "e1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := r.Resolve(c.line)
			if got := inv.Entry; got != c.want {
				t.Errorf("%q means %q (%v), want %q", c.line, got, err, c.want)
			}
		})
	}
}
