package ui_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// fetch gets a path, and what it answers as JSON.
func (o *written) fetch(t *testing.T, path string) (status int, answer map[string]any) {
	t.Helper()
	res, err := http.Get(o.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

func TestOutputLines(t *testing.T) {
	o := show(t)
	o.write(1, stdout, "one\ntwo\n")
	o.write(2, stderr, "three: error\nfour")
	line := func(n, a, c, at float64, s string) any {
		return map[string]any{"n": n, "a": a, "c": c, "t": at, "s": s}
	}
	t0 := float64(noon.UnixMilli() + 1000)
	four := line(4, 2, 2, t0, "four")
	four.(map[string]any)["open"] = true
	for _, tc := range []struct {
		path string
		want map[string]any
	}{
		{"/lines?from=2&n=2", map[string]any{"total": 4.0, "done": false, "epoch": 0.0, "from": 2.0, "lines": []any{line(2, 1, 1, t0, "two"), line(3, 2, 2, t0, "three: error")}}},
		{"/lines?from=0&n=1", map[string]any{"total": 4.0, "done": false, "epoch": 0.0, "from": 4.0, "lines": []any{four}}},
		{"/lines?from=99", map[string]any{"total": 4.0, "done": false, "epoch": 0.0, "from": 5.0, "lines": []any{}}},
		{"/lines?search=T&from=2&dir=next", map[string]any{"line": 2.0, "lines": []any{2.0}, "next": 3.0, "done": false, "total": 4.0, "epoch": 0.0}},
		{"/lines?search=o&from=3&dir=prev&n=9", map[string]any{"line": 3.0, "lines": []any{3.0, 2.0, 1.0}, "next": 0.0, "done": true, "total": 4.0, "epoch": 0.0}},
		{"/lines?search=nowhere", map[string]any{"line": nil, "lines": []any{}, "next": 4.0, "done": true, "total": 4.0, "epoch": 0.0}},
		{"/lines?error=first", map[string]any{"line": 3.0, "lines": []any{3.0}, "next": 4.0, "done": true, "total": 4.0, "epoch": 0.0}},
	} {
		if status, got := o.fetch(t, tc.path); status != 200 || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %d\ngot  %v\nwant %v", tc.path, status, got, tc.want)
		}
	}
	for _, path := range []string{
		"/lines?from=x", "/lines?n=99999999999999999999", "/lines?search=a&dir=up", "/lines?search=" + strings.Repeat("a", 1025),
		"/download?attempt=x", "/download?attempt=-1", "/lines?from=" + url.QueryEscape("<script>"),
	} {
		if status, got := o.fetch(t, path); status != 400 || got["detail"] == "" {
			t.Errorf("%s: %d %v", path, status, got)
		}
	}
	o.change(func() { o.gone = true })
	for _, path := range []string{"/lines", "/download", "/lines?error=first"} {
		if status, got := o.fetch(t, path); status != 404 || got["code"] != "not_found" {
			t.Errorf("%s: %d %v", path, status, got)
		}
	}
}

func TestOutputStream(t *testing.T) {
	o := show(t)
	o.write(1, stdout, "one\n")
	res, err := http.Get(o.url + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("it is %s", got)
	}
	in := bufio.NewScanner(res.Body)
	next := func() (event, data string) {
		for in.Scan() && (in.Text() != "" || event == "") {
			if s, ok := strings.CutPrefix(in.Text(), "event: "); ok {
				event = s
			}
			if s, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				data = s
			}
		}
		return event, data
	}
	if e, d := next(); e != "lines" || d != `{"total":1,"done":false,"epoch":0,"from":2,"lines":[]}` {
		t.Errorf("got %s %s", e, d)
	}
	o.write(1, stdout, "two\n")
	if e, d := next(); e != "lines" || !strings.Contains(d, `"from":2,"lines":[{"n":2,`) {
		t.Errorf("got %s %s", e, d)
	}
	o.end()
	if e, d := next(); e != "lines" || !strings.Contains(d, `"total":2,"done":true`) {
		t.Errorf("got %s %s", e, d)
	}
	if e, _ := next(); e != "end" {
		t.Errorf("got %s", e)
	}
	blank := in.Scan()
	if blank && in.Scan() {
		t.Errorf("more came: %s", in.Text())
	}
	o.change(func() { o.gone, o.ended = true, false })
	gone := show(t)
	gone.change(func() { gone.gone = true })
	if res, err = http.Get(gone.url + "/live"); err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), "event: failed\ndata: {") {
		t.Errorf("got %s, %v", b, err)
	}
}

// bell is a clock whose timers ring when it is struck.
type bell struct {
	bellhop.SystemClock
	struck chan time.Time
}

func (b bell) NewTimer(time.Duration) (<-chan time.Time, func()) { return b.struck, func() {} }

func TestOutputStreamIsAlive(t *testing.T) {
	o := show(t)
	struck := make(chan time.Time)
	o.out.Clock = bell{struck: struck}
	res, err := http.Get(o.url + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	struck <- noon
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		if in.Text() == ": alive" {
			return
		}
	}
	t.Error("it did not say so")
}

// TestOutputStreamEndsWithTheRight: who may not see a run any more is told no
// more of it.
func TestOutputStreamEndsWithTheRight(t *testing.T) {
	o := show(t)
	asked := 0
	o.out.Stands = func(_ *http.Request, id bellhop.RunID) error {
		if asked++; asked == 1 && id == 7 {
			return nil
		}
		return bellhop.Errorf(bellhop.NotAllowed, "not any more")
	}
	o.write(1, stdout, "public\n")
	res, err := http.Get(o.url + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewScanner(res.Body)
	for in.Scan() && in.Text() != "event: lines" {
		continue
	}
	o.write(1, stdout, "secret\n")
	o.end()
	var rest []string
	for in.Scan() {
		rest = append(rest, in.Text())
	}
	if got := strings.Join(rest, "\n"); strings.Contains(got, "secret") || !strings.Contains(got, "event: failed\ndata: {") || !strings.Contains(got, "not any more") {
		t.Errorf("got %s", got)
	}
}

func TestOutputDownload(t *testing.T) {
	o := show(t)
	o.write(1, stdout, "one\r")
	o.write(1, stderr, "\xff\x00<b>\n")
	o.write(3, stdout, "three\n")
	o.end()
	for _, tc := range []struct{ path, name, want string }{
		{"/download", "run-000007.txt", "one\r\xff\x00<b>\nthree\n"},
		{"/download?attempt=1", "run-000007-attempt-1.txt", "one\r\xff\x00<b>\n"},
		{"/download?attempt=2", "run-000007-attempt-2.txt", ""},
		{"/download?attempt=3", "run-000007-attempt-3.txt", "three\n"},
	} {
		res, err := http.Get(o.url + tc.path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		h := res.Header
		if err != nil || string(b) != tc.want || h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Disposition") != `attachment; filename="`+tc.name+`"` {
			t.Errorf("%s: %q, %v, %v", tc.path, b, h, err)
		}
	}
}
