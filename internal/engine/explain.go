package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Explain says whether an invocation would be allowed and which rule says so,
// without doing anything. Asking about somebody else is for admins.
func (e *Engine) Explain(ctx context.Context, p bellhop.Person, as string, inv bellhop.Invocation) (string, error) {
	who := e.Identify(p)
	if as != "" {
		if err := e.MayManage(ctx, p, string(bellhop.ActionWhy)); err != nil {
			return "", err
		}
		other, err := e.Named(as)
		if err != nil {
			return "", err
		}
		who = e.Identify(other)
	}
	a := &ask{Invocation: &inv, who: who}
	inv.Person = who.Person
	d, err := e.judge(ctx, a)
	if err != nil {
		return "", err
	}
	return e.explanation(a, d), nil
}

// judge is what the gate says of an invocation that is not carried out.
func (e *Engine) judge(ctx context.Context, inv *ask) (bellhop.Decision, error) {
	switch inv.Action {
	case bellhop.ActionRun, bellhop.ActionCancel:
		if _, err := e.active.Load().offer(inv.Service, inv.Job); err != nil {
			return bellhop.Decision{}, err
		}
		return e.decide(ctx, inv.who, e.requestOf(inv)), nil
	case bellhop.ActionSuppress, bellhop.ActionUnsuppress, bellhop.ActionPause, bellhop.ActionResume:
		if inv.Hold == 0 {
			return e.judgeChange(ctx, inv, inv.Args), nil
		}
	case bellhop.ActionRetry, bellhop.ActionLogs, bellhop.ActionCancelRun, bellhop.ActionApprove, bellhop.ActionDeny:
		return e.judgeRun(ctx, inv)
	}
	return bellhop.Decision{Allowed: true, Rule: "built in, for everybody"}, nil
}

func (e *Engine) judgeRun(ctx context.Context, inv *ask) (bellhop.Decision, error) {
	run, err := e.store.Records.Run(ctx, inv.Run)
	if err != nil {
		return bellhop.Decision{}, err
	}
	inv.Service, inv.Job = run.Service, run.Job
	switch inv.Action {
	case bellhop.ActionRetry:
		return e.decide(ctx, inv.who, ofRun(&run)), nil
	case bellhop.ActionApprove, bellhop.ActionDeny:
		if run.Approval == nil {
			return bellhop.Decision{}, bellhop.Errorf(bellhop.Conflict, "%s needs no approval", run.ID)
		}
		d, err := e.judgeVote(ctx, inv, &run)
		if bellhop.CodeOf(err) == bellhop.NotAllowed {
			return bellhop.Decision{Rule: d.Rule, Reason: err.Error()}, nil
		}
		return d, err
	}
	d, err := e.mayTouch(ctx, inv.who, &run)
	if bellhop.CodeOf(err) == bellhop.NotAllowed {
		err = nil
	}
	return d, err
}

// explanation words a decision, and what else an ask would meet.
func (e *Engine) explanation(inv *ask, d bellhop.Decision) string {
	name := inv.who.Principal()
	word := "Yes: " + name + " may."
	if !d.Allowed {
		word = "No: " + strings.TrimRight(d.Reason, ".") + "."
	}
	lines := []string{word, "Decided by: " + placed(d)}
	lines = append(lines, describe(inv.who))
	if inv.Action == bellhop.ActionRun && d.Allowed {
		if o, err := e.active.Load().offer(inv.Service, inv.Job); err == nil {
			if a := e.approval(o, inv.Args, e.clock.Now()); a != nil {
				lines = append(lines, "It would wait to be approved by "+approvers(a)+".")
			}
		}
	}
	return strings.Join(lines, "\n")
}

// approvers says who approves: "ops", "2 of ops, alice".
func approvers(a *bellhop.Approval) string {
	by := strings.Join(a.By, " or ")
	if a.Count > 1 {
		return fmt.Sprintf("%d of %s", a.Count, by)
	}
	return by
}

// describe says how the gate knows somebody.
func describe(who bellhop.Principal) string {
	text := who.Principal() + " is known as " + who.Identity
	switch {
	case who.Outside:
		return text + ", from outside, so a guest whatever people: says."
	case !who.Internal:
		return text + ", a guest."
	case len(who.Groups) > 0:
		return text + ", internal, in the groups " + strings.Join(who.Groups, ", ") + "."
	}
	return text + ", internal, in no group."
}

// MayAsk is nil when a person may have an invocation done; a refusal is
// recorded, as if it had been asked for.
func (e *Engine) MayAsk(ctx context.Context, p bellhop.Person, o bellhop.Origin, inv bellhop.Invocation) error {
	a := &ask{Invocation: &inv, who: e.Identify(p)}
	inv.Person, inv.Origin = a.who.Person, o
	_, err := e.allow(ctx, a, e.requestOf(a))
	return err
}

// MaySay is nil when a person may use one of the commands with some arguments
// at least; a refusal is recorded.
func (e *Engine) MaySay(ctx context.Context, p bellhop.Person, o bellhop.Origin, service, entry string) error {
	en := e.active.Load().entries[jobName{service, entry}]
	if en == nil {
		return nil // the router knows more than this; what follows is judged again
	}
	inv := bellhop.Invocation{Action: en.Action, Service: service, Job: en.Job, Entry: entry, Args: en.Args, Origin: o}
	a := &ask{Invocation: &inv, who: e.Identify(p)}
	_, err := e.allow(ctx, a, e.maybeOf(a))
	return err
}

// maybeOf is the request of an invocation of which not all arguments are known.
func (e *Engine) maybeOf(a *ask) request {
	r := e.requestOf(a)
	r.maybe = true
	return r
}
