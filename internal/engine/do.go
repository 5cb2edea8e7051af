package engine

import (
	"context"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// maxKey is the longest key of an invocation, in bytes.
const maxKey = 512

// Do has an invocation done for its person: decided, written down, answered.
// When it returns an Answer, what that says is durable.
func (e *Engine) Do(ctx context.Context, inv bellhop.Invocation) (bellhop.Answer, error) {
	answer := bellhop.Answer{Action: inv.Action}
	a := &ask{Invocation: &inv, who: e.Identify(inv.Person)}
	inv.Person = a.who.Person
	var err error
	switch inv.Action {
	case bellhop.ActionRun:
		answer.Accepted, err = e.submit(ctx, a)
	case bellhop.ActionRetry:
		answer.Accepted, err = e.retry(ctx, a)
	case bellhop.ActionCancel, bellhop.ActionCancelRun:
		answer.Cancelled, err = e.cancel(ctx, a)
	case bellhop.ActionApprove, bellhop.ActionDeny:
		answer.Decided, err = e.vote(ctx, a)
	case bellhop.ActionSuppress:
		answer.Holds, err = e.suppress(ctx, a)
	case bellhop.ActionPause:
		answer.Holds, err = e.pause(ctx, a)
	case bellhop.ActionUnsuppress:
		answer.Holds, err = e.release(ctx, a, bellhop.HoldSuppress)
	case bellhop.ActionResume:
		answer.Holds, err = e.release(ctx, a, bellhop.HoldPause)
	default:
		err = e.tell(ctx, a, &answer)
	}
	if err != nil {
		return bellhop.Answer{}, err
	}
	e.maskAnswer(&answer)
	return answer, nil
}

// ask is an invocation on its way, and who it is from.
type ask struct {
	*bellhop.Invocation
	who bellhop.Principal
}

// tell answers what changes nothing.
func (e *Engine) tell(ctx context.Context, inv *ask, answer *bellhop.Answer) (err error) {
	switch inv.Action {
	case bellhop.ActionSuppressions:
		answer.Holds, err = e.suppressions(ctx, inv)
	case bellhop.ActionStatus:
		answer.Status, err = e.Status(ctx, inv.Person)
	case bellhop.ActionRuns:
		f := bellhop.RunFilter{Limit: 20}
		if inv.Mine {
			f.Principal = inv.Person.Principal()
		}
		answer.Runs, err = e.Runs(ctx, inv.Person, f)
	case bellhop.ActionLogs:
		answer.Run = inv.Run
		_, err = e.Run(ctx, inv.Person, inv.Run)
	case bellhop.ActionWhy:
		if inv.Run == 0 {
			return bellhop.Errorf(bellhop.Internal, "`why` of a text is Explain's to answer")
		}
		var run bellhop.Run
		run, err = e.runFor(ctx, inv.Person, inv.Run, inv.Action)
		answer.Why = &run
	case bellhop.ActionWhoami:
		answer.Text = e.whoami(ctx, inv.who)
	default:
		err = bellhop.Errorf(bellhop.Internal, "the engine has no action %q", inv.Action)
	}
	return err
}

// checkKey refuses keys that no store should be asked to keep.
func checkKey(key string) error {
	switch {
	case key == "":
		return bellhop.Errorf(bellhop.Invalid, "the request has no key")
	case len(key) > maxKey:
		return bellhop.Errorf(bellhop.Invalid, "the request's key is %d bytes long; at most %d are kept", len(key), maxKey)
	}
	return nil
}

func (e *Engine) whoami(ctx context.Context, who bellhop.Principal) string {
	text := "You are " + who.Principal()
	if who.Principal() != who.Identity {
		text += " (known as " + who.Identity + ")"
	}
	if len(who.Groups) > 0 {
		text += ", of " + strings.Join(who.Groups, ", ")
	}
	if e.admin(ctx, who).Allowed {
		text += ", an admin"
	}
	if who.Internal {
		return text + ", and may use restricted services."
	}
	return text + ", a guest: restricted services are closed to you."
}
