package router_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/router"
)

func ops(t testing.TB) *router.Router {
	cat := simple("report [count] for [who]", "rep [count] [who]", "disk [where]", "slow [n]", "slow cancel", "sleepy", "echo [words...]")
	cat.Services[0].Name = "ops"
	for i := range cat.Services[0].Entries {
		cat.Services[0].Entries[i].Service = "ops"
	}
	return mustRouter(t, cat)
}

// What is alike in its words comes first, however many words it has.
func TestNearMissesGoByTheirWords(t *testing.T) {
	r := ops(t)
	const help = " (`ops help` lists what it can do)"
	for _, c := range []struct{ name, line, want string }{
		{"a typing error in a long command", "ops reprot", "Did you mean `ops report [count] for [who]` or `ops rep [count] [who]`?" + help},
		{"a typing error and an argument", "ops reprot 2", "Did you mean `ops report [count] for [who]` or `ops rep [count] [who]`?" + help},
		{"another word at its end", "ops report 2 to bob", "Did you mean `ops report [count] for [who]` or `ops rep [count] [who]`?" + help},
		{"swapped words", "ops cancel slow", "Did you mean `ops slow cancel`?" + help},
		{"swapped words with typing errors", "ops cancle solw", "Did you mean `ops slow cancel`?" + help},
		{"a phrase too many", `ops sleepy "it's"`, "Did you mean `ops sleepy`?" + help},
		{"words too many", "ops sleepy a b c d e f g h i j k", "Did you mean `ops sleepy`?" + help},
		{"nothing is alike", "ops frobnicate 2", "; `ops help` lists what it can do"},
		{"nothing but the service's typing error", "osp frobnicate", "Did you mean `ops`? (`help` lists what you can ask)"},
		{"behind a service's typing error", "osp disk /", "Did you mean `ops disk [where]`? (`help` lists what you can ask)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Resolve(c.line)
			if err == nil || !strings.HasSuffix(err.Error(), c.want) || strings.Count(err.Error(), "`ops ") != strings.Count("`"+c.line+"`"+c.want, "`ops ") {
				t.Errorf("got  %v\nwant ...%s", err, c.want)
			}
		})
	}
}

func TestTheBeginningOfACommandSaysWhatIsMissing(t *testing.T) {
	r := ops(t)
	for _, c := range []struct{ name, line, want string }{
		{"before a parameter", "ops report", "count and who are missing: write `ops report [count] for [who]`"},
		{"before a word", "ops report 2", "`for [who]` is missing: write `ops report [count] for [who]`"},
		{"behind a word", "ops report 2 for", "who is missing: write `ops report [count] for [who]`"},
		{"one of two parameters", "ops rep 2", "who is missing: write `ops rep [count] [who]`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := r.Resolve(c.line); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
