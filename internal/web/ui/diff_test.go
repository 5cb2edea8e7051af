package ui

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func told(lines []diffLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(string(l.Sign) + l.Text + "\n")
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	var long strings.Builder
	for i := range 12 {
		fmt.Fprintf(&long, "%d\n", i)
	}
	for name, c := range map[string]struct{ a, b, want string }{
		"the same":  {"a\nb\n", "a\nb\n", "@2 lines as before\n"},
		"nothing":   {"", "", ""},
		"all new":   {"", "a\n", "+a\n"},
		"all gone":  {"a\n", "", "-a\n"},
		"one":       {"a\nb\nc\n", "a\nx\nc\n", " a\n-b\n+x\n c\n"},
		"far apart": {long.String(), strings.Replace(long.String(), "5\n", "x\n", 1), "@2 lines as before\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n@3 lines as before\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := diff(c.a, c.b)
			if text := told(got); !ok || text != c.want {
				t.Errorf("%v\n%swant\n%s", ok, text, c.want)
			}
		})
	}
	if _, ok := diff(strings.Repeat("a\n", 5000), strings.Repeat("b\n", 5000)); ok {
		t.Error("what takes more than a moment is compared")
	}
}

// TestDiffTellsBoth makes each text of how they differ.
func TestDiffTellsBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"a", "b", "c", ""})
		a, b := rapid.SliceOf(line).Draw(t, "a"), rapid.SliceOf(line).Draw(t, "b")
		var first, second []string
		for _, l := range middle(a, b) {
			if l.Sign != '+' {
				first = append(first, l.Text)
			}
			if l.Sign != '-' {
				second = append(second, l.Text)
			}
		}
		if fmt.Sprint(first) != fmt.Sprint(a) || fmt.Sprint(second) != fmt.Sprint(b) {
			t.Fatalf("%q is of %q, %q of %q", first, a, second, b)
		}
	})
}
