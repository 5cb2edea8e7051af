package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/bellhop-io/bellhop"
)

// Executor returns e, with each attempt a span, which its process is told of.
func (t *Tracer) Executor(e bellhop.Executor) bellhop.Executor { return executor{e, t} }

type executor struct {
	next bellhop.Executor
	t    *Tracer
}

func (e executor) Execute(ctx context.Context, task bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
	t := e.t
	t.mu.Lock()
	t.mine[attempt{task.Run, task.Lease}] = true
	t.mu.Unlock()
	about := append(ofRun(task.Run, task.Job.Service, task.Job.Name), attribute.Int("bellhop.attempt", task.Attempt), attribute.Int64("bellhop.lease", task.Lease))
	within := want(t.under(task.Run, t.askID(task.Run)), wanted{span: t.attemptID(task.Run, task.Lease)})
	_, span := t.tracer.Start(within, "attempt", trace.WithTimestamp(t.opt.Clock.Now()), trace.WithAttributes(about...))
	task.Traceparent = traceparent(span.SpanContext())
	out := e.next.Execute(ctx, task, sink)
	span.SetAttributes(ofEnd(out.End, out.ExitStatus)...)
	if out.End != bellhop.EndSucceeded && out.End != bellhop.EndInterrupted {
		span.SetStatus(codes.Error, string(out.End)) // what it said may hold anything
	}
	span.End(trace.WithTimestamp(t.opt.Clock.Now()))
	return out
}

// presence is what a destination may have besides (reporter.Presence).
type presence interface {
	Here(o bellhop.Origin) bool
}

// Destination returns d, with each delivery a span.
func (t *Tracer) Destination(d bellhop.Destination) bellhop.Destination {
	if p, ok := d.(presence); ok {
		return present{destination{d, t}, p}
	}
	return destination{d, t}
}

type present struct {
	destination
	presence
}

type destination struct {
	next bellhop.Destination
	t    *Tracer
}

func (d destination) Deliver(ctx context.Context, r bellhop.Report) (string, error) {
	began := d.t.opt.Clock.Now()
	ref, err := d.next.Deliver(ctx, r)
	fault := ""
	if err != nil {
		fault = "not delivered"
	}
	about := append(ofRun(r.Run.ID, r.Run.Service, r.Run.Job), attribute.String("bellhop.report.kind", string(r.Kind)),
		attribute.String("bellhop.report.destination", r.Ask.Origin.Source), attribute.String("bellhop.state", string(r.Run.State)))
	d.t.span(d.t.under(r.Run.ID, d.t.askID(r.Run.ID)), "report", began, d.t.opt.Clock.Now(), fault,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(about...))
	return ref, err
}
