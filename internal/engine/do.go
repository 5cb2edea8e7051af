package engine

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// maxKey is the longest key of an invocation, in bytes.
const maxKey = 512

// Do has an invocation done for its person: decided, written down, answered.
// When it returns an Answer, what that says is durable.
func (e *Engine) Do(ctx context.Context, inv bellhop.Invocation) (bellhop.Answer, error) {
	answer := bellhop.Answer{Action: inv.Action}
	var err error
	switch inv.Action {
	case bellhop.ActionRun:
		answer.Accepted, err = e.submit(ctx, &inv)
	case bellhop.ActionRetry:
		answer.Accepted, err = e.retry(ctx, &inv)
	case bellhop.ActionCancel, bellhop.ActionCancelRun:
		answer.Cancelled, err = e.cancel(ctx, &inv)
	case bellhop.ActionSuppress:
		answer.Holds, err = e.suppress(ctx, &inv)
	case bellhop.ActionPause:
		answer.Holds, err = e.pause(ctx, &inv)
	case bellhop.ActionUnsuppress:
		answer.Holds, err = e.release(ctx, &inv, bellhop.HoldSuppress)
	case bellhop.ActionResume:
		answer.Holds, err = e.release(ctx, &inv, bellhop.HoldPause)
	default:
		err = e.tell(ctx, &inv, &answer)
	}
	if err != nil {
		return bellhop.Answer{}, err
	}
	return answer, nil
}

// tell answers what changes nothing.
func (e *Engine) tell(ctx context.Context, inv *bellhop.Invocation, answer *bellhop.Answer) (err error) {
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
		var run bellhop.Run
		run, err = e.Run(ctx, inv.Person, inv.Run)
		answer.Why = &run
	case bellhop.ActionWhoami:
		answer.Text = e.whoami(inv.Person)
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

func (e *Engine) whoami(p bellhop.Person) string {
	text := "You are " + p.Principal()
	if p.Principal() != p.Identity {
		text += " (known as " + p.Identity + ")"
	}
	if p.Listed {
		return text + ", and may use restricted services."
	}
	return text + ", a guest: restricted services are closed to you."
}
