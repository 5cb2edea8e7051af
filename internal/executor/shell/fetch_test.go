package shell_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell"
)

// site serves one script at /tool.sh, in a way that can be changed.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	serve http.HandlerFunc
}

func newSite(t *testing.T, serve http.HandlerFunc) *site {
	t.Helper()
	s := &site{serve: serve}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		serve := s.serve
		s.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) becomes(serve http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = serve
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func to(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) }
}

func sum(s string) string {
	b := sha256.Sum256([]byte(s))
	return hex.EncodeToString(b[:])
}

const (
	first  = "#!/bin/sh\necho first $1\n"
	second = "#!/bin/sh\necho second $1\n"
)

func TestScriptURL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		before http.HandlerFunc // what an earlier run met; nil = there was none
		now    http.HandlerFunc
		sum    string
		want   string // of stdout; "" = not started
		says   string // the warning, or why it did not start
	}{
		{"fetched", nil, text(first), "", "first x\n", ""},
		{"fetched before every run", text(first), text(second), "", "second x\n", ""},
		{"the right sum", nil, text(first), sum(first), "first x\n", ""},
		{"the right sum in capitals", nil, text(first), strings.ToUpper(sum(first)), "first x\n", ""},
		{"the wrong sum", nil, text(first), sum(second), "", "is not the file that sha256: names (it has " + sum(first) + "); see what changed, then correct sha256:"},
		{"the wrong sum after a good one", text(first), text(second), sum(first), "first x\n", "is not the file that sha256: names (it has " + sum(second) + "); the copy of"},
		{"gone, never seen", nil, status(404), "", "", "404 Not Found"},
		{"gone, with a copy", text(first), status(500), "", "first x\n", "500 Internal Server Error"},
		{"empty, with a copy", text(first), text(""), "", "first x\n", "empty"},
		{"too large, with a copy", text(first), text(strings.Repeat("#", 10<<20+1)), "", "first x\n", "larger than 10 MiB"},
		{"redirected for ever", nil, to("/tool.sh"), "", "", "redirects"},
		{"redirected to a file", nil, to("file:///etc/passwd"), "", "", "redirected from http to file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			web := newSite(t, tc.before)
			job := compiled(t, bellhop.JobSource{Script: "tool.sh x", ScriptURL: web.URL + "/files/tool.sh?token=hush", SHA256: tc.sum})
			if tc.before != nil {
				if out, _ := h.run(t, t.Context(), job); out.End != bellhop.EndSucceeded || len(out.Warnings) > 0 {
					t.Fatalf("the run before ended %s (%s), warnings %q", out.End, out.Error, out.Warnings)
				}
			}
			web.becomes(tc.now)
			out, sink := h.run(t, t.Context(), job)
			said := strings.Join(out.Warnings, "\n")
			if tc.want == "" {
				said = out.Error
			}
			if (out.End == bellhop.EndSucceeded) != (tc.want != "") || sink.Text(bellhop.Stdout) != tc.want {
				t.Errorf("ended %s (%s) with %q, want %q", out.End, out.Error, sink.All(), tc.want)
			}
			if !strings.Contains(said, tc.says) || (tc.says == "") != (said == "") || strings.Contains(said, "hush") {
				t.Errorf("said %q, want %q and no token", said, tc.says)
			}
			dated := regexp.MustCompile(`the copy of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC was run`)
			if tc.want != "" && tc.says != "" && !dated.MatchString(said) {
				t.Errorf("the warning %q does not say of when the copy is", said)
			}
			if left, _ := filepath.Glob(filepath.Join(h.home, ".bellhop", "runs", "*", "*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestScriptURLTellsLittleOfWhatAServerSaid: a hostile server can't have
// megabytes of its own kept with each run and shown to people.
func TestScriptURLTellsLittleOfWhatAServerSaid(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\x1b[2Jnoise", 100_000)
	for name, said := range map[string]string{
		"status line": "HTTP/1.1 404 " + long + "\r\n\r\n",
		"no HTTP":     long + "\r\n\r\n",
		"redirect":    "HTTP/1.1 302 Found\r\nLocation: " + strings.Repeat("x", 100_000) + ":y\r\n\r\n",
		"no URL":      "HTTP/1.1 302 Found\r\nLocation: http://%%" + strings.Repeat("x", 100_000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			web := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = conn.Write([]byte(said))
				_ = conn.Close()
			})
			out, _ := h.run(t, t.Context(), compiled(t, bellhop.JobSource{Script: "tool.sh x", ScriptURL: web.URL + "/tool.sh"}))
			if out.End != bellhop.EndNotStarted || len(out.Error) > 500 {
				t.Errorf("ended %s with %d bytes of error: %.100q", out.End, len(out.Error), out.Error)
			}
		})
	}
}

func TestScriptURLOfAnotherAddressHasNoCopy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	web := newSite(t, text(first))
	h.run(t, t.Context(), compiled(t, bellhop.JobSource{Script: "tool.sh x", ScriptURL: web.URL + "/a/tool.sh"}))
	web.becomes(status(404))
	out, _ := h.run(t, t.Context(), compiled(t, bellhop.JobSource{Script: "tool.sh x", ScriptURL: web.URL + "/b/tool.sh"}))
	if out.End != bellhop.EndNotStarted {
		t.Errorf("ended %s, want not started", out.End)
	}
}

func TestStopWhileFetching(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	asked, free := make(chan struct{}), make(chan struct{})
	web := newSite(t, func(http.ResponseWriter, *http.Request) { close(asked); <-free })
	defer close(free)
	ctx, cancel := contextStoppedBy(t, asked)
	defer cancel()
	begin := time.Now()
	out, _ := h.run(t, ctx, compiled(t, bellhop.JobSource{Script: "tool.sh x", ScriptURL: web.URL + "/tool.sh"}))
	if out.End != bellhop.EndCancelled || time.Since(begin) > 5*time.Second {
		t.Errorf("ended %s (%s) after %v", out.End, out.Error, time.Since(begin))
	}
}

func TestCompile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		src  bellhop.JobSource
		want string // part of the one fault; "" = none
	}{
		{"plain", bellhop.JobSource{Script: "true"}, ""},
		{"dir within", bellhop.JobSource{Script: "true", Dir: "a/../b"}, ""},
		{"dir absolute", bellhop.JobSource{Script: "true", Dir: "/srv"}, ""},
		{"dir climbs out", bellhop.JobSource{Script: "true", Dir: "../other"}, "leads out of the configuration's folder"},
		{"dir climbs out later", bellhop.JobSource{Script: "true", Dir: "a/../../b"}, "leads out"},
		{"dir with NUL", bellhop.JobSource{Script: "true", Dir: "a\x00"}, "NUL"},
		{"https", bellhop.JobSource{Script: "true", ScriptURL: "https://example.org/x.py"}, ""},
		{"ftp", bellhop.JobSource{Script: "true", ScriptURL: "ftp://example.org/x.py"}, "http:// or https://"},
		{"file", bellhop.JobSource{Script: "true", ScriptURL: "file:///x.py"}, "http:// or https://"},
		{"no host", bellhop.JobSource{Script: "true", ScriptURL: "http:///x.py"}, "names a host"},
		{"no name", bellhop.JobSource{Script: "true", ScriptURL: "http://example.org/"}, "name of a file"},
		{"no path", bellhop.JobSource{Script: "true", ScriptURL: "http://example.org"}, "name of a file"},
		{"a hidden name", bellhop.JobSource{Script: "true", ScriptURL: "http://example.org/.."}, "name of a file"},
		{"a hostile name", bellhop.JobSource{Script: "true", ScriptURL: "http://example.org/a%2Fb%20c"}, "name of a file"},
		{"an option", bellhop.JobSource{Script: "true", ScriptURL: "http://example.org/-rf"}, "name of a file"},
		{"short sum", bellhop.JobSource{Script: "true", ScriptURL: "http://example.org/x", SHA256: "abc"}, "64 hexadecimal digits"},
		{"no hex", bellhop.JobSource{Script: "true", ScriptURL: "http://example.org/x", SHA256: strings.Repeat("g", 64)}, "64 hexadecimal digits"},
		{"a sum of nothing", bellhop.JobSource{Script: "true", SHA256: sum("")}, "without a script_url"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.src.Service = "example"
			_, faults := shell.Compiler{}.Compile(tc.src)
			switch {
			case tc.want == "" && len(faults) > 0:
				t.Errorf("faults: %v", faults)
			case tc.want != "" && (len(faults) != 1 || faults[0].Item != -2 || !strings.Contains(faults[0].Message, tc.want)):
				t.Errorf("faults: %v, want one with %q", faults, tc.want)
			}
		})
	}
}

func TestCompileWithoutBash(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, tc := range []struct {
		name   string
		src    bellhop.JobSource
		faults int
	}{
		{"a script", bellhop.JobSource{Script: "true"}, 1},
		{"a script for bash", bellhop.JobSource{Script: "true", Shell: "bash"}, 1},
		{"a script for sh", bellhop.JobSource{Script: "true", Shell: "sh"}, 0},
		{"argv", bellhop.JobSource{Argv: []string{"true"}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, faults := shell.Compiler{}.Compile(tc.src)
			if len(faults) != tc.faults || (tc.faults == 1 && !strings.Contains(faults[0].Message, "shell: sh")) {
				t.Errorf("faults: %v", faults)
			}
		})
	}
}

// TestFetchedScriptsStartWhileOthersFork: a child that is forked while a script
// is written holds it open until its own exec, and the kernel starts no file
// that somebody may write to (ETXTBSY, golang/go#22315).
func TestFetchedScriptsStartWhileOthersFork(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	web := newSite(t, text("#!/bin/sh\necho here\n"))
	job := compiled(t, bellhop.JobSource{Argv: []string{"tool.sh"}, ScriptURL: web.URL + "/tool.sh"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 40 {
				if out, sink := h.run(t, t.Context(), job); out.End != bellhop.EndSucceeded {
					t.Errorf("ended %s (%s): %q", out.End, out.Error, sink.All())
					return
				}
			}
		})
	}
	wg.Wait()
}
