package fault

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Store returns s with the plan's faults before and after what it writes. The
// store below carries out what fails afterwards, so a caller that is told
// Unavailable does not know whether it was.
func Store(s *bellhop.Store, p *Plan) *bellhop.Store {
	out := *s
	out.Queue = queue{s.Queue, p}
	out.Outputs = outputs{s.Outputs, p}
	out.Outbox = outbox{s.Outbox, p}
	out.Holds = holds{s.Holds, p}
	out.Approvals = approvals{s.Approvals, p}
	out.Retention = retention{s.Retention, p}
	return &out
}

// around makes a call between its two points.
func around[T any](p *Plan, method string, call func() (T, error)) (got T, err error) {
	if err := p.At(Point(method + ".before")); err != nil {
		return got, err
	}
	result, err := call()
	if err != nil {
		return result, err
	}
	if err := p.At(Point(method + ".after")); err != nil {
		return got, err
	}
	return result, nil
}

type queue struct {
	bellhop.Queue
	plan *Plan
}

func (q queue) Submit(ctx context.Context, subs []bellhop.Submission) ([]bellhop.Submitted, error) {
	return around(q.plan, "submit", func() ([]bellhop.Submitted, error) { return q.Queue.Submit(ctx, subs) })
}

func (q queue) Claim(ctx context.Context, req bellhop.ClaimRequest) (runs []bellhop.ClaimedRun, next time.Time, err error) {
	runs, err = around(q.plan, "claim", func() (runs []bellhop.ClaimedRun, err error) {
		runs, next, err = q.Queue.Claim(ctx, req)
		return runs, err
	})
	return runs, next, err
}

func (q queue) Extend(ctx context.Context, refs []bellhop.LeaseRef, lease time.Duration) ([]bellhop.Extension, error) {
	return around(q.plan, "extend", func() ([]bellhop.Extension, error) { return q.Queue.Extend(ctx, refs, lease) })
}

func (q queue) Finish(ctx context.Context, ends []bellhop.Ending) ([]error, error) {
	return around(q.plan, "finish", func() ([]error, error) { return q.Queue.Finish(ctx, ends) })
}

func (q queue) Cancel(ctx context.Context, c bellhop.Cancellation) ([]bellhop.CancelledRun, error) {
	return around(q.plan, "cancel", func() ([]bellhop.CancelledRun, error) { return q.Queue.Cancel(ctx, c) })
}

func (q queue) Lost(ctx context.Context) ([]bellhop.LostRun, error) {
	return around(q.plan, "lost", func() ([]bellhop.LostRun, error) { return q.Queue.Lost(ctx) })
}

func (q queue) Expire(ctx context.Context, now time.Time, n int, reason string) (gone []bellhop.RunID, next time.Time, err error) {
	gone, err = around(q.plan, "expire", func() (gone []bellhop.RunID, err error) {
		gone, next, err = q.Queue.Expire(ctx, now, n, reason)
		return gone, err
	})
	return gone, next, err
}

type outputs struct {
	bellhop.Outputs
	plan *Plan
}

func (o outputs) AppendOutput(ctx context.Context, batches []bellhop.OutputBatch) ([]error, error) {
	return around(o.plan, "output", func() ([]error, error) { return o.Outputs.AppendOutput(ctx, batches) })
}

type outbox struct {
	bellhop.Outbox
	plan *Plan
}

func (o outbox) Due(ctx context.Context, d bellhop.DueRequest) (rows []bellhop.OutboxRow, next time.Time, err error) {
	rows, err = around(o.plan, "due", func() (rows []bellhop.OutboxRow, err error) {
		rows, next, err = o.Outbox.Due(ctx, d)
		return rows, err
	})
	return rows, next, err
}

func (o outbox) Settle(ctx context.Context, s []bellhop.Settlement) error {
	_, err := around(o.plan, "settle", func() (struct{}, error) { return struct{}{}, o.Outbox.Settle(ctx, s) })
	return err
}

type holdsPort = bellhop.Holds // one of its methods has the name that the field would have

type holds struct {
	holdsPort
	plan *Plan
}

func (h holds) PutHold(ctx context.Context, key string, hold bellhop.Hold) (bellhop.Hold, error) {
	return around(h.plan, "hold", func() (bellhop.Hold, error) { return h.holdsPort.PutHold(ctx, key, hold) })
}

func (h holds) EndHolds(ctx context.Context, key string, f bellhop.HoldFilter, by string, now time.Time) ([]bellhop.Hold, error) {
	return around(h.plan, "unhold", func() ([]bellhop.Hold, error) { return h.holdsPort.EndHolds(ctx, key, f, by, now) })
}

type approvals struct {
	bellhop.Approvals
	plan *Plan
}

func (a approvals) Vote(ctx context.Context, v bellhop.Voting) (bellhop.Run, error) {
	return around(a.plan, "vote", func() (bellhop.Run, error) { return a.Approvals.Vote(ctx, v) })
}

func (a approvals) Lapse(ctx context.Context, now time.Time, n int, reason string) (gone []bellhop.RunID, next time.Time, err error) {
	gone, err = around(a.plan, "lapse", func() (gone []bellhop.RunID, err error) {
		gone, next, err = a.Approvals.Lapse(ctx, now, n, reason)
		return gone, err
	})
	return gone, next, err
}

type retention struct {
	bellhop.Retention
	plan *Plan
}

func (r retention) Forget(ctx context.Context, runs, output []bellhop.RunID) (int, error) {
	return around(r.plan, "forget", func() (int, error) { return r.Retention.Forget(ctx, runs, output) })
}
