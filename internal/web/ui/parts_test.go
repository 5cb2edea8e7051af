package ui

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func TestSayable(t *testing.T) {
	args := bellhop.Args{"name": bellhop.Text("bob"), "n": bellhop.Text("3"), "all": bellhop.List("a", "b c"), "odd": bellhop.Text(`say "hi"`), "lines": bellhop.Text("a\nb"), "none": bellhop.Text(""), "apo": bellhop.Text("it's"), "dot": bellhop.Text("end.")}
	run := &bellhop.Run{Service: "example", Job: "hello", Args: args}
	for _, tc := range []struct {
		name string
		e    bellhop.Entry
		want string // "" = it can't be said
	}{
		{"words", bellhop.Entry{Pattern: "say hello"}, "example say hello"},
		{"an argument", bellhop.Entry{Pattern: "say [name] [n] times"}, "example say bob 3 times"},
		{"a list", bellhop.Entry{Pattern: "say [all...]"}, `example say a "b c"`},
		{"an empty one", bellhop.Entry{Pattern: "say [none]"}, `example say ""`},
		{"an apostrophe", bellhop.Entry{Pattern: "say [apo]"}, `example say "it's"`},
		{"a full stop at the end", bellhop.Entry{Pattern: "say [dot]"}, `example say "end."`},
		{"quotes", bellhop.Entry{Pattern: "say [odd]"}, ""},
		{"lines", bellhop.Entry{Pattern: "say [lines]"}, ""},
		{"what the run does not have", bellhop.Entry{Pattern: "say [more]"}, ""},
		{"fixed as the run has it", bellhop.Entry{Pattern: "say", Args: bellhop.Args{"n": bellhop.Text("3")}}, "example say"},
		{"fixed otherwise", bellhop.Entry{Pattern: "say", Args: bellhop.Args{"n": bellhop.Text("4")}}, ""},
		{"another job", bellhop.Entry{Pattern: "say", Job: "other"}, ""},
		{"another action", bellhop.Entry{Pattern: "say", Action: bellhop.ActionCancel}, ""},
		{"no pattern", bellhop.Entry{Regex: "say"}, ""},
	} {
		if tc.e.Job == "" {
			tc.e.Job = "hello"
		}
		if tc.e.Action == "" {
			tc.e.Action = bellhop.ActionRun
		}
		got, ok := sayable(&tc.e, run)
		if got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %q, %v", tc.name, got, ok)
		}
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{"": "''", "a b": "'a b'", "it's $x `y`": `'it'\''s $x ` + "`y`'", "\n": "'\n'"} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestHere(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/runs?state=failed#x": "/runs?state=failed#x", "": "/", "runs": "/", "//evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/",
		"https://evil.example": "/", "javascript:alert(1)": "/", "/\tevil": "/", "/%": "/", " /runs": "/", "///evil.example": "/",
	} {
		if got := here(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzHere: whoever is sent on stays on this server.
func FuzzHere(f *testing.F) {
	for _, s := range []string{"/", "//x", `/\x`, "/a?b#c", "http://x", "/..//x", "/\n/x"} {
		f.Add(s)
	}
	base, _ := url.Parse("http://bellhop.example/login/x")
	f.Fuzz(func(t *testing.T, s string) {
		got := here(s)
		if got != s && got != "/" {
			t.Fatalf("%q became %q", s, got)
		}
		w := httptest.NewRecorder()
		http.Redirect(w, httptest.NewRequest(http.MethodGet, "/login", nil), got, http.StatusSeeOther)
		// Browsers take tabs and newlines out, and \ for / (WHATWG URL 4.4).
		to := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(w.Header().Get("Location")))
		u, err := base.Parse(to)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || strings.HasPrefix(to, "//") {
			t.Fatalf("%q leads to %q: %v", s, to, err)
		}
	})
}

func TestFormValue(t *testing.T) {
	text, def := bellhop.Param{Name: "a", Type: bellhop.TypeString}, bellhop.Text("x")
	number := bellhop.Param{Name: "a", Type: bellhop.TypeInt}
	list := bellhop.Param{Name: "a", Type: bellhop.TypeList}
	with := func(p bellhop.Param) bellhop.Param { p.Default = &def; return p }
	for _, tc := range []struct {
		name  string
		p     bellhop.Param
		in    string
		want  bellhop.Value
		given bool
	}{
		{"a text", text, " a\r\nb ", bellhop.Text(" a\nb "), true},
		{"an empty text", text, "", bellhop.Text(""), true},
		{"an empty text, with a default", with(text), "", bellhop.Text(""), false},
		{"no number", number, "", bellhop.Text(""), false},
		{"a number", with(number), "3", bellhop.Text("3"), true},
		{"a list", list, "a\r\n\n b c \n", bellhop.List("a", "b c"), true},
		{"an empty list", list, " \n", bellhop.List(), true},
		{"an empty list, with a default", with(list), "", bellhop.List(), false},
	} {
		got, given := formValue(tc.p, tc.in)
		if !got.Equal(tc.want) || given != tc.given {
			t.Errorf("%s: %v, %v", tc.name, got, given)
		}
	}
}

// FuzzFormValue: what a form shows of a value is that value when it comes back.
func FuzzFormValue(f *testing.F) {
	f.Add("a\r\nb", true)
	f.Add(" x ", false)
	f.Fuzz(func(t *testing.T, s string, list bool) {
		p := bellhop.Param{Name: "a", Type: bellhop.TypeString}
		if list {
			p.Type = bellhop.TypeList
		}
		v, given := formValue(p, s)
		if !given || v.IsList() != list {
			t.Fatalf("%q is %v, %v", s, v, given)
		}
		if again, _ := formValue(p, formText(v)); !again.Equal(v) {
			t.Fatalf("%q is %v, and then %v", s, v, again)
		}
	})
}

func TestBarsOf(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	if got := barsOf(nil, time.UTC, "15:04"); len(got) != 0 {
		t.Errorf("nothing is %v", got)
	}
	got := barsOf([]ended{{Start: at}, {Start: at, Good: 1}, {Start: at, Good: 1000000, Bad: 1, Off: 1}}, time.FixedZone("", 3600), "15:04")
	if got[0].Any || got[0].Good != "0.0" || got[0].X != "0.0" || got[1].X != "320.0" || got[1].W != "319.0" {
		t.Errorf("got %+v", got[:2])
	}
	if got[1].Good != "2.0" {
		t.Errorf("one of a million can't be seen: %+v", got[1])
	}
	if c := got[2]; !c.Fail || !c.Cancelled || c.Bad != "2.0" || c.Off != "2.0" || c.Good != "56.0" || c.GoodY != "0.0" || c.Title != "04:04: 1000000 succeeded, 1 failed, 1 cancelled" {
		t.Errorf("got %+v", c)
	}
}

func TestAttemptBars(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	if attemptBars(nil, at) != nil {
		t.Error("no attempts have bars")
	}
	got := attemptBars([]bellhop.Attempt{{Started: at, Ended: at.Add(time.Second)}, {Started: at.Add(5 * time.Second)}}, at.Add(10*time.Second))
	if got[0].X != "0.0" || got[0].W != "10.0" || got[1].X != "50.0" || got[1].W != "50.0" || got[1].Took != 5*time.Second {
		t.Errorf("got %+v", got)
	}
	if got := attemptBars([]bellhop.Attempt{{Started: at, Ended: at}}, at); got[0].X != "0.0" || got[0].W != "0.8" {
		t.Errorf("one that took no time: %+v", got)
	}
}

// FuzzQueries: no query makes the readers of queries fall, and what they take
// is within what can be searched for.
func FuzzQueries(f *testing.F) {
	for _, s := range []string{"state=failed&service=A&arg=x%3Dy", "since=2026-01-01&until=x", "before=000001&after=000002", "verdict=fail", "run=1&refused=1&after=-1", "state=%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/runs", nil)
		r.URL.RawQuery = query
		v, q := &view{r: r}, r.URL.Query()
		if s, err := v.searchOf(q); err == nil {
			if s.Before != 0 && s.After != 0 || s.Limit != runsPage {
				t.Errorf("%q is %+v", query, s)
			}
		} else if bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%q: %v", query, err)
		}
		if a, err := v.auditFilter(q); err == nil {
			if a.After < 0 || a.Limit != auditPageSize || a.Job != "" && a.Service == "" {
				t.Errorf("%q is %+v", query, a)
			}
		} else if bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%q: %v", query, err)
		}
	})
}
