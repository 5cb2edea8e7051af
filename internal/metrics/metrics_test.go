package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/metrics"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a real store, and what is counted of it.
type rig struct {
	*testing.T
	m     *metrics.Metrics
	s     *bellhop.Store
	clock *storetest.Clock
	n     int
}

func newRig(t *testing.T, o metrics.Options) *rig {
	t.Helper()
	clock := storetest.NewClock(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "store.db"), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Admin.Close() })
	job := storetest.Job()
	if err := s.Definitions.PutDefinitions(t.Context(), []bellhop.Definition{{Digest: job.Digest(), Job: job}}); err != nil {
		t.Fatal(err)
	}
	o.Clock, o.Depth = clock, s.Admin.Depth
	m := metrics.New(o)
	return &rig{T: t, m: m, s: m.Store(s), clock: clock}
}

func (r *rig) submit(change ...func(*bellhop.Submission)) bellhop.Submitted {
	r.Helper()
	r.n++
	now := r.clock.Now()
	sub := bellhop.Submission{
		Run: bellhop.RunSpec{Service: "example", Job: "hello", Digest: storetest.Job().Digest(), Start: now},
		Ask: bellhop.Ask{Principal: "alice", Identity: "ssh:alice", Key: fmt.Sprintf("k%d", r.n), Origin: bellhop.Origin{Source: "ssh"}, At: now}, Now: now,
	}
	for _, fn := range change {
		fn(&sub)
	}
	got, err := r.s.Queue.Submit(r.Context(), []bellhop.Submission{sub})
	if err != nil {
		r.Fatal(err)
	}
	return got[0]
}

func (r *rig) claim(n int) []bellhop.ClaimedRun {
	r.Helper()
	runs, _, err := r.s.Queue.Claim(r.Context(), bellhop.ClaimRequest{Runner: "r", N: n, Now: r.clock.Now(), Lease: 30 * time.Second})
	if err != nil || len(runs) != n {
		r.Fatal(runs, err)
	}
	return runs
}

func (r *rig) finish(ref bellhop.LeaseRef, end bellhop.End, state bellhop.State) error {
	r.Helper()
	errs, err := r.s.Queue.Finish(r.Context(), []bellhop.Ending{{Ref: ref, Now: r.clock.Now(), End: end, State: state, Report: bellhop.ReportOutcome}})
	if err != nil {
		r.Fatal(err)
	}
	return errs[0]
}

func ref(c bellhop.ClaimedRun) bellhop.LeaseRef {
	return bellhop.LeaseRef{Run: c.Run.ID, Lease: c.Lease}
}

// read returns what is exposed, as Prometheus reads it, by name{label="value"}.
func (r *rig) read(sees func(string, string) bool) map[string]float64 {
	r.Helper()
	var out bytes.Buffer
	if err := r.m.Write(&out, metrics.Sees{Job: sees, Adapter: func(string) bool { return true }}); err != nil {
		r.Fatal(err)
	}
	return parse(r.T, &out)
}

func all(string, string) bool { return true }

func parse(t *testing.T, text *bytes.Buffer) map[string]float64 {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(text)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for name, f := range families {
		if strings.HasPrefix(name, "bellhop_") && f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, m := range f.Metric {
			at := name + labels(m)
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				got[at] = m.Counter.GetValue()
			case dto.MetricType_GAUGE:
				got[at] = m.Gauge.GetValue()
			case dto.MetricType_HISTOGRAM:
				got[name+"_count"+labels(m)], got[name+"_sum"+labels(m)] = float64(m.Histogram.GetSampleCount()), m.Histogram.GetSampleSum()
			}
		}
	}
	return got
}

func labels(m *dto.Metric) string {
	var list []string
	for _, l := range m.Label {
		list = append(list, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return "{" + strings.Join(list, ",") + "}"
}

// want compares what is exposed with "NAME VALUE" lines.
func (r *rig) want(got map[string]float64, lines ...string) {
	r.Helper()
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		v, ok := got[name]
		if !ok {
			r.Errorf("%s is missing; there are %s", name, strings.Join(slices.DeleteFunc(slices.Sorted(maps.Keys(got)), func(s string) bool {
				return !strings.HasPrefix(s, strings.SplitN(name, "{", 2)[0])
			}), " "))
			continue
		}
		if s := fmt.Sprint(v); s != value {
			r.Errorf("%s is %s, want %s", name, s, value)
		}
	}
}

func TestCounted(t *testing.T) {
	r := newRig(t, metrics.Options{Version: "1.2.3", Sources: []string{"ssh", "schedule"}, Traces: func() (uint64, uint64) { return 7, 2 },
		Adapters: func(context.Context) []metrics.Adapter { return []metrics.Adapter{{"slack", true}, {"store", false}} }})
	r.submit()
	merge := func(s *bellhop.Submission) {
		s.Run.MergeKey, s.Run.Start = "m", s.Now.Add(time.Minute)
	}
	r.submit(merge)
	r.submit(merge, func(s *bellhop.Submission) { s.Ask.Identity, s.Ask.Origin.Source = "schedule:example/daily", "slack" })
	same := func(s *bellhop.Submission) { s.Ask.Key = "k1" }
	r.submit(same, func(s *bellhop.Submission) { s.Ask.Origin.Source = "made-up" })
	r.submit(func(s *bellhop.Submission) {
		s.Run.AlikeKey, s.Run.Reject, s.Run.Start = "a", true, s.Now.Add(time.Hour)
	})
	r.submit(func(s *bellhop.Submission) { s.Run.AlikeKey, s.Run.Reject = "a", true })
	r.want(r.read(all), `bellhop_runs{state="waiting"} 3`, `bellhop_runs{state="running"} 0`, `bellhop_runs{state="held"} 0`)
	r.clock.Advance(3 * time.Second)
	c := r.claim(1)[0]
	r.want(r.read(all), `bellhop_runs{state="waiting"} 2`, `bellhop_runs{state="running"} 1`)
	r.clock.Advance(10 * time.Second)
	if err := r.finish(ref(c), bellhop.EndFailed, bellhop.Failed); err != nil {
		t.Fatal(err)
	}
	r.want(r.read(all),
		`bellhop_asks_total{how="created",job_name="hello",service="example",source="ssh"} 3`,
		`bellhop_asks_total{how="merged",job_name="hello",service="example",source="schedule"} 1`,
		`bellhop_asks_total{how="repeated",job_name="hello",service="example",source="other"} 1`,
		`bellhop_asks_total{how="rejected",job_name="hello",service="example",source="ssh"} 1`,
		`bellhop_refusals_total{reason="rejected",source="ssh"} 1`, `bellhop_refusals_total{reason="login",source="ssh"} 0`,
		`bellhop_run_wait_seconds_count{job_name="hello",service="example"} 1`, `bellhop_run_wait_seconds_sum{job_name="hello",service="example"} 3`,
		`bellhop_run_duration_seconds_count{job_name="hello",service="example"} 1`, `bellhop_run_duration_seconds_sum{job_name="hello",service="example"} 10`,
		`bellhop_runs_ended_total{job_name="hello",service="example",state="failed"} 1`, `bellhop_attempts_total{end="failed",job_name="hello",service="example"} 1`,
		`bellhop_outbox_depth 1`, `bellhop_leases_lost_total 0`,
		`bellhop_store_commit_seconds_count{call="submit"} 6`, `bellhop_store_commit_seconds_count{call="claim"} 1`, `bellhop_store_commit_seconds_count{call="finish"} 1`,
		`bellhop_adapter_up{adapter="slack"} 1`, `bellhop_adapter_up{adapter="store"} 0`, `bellhop_build_info{version="1.2.3"} 1`,
		`bellhop_trace_spans_sent_total 7`, `bellhop_trace_spans_dropped_total 2`, `bellhop_reports_settled_total{state="given_up"} 0`)
	got := r.read(all)
	for _, name := range []string{"go_goroutines", "process_start_time_seconds"} {
		if got[name] == 0 {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestLeasesLost has a runner go away, and one that comes back too late.
func TestLeasesLost(t *testing.T) {
	r := newRig(t, metrics.Options{})
	r.submit()
	c := r.claim(1)[0]
	r.clock.Advance(31 * time.Second)
	lost, err := r.s.Queue.Lost(t.Context())
	if err != nil || len(lost) != 1 {
		t.Fatal(lost, err)
	}
	if err := r.finish(lost[0].Ref, bellhop.EndCancelled, bellhop.Waiting); err != nil { // it was to be stopped, and its runner was lost
		t.Fatal(err)
	}
	if err := r.finish(ref(c), bellhop.EndSucceeded, bellhop.Succeeded); !errors.Is(err, bellhop.ErrLeaseLost) {
		t.Fatal(err)
	}
	r.want(r.read(all), `bellhop_leases_lost_total 1`, `bellhop_attempts_total{end="cancelled",job_name="hello",service="example"} 1`)
	c = r.claim(1)[0]
	if err := r.finish(ref(c), bellhop.EndCrashed, bellhop.Failed); err != nil { // the watchdog ended it
		t.Fatal(err)
	}
	got := r.read(all)
	r.want(got, `bellhop_leases_lost_total 2`, `bellhop_runs_ended_total{job_name="hello",service="example",state="failed"} 1`)
	for name := range got {
		if strings.HasPrefix(name, "bellhop_run_duration_seconds") {
			t.Errorf("how long crashed attempts took is told: %s", name)
		}
	}
}

// TestRefusals counts what the trail says was refused, and what can't be
// recorded, too.
func TestRefusals(t *testing.T) {
	r := newRig(t, metrics.Options{Sources: []string{"api", "webhook", "slack"}})
	recs := []bellhop.AuditRecord{
		{Action: "run", Source: "slack", Service: "typed by somebody"},
		{Action: "run", Source: "slack", Allowed: true},
		{Action: bellhop.AuditLogin, Source: "api"},
		{Action: bellhop.SourceWebhook, Source: "webhook", Service: "typed by somebody"},
		{Action: bellhop.AuditExpired, Source: "slack"},
		{Action: bellhop.AuditReveal},
		{Action: "run", Source: "typed by somebody"},
	}
	if err := r.s.Audit.Append(t.Context(), recs); err == nil {
		t.Fatal("a trail that was not begun is written")
	}
	got := r.read(all)
	r.want(got, `bellhop_refusals_total{reason="not_allowed",source="slack"} 1`, `bellhop_refusals_total{reason="login",source="api"} 1`,
		`bellhop_refusals_total{reason="unproven",source="webhook"} 1`, `bellhop_refusals_total{reason="not_allowed",source="other"} 1`,
		`bellhop_store_errors_total{call="audit"} 1`)
	for name := range got {
		if strings.Contains(name, "typed") {
			t.Errorf("what somebody typed is a label: %s", name)
		}
	}
}

// TestEndsWithoutRunning are runs that were cancelled before they ran.
func TestEndsWithoutRunning(t *testing.T) {
	r := newRig(t, metrics.Options{})
	id := r.submit().Run
	if _, err := r.s.Queue.Cancel(t.Context(), bellhop.Cancellation{Key: "c", Run: id, All: true, Principal: "bob", By: "bob", Now: r.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	r.want(r.read(all), `bellhop_runs_ended_total{job_name="",service="",state="cancelled"} 1`)
}

// TestHidden shows nobody the names of jobs that they may not know of.
func TestHidden(t *testing.T) {
	r := newRig(t, metrics.Options{})
	r.submit()
	r.submit(func(s *bellhop.Submission) { s.Run.Job = "secret" })
	got := r.read(func(service, job string) bool { return service == "example" && job == "hello" })
	r.want(got, `bellhop_asks_total{how="created",job_name="hello",service="example",source="other"} 1`)
	for name := range got {
		if strings.Contains(name, `"secret"`) {
			t.Errorf("%s is shown", name)
		}
	}
}

// TestAwayStore leaves out what can't be looked up, and tells the rest.
func TestAwayStore(t *testing.T) {
	r := newRig(t, metrics.Options{Sources: []string{"ssh"}})
	if err := r.s.Admin.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.s.Queue.Submit(t.Context(), []bellhop.Submission{{Ask: bellhop.Ask{Key: "k", Origin: bellhop.Origin{Source: "ssh"}}}})
	if bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Fatal(err)
	}
	got := r.read(all)
	r.want(got, `bellhop_refusals_total{reason="unavailable",source="ssh"} 1`, `bellhop_store_errors_total{call="submit"} 1`)
	if _, ok := got[`bellhop_outbox_depth`]; ok {
		t.Error("the depth of a store that is away is told")
	}
}

// nothing is a queue that costs nothing.
type nothing struct{ bellhop.Queue }

func (nothing) Submit(_ context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	return []bellhop.Submitted{{Run: 1, How: bellhop.Created}}, nil
}

// BenchmarkSubmit is what an ask costs more when it is counted.
func BenchmarkSubmit(b *testing.B) {
	s := metrics.New(metrics.Options{Sources: []string{"ssh"}}).Store(&bellhop.Store{Queue: nothing{}})
	subs := []bellhop.Submission{{Run: bellhop.RunSpec{Service: "example", Job: "hello"}, Ask: bellhop.Ask{Identity: "ssh:alice", Origin: bellhop.Origin{Source: "ssh"}}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Queue.Submit(b.Context(), subs); err != nil {
			b.Fatal(err)
		}
	}
}
