package tracing

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/bellhop-io/bellhop"
)

// Store returns s, with what becomes of runs traced.
func (t *Tracer) Store(s *bellhop.Store) *bellhop.Store {
	out := *s
	out.Queue = queue{Queue: s.Queue, t: t, records: s.Records}
	return &out
}

type queue struct {
	bellhop.Queue
	t       *Tracer
	records bellhop.Records
}

// Submit makes the spans ask and submit. What made no run has no trace.
func (q queue) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	began := q.t.opt.Clock.Now()
	done, err := q.Queue.Submit(ctx, subs)
	if err != nil {
		return done, err
	}
	now := q.t.opt.Clock.Now()
	h, _ := ctx.Value(heardKey{}).(heard)
	for i := range done {
		if done[i].Run != 0 {
			q.t.asked(&subs[i], done[i], h, began, now)
		}
	}
	return done, nil
}

func (t *Tracer) asked(sub *bellhop.Submission, got bellhop.Submitted, h heard, began, now time.Time) {
	at := h.at
	if at.IsZero() {
		at = sub.Ask.At
	}
	about := append(ofRun(got.Run, sub.Run.Service, sub.Run.Job), attribute.String("bellhop.ask.source", sub.Ask.Origin.Source),
		attribute.String("bellhop.ask.key", sub.Ask.Key), attribute.String("bellhop.ask.how", string(got.How)))
	o := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(about...)}
	var links []trace.Link
	if h.from.IsValid() {
		links = append(links, trace.Link{SpanContext: h.from})
	}
	if sub.Run.RetryOf != 0 {
		links = append(links, t.link(sub.Run.RetryOf))
	}
	o = append(o, trace.WithLinks(links...))
	parent := t.under(got.Run, t.askID(got.Run))
	if got.How == bellhop.Created {
		parent = want(context.Background(), wanted{t.traceID(got.Run), t.askID(got.Run)})
	}
	ctx := t.span(parent, "ask", at, now, "", o...)
	t.span(withoutIDs(ctx), "submit", began, now, "")
}

// withoutIDs has the next span have an id of its own.
func withoutIDs(ctx context.Context) context.Context { return want(ctx, wanted{}) }

// link leads to another run.
func (t *Tracer) link(run bellhop.RunID) trace.Link {
	return trace.Link{
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: t.traceID(run), SpanID: t.askID(run)}),
		Attributes:  ofRun(run, "", ""),
	}
}

// Claim makes the spans wait and claim.
func (q queue) Claim(ctx context.Context, req bellhop.ClaimRequest) ([]bellhop.ClaimedRun, time.Time, error) {
	began := q.t.opt.Clock.Now()
	runs, next, err := q.Queue.Claim(ctx, req)
	now := q.t.opt.Clock.Now()
	for i := range runs {
		q.claimed(ctx, &runs[i], began, now)
	}
	return runs, next, err
}

func (q queue) claimed(ctx context.Context, c *bellhop.ClaimedRun, began, now time.Time) {
	t, r := q.t, &c.Run
	about := trace.WithAttributes(ofRun(r.ID, r.Service, r.Job)...)
	since := r.Created
	switch {
	case c.Lease > 1:
		since = q.lastEnd(ctx, r)
	case r.After != 0: // nobody asked: it was written with the end of another run
		root := want(context.Background(), wanted{t.traceID(r.ID), t.askID(r.ID)})
		t.span(root, "ask", r.Created, r.Created, "", trace.WithLinks(t.link(r.After)), about)
	}
	parent := t.under(r.ID, t.askID(r.ID))
	t.span(parent, "wait", since, began, "", about)
	t.span(parent, "claim", began, now, "", about, trace.WithAttributes(attribute.Int64("bellhop.lease", c.Lease)))
}

// lastEnd is when the attempt before ended: from then on the run waited.
func (q queue) lastEnd(ctx context.Context, r *bellhop.Run) time.Time {
	since := r.Created
	before, err := q.records.Attempts(ctx, r.ID)
	if err != nil {
		return r.Start // nothing depends on it
	}
	for _, a := range before {
		since = a.Ended
	}
	return since
}

// lostWork is what is known of an attempt whose runner went away.
type lostWork struct {
	started      time.Time
	service, job string
}

// maxLost bounds how many are remembered, which are only ever few.
const maxLost = 10_000

// Lost notes attempts that nobody else will tell of.
func (q queue) Lost(ctx context.Context) ([]bellhop.LostRun, error) {
	lost, err := q.Queue.Lost(ctx)
	q.t.mu.Lock()
	defer q.t.mu.Unlock()
	if len(q.t.lost)+len(lost) > maxLost {
		clear(q.t.lost)
	}
	for i := range lost {
		if l := &lost[i]; l.Run.Started != nil {
			q.t.lost[attempt{l.Ref.Run, l.Ref.Lease}] = lostWork{*l.Run.Started, l.Run.Service, l.Run.Job}
		}
	}
	return lost, err
}

// Finish makes the span finish, and that of an attempt whose runner was lost.
func (q queue) Finish(ctx context.Context, ends []bellhop.Ending) ([]error, error) {
	began := q.t.opt.Clock.Now()
	errs, err := q.Queue.Finish(ctx, ends)
	if err != nil {
		return errs, err
	}
	now := q.t.opt.Clock.Now()
	for i := range ends {
		if errs[i] == nil {
			q.t.finished(&ends[i], began, now)
		} else if errors.Is(errs[i], bellhop.ErrLeaseLost) {
			q.t.takeOver(ends[i].Ref)
		}
	}
	return errs, nil
}

func (t *Tracer) finished(e *bellhop.Ending, began, now time.Time) {
	parent := t.attemptID(e.Ref.Run, e.Ref.Lease)
	w, mine, lost := t.takeOver(e.Ref)
	switch {
	case lost && !mine: // nobody else tells of it
		ctx := want(t.under(e.Ref.Run, t.askID(e.Ref.Run)), wanted{span: t.attemptID(e.Ref.Run, e.Ref.Lease)})
		t.span(ctx, "attempt", w.started, e.Now, string(e.End), trace.WithAttributes(ofRun(e.Ref.Run, w.service, w.job)...), trace.WithAttributes(ofEnd(e.End, e.ExitStatus)...))
	case !mine: // it came to no attempt
		parent = t.askID(e.Ref.Run)
	}
	about := append(ofEnd(e.End, e.ExitStatus), attribute.String("bellhop.run", e.Ref.Run.String()), attribute.String("bellhop.state", string(e.State)))
	t.span(t.under(e.Ref.Run, parent), "finish", began, now, "", trace.WithAttributes(about...))
}

// takeOver forgets an attempt, and returns whether this server carried it out,
// and what is known of it when its runner was lost.
func (t *Tracer) takeOver(ref bellhop.LeaseRef) (w lostWork, mine, lost bool) {
	a := attempt{ref.Run, ref.Lease}
	t.mu.Lock()
	defer t.mu.Unlock()
	w, lost = t.lost[a]
	mine = t.mine[a]
	delete(t.lost, a)
	delete(t.mine, a)
	return w, mine, lost
}

func ofEnd(end bellhop.End, exit *int) []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String("bellhop.end", string(end))}
	if exit != nil {
		list = append(list, attribute.Int("bellhop.exit_status", *exit))
	}
	return list
}
