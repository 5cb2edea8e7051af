package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

const house = `
lease: 1s
services:
  example:
    jobs:
      hello: {run: "echo hello; echo oh >&2; echo again", report: {stdout: true}}
      wait: {run: "while [ ! -e go ]; do sleep 0.01; done; echo gone", report: {stdout: true}, concurrency: unlimited}
      later: {run: "true"}
    commands:
      - {command: hello, job: hello}
      - {command: wait, job: wait}
      - {command: later, job: later, delay: 1h}
`

// raw speaks HTTP to a control socket without the client.
type raw struct {
	t    *testing.T
	http *http.Client
}

func dial(t *testing.T, s *server.Server) *raw {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.Socket())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &raw{t: t, http: &http.Client{Transport: transport}}
}

// do makes a request; header is "Name: value" lines.
func (r *raw) do(method, path, body string, header ...string) (int, string, http.Header) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://bellhop"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// ask asks and waits until its run has ended.
func (r *raw) ask(text string) string {
	r.t.Helper()
	status, body, _ := r.do("POST", "/v1/runs", `{"text":"`+text+`"}`, "Idempotency-Key: "+api.NewKey())
	var got struct {
		Accepted struct{ Run string }
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got.Accepted.Run == "" {
		r.t.Fatal(status, body, err)
	}
	r.do("GET", "/v1/runs/"+got.Accepted.Run+"/output?follow=true", "")
	return got.Accepted.Run
}

func TestErrorsAreProblemDocuments(t *testing.T) {
	r := dial(t, start(t, house))
	tests := []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     bellhop.Code
	}{
		{"no such path", "GET", "/v1/nothing", "", nil, 404, bellhop.NotFound},
		{"no such run", "GET", "/v1/runs/00zzzz", "", nil, 404, bellhop.NotFound},
		{"output of no such run", "GET", "/v1/runs/00zzzz/output", "", nil, 404, bellhop.NotFound},
		{"streamed output of no such run", "GET", "/v1/runs/00zzzz/output", "", []string{"Accept: text/event-stream"}, 404, bellhop.NotFound},
		{"not an id", "GET", "/v1/runs/nonsense!", "", nil, 400, bellhop.Invalid},
		{"not JSON", "POST", "/v1/runs", "hello", nil, 400, bellhop.Invalid},
		{"unknown field", "POST", "/v1/runs", `{"txt":"x"}`, nil, 400, bellhop.Invalid},
		{"too large", "POST", "/v1/runs", `{"text":"` + strings.Repeat("x", 9<<20) + `"}`, nil, 400, bellhop.Invalid},
		{"not understood", "POST", "/v1/runs", `{"text":"nonsense"}`, []string{"Idempotency-Key: k"}, 404, bellhop.NotFound},
		{"no key", "POST", "/v1/runs", `{"text":"example hello"}`, nil, 400, bellhop.Invalid},
		{"long key", "POST", "/v1/runs", `{"text":"example hello"}`, []string{"Idempotency-Key: " + strings.Repeat("k", 600)}, 400, bellhop.Invalid},
		{"source of somebody else", "POST", "/v1/runs", `{"text":"example hello"}`, []string{"Idempotency-Key: k", "Bellhop-Source: ssh"}, 400, bellhop.Invalid},
		{"bad state", "GET", "/v1/runs?state=done", "", nil, 400, bellhop.Invalid},
		{"bad limit", "GET", "/v1/runs?limit=-1", "", nil, 400, bellhop.Invalid},
		{"bad time", "GET", "/v1/runs?since=yesterday", "", nil, 400, bellhop.Invalid},
		{"bad page", "GET", "/v1/runs?before=x", "", nil, 400, bellhop.Invalid},
		{"bad cursor", "GET", "/v1/runs/000001/output", "", []string{"Accept: text/event-stream", "Last-Event-ID: x"}, 400, bellhop.Invalid},
		{"bad stream", "GET", "/v1/runs/000001/output?stream=stdin", "", nil, 400, bellhop.Invalid},
		{"long session", "GET", "/v1/reports", "", []string{"Bellhop-Session: " + strings.Repeat("s", 129)}, 400, bellhop.Invalid},
		{"reports without a session", "GET", "/v1/reports", "", nil, 400, bellhop.Invalid},
		{"ack of nothing", "POST", "/v1/reports/7/ack", "", []string{"Bellhop-Session: s"}, 404, bellhop.NotFound},
		{"handover of a server", "POST", "/v1/handover", "", nil, 409, bellhop.Conflict},
		{"backup to a relative path", "POST", "/v1/backup", `{"path":"x.db"}`, nil, 400, bellhop.Invalid},
		{"cancel without a key", "POST", "/v1/runs/000001/cancel", "", nil, 400, bellhop.Invalid},
	}
	r.ask("example hello")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body, header := r.do(tt.method, tt.path, tt.body, tt.header...)
			var p struct {
				Type, Title, Detail string
				Status              int
				Code                bellhop.Code
			}
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			if status != tt.status || p.Status != tt.status || p.Code != tt.code || p.Detail == "" || p.Title == "" || p.Type == "" {
				t.Errorf("%d %+v, want %d %s", status, p, tt.status, tt.code)
			}
			if got := header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestTheRunObject(t *testing.T) {
	r := dial(t, start(t, house))
	id := r.ask("example hello")
	_, body, _ := r.do("GET", "/v1/runs/"+id, "")
	var run map[string]any
	if err := json.Unmarshal([]byte(body), &run); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for k := range run {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if got := strings.Join(keys, " "); got != "args asked_by attempt created exit_status finished id job origin service started state verdict" {
		t.Errorf("a succeeded run has the keys %s", got)
	}
	if _, err := time.Parse(time.RFC3339Nano, run["created"].(string)); err != nil {
		t.Error(err)
	}
	_, list, _ := r.do("GET", "/v1/runs?mine=true&state=succeeded&service=example&job=hello", "")
	var runs struct{ Runs []map[string]any }
	if err := json.Unmarshal([]byte(list), &runs); err != nil || len(runs.Runs) != 1 || runs.Runs[0]["id"] != id {
		t.Errorf("the list has %s, %v", list, err)
	}
}

func TestOutputWholeByStreamAndFromAPlace(t *testing.T) {
	r := dial(t, start(t, house))
	id := r.ask("example hello")
	for path, want := range map[string]string{
		"?stream=stdout": "hello\nagain\n",
		"?stream=stderr": "oh\n",
	} {
		if _, got, _ := r.do("GET", "/v1/runs/"+id+"/output"+path, ""); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	_, all, _ := r.do("GET", "/v1/runs/"+id+"/output", "", "Accept: text/event-stream")
	events := strings.Split(strings.TrimSpace(all), "\n\n")
	var first string
	for line := range strings.Lines(events[1]) {
		if at, ok := strings.CutPrefix(line, "id: "); ok {
			first = strings.TrimSpace(at)
		}
	}
	_, rest, _ := r.do("GET", "/v1/runs/"+id+"/output", "", "Accept: text/event-stream", "Last-Event-ID: "+first)
	if got, want := strings.Count(rest, "\ndata: "), strings.Count(all, "\ndata: ")-1; got != want || !strings.Contains(rest, "event: end") {
		t.Errorf("after the first of %d events come %d: %s", want+1, got, rest)
	}
}

func TestAReportStaysUnreadUntilItIsAcknowledged(t *testing.T) {
	s := start(t, house)
	r := dial(t, s)
	r.do("POST", "/v1/runs", `{"text":"example hello"}`, "Idempotency-Key: k", "Bellhop-Session: mine")
	listen := func() (id string, leave func()) {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", "http://bellhop/v1/reports", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Bellhop-Session", "mine")
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(resp.Body)
		for in.Scan() {
			if at, ok := strings.CutPrefix(in.Text(), "id: "); ok {
				return at, func() { cancel(); resp.Body.Close() }
			}
		}
		t.Fatal("the stream ended without a report")
		return "", nil
	}
	first, leave := listen()
	leave() // without a word
	second, leave := listen()
	if first != second {
		t.Fatalf("report %s, then %s: want the same again", first, second)
	}
	// While its connection is there, it is nobody else's, though unread. (The
	// first connection's end may be noticed late; that only weakens this.)
	time.Sleep(200 * time.Millisecond)
	if _, others, _ := r.do("GET", "/v1/reports?unread=true", "", "Bellhop-Session: other"); strings.Contains(others, "event: report") {
		t.Errorf("told to another connection: %s", others)
	}
	if status, body, _ := r.do("POST", "/v1/reports/"+second+"/ack", "", "Bellhop-Session: other"); status != 404 {
		t.Errorf("another session acknowledged it: %s", body)
	}
	if status, body, _ := r.do("POST", "/v1/reports/"+second+"/ack", "", "Bellhop-Session: mine"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	leave()
	// That it was read is written down right after the acknowledgement.
	for try := 0; r.unread("mine"); try++ {
		if try == 1000 {
			t.Fatal("still unread")
		}
	}
}

// unread reports whether there is an unread report, and leaves it so.
func (r *raw) unread(session string) bool {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://bellhop/v1/reports?unread=true", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Bellhop-Session", session)
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		switch in.Text() {
		case "event: report":
			return true
		case "event: end":
			return false
		}
	}
	r.t.Fatal("the stream ended without a word")
	return false
}

func TestReload(t *testing.T) {
	s := start(t, house)
	r := dial(t, s)
	_, version, _ := r.do("GET", "/v1/version", "")
	var v struct{ Config string }
	if err := json.Unmarshal([]byte(version), &v); err != nil {
		t.Fatal(err)
	}
	r.do("POST", "/v1/runs", `{"text":"example later"}`, "Idempotency-Key: k")
	write := func(text string) {
		if err := os.WriteFile(v.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(house, "command: wait", "comand: wait", 1))
	if status, body, _ := r.do("POST", "/v1/reload", ""); status != 400 || !strings.Contains(body, "comand") {
		t.Errorf("a faulty configuration: %d %s", status, body)
	}
	r.ask("example hello") // the old one is still there
	write(strings.ReplaceAll(house, "command: hello", "command: hi"))
	if status, body, _ := r.do("POST", "/v1/reload", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	r.ask("example hi")
	if status, _, _ := r.do("POST", "/v1/runs", `{"text":"example hello"}`, "Idempotency-Key: x"); status != 404 {
		t.Error("the old command is still there")
	}
	// What was written before goes on under the definition that it names.
	_, list, _ := r.do("GET", "/v1/runs?state=waiting", "")
	if !strings.Contains(list, `"state":"waiting"`) {
		t.Errorf("the waiting run is gone: %s", list)
	}
}

func TestStoppingRefusesAndInterrupts(t *testing.T) {
	s := start(t, house)
	c := client(t, s)
	got, err := c.Ask(t.Context(), api.NewKey(), "example wait")
	if err != nil {
		t.Fatal(err)
	}
	for len(s.Working()) == 0 {
		time.Sleep(time.Millisecond)
	}
	stopped := make(chan struct{})
	go func() { s.Stop(context.Background(), time.Minute); close(stopped) }()
	for { // asks are refused from some moment on, and the one that runs goes on
		_, err := c.Ask(t.Context(), api.NewKey(), "example later")
		if err != nil {
			if bellhop.CodeOf(err) != bellhop.Unavailable || !strings.HasPrefix(err.Error(), "not accepted: ") {
				t.Fatal(err)
			}
			break
		}
	}
	_, version, _ := dial(t, s).do("GET", "/v1/version", "")
	if !strings.Contains(version, got.Accepted.Run.String()) {
		t.Errorf("%s is not working any more: %s", got.Accepted.Run, version)
	}
	var v struct{ Config string }
	if err := json.Unmarshal([]byte(version), &v); err != nil {
		t.Fatal(err)
	}
	workspace := filepath.Join(filepath.Dir(v.Config), "workspace", "example")
	if err := os.MkdirAll(workspace, 0o755); err != nil { // the run may not have come so far yet
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(workspace, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-stopped
}
