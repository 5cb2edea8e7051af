package server_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// watched is a server on the network with somebody who may see all, and one
// who may not.
const watched = `
web: {listen: %q}
people:
  alice: {ssh: alice}
  prometheus: {}
access: {admins: [{person: alice}]}
services:
  example:
    jobs:
      hello: {run: "echo hello {who}", params: {who: {default: nobody}}}
      fails: {run: "exit 3"}
  private:
    allow: [{person: alice}]
    jobs:
      secret: {run: "true"}
`

// token makes a token.
func token(t *testing.T, s *server.Server, tok bellhop.Token) string {
	t.Helper()
	c := client(t, s)
	text, err := c.CreateToken(t.Context(), tok)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// network speaks HTTP over the network with a token.
func network(t *testing.T, method, url, token, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range append(header, "Idempotency-Key: "+api.NewKey()) {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// scrape reads /metrics as Prometheus does: NAME and LABEL=VALUE pairs, sorted,
// to the value, or to how many were observed.
func scrape(t *testing.T, addr, token string) map[string]float64 {
	t.Helper()
	status, text := network(t, "GET", "http://"+addr+"/metrics", token, "")
	if status != 200 {
		t.Fatal(status, text)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	got := map[string]float64{}
	for name, f := range families {
		for _, m := range f.Metric {
			words := []string{}
			for _, l := range m.Label {
				words = append(words, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(words)
			got[strings.Join(append([]string{name}, words...), " ")] = m.Counter.GetValue() + m.Gauge.GetValue() + float64(m.Histogram.GetSampleCount())
		}
	}
	return got
}

// TestMetrics has runs in a real server, and reads what is told of them.
func TestMetrics(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(watched, addr))
	all, own := token(t, s, bellhop.Token{Name: "all", As: "alice"}), token(t, s, bellhop.Token{Name: "prometheus", As: "prometheus"})
	confined := token(t, s, bellhop.Token{Name: "confined", As: "alice", Allow: []string{"example/fails"}})
	guest := token(t, s, bellhop.Token{Name: "guest"})

	for token, want := range map[string]int{"": 401, "bellhop.all.nonsense": 401, guest: 403, all: 200} {
		if status, text := network(t, "GET", "http://"+addr+"/metrics", token, ""); status != want || want != 200 && strings.Contains(text, "bellhop_") {
			t.Errorf("with %q: %d %s", token, status, text)
		}
	}
	for _, path := range []string{"example/hello", "example/fails", "private/secret"} {
		body := "{}"
		if path == "example/hello" {
			body = `{"who":"a-very-private-argument"}`
		}
		if status, text := network(t, "POST", "http://"+addr+"/v1/"+path+"?wait=20s", all, body); status != 200 {
			t.Fatal(status, text)
		}
	}
	if status, text := network(t, "POST", "http://"+addr+"/v1/private/secret", guest, "{}"); status != 403 {
		t.Fatal(status, text)
	}
	got := scrape(t, addr, all)
	for name, want := range map[string]float64{
		"bellhop_asks_total how=created job_name=hello service=example source=api":  1,
		"bellhop_asks_total how=created job_name=secret service=private source=api": 1,
		"bellhop_runs_ended_total job_name=hello service=example state=succeeded":   1,
		"bellhop_runs_ended_total job_name=fails service=example state=failed":      1,
		"bellhop_run_wait_seconds job_name=hello service=example":                   1,
		"bellhop_run_duration_seconds job_name=hello service=example":               1,
		"bellhop_refusals_total reason=login source=api":                            1,
		"bellhop_refusals_total reason=not_allowed source=api":                      2, // the metrics, and the run
		"bellhop_refusals_total reason=rejected source=broker":                      0, // each source has its own
		"bellhop_runs state=running":                                                0,
		"bellhop_runs state=waiting":                                                0,
		"bellhop_adapter_up adapter=store":                                          1,
		"bellhop_leases_lost_total":                                                 0,
		"bellhop_build_info version=test":                                           1,
		"bellhop_store_commit_seconds call=submit":                                  3,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%t), want %v", name, v, ok, want)
		}
	}
	_, text := network(t, "GET", "http://"+addr+"/metrics", all, "")
	for _, private := range []string{"a-very-private-argument", "alice", "nonsense"} {
		if strings.Contains(text, private) {
			t.Errorf("%q is told to whoever reads the metrics", private)
		}
	}
	// Each sees the jobs that they may know of.
	for token, hidden := range map[string][]string{own: {"job_name=secret"}, confined: {"job_name=secret", "job_name=hello"}} {
		seen := strings.Join(slices.Collect(maps.Keys(scrape(t, addr, token))), "\n")
		if !strings.Contains(seen, "job_name=fails") {
			t.Errorf("the numbers of example fails are hidden:\n%s", seen)
		}
		for _, h := range hidden {
			if strings.Contains(seen, h) {
				t.Errorf("%s is shown", h)
			}
		}
	}
}

// TestMetricsOfTheStore sees what waits and runs, however often it is started.
func TestMetricsOfTheStore(t *testing.T) {
	addr := freeAddress(t)
	text := fmt.Sprintf(`
web: {listen: %q}
people: {alice: {ssh: alice}}
services:
  example:
    jobs:
      wait: {run: "while [ ! -e go ]; do sleep 0.01; done"}
      later: {run: "true"}
    commands:
      - {command: wait, job: wait}
      - {command: later, job: later, delay: 1h}
`, addr)
	s := start(t, text)
	tok := token(t, s, bellhop.Token{Name: "t", As: "alice"})
	c := client(t, s)
	for _, line := range []string{"example wait", "example later"} {
		if _, err := c.Ask(t.Context(), api.NewKey(), line); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one runs", func() bool {
		got := scrape(t, addr, tok)
		return got["bellhop_runs state=running"] == 1 && got["bellhop_runs state=waiting"] == 1
	})
	s.Stop(context.Background(), 0)
	again(t, s)
	eventually(t, "it runs again", func() bool {
		got := scrape(t, addr, tok)
		return got["bellhop_runs state=running"] == 1 && got["bellhop_runs state=waiting"] == 1
	})
	got := scrape(t, addr, tok)
	if n := got["bellhop_run_wait_seconds job_name=wait service=example"]; n != 1 {
		t.Errorf("%v waits are counted, want that of this server alone", n)
	}
}

// TestMetricsOfTwoServers tells what is of the store alike at both, and what a
// server did at that one alone.
func TestMetricsOfTwoServers(t *testing.T) {
	t.Setenv("BELLHOP_KEY", strings.Repeat("5a", 32))
	text := "store: " + pgtest.URL(t) + `
web: {listen: %q}
people: {alice: {ssh: alice}}
services:
  example:
    jobs: {later: {run: "true"}}
    commands: [{command: later, job: later, delay: 1h}]
`
	addrs := []string{freeAddress(t), freeAddress(t)}
	a, _ := start(t, strings.Replace(text, "%q", `"`+addrs[0]+`"`, 1)), start(t, strings.Replace(text, "%q", `"`+addrs[1]+`"`, 1))
	tok := token(t, a, bellhop.Token{Name: "t", As: "alice"})
	if _, err := client(t, a).Ask(t.Context(), api.NewKey(), "example later"); err != nil {
		t.Fatal(err)
	}
	for i, addr := range addrs {
		got := scrape(t, addr, tok)
		if got["bellhop_runs state=waiting"] != 1 || got["bellhop_adapter_up adapter=store"] != 1 {
			t.Errorf("of the store, server %d tells %v", i, got)
		}
		if n := got["bellhop_asks_total how=created job_name=later service=example source=ask"]; n != float64(1-i) {
			t.Errorf("server %d tells of %v asks", i, n)
		}
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

// TestMetricsOfBrokers: that a service has one is nothing for who may not use
// its job.
func TestMetricsOfBrokers(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(watched, addr)+fmt.Sprintf(`
    brokers:
      - {name: payroll, redis: {url: "redis://%s", stream: s}, job: secret}
`, freeAddress(t)))
	for as, want := range map[string]bool{"alice": true, "prometheus": false} {
		_, got := scrape(t, addr, token(t, s, bellhop.Token{Name: as, As: as}))["bellhop_adapter_up adapter=broker:private/payroll"]
		if got != want {
			t.Errorf("%s is told of it: %t", as, got)
		}
	}
	if got := scrape(t, addr, token(t, s, bellhop.Token{Name: "own", As: "alice", Allow: []string{"example"}})); strings.Contains(fmt.Sprint(got), "private") {
		t.Errorf("a token for example is told %v", got)
	}
}
