// Package tracing makes a trace of each run, from the ask to the report, and
// sends it to a collector that speaks OpenTelemetry. It stands around ports:
// the queue, executors, destinations.
//
// The ids of a trace follow from the store's id and the run's: whichever server
// has a part in a run, before a restart or after it, knows them without having
// been told.
package tracing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/bellhop-io/bellhop"
)

// Options are what a Tracer is made of; StoreID and Settings are needed.
type Options struct {
	Settings Settings
	StoreID  string
	Server   string // this life of the server
	Version  string
	Clock    bellhop.Clock // nil = the machine's
	Log      *slog.Logger  // nil = discarded
}

// Tracer makes spans and has them sent.
type Tracer struct {
	opt      Options
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	sender   *sender

	mu   sync.Mutex
	mine map[attempt]bool     // that this server carries out, or has
	lost map[attempt]lostWork // whose runner went away
}

// attempt names one attempt of a run.
type attempt struct {
	run   bellhop.RunID
	lease int64
}

// New returns a tracer that sends until it is stopped. Samplers and the
// resource are as the environment says (OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES).
func New(o Options) *Tracer {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	about := []attribute.KeyValue{
		attribute.String("service.name", "bellhop"), attribute.String("service.version", o.Version), attribute.String("service.instance.id", o.Server),
	}
	res, err := resource.New(context.Background(), resource.WithAttributes(about...), resource.WithFromEnv())
	if err != nil {
		o.Log.Warn("what the environment says of this program for traces can't be read", "error", err)
	}
	s := newSender(o)
	t := &Tracer{opt: o, sender: s, mine: map[attempt]bool{}, lost: map[attempt]lostWork{}}
	t.provider = sdk.NewTracerProvider(sdk.WithResource(res), sdk.WithIDGenerator(ids{}), sdk.WithSpanProcessor(s))
	t.tracer = t.provider.Tracer("github.com/bellhop-io/bellhop", trace.WithInstrumentationVersion(o.Version))
	return t
}

// Stop sends what there is to send, as far as that is possible within a moment.
// It may be called twice.
func (t *Tracer) Stop(ctx context.Context) { t.sender.stop(ctx) }

// Counts returns how many spans a collector has taken, and how many were
// dropped.
func (t *Tracer) Counts() (sent, dropped uint64) {
	return t.sender.sent.Load(), t.sender.dropped.Load()
}

// hash is what an id follows from.
func (t *Tracer) hash(what string, run bellhop.RunID, n int64) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "bellhop %s\x00%s\x00%d\x00%d", what, t.opt.StoreID, run, n))
}

func (t *Tracer) traceID(run bellhop.RunID) trace.TraceID {
	sum := t.hash("trace", run, 0)
	return trace.TraceID(sum[:16])
}

// askID is that of the root: the ask that made the run.
func (t *Tracer) askID(run bellhop.RunID) trace.SpanID {
	sum := t.hash("ask", run, 0)
	return trace.SpanID(sum[:8])
}

func (t *Tracer) attemptID(run bellhop.RunID, lease int64) trace.SpanID {
	sum := t.hash("attempt", run, lease)
	return trace.SpanID(sum[:8])
}

// ids gives spans the ids that a context asks for, else random ones.
type ids struct{}

type idsKey struct{}

type wanted struct {
	trace trace.TraceID
	span  trace.SpanID
}

func want(ctx context.Context, w wanted) context.Context {
	return context.WithValue(ctx, idsKey{}, w)
}

// NewIDs returns those of a root (sdk.IDGenerator).
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	w, ok := ctx.Value(idsKey{}).(wanted)
	for !ok && !w.trace.IsValid() {
		fill(w.trace[:8])
		fill(w.trace[8:])
	}
	return w.trace, ids{}.NewSpanID(ctx, w.trace)
}

// NewSpanID returns that of a child (sdk.IDGenerator).
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	w, _ := ctx.Value(idsKey{}).(wanted)
	for !w.span.IsValid() {
		fill(w.span[:])
	}
	return w.span
}

func fill(b []byte) {
	n := rand.Uint64()
	for i := range 8 {
		b[i] = byte(n >> (8 * i))
	}
}

// under is a context in which spans are children of one span of a run. Whether
// the trace is sampled is said as it was, or will be, for its root.
func (t *Tracer) under(run bellhop.RunID, parent trace.SpanID) context.Context {
	id := t.traceID(run)
	_, root := t.tracer.Start(want(context.Background(), wanted{id, t.askID(run)}), "ask") // never ended, so never sent
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: parent, TraceFlags: root.SpanContext().TraceFlags(), Remote: true,
	}))
}

// span makes a span of what is over.
func (t *Tracer) span(ctx context.Context, name string, from, to time.Time, fault string, o ...trace.SpanStartOption) context.Context {
	if to.Before(from) { // two clocks, or one that was set back
		to = from
	}
	ctx, s := t.tracer.Start(ctx, name, append(o, trace.WithTimestamp(from))...)
	if fault != "" {
		s.SetStatus(codes.Error, fault)
	}
	s.End(trace.WithTimestamp(to))
	return ctx
}

// Traceparent words a span's context for a process, as W3C Trace Context has
// it; "" when it has none.
func traceparent(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	return fmt.Sprintf("00-%s-%s-%02x", sc.TraceID(), sc.SpanID(), byte(sc.TraceFlags()&trace.FlagsSampled))
}

func ofRun(run bellhop.RunID, service, job string) []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String("bellhop.run", run.String())}
	if service != "" {
		list = append(list, attribute.String("bellhop.service", service), attribute.String("bellhop.job", job))
	}
	return list
}
