package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// span is one as a collector reads it.
type span struct {
	TraceID, SpanID, ParentSpanID, Name string
	Kind                                int
	StartTimeUnixNano, EndTimeUnixNano  string
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	Links []struct{ TraceID, SpanID string }
}

func (s span) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

// collector is one that a server sends spans to.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []span
	bodies []string
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var got struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []span } }
		}
		if err := json.Unmarshal(b, &got); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Key") != "a b" {
			t.Errorf("%s %v %v %s", r.URL, r.Header, err, b)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies = append(c.bodies, string(b))
		for _, rs := range got.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(c.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
	return c
}

// of returns the spans of a run, by name, in order of their start.
func (c *collector) of(run string) map[string][]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, ids := map[string][]span{}, []string{}
	for _, s := range c.spans {
		if s.attribute("bellhop.run") == run {
			ids = append(ids, s.TraceID)
		}
	}
	for _, s := range c.spans {
		if slices.Contains(ids, s.TraceID) {
			got[s.Name] = append(got[s.Name], s)
		}
	}
	for _, list := range got {
		slices.SortStableFunc(list, func(a, b span) int { return strings.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
	}
	return got
}

// wait waits until a run has so many spans of a name.
func (c *collector) wait(t *testing.T, run, name string, n int) map[string][]span {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d spans %s", run, n, name), func() bool { return len(c.of(run)[name]) >= n })
	return c.of(run)
}

// spansOfTheManual are those that docs/metrics.md lists, sorted.
func spansOfTheManual(t *testing.T) (names []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| span | child of | what |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)` ").FindAllStringSubmatch(table, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return names
}

const tracedHouse = `
web: {listen: %q}
people: {alice: {ssh: alice}}
services:
  example:
    jobs:
      later: {run: "echo traceparent $TRACEPARENT; exit 3", params: {who: {default: nobody}}}
      first: {run: "true", then: {job: second}}
      second: {run: "true"}
    commands:
      - {command: "later [who]", job: later, delay: 2s}
      - {command: first, job: first}
`

const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestTraceOverARestart asks over the network for a run that another server
// works, twice for the same: all of it is one trace.
func TestTraceOverARestart(t *testing.T) {
	c := newCollector(t)
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(tracedHouse, addr))
	tok := token(t, s, bellhop.Token{Name: "t", As: "alice"})
	ask := func(header ...string) string {
		t.Helper()
		status, body := network(t, "POST", "http://"+addr+"/v1/runs", tok, `{"text": "example later a-secret-argument"}`, header...)
		var got struct{ Accepted struct{ Run string } }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
			t.Fatal(status, body, err)
		}
		return got.Accepted.Run
	}
	run := ask("Traceparent: " + caller)
	if again := ask(); again != run {
		t.Fatalf("%s was not merged into %s", again, run)
	}
	s.Stop(context.Background(), 0)
	if n := len(c.of(run)["attempt"]); n != 0 {
		t.Fatal("it ran before the restart")
	}
	s = again(t, s)
	eventually(t, "it has ended", func() bool {
		_, body := network(t, "GET", "http://"+addr+"/v1/runs/"+run, tok, "")
		return strings.Contains(body, `"state":"failed"`)
	})
	_, output := network(t, "GET", "http://"+addr+"/v1/runs/"+run+"/output", tok, "")
	s.Stop(context.Background(), 0) // which sends what there is

	got := c.wait(t, run, "report", 2)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, spansOfTheManual(t)) {
		t.Errorf("there are the spans %q, the manual has %q", names, spansOfTheManual(t))
	}
	ids := map[string]bool{}
	for name, n := range map[string]int{"ask": 2, "submit": 2, "wait": 1, "claim": 1, "attempt": 1, "finish": 1, "report": 2} {
		if len(got[name]) != n {
			t.Fatalf("there are %d spans %s, want %d: %+v", len(got[name]), name, n, got)
		}
		for _, s := range got[name] {
			if ids[s.SpanID] {
				t.Errorf("two spans have the id %s", s.SpanID)
			}
			ids[s.SpanID] = true
			if s.TraceID != got["ask"][0].TraceID {
				t.Errorf("%s is in another trace", name)
			}
			if s.StartTimeUnixNano > s.EndTimeUnixNano {
				t.Errorf("%s ends before it begins", name)
			}
		}
	}
	root, joined, work := got["ask"][0], got["ask"][1], got["attempt"][0]
	if root.ParentSpanID != "" || root.Kind != 2 || root.attribute("bellhop.ask.how") != "created" || root.attribute("bellhop.ask.source") != "api" || root.attribute("bellhop.ask.key") == "" {
		t.Errorf("the root is %+v", root)
	}
	if len(root.Links) != 1 || root.Links[0].TraceID+root.Links[0].SpanID != strings.ReplaceAll(caller[3:52], "-", "") {
		t.Errorf("the root links to %+v", root.Links)
	}
	if joined.ParentSpanID != root.SpanID || joined.attribute("bellhop.ask.how") != "merged" || len(joined.Links) != 0 {
		t.Errorf("the ask that joined is %+v", joined)
	}
	for name, parent := range map[string]string{"wait": root.SpanID, "claim": root.SpanID, "attempt": root.SpanID, "finish": work.SpanID, "report": root.SpanID} {
		for _, s := range got[name] {
			if s.ParentSpanID != parent {
				t.Errorf("the parent of %s is %s, want %s", name, s.ParentSpanID, parent)
			}
		}
	}
	if got["submit"][0].ParentSpanID != root.SpanID || got["submit"][1].ParentSpanID != joined.SpanID {
		t.Errorf("the parents of submit are %s, %s", got["submit"][0].ParentSpanID, got["submit"][1].ParentSpanID)
	}
	if work.attribute("bellhop.service") != "example" || work.attribute("bellhop.job") != "later" || work.attribute("bellhop.exit_status") != "3" || work.attribute("bellhop.end") != "failed" {
		t.Errorf("the attempt is %+v", work)
	}
	if got["finish"][0].attribute("bellhop.state") != "failed" {
		t.Errorf("the end is %+v", got["finish"][0])
	}
	if want := "traceparent 00-" + work.TraceID + "-" + work.SpanID + "-01"; !strings.Contains(output, want) {
		t.Errorf("the process printed %q, want %q", output, want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if all := strings.Join(c.bodies, ""); strings.Contains(all, "a-secret-argument") || strings.Contains(all, tok) {
		t.Error("arguments or tokens are sent")
	}
}

// TestTraceOfWhatFollows has a root, too, though nobody asked, and leads back.
func TestTraceOfWhatFollows(t *testing.T) {
	c := newCollector(t)
	s := start(t, fmt.Sprintf(tracedHouse, freeAddress(t)))
	got, err := client(t, s).Ask(t.Context(), api.NewKey(), "example first")
	if err != nil {
		t.Fatal(err)
	}
	first := got.Accepted.Run
	eventually(t, "both ended", func() bool {
		page, err := client(t, s).Runs(t.Context(), bellhop.RunSearch{RunFilter: bellhop.RunFilter{States: []bellhop.State{bellhop.Succeeded}}}, false)
		return err == nil && len(page.Runs) == 2
	})
	s.Stop(context.Background(), 0)
	before, after := c.wait(t, first.String(), "finish", 1), c.wait(t, (first+1).String(), "attempt", 1)
	if len(after["ask"]) != 1 {
		t.Fatalf("what follows has no root: %+v", after)
	}
	root := after["ask"][0]
	if len(root.Links) != 1 || root.Links[0].TraceID != before["ask"][0].TraceID || root.Links[0].SpanID != before["ask"][0].SpanID {
		t.Errorf("the root of what follows is %+v, want a link to %+v", after["ask"], before["ask"][0])
	}
	if root.TraceID == before["ask"][0].TraceID || after["attempt"][0].ParentSpanID != root.SpanID {
		t.Errorf("what follows is %+v", after)
	}
}

// TestTraceOfAnInterruption has a span for each attempt, and for each wait.
func TestTraceOfAnInterruption(t *testing.T) {
	c := newCollector(t)
	s := start(t, strings.Replace(house, "lease: 1s", "lease: 1s\nweb: {listen: \""+freeAddress(t)+"\"}", 1))
	got, err := client(t, s).Ask(t.Context(), api.NewKey(), "example wait")
	if err != nil {
		t.Fatal(err)
	}
	run := got.Accepted.Run
	eventually(t, "it runs", func() bool { return len(s.Working()) == 1 })
	s.Stop(context.Background(), 0) // interrupted: it waits again, and its next attempt is another span
	s = again(t, s)
	eventually(t, "it runs again", func() bool { return len(s.Working()) == 1 })
	s.Stop(context.Background(), 0)
	spans := c.wait(t, run.String(), "attempt", 2)
	if len(spans["wait"]) != 2 || spans["attempt"][0].SpanID == spans["attempt"][1].SpanID || spans["attempt"][1].attribute("bellhop.end") != "interrupted" {
		t.Errorf("the spans are %+v", spans)
	}
	if w := spans["wait"][1]; w.StartTimeUnixNano < spans["attempt"][0].EndTimeUnixNano[:10] || w.StartTimeUnixNano < spans["attempt"][0].StartTimeUnixNano {
		t.Errorf("the second wait begins at %s, before the first attempt ended", w.StartTimeUnixNano)
	}
}

// TestNoTraces makes none without a collector, and starts with one that is not
// named rightly.
func TestNoTraces(t *testing.T) {
	for _, endpoint := range []string{"", "localhost:4318"} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
		addr := freeAddress(t)
		s := start(t, fmt.Sprintf(strings.Replace(tracedHouse, "exit 3", "exit 0", 1), addr))
		tok := token(t, s, bellhop.Token{Name: "t", As: "alice"})
		status, body := network(t, "POST", "http://"+addr+"/v1/example/later?wait=20s", tok, "{}", "Traceparent: "+caller)
		if status != 200 || !strings.Contains(body, `"stdout":"traceparent\n"`) {
			t.Errorf("with %q: %d %s", endpoint, status, body)
		}
		s.Stop(context.Background(), 0)
	}
}

// TestACollectorThatHangs holds up neither runs nor the stop for long.
func TestACollectorThatHangs(t *testing.T) {
	hang := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer stuck.Close()
	defer close(hang)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", stuck.URL)
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(tracedHouse, addr))
	tok := token(t, s, bellhop.Token{Name: "t", As: "alice"})
	for range 3 {
		if status, body := network(t, "POST", "http://"+addr+"/v1/example/second?wait=20s", tok, "{}"); status != 200 {
			t.Fatal(status, body)
		}
	}
	began := time.Now()
	s.Stop(context.Background(), 0)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the stop took %s", took)
	}
}

var traceparentForm = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)

// TestSampling leaves out what the environment's sampler leaves out, and tells
// the process so.
func TestSampling(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(tracedHouse, addr))
	tok := token(t, s, bellhop.Token{Name: "t", As: "alice"})
	_, body := network(t, "POST", "http://"+addr+"/v1/example/later?wait=20s", tok, "{}", "Traceparent: "+caller)
	_, rest, _ := strings.Cut(body, `"stdout":"traceparent `)
	if len(rest) < 55 || !traceparentForm.MatchString(rest[:55]) || !strings.HasSuffix(rest[:55], "-00") {
		t.Errorf("the process printed %s", body)
	}
	s.Stop(context.Background(), 0)
	if c.mu.Lock(); len(c.spans) != 0 {
		t.Errorf("%d spans were sent", len(c.spans))
	}
	c.mu.Unlock()
}
