package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Sees reports whether a person may use a service (entry nil), or one of its
// commands with some arguments at least: what help and completion go by.
func (e *Engine) Sees(ctx context.Context, p bellhop.Person, service string, entry *bellhop.Entry) bool {
	r := request{service: service, maybe: true, entry: entry}
	if entry != nil {
		r.job, r.args = entry.Job, entry.Args
	}
	return e.decide(ctx, e.Identify(p), r).Allowed
}

// refusal makes the error of a decision; nil when it allows.
func refusal(d bellhop.Decision) error {
	if d.Allowed {
		return nil
	}
	return bellhop.Errorf(bellhop.NotAllowed, "%s", d.Reason)
}

// ofRun is what is asked of the gate about a run that is there: whether the
// person may have that job done with those arguments.
func ofRun(run *bellhop.Run) request {
	args := run.Args
	if args == nil {
		args = bellhop.Args{}
	}
	return request{service: run.Service, job: run.Job, args: args}
}

// The rules of those who are not entitled to a run's job.
const (
	ruleAsked    = "asked for it"
	ruleApproves = "may approve it"
)

// mayTouch is nil when the person may see and change the run: entitled to its
// job, one who asked for it, or one who approves it.
func (e *Engine) mayTouch(ctx context.Context, who bellhop.Principal, run *bellhop.Run) (bellhop.Decision, error) {
	d := e.decide(ctx, who, ofRun(run))
	if d.Allowed {
		return d, nil
	}
	if !who.Within(run.Service, run.Job) { // not even what it asked for before it was confined
		return d, refusal(d)
	}
	if admin := e.admin(ctx, who); admin.Allowed && e.gone(run) {
		return admin, nil
	}
	asks, err := e.store.Records.Asks(ctx, run.ID)
	if err != nil {
		return d, err
	}
	if slices.ContainsFunc(asks, func(a bellhop.Ask) bool { return a.Principal == who.Principal() || a.Identity == who.Identity }) {
		return bellhop.Decision{Allowed: true, Rule: ruleAsked}, nil
	}
	if run.Approval != nil && e.mayVote(ctx, who, run.Approval, false) {
		return bellhop.Decision{Allowed: true, Rule: ruleApproves}, nil
	}
	return d, refusal(d)
}

// gone reports whether the configuration has a run's job no more, so that
// nobody can say any more who may.
func (e *Engine) gone(run *bellhop.Run) bool {
	_, err := e.active.Load().offer(run.Service, run.Job)
	return err != nil
}

// redact hides what the person may not see of runs: their arguments, and what
// may tell of them or of the output.
func (e *Engine) redact(ctx context.Context, p bellhop.Person, runs []bellhop.Run) []bellhop.Run {
	who := e.Identify(p)
	defer e.maskRuns(runs) // it is decided by what they are
	for i := range runs {
		if !e.sees(ctx, who, &runs[i]) {
			runs[i] = bareRun(runs[i])
		}
	}
	return runs
}

// sees reports whether somebody may see all of a run, one of many: who has
// asked for it first, is entitled to its job, or approves it.
func (e *Engine) sees(ctx context.Context, who bellhop.Principal, r *bellhop.Run) bool {
	return asked(who, r) || e.decide(ctx, who, ofMany(r)).Allowed || e.votes(ctx, who, r)
}

func asked(who bellhop.Principal, r *bellhop.Run) bool {
	return r.AskedBy == who.Principal() && who.Within(r.Service, r.Job)
}

func (e *Engine) votes(ctx context.Context, who bellhop.Principal, r *bellhop.Run) bool {
	return r.Approval != nil && who.Within(r.Service, r.Job) && e.mayVote(ctx, who, r.Approval, true)
}

// ofMany is ofRun for one of a list.
func ofMany(run *bellhop.Run) request {
	r := ofRun(run)
	r.many = true
	return r
}

// bareRun is what everybody may know of a run.
func bareRun(r bellhop.Run) bellhop.Run {
	r.Args, r.Error, r.Origin = nil, "", bellhop.Origin{}
	r.Result, r.Warnings = nil, nil
	if r.Approval != nil {
		a := *r.Approval
		a.Notify, a.Votes = nil, nil
		r.Approval = &a
	}
	if r.Wait != nil {
		w := *r.Wait
		w.After = ""
		if w.Hold != nil {
			h := *w.Hold
			h.Args, w.Hold = nil, &h
		}
		r.Wait = &w
	}
	return r
}

// redactHolds hides the arguments of what keeps runs back in services that the
// person may not use.
func (e *Engine) redactHolds(ctx context.Context, p bellhop.Person, holds []bellhop.Hold) []bellhop.Hold {
	who := e.Identify(p)
	for i := range holds {
		if !e.decide(ctx, who, request{service: holds[i].Service, job: holds[i].Job, args: holds[i].Args, many: true}).Allowed {
			holds[i].Args = nil
		}
	}
	e.maskHolds(holds)
	return holds
}

// MayManage is nil when the person is an admin: may change the configuration,
// secrets and tokens, read the audit trail, copy the store and pause what
// others do. A refusal is recorded, as one of the action.
func (e *Engine) MayManage(ctx context.Context, p bellhop.Person, action string) error {
	who := e.Identify(p)
	d := e.admin(ctx, who)
	if d.Allowed {
		return nil
	}
	a := &ask{Invocation: &bellhop.Invocation{Action: bellhop.Action(action), Person: who.Person}, who: who}
	return e.refused(ctx, a, d, refusal(d))
}

// Manages is what MayManage says, and is not recorded: for what is shown or not.
func (e *Engine) Manages(ctx context.Context, p bellhop.Person) bool {
	return e.admin(ctx, e.Identify(p)).Allowed
}

// MayWatch refuses the numbers of a whole server to guests. Which jobs' numbers
// others may see is for SeesJob to say.
func (e *Engine) MayWatch(ctx context.Context, p bellhop.Person) error {
	who := e.Identify(p)
	if who.Internal {
		return nil
	}
	d := bellhop.Decision{
		Rule:   "metrics are for internal people",
		Reason: "the metrics are for internal people, not for " + who.Principal() + "; make a token with: bellhop token create NAME --as PERSON",
	}
	a := &ask{Invocation: &bellhop.Invocation{Action: "metrics", Person: who.Person}, who: who}
	return e.refused(ctx, a, d, refusal(d))
}

func (e *Engine) admin(ctx context.Context, who bellhop.Principal) bellhop.Decision {
	if who.Listed && strings.HasPrefix(who.Identity, "local:") {
		return bellhop.Decision{Allowed: true, Rule: "runs the server"}
	}
	admins := e.active.Load().Access.Admins
	none := bellhop.Decision{
		Rule:   "no admin",
		Reason: "only an admin may do this, not " + who.Principal() + ": the user that runs the server, or whom access.admins names",
	}
	if len(admins) == 0 || who.Scope != "" { // a confined token is for its jobs
		return none
	}
	d := level(&groups{e: e, ctx: ctx, who: who}, admins, "access.admins", "this", nil, request{})
	if !d.Allowed {
		none.Pos = d.Pos
		return none
	}
	d.Rule = strings.Replace(d.Rule, "allow rule", "rule", 1)
	return d
}
