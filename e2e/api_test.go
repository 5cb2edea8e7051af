package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// run is the run object as far as tests look at it.
type run struct {
	ID      string            `json:"id"`
	Args    map[string]string `json:"args"`
	State   string            `json:"state"`
	Attempt int               `json:"attempt"`
	Error   string            `json:"error"`
}

// runs lists every run by `bellhop runs`.
func (p *place) runs() (out []run) {
	p.t.Helper()
	for line := range strings.Lines(p.must("bellhop", "runs", "--json", "--limit", "0")) {
		var r run
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			p.t.Fatalf("runs --json says %q: %v", line, err)
		}
		out = append(out, r)
	}
	return out
}

// socket is a client of the control socket, as curl would be.
func (p *place) socket() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p.path(".bellhop/control.sock"))
		},
	}}
}

// request is one request by the API, sent again under the same key until a
// server answers, and once more after that.
type request struct {
	mu   sync.Mutex
	one  string
	last chan string
}

// post asks by the API, in the background.
func (p *place) post(key, text string) *request {
	r := &request{last: make(chan string, 1)}
	client := p.socket()
	once := func() string {
		body, _ := json.Marshal(map[string]string{"text": text})
		req, err := http.NewRequest("POST", "http://bellhop/v1/runs", strings.NewReader(string(body)))
		if err != nil {
			return ""
		}
		req.Header.Set("Idempotency-Key", key)
		resp, err := client.Do(req)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		var answer struct {
			Accepted *struct{ Run string } `json:"accepted"`
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || json.Unmarshal(b, &answer) != nil || answer.Accepted == nil {
			return ""
		}
		return answer.Accepted.Run
	}
	go func() {
		again := ""
		waitUntil(func() bool {
			id := once()
			if id == "" {
				return false
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.one == "" {
				r.one = id
				return false
			}
			again = id
			return true
		}, nil)
		r.last <- again
	}()
	return r
}

// first is what the first answer named, "" before it came.
func (r *request) first() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.one
}

// wait returns what the last answer named.
func (r *request) wait(t testing.TB) string {
	t.Helper()
	id := <-r.last
	if id == "" {
		t.Error("no server answered")
	}
	return id
}
