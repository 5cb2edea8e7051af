package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// sourced is the configuration of a server with an outside source.
const sourced = `
web: {listen: %q, rate: %s}
sources: {irc: {}}
people:
  alice: {irc: alice}
services:
  site:
    restricted: true
    jobs: {hello: {run: echo hello, report: {stdout: true}}}
    commands: [{command: say hello, job: hello}]
`

// source is a program that speaks to a server as one.
type source struct {
	t           *testing.T
	addr, token string
}

// newSource makes a token at a server that is started.
func newSource(t *testing.T, s *server.Server, addr, name string) *source {
	t.Helper()
	c := &api.Client{Socket: s.Socket(), Source: "ask", Session: api.NewKey()}
	t.Cleanup(c.Close)
	token, err := c.CreateToken(t.Context(), bellhop.Token{Name: name, Source: "irc"})
	if err != nil {
		t.Fatal(err)
	}
	return &source{t, addr, token}
}

func (s *source) send(ctx context.Context, method, path, body string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// do returns the status and the body of an answer.
func (s *source) do(method, path, body string) (int, string) {
	s.t.Helper()
	resp := s.send(s.t.Context(), method, path, body)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// says sends what somebody says, and wants an answer.
func (s *source) says(key, person, text string, status int, want string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"key": key, "person": person, "text": text})
	if err != nil {
		s.t.Fatal(err)
	}
	if got, answer := s.do("POST", "/v1/events", string(body)); got != status || !strings.Contains(answer, want) {
		s.t.Errorf("%q is answered %d %s; want %d ...%s...", text, got, answer, status, want)
	}
}

// reports opens a stream, and returns what waits for the next report on it.
func (s *source) reports() (next func() (id, text string), end func()) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	resp := s.send(ctx, "GET", "/v1/sources/irc/reports", "")
	lines := bufio.NewScanner(resp.Body)
	return func() (string, string) {
			s.t.Helper()
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					var r struct{ ID, Text string }
					if err := json.Unmarshal([]byte(data), &r); err != nil {
						s.t.Fatal(err)
					}
					return r.ID, r.Text
				}
			}
			s.t.Fatal("the stream has ended:", lines.Err())
			return "", ""
		}, func() {
			cancel()
			resp.Body.Close()
		}
}

// What was asked at one server is told by the stream of another, and
// acknowledged at either.
func TestASourceOfTwoServers(t *testing.T) {
	t.Setenv("BELLHOP_KEY", strings.Repeat("5a", 32))
	store := "store: " + pgtest.URL(t) + "\n"
	at := [2]string{freeAddress(t), freeAddress(t)}
	a := start(t, store+fmt.Sprintf(sourced, at[0], "1000/s"))
	start(t, store+fmt.Sprintf(sourced, at[1], "1000/s"))
	one := newSource(t, a, at[0], "bot")
	two := &source{t, at[1], one.token}
	next, end := two.reports()
	one.says("1", "alice", "site say hello", 202, `"run":"000001"`)
	two.says("1", "alice", "site say hello", 202, `"how":"repeated"`)
	two.says("2", "alice", "site say hello", 202, `"run":`)
	seen := map[string]bool{}
	for len(seen) < 2 {
		id, text := next()
		if text != "hello" {
			t.Errorf("report %s says %q", id, text)
		}
		seen[id] = true
	}
	end()
	for id := range seen { // by the server that did not send it, too
		if status, body := one.do("POST", "/v1/sources/irc/reports/"+id+"/ack", ""); status != 200 {
			t.Errorf("report %s is acknowledged with %d %s", id, status, body)
		}
	}
	if _, body := two.do("PUT", "/v1/sources/irc", ""); !strings.Contains(body, `"waiting":0`) {
		t.Error(body)
	}
}

// What one of its people puts off is asked for as them, and told to the source.
func TestASourceIsToldLater(t *testing.T) {
	addr := freeAddress(t)
	irc := newSource(t, start(t, fmt.Sprintf(sourced, addr, "1000/s")), addr, "bot")
	irc.says("1", "eve", "in 1s site say hello", 200, `"error":"not_allowed"`)
	irc.says("2", "alice", "in 1s site say hello", 200, `"action":"later"`)
	next, end := irc.reports()
	defer end()
	if id, text := next(); text != "hello" {
		t.Errorf("report %s says %q", id, text)
	}
}

// Each of its people has a rate, as everybody has, and so has the source.
func TestRatesOfASource(t *testing.T) {
	addr := freeAddress(t)
	text := strings.Replace(fmt.Sprintf(sourced, addr, "3/h"), "irc: {}", "irc: {rate: 20/h}", 1)
	irc := newSource(t, start(t, text), addr, "bot")
	for i := range 3 {
		irc.says(fmt.Sprint(i), "alice", "whoami", 200, "You are alice")
	}
	irc.says("x", "alice", "whoami", 429, "alice makes more requests than the 3 in an hour")
	irc.says("y", "eve", "whoami", 200, "You are irc:eve")
	var last int
	for i := range 30 {
		last, _ = irc.do("POST", "/v1/events", fmt.Sprintf(`{"key":"k%d","person":"p%[1]d","text":"whoami"}`, i))
		if last != 200 {
			break
		}
	}
	if last != 429 {
		t.Errorf("the source may go on: %d", last)
	}
	if status, body := irc.do("PUT", "/v1/sources/irc", ""); status != 429 || !strings.Contains(body, "source irc makes more requests") {
		t.Errorf("%d %s", status, body)
	}
}

// A source that is taken out of the file is refused at once, and its stream ends;
// one that is new waits for a start.
func TestSourcesAfterAReload(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(sourced, addr, "1000/s"))
	irc := newSource(t, s, addr, "bot")
	c := &api.Client{Socket: s.Socket(), Source: "ask", Session: api.NewKey()}
	t.Cleanup(c.Close)
	file := s.Config()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(old, now string, restart bool) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, now, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := c.Reload(t.Context())
		if err != nil || slices.Contains(got.Restart, "sources") != restart {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	irc.says("1", "alice", "whoami", 200, "You are alice")
	rewrite("sources: {irc: {}}", "sources: {other: {}}", true)
	irc.says("2", "alice", "whoami", 403, "source irc is not in the configuration any more")
	token, err := c.CreateToken(t.Context(), bellhop.Token{Name: "other", Source: "other"})
	if err != nil {
		t.Fatal(err)
	}
	(&source{t, addr, token}).says("1", "alice", "whoami", 503, "restart the server")
	rewrite("sources: {irc: {}}", "sources: {irc: {description: The bot}}", false)
	irc.says("3", "alice", "whoami", 200, "You are alice")
}
