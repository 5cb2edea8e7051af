package proc_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/proc"
	"pgregory.net/rapid"
)

func TestParseHandle(t *testing.T) {
	for _, tc := range []struct {
		name, handle string
		want         proc.Group // zero = refused
	}{
		{"good", "pgid:4711:99", proc.Group{ID: 4711, Start: 99}},
		{"start unknown", "pgid:4711:0", proc.Group{ID: 4711}},
		{"empty", "", proc.Group{}},
		{"another kind", "container:4711:99", proc.Group{}},
		{"no start", "pgid:4711", proc.Group{}},
		{"one's own group", "pgid:0:1", proc.Group{}},
		{"everything", "pgid:1:1", proc.Group{}},
		{"everything, negated", "pgid:-1:1", proc.Group{}},
		{"negative", "pgid:-4711:99", proc.Group{}},
		{"signed", "pgid:+4711:99", proc.Group{}},
		{"leading zero", "pgid:04711:99", proc.Group{}},
		{"too large", "pgid:99999999999:99", proc.Group{}},
		{"more", "pgid:4711:99:1", proc.Group{}},
		{"space", "pgid: 4711:99", proc.Group{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := proc.ParseHandle(tc.handle)
			if got != tc.want || (err == nil) != (tc.want.ID != 0) {
				t.Errorf("%q is %+v (%v), want %+v", tc.handle, got, err, tc.want)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	const rest = " S 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 1"
	want := proc.Process{PID: 7, Parent: 10, Group: 20, Session: 30, State: 'S', Start: 4242}
	for _, tc := range []struct {
		name, stat string
		ok         bool
	}{
		{"plain", "7 (bash)" + rest, true},
		{"a name with brackets", "7 (a) S 1 (b)" + rest, true},
		{"a name with a newline", "7 (a\nb)" + rest, true},
		{"an empty name", "7 ()" + rest, true},
		{"cut off", "7 (bash) S 10 20", false},
		{"no name", "7 bash" + rest, false},
		{"no number", "x (bash)" + rest, false},
		{"empty", "", false},
		{"brackets the wrong way", ")7 (", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := proc.ParseStat(tc.stat)
			if (err == nil) != tc.ok || (tc.ok && got != want) {
				t.Errorf("%q is %+v (%v), want %+v", tc.stat, got, err, want)
			}
		})
	}
}

func TestReadMark(t *testing.T) {
	for _, tc := range []struct {
		name, environ string
		want          proc.Mark
	}{
		{"whole", "A=b\x00BELLHOP_STORE=s\x00BELLHOP_RUN=r\x00BELLHOP_LEASE=7\x00BELLHOP_INSTANCE=i\x00", proc.Mark{Store: "s", Instance: "i", Run: "r", Lease: "7"}},
		{"the first counts", "BELLHOP_STORE=s\x00BELLHOP_STORE=t\x00", proc.Mark{Store: "s"}},
		{"a value with =", "BELLHOP_STORE=s=t\x00", proc.Mark{Store: "s=t"}},
		{"within a value", "X=BELLHOP_STORE=s\x00", proc.Mark{}},
		{"another name", "BELLHOP_STORES=s\x00XBELLHOP_STORE=s\x00", proc.Mark{}},
		{"no end", "BELLHOP_STORE=s", proc.Mark{Store: "s"}},
		{"empty", "", proc.Mark{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := proc.ReadMark(tc.environ); got != tc.want {
				t.Errorf("%q is %+v, want %+v", tc.environ, got, tc.want)
			}
		})
	}
}

// TestMarkRoundTrip: what Environ writes, ReadMark reads, whatever stands
// around it, and matches every filter made from it.
func TestMarkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z0-9=/ -]{0,20}`)
		m := proc.Mark{Store: word.Draw(t, "store"), Instance: word.Draw(t, "instance"), Run: word.Draw(t, "run"), Lease: word.Draw(t, "lease")}
		env := append([]string{"PATH=/bin", "X=BELLHOP_STORE=no"}, m.Environ()...)
		got := proc.ReadMark(strings.Join(append(env, "Y=z"), "\x00") + "\x00")
		if got != m {
			t.Fatalf("%+v became %+v", m, got)
		}
		filter := m
		if rapid.Bool().Draw(t, "any run") {
			filter.Run = ""
		}
		if !filter.Matches(got) {
			t.Fatalf("%+v does not match %+v", filter, got)
		}
		filter.Store += "x"
		if filter.Matches(got) {
			t.Fatalf("%+v matches %+v", filter, got)
		}
	})
}

func FuzzParseHandle(f *testing.F) {
	for _, s := range []string{"pgid:4711:99", "pgid:1:1", "pgid:-1:1", "pgid::", "", "pgid:2:18446744073709551615"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := proc.ParseHandle(s)
		if err == nil && (g.ID < 2 || g.Handle() != s) {
			t.Errorf("%q is %+v", s, g)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	for _, s := range []string{"7 (bash) S 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 1", "7 (a) b) Z 1", "", "()", "7 ("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := proc.ParseStat(s); err == nil && p.PID <= 0 {
			t.Errorf("%q is %+v", s, p)
		}
	})
}

func FuzzReadMark(f *testing.F) {
	f.Add("A=b\x00BELLHOP_STORE=s\x00")
	f.Add("\x00\x00=\x00")
	f.Fuzz(func(t *testing.T, s string) {
		m := proc.ReadMark(s)
		if m.Store != "" && !strings.Contains("\x00"+s, "\x00BELLHOP_STORE="+m.Store) {
			t.Errorf("%q is %+v", s, m)
		}
	})
}
