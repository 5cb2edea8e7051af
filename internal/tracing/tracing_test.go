package tracing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
	"github.com/bellhop-io/bellhop/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock shows a time, and its timers fire when a test says so.
type clock struct {
	*storetest.Clock
	mu     sync.Mutex
	timers []chan time.Time
	asked  chan time.Duration
}

func newClock() *clock {
	return &clock{Clock: storetest.NewClock(time.Unix(1_800_000_000, 123456789).UTC()), asked: make(chan time.Duration, 1000)}
}

func (c *clock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	c.timers = append(c.timers, ch)
	c.asked <- d
	return ch, func() {}
}

// fire lets the timer that was asked for next go off, and says how long it was.
func (c *clock) fire() time.Duration {
	d := <-c.asked
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timers[0] <- time.Time{}
	c.timers = c.timers[1:]
	return d
}

// answer is what a collector says to a request.
type answer struct {
	status int
	body   string
}

type rig struct {
	*testing.T
	*tracing.Tracer
	clock  *clock
	bodies chan string
	log    *strings.Builder
	logged sync.Mutex
}

func (r *rig) Write(p []byte) (int, error) {
	r.logged.Lock()
	defer r.logged.Unlock()
	return r.log.Write(p)
}

func (r *rig) said() string {
	r.logged.Lock()
	defer r.logged.Unlock()
	return r.log.String()
}

// newRig traces to a collector that answers as it is told, at last with 200.
func newRig(t *testing.T, answers ...answer) *rig {
	r := &rig{T: t, clock: newClock(), bodies: make(chan string, 1000), log: &strings.Builder{}}
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		r.bodies <- string(b)
		if i := int(n.Add(1)); i <= len(answers) {
			w.WriteHeader(answers[i-1].status)
			_, _ = io.WriteString(w, answers[i-1].body)
		}
	}))
	t.Cleanup(srv.Close)
	r.Tracer = tracing.New(tracing.Options{
		Settings: tracing.Settings{URL: srv.URL, Timeout: time.Minute}, StoreID: "store", Server: "here-1", Version: "1.2.3", Clock: r.clock,
		Log: slog.New(slog.NewTextHandler(r, nil)),
	})
	t.Cleanup(func() { r.Stop(context.Background()) })
	return r
}

// report makes one span.
func (r *rig) report(run bellhop.RunID) {
	r.Helper()
	_, _ = r.Destination(delivered{}).Deliver(r.Context(), bellhop.Report{Kind: bellhop.ReportOutcome, Run: bellhop.Run{ID: run, Service: "site", Job: "deploy", State: bellhop.Succeeded}})
}

type delivered struct{}

func (delivered) Deliver(context.Context, bellhop.Report) (string, error) { return "ref", nil }

func (r *rig) counts(sent, dropped uint64) {
	r.Helper()
	r.eventually(fmt.Sprintf("%d sent and %d dropped", sent, dropped), func() bool {
		s, d := r.Counts()
		return s == sent && d == dropped
	})
}

func (r *rig) eventually(what string, is func() bool) {
	r.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s, d := r.Counts()
			r.Fatalf("it never came to %s; %d were sent, %d dropped; the log: %s", what, s, d, r.said())
		}
	}
}

// done is an executor whose attempts end at once.
type done struct {
	out bellhop.Outcome
	got bellhop.Task
}

func (d *done) Execute(_ context.Context, task bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
	d.got = task
	return d.out
}

// TestEncoding holds the form against what the specification of OTLP's JSON
// says: ids in hex, numbers of 64 bits as strings, enums as numbers.
func TestEncoding(t *testing.T) {
	r := newRig(t)
	exit := 3
	d := &done{out: bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: &exit, Error: "hunter2"}}
	task := bellhop.Task{Run: 42, Lease: 2, Attempt: 1, Job: bellhop.Job{Service: "site", Name: "deploy"}, Args: bellhop.Args{"password": bellhop.Text("hunter2")}}
	r.Executor(d).Execute(t.Context(), task, nil)
	r.Stop(t.Context())
	body := <-r.bodies
	file := filepath.Join("testdata", "span.json")
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var compact strings.Builder
	if err := json.NewEncoder(&compact).Encode(json.RawMessage(want)); err != nil {
		t.Fatal(err)
	}
	if body != strings.TrimSpace(compact.String()) {
		t.Errorf("it is\n%s\nand is to be as in %s:\n%s", body, file, compact.String())
	}
	if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(d.got.Traceparent) || !strings.Contains(body, d.got.Traceparent[3:35]) || !strings.Contains(body, d.got.Traceparent[36:52]) {
		t.Errorf("the process gets %q", d.got.Traceparent)
	}
}

// TestIDsFollowFromTheRun are the same at every server of the store, and others
// for other runs and stores.
func TestIDsFollowFromTheRun(t *testing.T) {
	of := func(store string, run bellhop.RunID, lease int64) string {
		tr := tracing.New(tracing.Options{Settings: tracing.Settings{URL: "http://127.0.0.1:1"}, StoreID: store})
		defer tr.Stop(t.Context())
		d := &done{}
		tr.Executor(d).Execute(t.Context(), bellhop.Task{Run: run, Lease: lease}, nil)
		return d.got.Traceparent
	}
	one := of("a", 1, 1)
	if again := of("a", 1, 1); again != one {
		t.Errorf("%s and %s", one, again)
	}
	if next := of("a", 1, 2); next == one || next[:35] != one[:35] {
		t.Errorf("another attempt is %s, in the trace of %s", next, one)
	}
	if other := of("a", 2, 1); other[:35] == one[:35] {
		t.Error("two runs are one trace")
	}
	if other := of("b", 1, 1); other[:35] == one[:35] {
		t.Error("runs of two stores are one trace")
	}
}

func TestBatches(t *testing.T) {
	r := newRig(t)
	for run := range 3 {
		r.report(bellhop.RunID(run + 1))
	}
	if d := r.clock.fire(); d != time.Second {
		t.Errorf("a batch waits for %s", d)
	}
	r.counts(3, 0)
	if n := strings.Count(<-r.bodies, `"name":"report"`); n != 3 {
		t.Errorf("the request has %d spans", n)
	}
}

// TestTriedAgain sends again what may be taken later, and the same.
func TestTriedAgain(t *testing.T) {
	r := newRig(t, answer{503, ""}, answer{429, ""})
	r.report(1)
	r.clock.fire()
	for _, want := range []time.Duration{time.Second, 2 * time.Second} {
		if d := r.clock.fire(); d != want {
			t.Errorf("the pause is %s, want %s", d, want)
		}
	}
	r.counts(1, 0)
	if a, b, c := <-r.bodies, <-r.bodies, <-r.bodies; a != b || b != c {
		t.Error("what is sent again is something else")
	}
	if r.said() != "" {
		t.Errorf("the log says %s", r.said())
	}
}

// TestDropped drops what is not taken, counts it, and says so once a minute.
func TestDropped(t *testing.T) {
	r := newRig(t, answer{400, ""}, answer{400, ""}, answer{400, ""}, answer{200, `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"x"}}`})
	r.report(1)
	r.clock.fire()
	r.counts(0, 1)
	r.report(2)
	r.clock.fire()
	r.counts(0, 2)
	<-r.bodies
	<-r.bodies
	r.eventually("one line", func() bool { return strings.Count(r.said(), "spans of traces were dropped") == 1 })
	if !strings.Contains(r.said(), "spans=1 error=\"the collector answers 400 Bad Request\"") {
		t.Errorf("the log says %s", r.said())
	}
	r.clock.Advance(61 * time.Second)
	r.report(3)
	r.clock.fire()
	r.counts(0, 3)
	r.eventually("a second line", func() bool { return strings.Contains(r.said(), "spans=2") })
	r.report(4)
	r.report(5)
	r.clock.fire()
	r.counts(1, 4)
	r.clock.Advance(61 * time.Second)
	r.report(6)
	r.clock.fire()
	r.counts(2, 4)
	r.eventually("taken again", func() bool { return strings.Contains(r.said(), "traces are taken again") })
}

// TestNeverBlocks has a collector that answers nothing: spans are dropped when
// the queue is full, and the stop ends in time.
func TestNeverBlocks(t *testing.T) {
	hang, asked := make(chan struct{}), make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-hang }))
	defer srv.Close()
	defer close(hang)
	tr := tracing.New(tracing.Options{Settings: tracing.Settings{URL: srv.URL, Timeout: time.Hour}, StoreID: "s"})
	d := tr.Destination(delivered{})
	for range 512 {
		_, _ = d.Deliver(t.Context(), bellhop.Report{Run: bellhop.Run{ID: 1}})
	}
	<-asked // one batch is on its way
	for range 5000 {
		_, _ = d.Deliver(t.Context(), bellhop.Report{Run: bellhop.Run{ID: 1}})
	}
	if _, dropped := tr.Counts(); dropped != 5000-4096 {
		t.Errorf("%d were dropped, want %d", dropped, 5000-4096)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	tr.Stop(ctx)
	tr.Stop(t.Context())
	if sent, dropped := tr.Counts(); sent != 0 || dropped != 5512 {
		t.Errorf("%d were sent, %d dropped", sent, dropped)
	}
	_, _ = d.Deliver(t.Context(), bellhop.Report{}) // afterwards, too
}

// there is a destination that knows who is there.
type there struct{ delivered }

func (there) Here(o bellhop.Origin) bool { return o.Session == "here" }

func TestPresenceIsKept(t *testing.T) {
	r := newRig(t)
	type presence interface{ Here(bellhop.Origin) bool }
	if p, ok := r.Destination(there{}).(presence); !ok || !p.Here(bellhop.Origin{Session: "here"}) || p.Here(bellhop.Origin{}) {
		t.Error("who is there is not known any more")
	}
	if _, ok := r.Destination(delivered{}).(presence); ok {
		t.Error("it claims to know who is there")
	}
}

// TestLostAttempt is told by who ends it, when its runner can't.
func TestLostAttempt(t *testing.T) {
	r := newRig(t)
	started := r.clock.Now().Add(-time.Minute)
	ref := bellhop.LeaseRef{Run: 7, Lease: 3}
	s := r.Store(&bellhop.Store{Queue: lostQueue{lost: []bellhop.LostRun{{Ref: ref, Run: bellhop.Run{ID: 7, Service: "site", Job: "deploy", Started: &started}}}}})
	if _, err := s.Queue.Lost(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Queue.Finish(t.Context(), []bellhop.Ending{{Ref: ref, Now: r.clock.Now(), End: bellhop.EndCrashed, State: bellhop.Waiting}}); err != nil {
		t.Fatal(err)
	}
	r.Stop(t.Context())
	body := <-r.bodies
	if !strings.Contains(body, `"name":"attempt"`) || !strings.Contains(body, `"status":{"message":"crashed","code":2}`) || !strings.Contains(body, fmt.Sprintf(`"startTimeUnixNano":"%d"`, started.UnixNano())) {
		t.Errorf("%s", body)
	}
}

type lostQueue struct {
	bellhop.Queue
	lost []bellhop.LostRun
}

func (q lostQueue) Lost(context.Context) ([]bellhop.LostRun, error) { return q.lost, nil }

func (lostQueue) Finish(_ context.Context, ends []bellhop.Ending) ([]error, error) {
	return make([]error, len(ends)), nil
}

// TestSampledAlike keeps or leaves out whole traces, and every server the same.
func TestSampledAlike(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
	one, two := newRig(t), newRig(t)
	kept := map[bellhop.RunID]bool{}
	for run := range bellhop.RunID(64) {
		a, b := &done{}, &done{}
		one.Executor(a).Execute(t.Context(), bellhop.Task{Run: run}, nil)
		two.Executor(b).Execute(t.Context(), bellhop.Task{Run: run}, nil)
		two.report(run)
		if a.got.Traceparent != b.got.Traceparent {
			t.Errorf("run %d is %s at one server, %s at the other", run, a.got.Traceparent, b.got.Traceparent)
		}
		if strings.HasSuffix(a.got.Traceparent, "-01") {
			kept[run] = true
		}
	}
	if len(kept) < 16 || len(kept) > 48 {
		t.Errorf("%d of 64 are kept", len(kept))
	}
	one.Stop(t.Context())
	two.Stop(t.Context())
	one.counts(uint64(len(kept)), 0)
	two.counts(uint64(2*len(kept)), 0)
}
