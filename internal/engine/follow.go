package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/bellhop-io/bellhop"
)

// follow sets what a run's end brings, all of which is written with it: the
// jobs that follow, and who is told of a failure besides those who asked. What
// can't follow becomes a warning of the run, never silence.
func (e *Engine) follow(ctx context.Context, end *bellhop.Ending, job *bellhop.Job, w work) error {
	if !end.State.Terminal() {
		return nil
	}
	failed := end.State == bellhop.Failed || end.State == bellhop.TimedOut
	for _, f := range job.Then {
		switch {
		case f.On == bellhop.FollowAlways, f.On == bellhop.FollowFailure && failed,
			(f.On == bellhop.FollowSuccess || f.On == "") && end.State == bellhop.Succeeded:
			e.addFollow(end, "then", f, w)
		}
	}
	if !failed {
		return nil
	}
	if job.OnFailure.Job != "" {
		e.addFollow(end, "on_failure", bellhop.Follow{Job: job.OnFailure.Job, Args: job.OnFailure.Args}, w)
	}
	return e.addNotify(ctx, end, job.OnFailure.Notify)
}

// addFollow adds a run of the followed job as it is now. It merges like any
// other, so that what is asked again pushes it back.
func (e *Engine) addFollow(end *bellhop.Ending, key string, f bellhop.Follow, w work) {
	o, err := e.active.Load().offer(w.service, f.Job)
	if err == nil {
		var args bellhop.Args
		if args, err = followArgs(o.job, f.Args, w.args); err == nil {
			spec := o.spec(args, end.Now.Add(f.Delay))
			spec.MergeKey = o.mergeKey(args)
			spec.Approval = e.approval(o, args, end.Now)
			end.Follow = append(end.Follow, spec)
			return
		}
	}
	end.Warnings = append(slices.Clip(end.Warnings),
		fmt.Sprintf("%s: %s %s does not follow: %v; ask for it yourself if it is needed", key, w.service, f.Job, err))
}

// followArgs makes a followed job's arguments: what is written for it, then
// what the run before has under the same name, then defaults.
func followArgs(job *bellhop.Job, written, before bellhop.Args) (bellhop.Args, error) {
	asked := make(bellhop.Args, len(job.Params))
	for _, p := range job.Params {
		if v, ok := before[p.Name]; ok {
			asked[p.Name] = v
		}
	}
	for name, v := range written {
		asked[name] = fillValue(v, before)
	}
	return job.Bind(asked)
}

// fillValue fills a template. One that is nothing but {name} is that argument
// as it is, so that a list stays one.
func fillValue(v bellhop.Value, args bellhop.Args) bellhop.Value {
	if v.IsList() {
		list := make([]string, len(v.List))
		for i, w := range v.List {
			list[i] = fill(w, args)
		}
		return bellhop.Value{List: list}
	}
	if n := len(v.Text); n > 2 && v.Text[0] == '{' && v.Text[n-1] == '}' {
		if whole, ok := args[v.Text[1:n-1]]; ok {
			return whole
		}
	}
	return bellhop.Text(fill(v.Text, args))
}

// Instead returns who is told that a report to somebody was given up: those
// whom on_failure.notify of the run's job names, but for that one.
func (e *Engine) Instead(ctx context.Context, row bellhop.OutboxRow, why string) ([]bellhop.Ask, error) {
	run, err := e.store.Records.Run(ctx, row.Run)
	if err != nil {
		return nil, err
	}
	job, err := e.definition(ctx, run.Digest)
	if err != nil {
		return nil, err
	}
	var whom []bellhop.Ask
	for _, name := range job.OnFailure.Notify {
		for _, a := range e.tellTo(name, e.clock.Now()) {
			if a.Origin != row.Ask.Origin {
				a.Note = why
				whom = append(whom, a)
			}
		}
	}
	return whom, nil
}

// addNotify has people told of a failure who did not ask for the run. Those
// who did are told anyway.
func (e *Engine) addNotify(ctx context.Context, end *bellhop.Ending, names []string) error {
	if len(names) == 0 {
		return nil
	}
	asks, err := e.store.Records.Asks(ctx, end.Ref.Run)
	if err != nil {
		return err
	}
	for _, name := range names {
		asked := slices.ContainsFunc(asks, func(a bellhop.Ask) bool { return a.Principal == name && !a.Withdrawn })
		told := slices.ContainsFunc(end.Notify, func(a bellhop.Ask) bool { return a.Principal == name })
		if !asked && !told {
			end.Notify = append(end.Notify, e.tellTo(name, end.Now)...)
		}
	}
	return nil
}
