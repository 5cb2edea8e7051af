package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bellhop-io/bellhop"
)

const (
	runsHelp    = "Runs of the store that have not ended: held, waiting, running. On Postgres counted up to 100000."
	outboxHelp  = "Reports of the store that are to be delivered. On Postgres counted up to 100000."
	adapterHelp = "1 when the store, a chat by its name, or a broker (broker:SERVICE/NAME) can be reached, and when an outside source has its stream of reports open here."
	sentHelp    = "Spans that a collector has taken."
	droppedHelp = "Spans that were dropped, since no collector took them in time."
)

// lookFor bounds how long a look at what is now may take.
const lookFor = 5 * time.Second

// now collects what is looked up when it is asked for. What can't be looked up
// is left out: a gap says more than an old number.
type now struct {
	opt                                  *Options
	runs, outbox, adapter, sent, dropped *prometheus.Desc
}

func newNow(o *Options) *now {
	return &now{
		opt:     o,
		runs:    prometheus.NewDesc("bellhop_runs", runsHelp, []string{"state"}, nil),
		outbox:  prometheus.NewDesc("bellhop_outbox_depth", outboxHelp, nil, nil),
		adapter: prometheus.NewDesc("bellhop_adapter_up", adapterHelp, []string{"adapter"}, nil),
		sent:    prometheus.NewDesc("bellhop_trace_spans_sent_total", sentHelp, nil, nil),
		dropped: prometheus.NewDesc("bellhop_trace_spans_dropped_total", droppedHelp, nil, nil),
	}
}

// Describe sends what Collect may (prometheus.Collector).
func (n *now) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{n.runs, n.outbox, n.adapter, n.sent, n.dropped} {
		ch <- d
	}
}

// Collect looks (prometheus.Collector).
func (n *now) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	if n.opt.Depth != nil {
		if d, err := n.opt.Depth(ctx); err == nil {
			n.depth(ch, d)
		}
	}
	if n.opt.Adapters != nil {
		for _, a := range n.opt.Adapters(ctx) {
			up := 0.0
			if a.Up {
				up = 1
			}
			ch <- prometheus.MustNewConstMetric(n.adapter, prometheus.GaugeValue, up, a.Name)
		}
	}
	if n.opt.Traces != nil {
		sent, dropped := n.opt.Traces()
		ch <- prometheus.MustNewConstMetric(n.sent, prometheus.CounterValue, float64(sent))
		ch <- prometheus.MustNewConstMetric(n.dropped, prometheus.CounterValue, float64(dropped))
	}
}

func (n *now) depth(ch chan<- prometheus.Metric, d bellhop.Depth) {
	gauge := func(desc *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v), labels...)
	}
	gauge(n.runs, d.Held, string(bellhop.Held))
	gauge(n.runs, d.Waiting, string(bellhop.Waiting))
	gauge(n.runs, d.Running, string(bellhop.Running))
	gauge(n.outbox, d.Outbox)
}
