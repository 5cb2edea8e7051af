package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// serve serves a page with a body and a script, under a strict policy.
func serve(t *testing.T, body, script string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self'; style-src 'self'; connect-src *; img-src * data:")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>t</title><link rel="icon" href="data:,"><body>%s<script src="/x.js"></script>`, body)
	})
	mux.HandleFunc("/x.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, script)
	})
	mux.HandleFunc("/none", http.NotFound)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestFaults(t *testing.T) {
	b := browsertest.Start(t)
	for _, tc := range []struct{ name, body, script, want string }{
		{"nothing wrong", "<p>hello", "console.log('fine'); console.warn('fine')", ""},
		{"an exception", "", "null.x", "exception: "},
		{"a promise that nobody heeds", "", "Promise.reject(new Error('lost'))", "lost"},
		{"the console", "", "console.error('it', 'broke')", "console: it broke"},
		{"a script in the page", "<script>1</script>", "", "security: "},
		{"a style in the page", "<p style='color: red'>x", "", "security: "},
		{"a handler in the page", "<p onclick='x()'>x", "document.querySelector('p').click()", "security: "},
		{"what is not there", "", "fetch('/none')", "404"},
		{"another host", "", "fetch('http://example.com/').catch(() => 0)", "foreign: a request to http://example.com/"},
		{"another host's image", "<img src='http://example.com/x.png'>", "", "foreign: a request to http://example.com/x.png"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := b.Visitor(t)
			p.Go(serve(t, tc.body, tc.script))
			if tc.want == "" {
				p.See("hello")
				if f := p.Faults(); len(f) > 0 {
					t.Errorf("got %q", f)
				}
				return
			}
			browsertest.Await(p, func() bool { return strings.Contains(strings.Join(p.Faults(), "\n"), tc.want) })
			p.Forgive("")
		})
	}
}

func TestVisitorsShareNothing(t *testing.T) {
	b := browsertest.Start(t)
	at := serve(t, "<p>hello", "")
	one, two := b.Visitor(t), b.Visitor(t)
	one.Go(at)
	two.Go(at)
	one.Do("localStorage.x = 'mine'; document.cookie = 'y=1'")
	beside := one.Tab()
	beside.Go(at)
	const both = "(localStorage.x || '') + document.cookie"
	for _, tc := range []struct {
		name string
		p    *browsertest.Page
		want string
	}{{"another visitor", two, ""}, {"another tab", beside, "miney=1"}} {
		if got := browsertest.Eval[string](tc.p, both); got != tc.want {
			t.Errorf("%s sees %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestHideAndShow(t *testing.T) {
	p := browsertest.Start(t).Visitor(t)
	p.Go(serve(t, "<p>hello", "addEventListener('visibilitychange', () => { window.seen = (window.seen || '') + document.visibilityState + ' ' }, true)"))
	p.Hide()
	p.Show()
	if got := browsertest.Eval[string](p, "window.seen"); got != "hidden visible " {
		t.Errorf("the page saw %q", got)
	}
}

func TestSight(t *testing.T) {
	p := browsertest.Start(t).Visitor(t)
	p.Zone("Asia/Tokyo")
	at := serve(t, "<input id=a><p id=p>hello", "addEventListener('keydown', e => { if (e.key === '/') e.preventDefault() })")
	p.Go(at)
	for _, scheme := range []string{"dark", "light"} {
		p.Scheme(scheme)
		if !browsertest.Eval[bool](p, "matchMedia('(prefers-color-scheme: "+scheme+")').matches") {
			t.Errorf("it is not %s", scheme)
		}
	}
	p.Fill("#a", "one")
	p.Fill("#a", "two")
	p.Keys("/")
	p.Keys("!")
	if got := browsertest.Eval[string](p, "document.querySelector('#a').value"); got != "two!" {
		t.Errorf("the field has %q", got)
	}
	if got := browsertest.Eval[string](p, "Intl.DateTimeFormat().resolvedOptions().timeZone"); got != "Asia/Tokyo" {
		t.Errorf("it is in %s", got)
	}
	p.Phone()
	if got := browsertest.Eval[int](p, "innerWidth"); got < 390 {
		t.Errorf("it is %d wide", got)
	}
	if !slices.Contains(p.Requests(), at+"/x.js") {
		t.Errorf("it asked for %q", p.Requests())
	}
	picture := filepath.Join(t.TempDir(), "new", "a.png")
	p.Shot(picture)
	if s, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(s), "\x89PNG") {
		t.Errorf("the picture: %v", err)
	}
}
