package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// What is foretold and looked up here changes nothing and is recorded nowhere.

// About returns the person whom another one asks about: themselves, and for
// admins anybody, by a name of people: or an identity.
func (e *Engine) About(ctx context.Context, p bellhop.Person, as string) (bellhop.Person, error) {
	if as == "" {
		return p, nil
	}
	if d := e.admin(ctx, e.Identify(p)); !d.Allowed {
		return p, refusal(d)
	}
	return e.Named(as)
}

// Foretell says what would become of an invocation of a person, or of somebody
// whom an admin asks about.
func (e *Engine) Foretell(ctx context.Context, p bellhop.Person, as string, inv bellhop.Invocation) (bellhop.Foretold, error) {
	a, err := e.asked(ctx, p, as, &inv)
	if err != nil {
		return bellhop.Foretold{}, err
	}
	d, err := e.judge(ctx, a)
	if err != nil {
		return bellhop.Foretold{}, err
	}
	f := foretold(a, d)
	if inv.Action != bellhop.ActionRun || !d.Allowed {
		return f, nil
	}
	o, err := e.active.Load().offer(inv.Service, inv.Job)
	if err != nil {
		return f, err
	}
	now := e.clock.Now()
	if ap := e.approval(o, inv.Args, now); ap != nil {
		f.Approval = approvers(ap)
	}
	spec := o.spec(inv.Args, now.Add(inv.Delay))
	f.Start = spec.Start
	holds := e.knownHolds()
	if f.Hold, _ = openHold(holds, &spec, now, spec.Start); f.Hold == nil {
		f.Hold, _ = openHold(holds, &spec, spec.Start, spec.Start)
	}
	if f.Hold != nil {
		f.Hold = &e.redactHolds(ctx, p, []bellhop.Hold{*f.Hold})[0]
	}
	return f, nil
}

// ForetellSay is Foretell for a command of which some arguments are not known.
func (e *Engine) ForetellSay(ctx context.Context, p bellhop.Person, as, service, entry string) (bellhop.Foretold, error) {
	inv := bellhop.Invocation{Service: service, Entry: entry}
	a, err := e.asked(ctx, p, as, &inv)
	if err != nil {
		return bellhop.Foretold{}, err
	}
	en := e.active.Load().entries[jobName{service, entry}]
	if en == nil {
		return bellhop.Foretold{}, bellhop.Errorf(bellhop.Conflict, "the configuration has changed; try again")
	}
	inv.Action, inv.Job, inv.Args = en.Action, en.Job, en.Args
	return foretold(a, e.decide(ctx, a.who, e.maybeOf(a))), nil
}

func (e *Engine) asked(ctx context.Context, p bellhop.Person, as string, inv *bellhop.Invocation) (*ask, error) {
	of, err := e.About(ctx, p, as)
	if err != nil {
		return nil, err
	}
	a := &ask{Invocation: inv, who: e.Identify(of)}
	inv.Person = a.who.Person
	return a, nil
}

func foretold(a *ask, d bellhop.Decision) bellhop.Foretold {
	return bellhop.Foretold{Who: a.who, Known: describe(a.who), Decision: d, Placed: placed(d)}
}

// Rights says of each job whether a person may have it done, or somebody whom
// an admin asks about. Of a service that is closed to people who ask about
// themselves nothing but that is said.
func (e *Engine) Rights(ctx context.Context, p bellhop.Person, as string) (who bellhop.Principal, known string, rights []bellhop.Right, err error) {
	of, err := e.About(ctx, p, as)
	if err != nil {
		return who, "", nil, err
	}
	who = e.Identify(of)
	all := e.Manages(ctx, p)
	for _, s := range e.active.Load().Services {
		d := e.decide(ctx, who, request{service: s.Name, maybe: true, many: true})
		if !d.Allowed && !all {
			rights = append(rights, bellhop.Right{Service: s.Name, Decision: d, Placed: placed(d)})
			continue
		}
		for i := range s.Jobs {
			rights = append(rights, e.right(ctx, who, &s.Jobs[i]))
		}
	}
	return who, describe(who), rights, nil
}

func (e *Engine) right(ctx context.Context, who bellhop.Principal, j *bellhop.Job) bellhop.Right {
	r := request{service: j.Service, job: j.Name, maybe: true, many: true}
	d := e.decide(ctx, who, r)
	out := bellhop.Right{Service: j.Service, Job: j.Name, Decision: d, Placed: placed(d)}
	if d.Allowed {
		r.maybe = false
		out.Some = !e.decide(ctx, who, r).Allowed
		out.Approval = approveText(j.Approve)
	}
	return out
}

// approveText says who approves runs of a job, and which.
func approveText(a *bellhop.Approve) string {
	if a == nil {
		return ""
	}
	text := approvers(&bellhop.Approval{By: a.By, Count: max(a.Count, 1)})
	var when []string
	for name, values := range a.When {
		when = append(when, name+"="+strings.Join(values, "|"))
	}
	if len(when) > 0 {
		slices.Sort(when)
		text += " when " + strings.Join(when, " ")
	}
	return text
}

// AccessFor returns who there is, and all services with their rules, for admins.
func (e *Engine) AccessFor(ctx context.Context, p bellhop.Person) (bellhop.Access, []bellhop.Service, error) {
	if d := e.admin(ctx, e.Identify(p)); !d.Allowed {
		return bellhop.Access{}, nil, refusal(d)
	}
	cat := e.active.Load()
	return cat.Access, cat.Services, nil
}
