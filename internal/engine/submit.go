package engine

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// submit writes a run for an invocation, or adds its ask to a waiting one.
func (e *Engine) submit(ctx context.Context, inv *ask) (*bellhop.Accepted, error) {
	o, spec, d, err := e.wanted(ctx, inv)
	if err != nil {
		return nil, err
	}
	return e.write(ctx, inv, o, spec, d)
}

// wanted is the run that an invocation asks for, if it may.
func (e *Engine) wanted(ctx context.Context, inv *ask) (*offer, bellhop.RunSpec, bellhop.Decision, error) {
	cat := e.active.Load()
	o, err := cat.offer(inv.Service, inv.Job)
	if err != nil {
		return nil, bellhop.RunSpec{}, bellhop.Decision{}, err
	}
	d, err := e.allow(ctx, inv, request{service: inv.Service, job: inv.Job, entry: cat.entries[jobName{inv.Service, inv.Entry}], args: inv.Args})
	if err != nil {
		return nil, bellhop.RunSpec{}, d, err
	}
	spec := o.spec(inv.Args, e.clock.Now().Add(inv.Delay))
	spec.MaxDelay = inv.MaxDelay
	if inv.Priority != nil {
		spec.Priority = *inv.Priority
	}
	switch inv.OnRepeat {
	case bellhop.OnRepeatMerge, "":
		spec.MergeKey = o.mergeKey(inv.Args)
	case bellhop.OnRepeatQueue:
	case bellhop.OnRepeatReject:
		// What it makes may be joined: by an ask that merges.
		spec.MergeKey = o.mergeKey(inv.Args)
		spec.AlikeKey, spec.Reject = o.alikeKey(inv.Args), true
	default:
		return nil, spec, d, bellhop.Errorf(bellhop.Invalid, "on_repeat %q does not exist; it is merge, queue or reject", inv.OnRepeat)
	}
	return o, spec, d, nil
}

// retry writes a new run with the arguments of an old one, some of them
// replaced, under the job's present definition.
func (e *Engine) retry(ctx context.Context, inv *ask) (*bellhop.Accepted, error) {
	old, err := e.store.Records.Run(ctx, inv.Run)
	if err != nil {
		return nil, err
	}
	inv.Service, inv.Job = old.Service, old.Job
	if _, err := e.allow(ctx, inv, ofRun(&old)); err != nil { // before anything of it is told
		return nil, err
	}
	if !old.State.Terminal() {
		return nil, bellhop.Errorf(bellhop.Conflict, "%s is %s: only a finished run can be retried", old.ID, old.State)
	}
	o, err := e.active.Load().offer(old.Service, old.Job)
	if err != nil {
		return nil, err
	}
	args := old.Args
	if o.digest != old.Digest || len(inv.Args) > 0 {
		if args, err = replaced(o.job, old, inv.Args); err != nil {
			return nil, err
		}
	}
	inv.Args = args
	d, err := e.allow(ctx, inv, request{service: old.Service, job: old.Job, args: args})
	if err != nil {
		return nil, err
	}
	spec := o.spec(args, e.clock.Now())
	spec.RetryOf = old.ID
	return e.write(ctx, inv, o, spec, d)
}

// replaced returns an old run's arguments with some of them replaced, bound by
// the job as it is now.
func replaced(job *bellhop.Job, old bellhop.Run, with bellhop.Args) (bellhop.Args, error) {
	args := maps.Clone(old.Args)
	if args == nil {
		args = bellhop.Args{}
	}
	for _, name := range slices.Sorted(maps.Keys(with)) {
		v := with[name]
		p, ok := job.Param(name)
		if !ok {
			_, err := job.Bind(bellhop.Args{name: v}) // says which there are
			return nil, err
		}
		if p.Type == bellhop.TypeList && !v.IsList() {
			v = bellhop.List(strings.Fields(v.Text)...) // as people write a list
		}
		if err := p.Check(v); err != nil {
			return nil, err
		}
		args[name] = v
	}
	bound, err := job.Bind(args)
	if err != nil { // the parameters have changed since
		return nil, bellhop.Errorf(bellhop.Conflict, "%s can't be retried, since its job has changed: %w", old.ID, err)
	}
	return bound, nil
}

func (e *Engine) write(ctx context.Context, inv *ask, o *offer, spec bellhop.RunSpec, d bellhop.Decision) (*bellhop.Accepted, error) {
	sub, err := e.submission(inv, o, spec, d)
	if err != nil {
		return nil, err
	}
	defer release(sub.Audit)
	done, err := e.store.Queue.Submit(ctx, []bellhop.Submission{sub})
	if err != nil {
		return nil, notAccepted(err)
	}
	now, got := sub.Now, done[0]
	spec = sub.Run
	if err := e.submitted(ctx, got); err != nil {
		return nil, err
	}
	e.bus.Publish(bellhop.TopicQueue)
	a := &bellhop.Accepted{
		Run: got.Run, How: got.How, Start: got.Start, Behind: got.Behind, Ended: got.Ended,
		Job: o.title, Rule: o.job.Report,
	}
	if a.Approval, err = e.waitsFor(ctx, &spec, got); err != nil {
		return nil, err
	}
	if !got.Ended {
		holds, start := e.knownHolds(), later(now, got.Start)
		if a.Hold, _ = openHold(holds, &spec, now, start); a.Hold == nil { // by then, one that begins meanwhile keeps it
			a.Hold, _ = openHold(holds, &spec, start, start)
		}
	}
	return a, nil
}

// submission is what the store is given for a run that is wanted.
func (e *Engine) submission(inv *ask, o *offer, spec bellhop.RunSpec, d bellhop.Decision) (bellhop.Submission, error) {
	if err := checkKey(inv.Key); err != nil {
		return bellhop.Submission{}, err
	}
	now := e.clock.Now()
	spec.Approval = e.approval(o, spec.Args, now)
	return bellhop.Submission{
		Run:   spec,
		Ask:   bellhop.Ask{Principal: inv.Person.Principal(), Identity: inv.Person.Identity, Key: inv.Key, Origin: inv.Origin, At: now},
		Now:   now,
		Audit: e.recordOf(inv, d, now),
	}, nil
}

// submitted is nil when a submission has come to a run.
func (e *Engine) submitted(ctx context.Context, got bellhop.Submitted) error {
	switch {
	case got.How == bellhop.Rejected:
		return e.rejected(ctx, got.Run)
	case got.How == bellhop.Repeated && got.Run == 0:
		return bellhop.Errorf(bellhop.Conflict, "the key of this request was used before, for something that was no run; use a new one")
	}
	e.mine(got.Run)
	return nil
}

// rejected words that the same is asked for already: by which run, and what
// that does. A key that comes again is told so again, when the run may have
// ended.
func (e *Engine) rejected(ctx context.Context, id bellhop.RunID) error {
	run, err := e.store.Records.Run(ctx, id)
	if err != nil {
		return bellhop.Errorf(bellhop.Conflict, "not accepted: %s does the same already; ask again when it has ended", id)
	}
	name := run.Service + " " + run.Job
	if run.State.Terminal() {
		return bellhop.Errorf(bellhop.Conflict, "not accepted: %s did the same (%s) when this was asked; it has ended since, so ask again", id, name)
	}
	does := "waits to be approved"
	switch run.State {
	case bellhop.Waiting:
		does = "waits"
		if run.Start.After(e.clock.Now()) {
			does = "waits until " + e.say(run.Start)
		}
	case bellhop.Running:
		does = "is running"
		if run.Started != nil {
			does = "has been running since " + e.say(*run.Started)
		}
	}
	return bellhop.Errorf(bellhop.Conflict, "not accepted: %s, for %s, does the same (%s) and %s; ask again when it has ended, or cancel it (cancel %s)",
		id, run.AskedBy, name, does, id)
}

// notAccepted words a failure to write a request down: whoever asked must know
// that it is not.
func notAccepted(err error) error {
	code := bellhop.CodeOf(err)
	if code == bellhop.Internal {
		code = bellhop.Unavailable
	}
	return bellhop.Errorf(code, "not accepted: %w", err)
}
