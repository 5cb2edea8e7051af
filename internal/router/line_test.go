package router_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

func TestRestOfLineIsTakenAsTyped(t *testing.T) {
	r := mustRouter(t, simple("say hello [name]"))
	for _, c := range []struct{ name, typed, want string }{
		{"one word", "Bob", "Bob"},
		{"two words", "Bob Smith", "Bob Smith"},
		{"quotes and a backslash are letters", `a'b"c\d`, `a'b"c\d`},
		{"runs of spaces stay", "Bob   Smith", "Bob   Smith"},
		{"tabs and newlines stay", "Bob\tSmith\nJones", "Bob\tSmith\nJones"},
		{"space around it goes", "  Bob \n", "Bob"},
		{"non-breaking space around it goes", "\u00a0Bob\u00a0", "Bob"},
		{"one final dot goes", "Bob.", "Bob"},
		{"one final dot only", "Bob...", "Bob.."},
		{"a dot behind a space goes", "Bob .", "Bob"},
		{"a dot before trailing space goes", "Bob.  ", "Bob"},
		{"inner dots stay", "www.example.com", "www.example.com"},
		{"one phrase loses its quotes", `"Bob  Smith"`, "Bob  Smith"},
		{"one phrase in single quotes", `'Bob Smith'`, "Bob Smith"},
		{"a dot in a phrase stays", `"Bob."`, "Bob."},
		{"a dot behind a phrase goes", `"Bob Smith".`, "Bob Smith"},
		{"a dot in and one behind", `"Bob.".`, "Bob."},
		{"space within a phrase stays", `" Bob "`, " Bob "},
		{"the empty phrase is the empty text", `""`, ""},
		{"the empty phrase in single quotes", `''`, ""},
		{"two phrases keep their quotes", `"a" "b"`, `"a" "b"`},
		{"a phrase and a word keep quotes", `"a b" c`, `"a b" c`},
		{"a word and a phrase keep quotes", `c "a b"`, `c "a b"`},
		{"other quotes within a phrase", `"it's 'so'"`, `it's 'so'`},
		{"the partner is the one that ends a word", `'it's fine'`, `it's fine`},
		{"a quote without a partner is a letter", `'tis`, `'tis`},
		{"a quote that does not end a word is a letter", `"a"b`, `"a"b`},
		{"a quote within a word is a letter", `5" pipe 6"`, `5" pipe 6"`},
		{"a lone quote", `"`, `"`},
		{"three quotes", `"""`, `"`},
		{"a backslash does not escape", `"a\"`, `a\`},
		{"smart quotes make a phrase", "“Bob  Smith”", "Bob  Smith"},
		{"smart single quotes make a phrase", "‘Bob Smith’", "Bob Smith"},
		{"low smart quotes make a phrase", "„Bob Smith“", "Bob Smith"},
		{"smart opens, plain closes", "“Bob Smith\"", "Bob Smith"},
		{"plain opens, smart closes", "\"Bob Smith”", "Bob Smith"},
		{"smart quotes within a phrase stay", `"he said “hi” to me"`, "he said “hi” to me"},
		{"plain quotes within a smart phrase stay", `“he said "hi" to me”`, `he said "hi" to me`},
		{"smart quotes in several words stay as typed", "it’s “so”", "it’s “so”"},
		{"shell code", "$(id) `id` ; rm -rf /", "$(id) `id` ; rm -rf /"},
		{"braces and percents", "{name} %s%n", "{name} %s%n"},
		{"an emoji", "👩‍👩‍👧", "👩‍👩‍👧"},
		{"not UTF-8", "a\xffb\xc2", "a\xffb\xc2"},
		{"a parameter's text", "[name]", "[name]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := r.Resolve("s say hello " + c.typed)
			if err != nil {
				t.Fatal(err)
			}
			if got := inv.Args["name"]; !got.Equal(bellhop.Text(c.want)) {
				t.Errorf("%q became %q, want %q", c.typed, got.Text, c.want)
			}
		})
	}
}

func TestAWordInTheMiddle(t *testing.T) {
	r := mustRouter(t, simple("copy [from] to [until]", "list [words...]"))
	for _, c := range []struct{ name, line, from, until string }{
		{"words", "s copy a to b", "a", "b"},
		{"case of literals does not matter", "S COPY A To B", "A", "B"},
		{"runs of spaces between words", "s \t copy\n a  to\u00a0b", "a", "b"},
		{"a phrase", `s copy "a  b" to c`, "a  b", "c"},
		{"the empty phrase", `s copy "" to c`, "", "c"},
		{"a quoted literal is no literal", `s copy "to" to to`, "to", "to"},
		{"smart quotes in a word become plain", "s copy it’s to x", "it's", "x"},
		{"all smart quotes become plain", "s copy x‘’‚‛“”„‟x to y", `x''''""""x`, "y"},
		{"smart quotes in a phrase stay", `s copy "it’s" to x`, "it’s", "x"},
		{"a final dot goes behind the last word only", "s copy a. to b.", "a.", "b"},
		{"a letter quote", `s copy don't to won't`, "don't", "won't"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := r.Resolve(c.line)
			if err != nil {
				t.Fatal(err)
			}
			want := bellhop.Args{"from": bellhop.Text(c.from), "until": bellhop.Text(c.until)}
			if !inv.Args.Equal(want) {
				t.Errorf("%q gave %v, want %v", c.line, inv.Args, want)
			}
		})
	}
}

func TestAListTakesZeroOrMoreWords(t *testing.T) {
	r := mustRouter(t, simple("list [words...]"))
	for _, c := range []struct {
		name, line string
		want       []string
	}{
		{"none", "s list", nil},
		{"none, with a dot", "s list.", nil},
		{"one", "s list a", []string{"a"}},
		{"several", "s list a  b\tc.", []string{"a", "b", "c"}},
		{"phrases", `s list "a  b" '' c’s`, []string{"a  b", "", "c's"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, err := r.Resolve(c.line)
			if err != nil {
				t.Fatal(err)
			}
			if got := inv.Args["words"]; !got.Equal(bellhop.List(c.want...)) {
				t.Errorf("%q gave %v, want %v", c.line, got, c.want)
			}
		})
	}
}

func TestALongLineTakesTimeInProportion(t *testing.T) {
	cat := simple("say hello [name]", "[a] [b] [c] [d] x", "[a] x [c] [d] y", "list [words...]")
	cat.Services[0].Jobs[0].Params[0].As = bellhop.AsStdin
	r := mustRouter(t, cat)
	const size = 1 << 20
	for _, c := range []struct {
		name, line string
		good       bool
	}{
		{"one word", "s say hello " + strings.Repeat("x", size-100), true},
		{"words", "s say hello " + strings.Repeat("x ", size/2-100), true},
		{"a list", "s list " + strings.Repeat("x ", size/2-100), false}, // longer than a list may be
		{"quotes that open", "s say hello " + strings.Repeat(`"x `, size/3-100), true},
		{"quotes of both kinds", "s say hello " + strings.Repeat(`'" `, size/3-100), true},
		{"empty phrases", "s list " + strings.Repeat(`"" `, size/3-100), false},
		{"smart quotes that open", "s say hello " + strings.Repeat("“x ‘", size/8-100), true},
		{"not understood", strings.Repeat("x ", size/2), false},
		{"not understood, one word", strings.Repeat("é", size/2), false},
		{"not understood, of a service", "s " + strings.Repeat("say ", size/4), false},
		{"only spaces", strings.Repeat("\u00a0", size/2), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Resolve(c.line) // what is not in proportion takes hours, and the test ends
			if (err == nil) != c.good {
				t.Errorf("error %.200v, good %v", err, c.good)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}
