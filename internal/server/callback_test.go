package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// called has a job that writes down where it may post to, and waits.
const called = `
store: %s
web: {listen: %q, url: "http://%s/"}
services:
  example:
    jobs:
      long: {run: "echo \"$BELLHOP_CALLBACK\" | tee %[4]s/new; mv %[4]s/new %[4]s/url; until test -e %[4]s/go; do sleep 0.05; done", callback: 1h, concurrency: unlimited}
    commands:
      - {command: long, job: long}
`

func posts(t *testing.T, url, text string) int {
	t.Helper()
	resp, err := http.Post(url, "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// soon waits for a file, and reads it.
func soon(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	t.Fatalf("%s does not come", path)
	return ""
}

// hear asks for the job, and returns where its progress is posted to and what
// this client is told.
func hear(t *testing.T, c *api.Client, shared string) (bellhop.RunID, string, <-chan bellhop.Report) {
	t.Helper()
	told := make(chan bellhop.Report, 100)
	go func() {
		_ = c.Reports(t.Context(), func(r bellhop.Report) error {
			told <- r
			return nil
		})
	}()
	got, err := c.Ask(t.Context(), "k", "example long")
	if err != nil {
		t.Fatal(err)
	}
	return got.Accepted.Run, soon(t, filepath.Join(shared, "url")), told
}

// TestProgressIsPosted from elsewhere, until the run has ended, and reaches who
// asked. What the job prints of the address is masked.
func TestProgressIsPosted(t *testing.T) {
	addr, shared := freeAddress(t), t.TempDir()
	s := start(t, fmt.Sprintf(called, `"sqlite:bellhop.db"`, addr, addr, shared))
	c := client(t, s)
	run, url, told := hear(t, c, shared)
	if !strings.HasPrefix(url, "http://"+addr+"/callback/"+run.String()+"/1/") {
		t.Fatal(url)
	}
	if status := posts(t, url, "half of it\x1b[2J"); status != 204 {
		t.Errorf("posting: %d", status)
	}
	if r := <-told; r.Kind != bellhop.ReportProgress || r.Run.ID != run || r.Ask.Note != "half of it\ufffd[2J" {
		t.Errorf("told of %+v", r)
	}
	if status := posts(t, url+"A", "x"); status != 401 {
		t.Errorf("forged: %d", status)
	}
	statuses := map[int]int{}
	for range 70 {
		statuses[posts(t, url, "much")]++
	}
	if statuses[429] == 0 || statuses[204] < 50 || statuses[204] > 65 {
		t.Errorf("much at once: %v", statuses)
	}
	if err := os.WriteFile(filepath.Join(shared, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for r := range told {
		if r.Kind == bellhop.ReportOutcome {
			break
		}
	}
	var out strings.Builder
	if err := c.Output(t.Context(), run, false, func(k bellhop.Chunk) error { out.Write(k.Data); return nil }); err != nil || strings.TrimSpace(out.String()) != "***" {
		t.Errorf("the output has the address: %q, %v", out.String(), err)
	}
	for status := 429; status == 429; time.Sleep(100 * time.Millisecond) { // until one more may be posted
		if status = posts(t, url, "too late"); status != 410 && status != 429 {
			t.Errorf("of a run that has ended: %d", status)
		}
	}
}

// TestProgressIsPostedToAnyServer of a store: each says that the other one is
// where it is reached.
func TestProgressIsPostedToAnyServer(t *testing.T) {
	t.Setenv("BELLHOP_KEY", strings.Repeat("5a", 32))
	store, shared := pgtest.URL(t), t.TempDir()
	one, two := freeAddress(t), freeAddress(t)
	a := start(t, fmt.Sprintf(called, store, one, two, shared))
	start(t, fmt.Sprintf(called, store, two, one, shared))
	_, url, told := hear(t, client(t, a), shared)
	if status := posts(t, url, "half of it"); status != 204 {
		t.Errorf("posting: %d", status)
	}
	if r := <-told; r.Kind != bellhop.ReportProgress || r.Ask.Note != "half of it" {
		t.Errorf("told of %+v", r)
	}
	if err := os.WriteFile(filepath.Join(shared, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-told; r.Kind != bellhop.ReportOutcome || r.Run.State != bellhop.Succeeded {
		t.Errorf("told of %+v", r)
	}
}
