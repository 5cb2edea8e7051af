package router_test

import (
	"slices"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/router"
)

func TestPatternFaults(t *testing.T) {
	for _, c := range []struct{ name, pattern, want string }{
		{"empty", "", "command ``: the command is empty; write what people type, such as `say hello [name]`"},
		{"only a dot", ".", "command `.`: the command is empty; write what people type, such as `say hello [name]`"},
		{"not closed", "say [x", "command `say [x`: `[x`: the [ is not closed; a parameter is one word in brackets, such as [name]"},
		{"not opened", "say x]", "command `say x]`: `x]`: the ] was not opened; a parameter is one word in brackets, such as [name]"},
		{"within a word", "say --x=[x]", "command `say --x=[x]`: `--x=[x]`: a parameter is a word of its own; put a space before [ and after ]"},
		{"two in a word", "say [x][y]", "command `say [x][y]`: `[x][y]`: a parameter is a word of its own; put a space before [ and after ]"},
		{"space in brackets", "say [x y] z", "command `say [x y] z`: `[x y]`: a parameter is one word in brackets, such as [name]"},
		{"space in later brackets", "say [x] [y z]", "command `say [x] [y z]`: `[y z]`: a parameter is one word in brackets, such as [name]"},
		{"no name", "say []", "command `say []`: `[]`: this is not the name of a parameter; write it as in [name], with letters, digits, _, - and ."},
		{"a bad name", "say [a*]", "command `say [a*]`: `[a*]`: this is not the name of a parameter; write it as in [name], with letters, digits, _, - and ."},
		{"only dots", "say [...]", "command `say [...]`: `[...]`: this is not the name of a parameter; write it as in [name], with letters, digits, _, - and ."},
		{"nested", "say [[x]]", "command `say [[x]]`: `[[x]]`: a parameter is a word of its own; put a space before [ and after ]"},
		{"a list in the middle", "say [l...] now", "command `say [l...] now`: `[l...]` takes all words that are left, so it must stand at the end of the command"},
		{"twice", "say [x] [x]", "command `say [x] [x]`: [x] stands twice in the command; each parameter stands once"},
		{"a template's braces", "say {x}", "command `say {x}`: `{x}`: in a command a parameter stands in brackets: [x]"},
		{"in quotes", `say "x y"`, "command `say \"x y\"`: words in quotes can't be part of a command; write them without quotes"},
		{"no such parameter", "say [y] [x]", `command ` + "`say [y] [x]`" + `: job j has no parameter "y"; it has: x, l`},
		{"a text for a list", "say [l]", "command `say [l]`: l is a list, which only [l...] at the end of a command gives"},
		{"a list for a text", "say [x...]", "command `say [x...]`: [x...] gives a list, but the parameter's type is string; write [x], or `type: list` on the parameter"},
		{"a parameter is not given", "say", "command `say`: job j needs x; add [x] to it, or fix it with `args: {x: ...}`, or give the parameter a default"},
		{"built in", "help", "command `help` is built in: `s help` tells what the service can do; use other words"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := param("l:list")
			def := bellhop.List()
			l.Default = &def
			cat := &bellhop.Catalog{Bot: "bellhop", Services: []bellhop.Service{{
				Name: "s", Jobs: []bellhop.Job{job("s", "j", param("x"), l)}, Entries: []bellhop.Entry{command("s", c.pattern, "j", 7)},
			}}}
			if c.name == "a text for a list" || c.name == "a list for a text" || c.name == "built in" {
				cat.Services[0].Jobs[0].Params[0].Default = new(bellhop.Value)
			}
			wantFaults(t, cat, "bellhop.yaml:7:9: "+c.want)
		})
	}
}

func TestClashes(t *testing.T) {
	const differ = ", so nobody could tell which is meant; change a word in one of them"
	for _, c := range []struct {
		name     string
		patterns []string
		want     []string
	}{
		{"names of parameters don't count", []string{"say [a]", "say [b]"}, []string{"2:9: command `say [b]` is the same as `s say [a]` at bellhop.yaml:1:9" + differ}},
		{"case does not count", []string{"say hello", "SAY  Hello."}, []string{"2:9: command `SAY  Hello.` is the same as `s say hello` at bellhop.yaml:1:9" + differ}},
		{"in the middle", []string{"a [b] c", "a [d] c"}, []string{"2:9: command `a [d] c` is the same as `s a [b] c` at bellhop.yaml:1:9" + differ}},
		{"rest of the line and list", []string{"say [a]", "say [b...]"}, []string{"2:9: command `say [b...]` is the same as `s say [a]` at bellhop.yaml:1:9" + differ}},
		{"each is told", []string{"a", "a", "b", "a", "b"}, []string{
			"2:9: command `a` is the same as `s a` at bellhop.yaml:1:9" + differ,
			"4:9: command `a` is the same as `s a` at bellhop.yaml:1:9" + differ,
			"5:9: command `b` is the same as `s b` at bellhop.yaml:3:9" + differ,
		}},
		{"a word and a parameter", []string{"say [a]", "say hello", "say [a] [b]", "say [a] hello", "say", "[x]"}, nil},
		{"the end and a list", []string{"ping", "ping [hosts...]"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			for _, w := range c.want {
				want = append(want, "bellhop.yaml:"+w)
			}
			wantFaults(t, simple(c.patterns...), want...)
		})
	}
}

func TestCatalogFaults(t *testing.T) {
	entry := func(cat *bellhop.Catalog) *bellhop.Entry { return &cat.Services[0].Entries[0] }
	addService := func(cat *bellhop.Catalog, name string, patterns ...string) *bellhop.Service {
		s := simple(patterns...).Services[0]
		s.Name, s.Pos.Line = name, 50
		for i := range s.Entries {
			s.Entries[i].Pos.Line += 50
		}
		cat.Services = append(cat.Services, s)
		return &cat.Services[len(cat.Services)-1]
	}
	for _, c := range []struct {
		name   string
		change func(cat *bellhop.Catalog) // of a service s with the command `say [x]`
		want   []string
	}{
		{"a reserved name", func(cat *bellhop.Catalog) { cat.Services[0].Name = "status" },
			[]string{"1:3: service `status`: the name \"status\" is reserved for Bellhop's own commands and addresses; use another"}},
		{"the bot's name", func(cat *bellhop.Catalog) { cat.Bot = "S" },
			[]string{"1:3: service `s` is named as the bot, so nobody could tell who is called; use another name"}},
		{"a name twice", func(cat *bellhop.Catalog) { addService(cat, "s", "x") },
			[]string{"50:3: service `s` is defined twice; the other is at bellhop.yaml:1:3"}},
		{"no such action", func(cat *bellhop.Catalog) { entry(cat).Action = "dance" },
			[]string{"1:9: command `say [x]`: action \"dance\" does not exist; an action is one of run, cancel, suppress, unsuppress, pause, resume"}},
		{"no such job", func(cat *bellhop.Catalog) { entry(cat).Job = "j9" },
			[]string{"1:9: command `say [x]`: service s has no job \"j9\"; it has: j1"}},
		{"an alias clashes with its own command", func(cat *bellhop.Catalog) { entry(cat).Aliases = []string{"Say [x]"} },
			[]string{"1:9: alias `Say [x]` is the same as `s say [x]` of this very entry; remove one of them"}},
		{"an alias clashes with another command", func(cat *bellhop.Catalog) {
			e := command("s", "tell [x]", "j1", 2)
			e.Aliases = []string{"say [x]"}
			cat.Services[0].Entries = append(cat.Services[0].Entries, e)
		}, []string{"2:9: alias `say [x]` is the same as `s say [x]` at bellhop.yaml:1:9, so nobody could tell which is meant; change a word in one of them"}},
		{"an alias without a parameter", func(cat *bellhop.Catalog) { entry(cat).Aliases = []string{"hi", "[x"} }, []string{
			"1:9: alias `hi`: job j1 needs x; add [x] to it, or fix it with `args: {x: ...}`, or give the parameter a default",
			"1:9: alias `[x`: `[x`: the [ is not closed; a parameter is one word in brackets, such as [name]",
		}},
		{"a fixed argument of no parameter", func(cat *bellhop.Catalog) { entry(cat).Args = bellhop.Args{"y": bellhop.Text("1")} },
			[]string{"1:9: command `say [x]`: args: job j1 has no parameter \"y\"; it has: x"}},
		{"a fixed argument that is asked too", func(cat *bellhop.Catalog) { entry(cat).Args = bellhop.Args{"x": bellhop.Text("1")} },
			[]string{"1:9: command `say [x]`: x is asked for and fixed by args at once; remove one of them"}},
		{"a bad fixed argument", func(cat *bellhop.Catalog) {
			cat.Services[0].Jobs[0].Params = append(cat.Services[0].Jobs[0].Params, param("n:int"))
			entry(cat).Args = bellhop.Args{"n": bellhop.Text("many")}
		}, []string{"1:9: command `say [x]`: args: n expects a whole number, not \"many\""}},
		{"a cancel may leave parameters out", func(cat *bellhop.Catalog) {
			entry(cat).Action, entry(cat).Pattern = bellhop.ActionCancel, "stop"
		}, nil},
		{"a cancel of no parameter", func(cat *bellhop.Catalog) {
			entry(cat).Action, entry(cat).Pattern = bellhop.ActionCancel, "stop [y]"
		}, []string{"1:9: command `stop [y]`: job j1 has no parameter \"y\"; it has: x"}},
		{"a regex that can't be read", func(cat *bellhop.Catalog) { entry(cat).Pattern, entry(cat).Regex = "", "say (?P<x>.*" },
			[]string{"1:9: regex `say (?P<x>.*` can't be read: missing closing ): `say (?P<x>.*` (the syntax is RE2's: no lookaround, no backreferences)"}},
		{"a regex that closes what it did not open", func(cat *bellhop.Catalog) { entry(cat).Pattern, entry(cat).Regex = "", "a)|(?P<x>b" },
			[]string{"1:9: regex `a)|(?P<x>b` can't be read: unexpected ): `a)|(?P<x>b` (the syntax is RE2's: no lookaround, no backreferences)"}},
		{"a regex's group of no parameter", func(cat *bellhop.Catalog) { entry(cat).Pattern, entry(cat).Regex = "", "(?P<x>.*)(?P<y>.*)" },
			[]string{"1:9: regex `(?P<x>.*)(?P<y>.*)`: job j1 has no parameter \"y\"; it has: x"}},
		{"a regex without a group", func(cat *bellhop.Catalog) { entry(cat).Pattern, entry(cat).Regex = "", "hi" },
			[]string{"1:9: regex `hi`: job j1 needs x; add a group (?P<x>...) to it, or fix it with `args: {x: ...}`, or give the parameter a default"}},
		{"a regex's group for a list", func(cat *bellhop.Catalog) {
			cat.Services[0].Jobs[0].Params[0].Type = bellhop.TypeList
			entry(cat).Pattern, entry(cat).Regex = "", "hi (?P<x>.*)"
		}, []string{"1:9: regex `hi (?P<x>.*)`: x is a list, which only [x...] at the end of a command gives"}},
		{"a regex and a command", func(cat *bellhop.Catalog) { entry(cat).Regex = "(?P<x>.*)" },
			[]string{"1:9: command `say [x]` has a command and a regex; write two commands, or keep one"}},
		{"a regex twice", func(cat *bellhop.Catalog) {
			e := command("s", "", "j1", 2)
			e.Regex = "(?P<x>.*)"
			other := e
			other.Pos.Line = 3
			cat.Services[0].Entries = append(cat.Services[0].Entries, e, other)
		}, []string{"3:9: `(?P<x>.*)` is the same regex as the one at bellhop.yaml:2:9, which goes first; remove one of them"}},
		{"without prefix: two services", func(cat *bellhop.Catalog) {
			cat.Services[0].NoPrefix = true
			addService(cat, "t", "say [y]").NoPrefix = true
		}, []string{"51:9: command `say [y]` is the same as `say [x]` at bellhop.yaml:1:9, so nobody could tell which is meant; change a word in one of them"}},
		{"without prefix: a service's name", func(cat *bellhop.Catalog) {
			cat.Services[0].NoPrefix = true
			addService(cat, "say")
		}, []string{"1:9: command `say [x]`: \"say\" is a service, and lines that begin with it are for that service; begin with another word"}},
		{"without prefix: its own service's name", func(cat *bellhop.Catalog) {
			cat.Services[0].NoPrefix, cat.Services[0].Name = true, "say"
		}, []string{"1:9: command `say [x]`: \"say\" is a service, and lines that begin with it are for that service; begin with another word"}},
		{"without prefix: a built-in", func(cat *bellhop.Catalog) {
			cat.Services[0].NoPrefix = true
			entry(cat).Pattern = "Cancel [x]"
		}, []string{"1:9: command `Cancel [x]`: \"Cancel\" is reserved for Bellhop's own commands, and its service has no prefix; begin with another word"}},
		{"without prefix: an alias that is announced", func(cat *bellhop.Catalog) {
			cat.Services[0].NoPrefix = true
			entry(cat).Aliases = []string{"approve [x]"}
		}, []string{"1:9: alias `approve [x]`: \"approve\" is reserved for Bellhop's own commands, and its service has no prefix; begin with another word"}},
		{"without prefix: every line", func(cat *bellhop.Catalog) {
			cat.Services[0].NoPrefix = true
			entry(cat).Pattern = "[x]"
		}, []string{"1:9: command `[x]` would answer to every line, since its service has no prefix; add a word of its own"}},
		{"with prefix, other services don't matter", func(cat *bellhop.Catalog) {
			addService(cat, "t", "say [x]", "status", "s", "[x]")
		}, nil},
		{"all at once", func(cat *bellhop.Catalog) {
			entry(cat).Pattern, entry(cat).Job = "[", "j9"
			addService(cat, "help", "[l...] a")
		}, []string{
			"50:3: service `help`: the name \"help\" is reserved for Bellhop's own commands and addresses; use another",
			"1:9: command `[`: service s has no job \"j9\"; it has: j1",
			"1:9: command `[`: `[`: the [ is not closed; a parameter is one word in brackets, such as [name]",
			"51:9: command `[l...] a`: `[l...]` takes all words that are left, so it must stand at the end of the command",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := simple("say [x]")
			c.change(cat)
			var want []string
			for _, w := range c.want {
				want = append(want, "bellhop.yaml:"+w)
			}
			wantFaults(t, cat, want...)
		})
	}
}

func wantFaults(t *testing.T, cat *bellhop.Catalog, want ...string) {
	t.Helper()
	r, faults := router.New(cat)
	var got []string
	for _, f := range faults {
		got = append(got, f.String())
	}
	if (r == nil) != (len(want) > 0) {
		t.Errorf("router %v with %d faults", r != nil, len(faults))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n")
		for _, g := range got {
			t.Error(g)
		}
		t.Error("want")
		for _, w := range want {
			t.Error(w)
		}
	}
}
