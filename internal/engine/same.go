package engine

import (
	"context"
	"slices"

	"github.com/bellhop-io/bellhop"
)

// MadeBy is nil when a run is what an invocation asks for: its service, job and
// arguments, of a retry the run that it repeats. Else the error (Conflict) says
// which run it is, to somebody who asked for it. Of a run that is not kept any
// more, nothing is known: nil. Arguments that are what the job takes by itself
// may differ when it was defined otherwise then.
func (e *Engine) MadeBy(ctx context.Context, inv bellhop.Invocation, id bellhop.RunID) error {
	run, err := e.store.Records.Run(ctx, id)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	other := bellhop.Errorf(bellhop.Conflict, "the key of this request was used before, for %s (%s %s), which asked for something else; "+
		"nothing was done: send the request as it was, or another one under a new key", id, run.Service, run.Job)
	if inv.Action == bellhop.ActionRetry {
		if run.RetryOf != inv.Run || !e.given(&run, inv.Args) {
			return other
		}
		return nil
	}
	o, err := e.active.Load().offer(inv.Service, inv.Job)
	switch {
	case err != nil:
		return err
	case run.Service != inv.Service || run.Job != inv.Job || run.RetryOf != 0:
		return other
	}
	args := inv.Args
	if o.digest != run.Digest {
		args = make(bellhop.Args)
		for name, v := range inv.Args {
			if p, ok := o.job.Param(name); ok && !byItself(p, v) {
				args[name] = v
			}
		}
	} else if len(args) != len(run.Args) {
		return other
	}
	if !e.given(&run, args) {
		return other
	}
	return nil
}

// byItself reports whether a value is the one that a parameter has when nobody
// says another.
func byItself(p bellhop.Param, v bellhop.Value) bool {
	return p.Default != nil && p.Default.Equal(v)
}

// given reports whether a run has these arguments, however they are written.
func (e *Engine) given(run *bellhop.Run, args bellhop.Args) bool {
	var job *bellhop.Job
	if o, err := e.active.Load().offer(run.Service, run.Job); err == nil {
		job = o.job
	}
	for name, v := range args {
		had, ok := run.Args[name]
		if !ok {
			return false
		}
		var p bellhop.Param
		if job != nil {
			p, _ = job.Param(name)
		}
		if had.IsList() != v.IsList() || !slices.Equal(had.List, v.List) || !p.Same(had.Text, v.Text) {
			return false
		}
	}
	return true
}
