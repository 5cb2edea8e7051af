package tracing

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

type heardKey struct{}

// heard is what is known of a request that asks.
type heard struct {
	at   time.Time
	from trace.SpanContext // of whoever asks; maybe invalid
}

// Incoming notes when requests came, and of which trace they say they are: an
// ask links to that. It never becomes a part of it, since who asks is not to
// say what is sampled, nor under which id others' asks are found.
func (t *Tracer) Incoming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := heard{at: t.opt.Clock.Now(), from: from(r.Header)}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), heardKey{}, h)))
	})
}

// from reads traceparent; what is not one is nothing.
func from(h http.Header) trace.SpanContext {
	if len(h.Values("Traceparent")) != 1 {
		return trace.SpanContext{}
	}
	sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(h)))
	return sc.WithTraceState(trace.TraceState{}) // which is others' text
}
