package engine

import (
	"context"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// May is the gate: nil when the person may have something done in the service,
// else NotAllowed. A service that the configuration does not have any more is
// treated as restricted.
func (e *Engine) May(p bellhop.Person, service string) error {
	if p.Listed {
		return nil
	}
	s, ok := e.active.Load().Service(service)
	if ok && !s.Restricted {
		return nil
	}
	return bellhop.Errorf(bellhop.NotAllowed,
		"%s is restricted: %s may not use it. People whose key is in authorized_keys may, and who runs the server", service, p.Principal())
}

// mayTouch is nil when the person may see and change the run: entitled to its
// job, or one who asked for it.
func (e *Engine) mayTouch(ctx context.Context, p bellhop.Person, run bellhop.Run) error {
	denied := e.May(p, run.Service)
	if denied == nil {
		return nil
	}
	asks, err := e.store.Records.Asks(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, a := range asks {
		if a.Principal == p.Principal() {
			return nil
		}
	}
	return denied
}

// redact hides what the person may not see of runs: their arguments, and what
// may tell of them or of the output.
func (e *Engine) redact(p bellhop.Person, runs []bellhop.Run) []bellhop.Run {
	for i := range runs {
		r := &runs[i]
		if r.AskedBy == p.Principal() || e.May(p, r.Service) == nil {
			continue
		}
		r.Args, r.Error, r.Origin = nil, "", bellhop.Origin{}
		r.Result, r.Warnings = nil, nil
		if r.Wait != nil {
			w := *r.Wait
			w.After = ""
			if w.Hold != nil {
				h := *w.Hold
				h.Args, w.Hold = nil, &h
			}
			r.Wait = &w
		}
	}
	return runs
}

// redactHolds hides the arguments of what keeps runs back in services that the
// person may not use.
func (e *Engine) redactHolds(p bellhop.Person, holds []bellhop.Hold) []bellhop.Hold {
	for i := range holds {
		if e.May(p, holds[i].Service) != nil {
			holds[i].Args = nil
		}
	}
	return holds
}

// MayManage is nil when the person may change the configuration and copy the
// store: so far, who runs the server.
func (e *Engine) MayManage(p bellhop.Person) error {
	if p.Listed && strings.HasPrefix(p.Identity, "local:") {
		return nil
	}
	return bellhop.Errorf(bellhop.NotAllowed, "only the user that runs the server may do this, not %s", p.Principal())
}
