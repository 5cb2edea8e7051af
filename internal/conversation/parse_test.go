package conversation_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/conversation"
	"github.com/bellhop-io/bellhop/internal/executor/fake"
)

func parse(t *testing.T, text string) *conversation.Script {
	t.Helper()
	s, faults := conversation.Parse("x", []byte(text))
	if len(faults) > 0 {
		t.Fatalf("%q: %v", text, faults)
	}
	return s
}

func TestParse(t *testing.T) {
	s := parse(t, "\ufeff# a comment\n  # another\n#alice> not said\n\nalice> say hello\r\n< Hello *\n  <\n</a+/\n< ...\n"+
		"slack:T1/U9@#ops/t1> @bellhop hi\n! nothing\n! *secret*\nbob@direct< x\n@#ops<   two  words \nwait 61s\n[ssh !slack] < y\nbob! nothing\n")
	alice := conversation.Voice{Person: "alice"}
	guest := conversation.Voice{Person: "slack:T1/U9", Place: "#ops", Thread: "t1"}
	ops := conversation.Voice{Place: "#ops"}
	for i, want := range []struct {
		line  int
		kind  conversation.Kind
		voice conversation.Voice
		text  string
	}{
		{5, conversation.Say, alice, "say hello"},
		{6, conversation.Expect, alice, "Hello *"},
		{7, conversation.Expect, alice, ""},
		{8, conversation.Expect, alice, "/a+/"},
		{9, conversation.Expect, alice, "..."},
		{10, conversation.Say, guest, "@bellhop hi"},
		{11, conversation.Never, guest, ""},
		{12, conversation.Never, guest, "*secret*"},
		{13, conversation.Expect, conversation.Voice{Person: "bob", Place: "direct"}, "x"},
		{14, conversation.Expect, ops, "two  words"},
		{15, conversation.Wait, conversation.Voice{}, "61s"},
		{16, conversation.Expect, ops, "y"},
		{17, conversation.Never, conversation.Voice{Person: "bob"}, ""},
	} {
		if i >= len(s.Steps) {
			t.Fatalf("%d steps", len(s.Steps))
		}
		got := s.Steps[i]
		if got.Line != want.line || got.Kind != want.kind || got.Voice != want.voice || got.Text+got.Want.Text != want.text {
			t.Errorf("step %d is %+v, want %+v", i, got, want)
		}
	}
	last := s.Steps[11]
	if fmt.Sprint(last.Only, last.Not) != "[ssh] [slack]" || s.Steps[10].Time != 61*time.Second || !s.Steps[4].Want.Rest {
		t.Errorf("conditions %v %v, wait %s, rest %t", last.Only, last.Not, s.Steps[10].Time, s.Steps[4].Want.Rest)
	}
	for _, v := range []string{"slack:T1/U9@#ops/t1", "@#ops", "bob@direct", "alice"} {
		if again := parse(t, "x> y\n"+v+"< z\n").Steps[1].Voice.String(); again != v {
			t.Errorf("%s is written as %s", v, again)
		}
	}
}

func TestParseFakes(t *testing.T) {
	line := func(c bellhop.Channel, text string) fake.Step { return fake.Step{Channel: c, Text: text} }
	for text, want := range map[string][]fake.Play{
		`fake a b`:               {{}},
		`fake a b:`:              {{}},
		`fake a b: "x, {y} \t"`:  {{Steps: []fake.Step{line(bellhop.Stdout, "x, {y} \t\n")}}},
		`fake a  b : exit 3`:     {{Exit: 3}},
		`fake a b: missing "no"`: {{Missing: "no"}},
		`fake a b: "x",error "y", takes 2s, stopped "bye" , exit 1 then "then", "z" then exit 0`: {
			{Steps: []fake.Step{line(bellhop.Stdout, "x\n"), line(bellhop.Stderr, "y\n"), {Takes: 2 * time.Second}}, Bye: "bye\n", Exit: 1},
			{Steps: []fake.Step{line(bellhop.Stdout, "then\n"), line(bellhop.Stdout, "z\n")}},
			{},
		},
	} {
		s := parse(t, text+"\nalice> x")
		if got := fmt.Sprintf("%+v", s.Steps[0].Plays); got != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %s, want %+v", text, got, want)
		}
		if got := s.Fakes(); len(got) != 1 || got[0] != "a b" {
			t.Errorf("%s: fakes %q", text, got)
		}
	}
}

func TestParseFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "x:1:1: nobody says anything",
		"hello":                                  `x:1:1: "hello" is none of`,
		"alice> hi\nfoo bar":                     "x:2:1: ",
		"< hi":                                   "nobody has spoken yet",
		"! nothing":                              "nobody has spoken yet",
		"alice>":                                 "nothing stands behind alice>",
		"Alice> hi":                              `"Alice" is neither`,
		"@direct> hi":                            `"" is neither`,
		"@#ops> hi":                              "nobody is named before @#ops>",
		"alice@#o:s> hi":                         "#o:s is not a place",
		"alice> a\x1bb":                          "control character",
		"alice> a\xff":                           "UTF-8",
		"alice> hi\n</(/":                        "is not a regular expression",
		"alice> hi\n!":                           "behind ! stands",
		"alice> hi\n! ...":                       "behind ! stands",
		"alice> hi\nwait":                        "wait is followed by",
		"alice> hi\nwait -5s":                    "wait is followed by",
		"alice> hi\nwait 9000h":                  "wait is followed by",
		"alice> hi\nclock 2026-03-02 09:00":      "clock stands before",
		"clock noon\nalice> hi":                  "clock is followed by",
		"[] alice> hi":                           "[] is empty",
		"[SSH] alice> hi":                        "[SSH] does not name",
		"fake a\nalice> hi":                      "fake is followed by",
		"fake a b: x\nalice> hi":                 "`x` is not understood; a fake job does these",
		"fake a b: \"x\" \"y\"\nalice> hi":       "a comma or `then` is missing",
		"fake a b: \"x\nalice> hi":               "double quotes is missing",
		"fake a b: 'x'\nalice> hi":               "is not understood",
		"fake a b: exit 256\nalice> hi":          "exit is followed by",
		"fake a b: exit\nalice> hi":              "exit is followed by a number from 0 to 255, not the end of the line",
		"fake a b: takes 0s\nalice> hi":          "takes is followed by",
		"fake a b: \"x\" then\nalice> hi":        "nothing stands behind `then`",
		"fake a b: \"x\",\nalice> hi":            "nothing stands behind the last comma",
		"alice> hi" + strings.Repeat(" ", 1<<20): "larger than 1 MB",
	} {
		s, faults := conversation.Parse("x", []byte(text))
		if s != nil || len(faults) != 1 || !strings.Contains(faults[0].String(), want) {
			t.Errorf("%.40q: script %t, %v; want %q", text, s != nil, faults, want)
		}
	}
	if _, faults := conversation.Parse("x", []byte("a\nb\nalice> hi\nc")); len(faults) != 3 {
		t.Errorf("not all faults at once: %v", faults)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../../e2e/conversations/*.conversation")
	if err != nil || len(files) == 0 {
		f.Fatal("no conversations", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("[a !b] fake a b: \"x\", takes 1s then exit 3\nalice@#ops/t> $a\n< $a*$a /x/\n! :eyes:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, faults := conversation.Parse("x", data)
		if (s == nil) == (len(faults) == 0) {
			t.Fatalf("script %v, faults %v", s, faults)
		}
		if s == nil {
			return
		}
		vars := map[string]string{}
		for _, step := range s.Steps {
			step.Want.Match(step.Text+"x", vars)
			if step.Want.Text != "" && !strings.ContainsAny(step.Want.Text, "$/") && !step.Want.Match(step.Want.Text, vars) {
				t.Errorf("%q does not match itself", step.Want.Text)
			}
		}
	})
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		want, line string
		ok         bool
	}{
		{"Hello", "Hello", true},
		{"Hello", "  Hello \t", true},
		{"Hello", "Hello Bob", false},
		{"Hello *", "Hello Bob", true},
		{"*a*b*", "xaxbx", true},
		{"a.c (1)", "abc (1)", false},
		{"", "", true},
		{"", "x", false},
		{"/a+/", "aaa", true},
		{"/a+/", "aab", false},
		{"/a|b/", "bx", false},
		{"$x and $x", "one and one", true},
		{"$x and $x", "one two and one", false},
		{"accepted $x: *", "accepted 000001: a b", true},
		{"costs $5 or $HOME", "costs $5 or $HOME", true},
	} {
		step := parse(t, "alice> hi\n< "+c.want).Steps[1]
		if got := step.Want.Match(c.line, map[string]string{}); got != c.ok {
			t.Errorf("%q matches %q: %t", c.want, c.line, got)
		}
	}
	vars := map[string]string{}
	steps := parse(t, "alice> hi\n< accepted $run: $what\n< cancel $run").Steps
	if !steps[1].Want.Match("accepted 000a: it", vars) || vars["run"] != "000a" || vars["what"] != "it" {
		t.Errorf("variables %v", vars)
	}
	if !steps[2].Want.Match("cancel 000a", vars) || steps[2].Want.Match("cancel 000b", vars) {
		t.Error("a variable does not keep its value")
	}
}
