package metrics

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Store returns s, with what goes through it counted.
func (m *Metrics) Store(s *bellhop.Store) *bellhop.Store {
	out := *s
	out.Queue = queue{s.Queue, m}
	out.Outputs = outputs{s.Outputs, m}
	out.Outbox = outbox{s.Outbox, m}
	out.Approvals = approvals{s.Approvals, m}
	out.Audit = audit{s.Audit, m}
	return &out
}

// change notes how a change went that began at a time. One that changed
// nothing is none.
func (m *Metrics) change(call string, began time.Time, err error, changed bool) {
	switch code := bellhop.CodeOf(err); {
	case code == bellhop.Unavailable || code == bellhop.Internal:
		m.failures.WithLabelValues(call).Inc()
	case err == nil && changed:
		m.commit.WithLabelValues(call).Observe(m.seconds(began))
	}
}

type queue struct {
	bellhop.Queue
	m *Metrics
}

func (q queue) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	began := q.m.opt.Clock.Now()
	done, err := q.Queue.Submit(ctx, subs)
	q.m.change("submit", began, err, true)
	for i := range subs {
		source := q.m.source(sourceOf(&subs[i].Ask))
		switch {
		case bellhop.CodeOf(err) == bellhop.Unavailable:
			q.m.refusals.WithLabelValues(source, unavailable).Inc()
		case err == nil:
			q.m.asks.WithLabelValues(source, subs[i].Run.Service, subs[i].Run.Job, string(done[i].How)).Inc()
			if done[i].How == bellhop.Rejected {
				q.m.refusals.WithLabelValues(source, rejected).Inc()
			}
		}
	}
	return done, err
}

// sourceOf is where an ask came from. What a schedule, a webhook, a broker or
// the data of a source asks for may be told elsewhere.
func sourceOf(a *bellhop.Ask) string {
	who := bellhop.Person{Identity: a.Identity}
	if s := who.Source(); s == bellhop.SourceSchedule || s == bellhop.SourceWebhook || s == bellhop.SourceBroker || s == bellhop.SourceOutside {
		return s
	}
	return a.Origin.Source
}

func (q queue) Claim(ctx context.Context, req bellhop.ClaimRequest) ([]bellhop.ClaimedRun, time.Time, error) {
	began := q.m.opt.Clock.Now()
	runs, next, err := q.Queue.Claim(ctx, req)
	q.m.change("claim", began, err, len(runs) > 0)
	for i := range runs {
		r := &runs[i].Run
		could := r.Start
		if r.Created.After(could) {
			could = r.Created
		}
		q.m.wait.WithLabelValues(r.Service, r.Job).Observe(max(0, req.Now.Sub(could).Seconds()))
		q.m.works.put(r.ID, work{lease: runs[i].Lease, service: r.Service, job: r.Job, began: req.Now})
	}
	return runs, next, err
}

func (q queue) Extend(ctx context.Context, refs []bellhop.LeaseRef, lease time.Duration) ([]bellhop.Extension, error) {
	began := q.m.opt.Clock.Now()
	ext, err := q.Queue.Extend(ctx, refs, lease)
	q.m.change("extend", began, err, true)
	for i := range ext {
		if ext[i].Lost {
			q.m.works.take(refs[i])
		}
	}
	return ext, err
}

func (q queue) Finish(ctx context.Context, ends []bellhop.Ending) ([]error, error) {
	began := q.m.opt.Clock.Now()
	errs, err := q.Queue.Finish(ctx, ends)
	q.m.change("finish", began, err, true)
	if err != nil {
		return errs, err
	}
	for i := range ends {
		switch {
		case errs[i] == nil:
			q.m.finished(&ends[i])
		case errors.Is(errs[i], bellhop.ErrLeaseLost):
			q.m.works.take(ends[i].Ref)
		}
	}
	return errs, err
}

// finished counts the end of an attempt.
func (m *Metrics) finished(e *bellhop.Ending) {
	w := m.works.take(e.Ref)
	m.attempts.WithLabelValues(w.service, w.job, string(e.End)).Inc()
	if e.State.Terminal() {
		m.ended.WithLabelValues(w.service, w.job, string(e.State)).Inc()
	}
	if w.lost || e.End == bellhop.EndCrashed {
		m.lost.Inc()
		return
	}
	if !w.began.IsZero() {
		m.duration.WithLabelValues(w.service, w.job).Observe(max(0, e.Now.Sub(w.began).Seconds()))
	}
}

func (q queue) Cancel(ctx context.Context, c bellhop.Cancellation) ([]bellhop.CancelledRun, error) {
	began := q.m.opt.Clock.Now()
	gone, err := q.Queue.Cancel(ctx, c)
	q.m.change("cancel", began, err, true)
	for _, g := range gone {
		if g.Effect == bellhop.CancelDone {
			q.m.ended.WithLabelValues("", "", string(bellhop.Cancelled)).Inc()
		}
	}
	return gone, err
}

func (q queue) Lost(ctx context.Context) ([]bellhop.LostRun, error) {
	lost, err := q.Queue.Lost(ctx)
	for i := range lost {
		q.m.works.put(lost[i].Ref.Run, work{lease: lost[i].Ref.Lease, service: lost[i].Run.Service, job: lost[i].Run.Job, lost: true})
	}
	return lost, err
}

func (q queue) Expire(ctx context.Context, at time.Time, n int, reason string) ([]bellhop.RunID, time.Time, error) {
	began := q.m.opt.Clock.Now()
	gone, next, err := q.Queue.Expire(ctx, at, n, reason)
	q.m.change("expire", began, err, len(gone) > 0)
	q.m.ended.WithLabelValues("", "", string(bellhop.Cancelled)).Add(float64(len(gone)))
	return gone, next, err
}

type outputs struct {
	bellhop.Outputs
	m *Metrics
}

func (o outputs) AppendOutput(ctx context.Context, batches []bellhop.OutputBatch) ([]error, error) {
	began := o.m.opt.Clock.Now()
	errs, err := o.Outputs.AppendOutput(ctx, batches)
	o.m.change("output", began, err, true)
	return errs, err
}

type outbox struct {
	bellhop.Outbox
	m *Metrics
}

func (o outbox) Settle(ctx context.Context, s []bellhop.Settlement) error {
	began := o.m.opt.Clock.Now()
	err := o.Outbox.Settle(ctx, s)
	o.m.change("settle", began, err, true)
	if err == nil {
		for i := range s {
			o.m.settled.WithLabelValues(string(s[i].State)).Inc()
		}
	}
	return err
}

type approvals struct {
	bellhop.Approvals
	m *Metrics
}

func (a approvals) Vote(ctx context.Context, v bellhop.Voting) (bellhop.Run, error) {
	began := a.m.opt.Clock.Now()
	run, err := a.Approvals.Vote(ctx, v)
	a.m.change("vote", began, err, true)
	if err == nil && run.State.Terminal() {
		a.m.ended.WithLabelValues(run.Service, run.Job, string(run.State)).Inc()
	}
	return run, err
}

func (a approvals) Lapse(ctx context.Context, at time.Time, n int, reason string) ([]bellhop.RunID, time.Time, error) {
	began := a.m.opt.Clock.Now()
	gone, next, err := a.Approvals.Lapse(ctx, at, n, reason)
	a.m.change("lapse", began, err, len(gone) > 0)
	a.m.ended.WithLabelValues("", "", string(bellhop.Cancelled)).Add(float64(len(gone)))
	return gone, next, err
}

type auditPort = bellhop.Audit

type audit struct {
	auditPort
	m *Metrics
}

// Append counts refusals: whatever is refused is in the trail.
func (a audit) Append(ctx context.Context, recs []bellhop.AuditRecord) error {
	began := a.m.opt.Clock.Now()
	err := a.auditPort.Append(ctx, recs)
	a.m.change("audit", began, err, true)
	for i := range recs {
		if reason := refusal(&recs[i]); reason != "" { // also when it could not be recorded: it is told all the same
			a.m.refusals.WithLabelValues(a.m.source(recs[i].Source), reason).Inc()
		}
	}
	return err
}

// refusal is why a record says that something was refused; "" = it says
// something else.
func refusal(r *bellhop.AuditRecord) string {
	if r.Allowed {
		return ""
	}
	switch r.Action {
	case bellhop.AuditLogin:
		return badLogin
	case bellhop.SourceWebhook:
		return unproven
	case bellhop.AuditStart, bellhop.AuditConfig, bellhop.AuditSecret, bellhop.AuditReveal, bellhop.AuditExpired, bellhop.AuditLogout:
		return ""
	}
	return notAllowed
}

// work is what is known of a run that is worked.
type work struct {
	lease        int64
	service, job string
	began        time.Time // zero: not known
	lost         bool
}

// works are the runs that this server has handed out, or is to end.
type works struct {
	mu sync.Mutex
	by map[bellhop.RunID]work
}

func (w *works) put(id bellhop.RunID, of work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.by[id] = of
}

// take forgets a lease and returns what was known of it.
func (w *works) take(ref bellhop.LeaseRef) work {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := w.by[ref.Run]
	if of.lease != ref.Lease {
		return work{}
	}
	delete(w.by, ref.Run)
	return of
}
