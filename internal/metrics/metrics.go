// Package metrics counts what Bellhop does, for Prometheus. Its decorator of
// the store is where that is seen: whatever is asked, claimed and ended goes
// through there, from whichever side it comes.
package metrics

import (
	"bytes"
	"context"
	"io"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/bellhop-io/bellhop"
)

// ContentType is that of what Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Options are what Metrics are made of. All of them may be left out.
type Options struct {
	Version string
	// Sources are the names of all that can ask; whatever else comes as a
	// source is counted as "other", so that there are never more.
	Sources []string
	// Depth tells what is not done yet, at every look; nil = not told.
	Depth func(context.Context) (bellhop.Depth, error)
	// Adapters tells which parts that reach outside are well, at every look.
	Adapters func(context.Context) []Adapter
	// Traces tells how many spans were sent and dropped; nil = none are made.
	Traces func() (sent, dropped uint64)
	Clock  bellhop.Clock // nil = the machine's
}

// Adapter is a part that reaches outside: a chat, the store.
type Adapter struct {
	Name string
	Up   bool
}

// Description says what one metric is.
type Description struct {
	Name, Type string
	Labels     []string
	Help       string
}

// Metrics are what is counted of one server, from its start on.
type Metrics struct {
	opt      Options
	registry *prometheus.Registry
	list     []Description
	works    works

	asks, refusals, ended, attempts, settled, failures *prometheus.CounterVec
	lost                                               prometheus.Counter
	wait, duration, commit                             *prometheus.HistogramVec
}

// Buckets, in seconds. A wait is from nothing to a suppression window, a run
// from nothing to half a day, a commit from one fsync to a store that is away.
var (
	waitBuckets     = []float64{.005, .05, .25, 1, 5, 15, 60, 300, 1800, 7200}
	durationBuckets = []float64{.01, .1, .5, 1, 5, 15, 60, 300, 900, 3600, 14400}
	commitBuckets   = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}
)

// New returns metrics that have counted nothing yet.
func New(o Options) *Metrics {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	m := &Metrics{opt: o, registry: prometheus.NewRegistry(), works: works{by: map[bellhop.RunID]work{}}}
	m.asks = m.counter("bellhop_asks_total", "Asks that were written down, or that found what they ask for (merged, repeated, rejected).", "source", "service", "job_name", "how")
	m.refusals = m.counter("bellhop_refusals_total", "What was refused: not_allowed, login, unproven, rejected, unavailable.", "source", "reason")
	m.ended = m.counter("bellhop_runs_ended_total", "Runs that ended, by the state in which they did. Service and job are empty for some that never ran.", "service", "job_name", "state")
	m.attempts = m.counter("bellhop_attempts_total", "Attempts that ended, by how they did; crashed ones among them.", "service", "job_name", "end")
	m.settled = m.counter("bellhop_reports_settled_total", "Deliveries of reports, by what became of them; pending is one that is tried again.", "state")
	m.failures = m.counter("bellhop_store_errors_total", "Changes that the store did not take because it was away or at fault.", "call")
	m.lost = m.counter("bellhop_leases_lost_total", "Attempts whose runner did not keep its lease or went away; this server wrote their end.").WithLabelValues()
	m.wait = m.histogram("bellhop_run_wait_seconds", "From when a run could start at the earliest to when it was claimed.", waitBuckets, "service", "job_name")
	m.duration = m.histogram("bellhop_run_duration_seconds", "How long attempts took, from the claim until their end was written; not of those that crashed.", durationBuckets, "service", "job_name")
	m.commit = m.histogram("bellhop_store_commit_seconds", "How long a change took until it was durable, waiting for others' included.", commitBuckets, "call")
	m.zero()
	m.now()
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// zero has what alerts look at there from the start: a counter that appears
// with its first event shows no increase.
func (m *Metrics) zero() {
	for _, source := range append([]string{other}, m.opt.Sources...) {
		for _, reason := range []string{notAllowed, badLogin, unproven, rejected, unavailable} {
			m.refusals.WithLabelValues(source, reason)
		}
	}
	for _, s := range []bellhop.ReportState{bellhop.ReportPending, bellhop.ReportDelivered, bellhop.ReportUnread, bellhop.ReportGivenUp} {
		m.settled.WithLabelValues(string(s))
	}
}

// other stands for a source that is none.
const other = "other"

// Why something was refused.
const (
	notAllowed  = "not_allowed"
	badLogin    = "login"
	unproven    = "unproven"
	rejected    = "rejected"
	unavailable = "unavailable"
)

// now has what is not counted, but is as it is at every look.
func (m *Metrics) now() {
	m.add(m.info(), "gauge", "bellhop_build_info", buildHelp, "version")
	n := newNow(&m.opt)
	m.registry.MustRegister(n)
	m.list = append(m.list,
		Description{"bellhop_runs", "gauge", []string{"state"}, runsHelp},
		Description{"bellhop_outbox_depth", "gauge", nil, outboxHelp},
		Description{"bellhop_adapter_up", "gauge", []string{"adapter"}, adapterHelp},
		Description{"bellhop_trace_spans_sent_total", "counter", nil, sentHelp},
		Description{"bellhop_trace_spans_dropped_total", "counter", nil, droppedHelp},
	)
}

const buildHelp = "1, with the version of the program."

func (m *Metrics) info() prometheus.Collector {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "bellhop_build_info", Help: buildHelp}, []string{"version"})
	info.WithLabelValues(m.opt.Version).Set(1)
	return info
}

func (m *Metrics) add(c prometheus.Collector, kind, name, help string, labels ...string) {
	m.registry.MustRegister(c)
	m.list = append(m.list, Description{Name: name, Type: kind, Labels: labels, Help: help})
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.add(c, "counter", name, help, labels...)
	return c
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.add(h, "histogram", name, help, labels...)
	return h
}

// List describes each metric of Bellhop's own.
func (m *Metrics) List() []Description { return slices.Clone(m.list) }

// Sees says what whoever reads may know of.
type Sees struct {
	Job     func(service, job string) bool
	Adapter func(name string) bool
}

// Write writes all metrics as text. Those of a job or an adapter are left out
// unless sees says that whoever reads may know of it.
func (m *Metrics) Write(w io.Writer, sees Sees) error {
	families, err := m.registry.Gather()
	if len(families) == 0 && err != nil {
		return err
	}
	var out bytes.Buffer
	enc := expfmt.NewEncoder(&out, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families { // what could be gathered is told; a fault of the rest shows as a gap
		if f.Metric = slices.DeleteFunc(f.Metric, func(one *dto.Metric) bool { return hidden(one, sees) }); len(f.Metric) == 0 {
			continue
		}
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	_, err = w.Write(out.Bytes())
	return err
}

// hidden reports whether a metric is of something that is not to be seen.
func hidden(one *dto.Metric, sees Sees) bool {
	var service, job string
	for _, l := range one.Label {
		switch l.GetName() {
		case "service":
			service = l.GetValue()
		case "job_name": // Prometheus gives the name job to what it scrapes
			job = l.GetValue()
		case "adapter":
			return !sees.Adapter(l.GetValue())
		}
	}
	return service != "" && !sees.Job(service, job)
}

// source bounds what a source may be called.
func (m *Metrics) source(name string) string {
	if slices.Contains(m.opt.Sources, name) {
		return name
	}
	return other
}

// seconds is how long it is since a time; the clock may have been set back.
func (m *Metrics) seconds(since time.Time) float64 {
	return max(0, m.opt.Clock.Now().Sub(since).Seconds())
}
