package engine

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// cancel ends one run, or takes out a job's waiting ones.
func (e *Engine) cancel(ctx context.Context, inv *ask) ([]bellhop.CancelledRun, error) {
	if err := checkKey(inv.Key); err != nil {
		return nil, err
	}
	c := bellhop.Cancellation{
		Key: inv.Key, Principal: inv.Person.Principal(), By: inv.Person.Principal(), Now: e.clock.Now(),
	}
	if inv.Action == bellhop.ActionCancelRun {
		run, err := e.store.Records.Run(ctx, inv.Run)
		if err != nil {
			return nil, err
		}
		inv.Service, inv.Job = run.Service, run.Job
		d, err := e.mayTouch(ctx, inv.who, &run)
		if err != nil {
			return nil, e.refused(ctx, inv, d, err)
		}
		c.Run, c.Running = inv.Run, true
		// Whoever asked takes back their own ask; an approver ends what they
		// might deny.
		c.All = d.Rule != ruleAsked && (d.Rule != ruleApproves || run.State == bellhop.Held)
		if err := e.note(ctx, inv, d); err != nil {
			return nil, err
		}
	} else {
		if _, err := e.active.Load().offer(inv.Service, inv.Job); err != nil {
			return nil, err
		}
		d, err := e.allow(ctx, inv, e.requestOf(inv))
		if err != nil {
			return nil, err
		}
		if err := e.note(ctx, inv, d); err != nil {
			return nil, err
		}
		c.Service, c.Job, c.Args, c.Running, c.All = inv.Service, inv.Job, inv.Args, inv.Running, true
	}
	done, err := e.store.Queue.Cancel(ctx, c)
	if err != nil {
		return nil, notAccepted(err)
	}
	for _, d := range done {
		if d.State.Terminal() {
			e.done(d.Run)
		}
		e.bus.Publish(bellhop.TopicRun(d.Run))
	}
	e.bus.Publish(bellhop.TopicCancel)
	e.bus.Publish(bellhop.TopicOutbox)
	e.bus.Publish(bellhop.TopicQueue)
	return done, nil
}
