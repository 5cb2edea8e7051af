package router_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/router"
)

// The reference is the rules of asking, written down in the plainest way: all
// patterns are tried, and the best match is looked for afterwards. Bodies of
// words are compared as they are, so patterns and lines are of lower case.

type refWord struct {
	start, end int
	text       string
	phrase     bool
}

// kindOfQuote returns " or ' and whether the quote is typographic.
func kindOfQuote(r rune) (plain rune, smart, ok bool) {
	switch r {
	case '"', '\'':
		return r, false, true
	case '“', '”', '„', '‟':
		return '"', true, true
	case '‘', '’', '‚', '‛':
		return '\'', true, true
	}
	return 0, false, false
}

// refSplit reads a line rune by rune and looks for each partner anew.
func refSplit(text string) (string, []refWord) {
	text = strings.TrimSpace(text)
	if strings.HasSuffix(text, ".") {
		text = strings.TrimSpace(text[:len(text)-1])
	}
	var words []refWord
	isEnd := func(i int) bool {
		r, _ := utf8.DecodeRuneInString(text[i:])
		return i == len(text) || unicode.IsSpace(r)
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if unicode.IsSpace(r) {
			i += n
			continue
		}
		if end, inner := refPartner(text, i, isEnd); end > 0 {
			words = append(words, refWord{i, end, inner, true})
			i = end
			continue
		}
		start, plain := i, ""
		for !isEnd(i) {
			r, n := utf8.DecodeRuneInString(text[i:])
			if q, _, ok := kindOfQuote(r); ok {
				plain += string(q)
			} else {
				plain += text[i : i+n]
			}
			i += n
		}
		words = append(words, refWord{start, i, plain, false})
	}
	return text, words
}

func refPartner(text string, i int, isEnd func(int) bool) (end int, inner string) {
	open, n := utf8.DecodeRuneInString(text[i:])
	kind, smart, ok := kindOfQuote(open)
	if !ok {
		return 0, ""
	}
	for _, wantSmart := range []bool{smart, !smart} {
		for j := i + n; j < len(text); {
			r, m := utf8.DecodeRuneInString(text[j:])
			if k, s, ok := kindOfQuote(r); ok && k == kind && s == wantSmart && isEnd(j+m) {
				return j + m, text[i+n : j]
			}
			j += m
		}
	}
	return 0, ""
}

// refMatch returns a match's places: l, w, r (rest or list) or e (an empty
// list), and its arguments.
func refMatch(pattern []string, text string, words []refWord) (string, bellhop.Args, bool) {
	args, shape := bellhop.Args{}, ""
	for i, p := range pattern {
		name, isParam := strings.CutPrefix(strings.TrimSuffix(p, "]"), "[")
		name, isList := strings.CutSuffix(name, "...")
		switch {
		case isList:
			list := []string{}
			for _, w := range words {
				list = append(list, w.text)
			}
			args[name] = bellhop.List(list...)
			if len(words) == 0 {
				return shape + "z", args, true
			}
			return shape + "r", args, true
		case len(words) == 0:
			return "", nil, false
		case isParam && i == len(pattern)-1:
			v := text[words[0].start:]
			if len(words) == 1 && words[0].phrase {
				v = words[0].text
			}
			args[name] = bellhop.Text(v)
			return shape + "r", args, true
		case isParam:
			args[name] = bellhop.Text(words[0].text)
			shape += "o"
		case words[0].phrase || words[0].text != p:
			return "", nil, false
		default:
			shape += "l"
		}
		words = words[1:]
	}
	return shape + "a", args, len(words) == 0
}

// refResolve returns the index of the pattern that a line means, or -1. The
// letters of shapes are in the order of precedence: a(t the end), l(iteral),
// o(ne word), r(est), z(ero words).
func refResolve(patterns []string, line string) (int, bellhop.Args) {
	text, words := refSplit(line)
	if len(words) == 0 || words[0].phrase || words[0].text != "s" {
		return -1, nil
	}
	best, bestShape, bestArgs := -1, "", bellhop.Args(nil)
	for i, p := range patterns {
		shape, args, ok := refMatch(strings.Fields(p), text, words[1:])
		if ok && (best < 0 || shape < bestShape) {
			best, bestShape, bestArgs = i, shape, args
		}
	}
	return best, bestArgs
}

// refShape is what two patterns that clash have in common.
func refShape(pattern string) string {
	words := strings.Fields(pattern)
	for i, w := range words {
		switch {
		case w[0] != '[':
		case i == len(words)-1:
			words[i] = "[rest]"
		default:
			words[i] = "[word]"
		}
	}
	return strings.Join(words, " ")
}

func genPattern() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		places := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "[]", "[]"}), 1, 5).Draw(t, "places")
		for i, p := range places {
			switch {
			case p != "[]":
			case i == len(places)-1 && rapid.Bool().Draw(t, "list"):
				places[i] = fmt.Sprintf("[p%d...]", i)
			default:
				places[i] = fmt.Sprintf("[p%d]", i)
			}
		}
		return strings.Join(places, " ")
	})
}

func TestResolveAgreesWithTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(genPattern(), 1, 12).Draw(t, "patterns")
		var kept []string
		seen := map[string]bool{}
		for _, p := range patterns {
			if !seen[refShape(p)] {
				kept = append(kept, p)
			}
			seen[refShape(p)] = true
		}
		if _, faults := router.New(simple(patterns...)); len(faults) != len(patterns)-len(kept) {
			t.Fatalf("%d faults for %q, want %d", len(faults), patterns, len(patterns)-len(kept))
		}
		r, _ := router.New(simple(kept...))
		piece := rapid.SampledFrom([]string{"a", "b", "c", "a", "b", "c", "x", " ", " ", " ", " ", "  ", "\t", "\u00a0", "\n", `"`, `"`, "'", "“", "”", "’", ".", `\`, "-", "\xff", "é"})
		for range 5 {
			line := "s " + strings.Join(rapid.SliceOfN(piece, 0, 14).Draw(t, "line"), "")
			checkAgainstReference(t, r, kept, line)
			words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "x", `"a"`}), 0, 6).Draw(t, "words")
			checkAgainstReference(t, r, kept, "s "+strings.Join(words, " "))
		}
	})
}

type failer interface{ Fatalf(string, ...any) }

func checkAgainstReference(t failer, r *router.Router, patterns []string, line string) {
	want, args := refResolve(patterns, line)
	inv, err := r.Resolve(line)
	switch {
	case inv.Action == bellhop.ActionHelp: // `s` alone is built in
		if _, words := refSplit(line); len(words) != 1 {
			t.Fatalf("%q is help", line)
		}
	case (err == nil) != (want >= 0):
		t.Fatalf("%q of %q: got %+v, %v, want pattern %d", line, patterns, inv, err, want)
	case want >= 0 && (inv.Entry != fmt.Sprintf("e%d", want+1) || !inv.Args.Equal(args)):
		t.Fatalf("%q of %q: got %s %v, want e%d %v", line, patterns, inv.Entry, inv.Args, want+1, args)
	}
}

// fuzzPatterns have lower-case literals, for the reference.
var fuzzPatterns = []string{"say hello", "say hello [name]", "copy [from] to [until]", "copy [x] [y] z", "list [words...]", "[x] on call", "list"}

func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		"s say hello", "s say hello Bob Smith", `s say hello a'b"c\d`, "s copy a to b", `s copy "a b" to 'c'.`, "s list “a b” ‘c’", "s list", "s",
		"s copy a b z", "s \" \" on call", "help", "help s", "logs 00002a", "approve", "s list ' \" ' \"", "\xe2\x80", "s \u00a0 .", "@bellhop, s say hello", "s copy \xe2\x80\x9c to \xe2\x80",
	} {
		f.Add(seed)
	}
	r := mustRouter(f, simple(fuzzPatterns...))
	f.Fuzz(func(t *testing.T, line string) {
		if strings.HasPrefix(line, "s ") && line == strings.ToLower(line) && !strings.ContainsAny(line, "\u017f\x00") && len(line) < 10_000 && utf8.ValidString(line) {
			checkAgainstReference(t, r, fuzzPatterns, line)
		}
		inv, err := r.Resolve(line)
		if (err == nil) == (inv.Action == "") {
			t.Fatalf("%q: %+v, %v", line, inv, err)
		}
		if err != nil && (len(err.Error()) > 2000 || bellhop.CodeOf(err) == bellhop.Internal) {
			t.Fatalf("%q: %v", line, err)
		}
		r.Complete(line, nil)
		r.Help(line, nil)
		if rest, ok := router.Addressed("bellhop", line); ok && len(rest) >= len(line) {
			t.Fatalf("%q: %q is said to the bot", line, rest)
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"say hello [name]", "a [b] c [d...]", "[", "]", "[]", "[...]", "[a b]", "x[y]", `"a"`, "'", ".", "[x] .", "[x…]", "{x}", "\xff", "[x].", "help", "“a", "a\u00a0b"} {
		f.Add(seed, "x y")
	}
	f.Fuzz(func(t *testing.T, pattern, line string) {
		for _, noPrefix := range []bool{false, true} {
			cat := simple(pattern, "other [x]")
			cat.Services[0].NoPrefix = noPrefix
			r, faults := router.New(cat)
			for _, fault := range faults {
				if fault.Pos.Line < 1 || fault.Message == "" || !utf8.ValidString(fault.Message) {
					t.Fatalf("%q: %v", pattern, fault)
				}
			}
			if r == nil {
				continue
			}
			_, _ = r.Resolve("s " + line)
			_, _ = r.Resolve("s " + pattern)
			r.Complete("s "+pattern+" ", nil)
			if help := r.Help("s", nil); !utf8.ValidString(help) {
				t.Fatalf("%q: help %q", pattern, help)
			}
		}
	})
}
