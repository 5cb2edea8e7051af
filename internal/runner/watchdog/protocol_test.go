package watchdog_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/runner/watchdog"
)

func TestParseLine(t *testing.T) {
	for _, tc := range []struct {
		name, line, want string // want "" = refused
	}{
		{"hello", "hello 12 =store =", "hello 12 =store =\n"},
		{"guard", "guard 1 2 345 =pgid:7:8", "guard 1 2 345 =pgid%3A7%3A8\n"},
		{"extend", "extend 1 2 -5", "extend 1 2 -5\n"},
		{"release", "release 1 2", "release 1 2\n"},
		{"ping", "ping 3", "ping 3\n"},
		{"pong", "pong 3", "pong 3\n"},
		{"bye", "bye", "bye\n"},
		{"killed", "killed 1 2", "killed 1 2\n"},
		{"note", "note =two+words%0A", "note =two+words%0A\n"},
		{"nothing", "", ""},
		{"unknown", "sit", ""},
		{"too few", "guard 1 2 3", ""},
		{"too many", "bye bye", ""},
		{"no number", "release one 2", ""},
		{"too large", "release 9223372036854775808 2", ""},
		{"text without =", "note hello", ""},
		{"bad escape", "note =%zz", ""},
		{"cut off", "guard 1 2 345", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := watchdog.ParseLine(tc.line)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%q became %q (%v), want %q", tc.line, got, err, tc.want)
			}
		})
	}
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"hello 12 =store =x", "guard 1 2 345 =pgid%3A7%3A8", "extend 1 2 3", "release 1 2", "bye", "note =", "guard", "\x00", "note =%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line, err := watchdog.ParseLine(s)
		if err != nil {
			return
		}
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q became %q, which is not one line", s, line)
		}
		again, err := watchdog.ParseLine(strings.TrimSuffix(line, "\n"))
		if err != nil || again != line {
			t.Fatalf("%q became %q, then %q (%v)", s, line, again, err)
		}
	})
}
