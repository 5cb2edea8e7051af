package engine

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// statusWaiting is how many waiting runs a status shows.
const statusWaiting = 100

// Status tells what happens now, as far as the person may see it.
func (e *Engine) Status(ctx context.Context, p bellhop.Person) (*bellhop.Status, error) {
	running, waiting, more, err := e.store.Records.Active(ctx, statusWaiting)
	if err != nil {
		return nil, err
	}
	now := e.clock.Now()
	holds, err := e.store.Holds.Holds(ctx, bellhop.HoldFilter{}, now)
	if err != nil {
		return nil, err
	}
	fillWaits(waiting, holds, now)
	slices.SortStableFunc(waiting, func(a, b bellhop.Run) int { return goesFirst(&a, &b, now) })
	running, waiting, holds = inScope(p, running), inScope(p, waiting), holdsInScope(p, holds)
	s := &bellhop.Status{Running: e.redact(ctx, p, running), Waiting: e.redact(ctx, p, waiting), More: more, Holds: e.redactHolds(ctx, p, holds)}
	newest, err := e.store.Cluster.Activated(ctx)
	if err != nil {
		return nil, err
	}
	if mine := e.active.Load().Digest; newest.Digest != "" && newest.Digest != mine {
		s.Config = &newest
	}
	return s, nil
}

// Runs lists runs, newest first, as far as the person may see them.
func (e *Engine) Runs(ctx context.Context, p bellhop.Person, f bellhop.RunFilter) ([]bellhop.Run, error) {
	runs, err := e.scoped(ctx, p, f)
	if err != nil {
		return nil, err
	}
	if err := e.explain(ctx, runs); err != nil {
		return nil, err
	}
	return e.redact(ctx, p, runs), nil
}

// scoped lists runs, newest first: of what somebody is confined to, if they are.
func (e *Engine) scoped(ctx context.Context, p bellhop.Person, f bellhop.RunFilter) (all []bellhop.Run, err error) {
	if p.Scope == "" {
		return e.store.Records.Runs(ctx, f)
	}
	for s := range strings.FieldsSeq(p.Scope) {
		of := f
		service, job, one := strings.Cut(s, "/")
		if f.Service != "" && f.Service != service || one && f.Job != "" && f.Job != job {
			continue
		}
		if of.Service = service; one {
			of.Job = job
		}
		runs, err := e.store.Records.Runs(ctx, of)
		if err != nil {
			return nil, err
		}
		all = append(all, runs...)
	}
	slices.SortFunc(all, func(a, b bellhop.Run) int { return cmp.Compare(b.ID, a.ID) })
	all = slices.CompactFunc(all, func(a, b bellhop.Run) bool { return a.ID == b.ID })
	if f.Limit > 0 && len(all) > f.Limit {
		all = all[:f.Limit]
	}
	return all, nil
}

// inScope leaves out runs that somebody is not confined to.
func inScope(p bellhop.Person, runs []bellhop.Run) []bellhop.Run {
	return slices.DeleteFunc(runs, func(r bellhop.Run) bool { return !p.Within(r.Service, r.Job) })
}

// holdsInScope leaves out what keeps back nothing that somebody is confined to.
func holdsInScope(p bellhop.Person, holds []bellhop.Hold) []bellhop.Hold {
	return slices.DeleteFunc(holds, func(h bellhop.Hold) bool {
		whole := h.Job == "" && slices.ContainsFunc(strings.Fields(p.Scope), func(s string) bool { return strings.HasPrefix(s, h.Service+"/") })
		return !whole && !p.Within(h.Service, h.Job)
	})
}

// Run returns one run that the person may see, else NotFound or NotAllowed.
func (e *Engine) Run(ctx context.Context, p bellhop.Person, id bellhop.RunID) (bellhop.Run, error) {
	return e.runFor(ctx, p, id, bellhop.ActionLogs)
}

// runFor is Run for what is recorded as an action when it is refused.
func (e *Engine) runFor(ctx context.Context, p bellhop.Person, id bellhop.RunID, action bellhop.Action) (bellhop.Run, error) {
	run, err := e.store.Records.Run(ctx, id)
	if err != nil {
		return bellhop.Run{}, err
	}
	a := &ask{Invocation: &bellhop.Invocation{Action: action, Service: run.Service, Job: run.Job, Run: id, Person: p}, who: e.Identify(p)}
	if d, err := e.mayTouch(ctx, a.who, &run); err != nil {
		return run, e.refused(ctx, a, d, err)
	}
	one := []bellhop.Run{run}
	err = e.explain(ctx, one)
	e.maskRuns(one)
	return one[0], err
}

// ReadOutput calls fn with the pieces of a run's output after the given attempt
// and seq, in order. With follow it goes on until the run has ended. Output that is not kept any more is NotFound.
func (e *Engine) ReadOutput(ctx context.Context, p bellhop.Person, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	if _, err := e.Run(ctx, p, id); err != nil {
		return err
	}
	return e.Transcribe(ctx, id, attempt, seq, follow, fn)
}

// Transcribe is ReadOutput for whoever shows it to many: that each of them may
// see it is asked of Run before.
func (e *Engine) Transcribe(ctx context.Context, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	run, err := e.store.Records.Run(ctx, id) // before the output: what ended has all of it stored
	if err != nil {
		return err
	}
	at := place{attempt, seq}
	if err := e.stored(ctx, id, &at, place{}, fn); err != nil {
		return err
	}
	if run.OutputForgotten && at == (place{}) {
		return errForgotten(id)
	}
	if !follow || run.State.Terminal() {
		return nil
	}
	return e.followOutput(ctx, id, at, at != (place{attempt, seq}), fn)
}

// Told calls fn with the output of the attempt that a report tells of, as it
// is stored: whoever is told of a run is told what it printed.
func (e *Engine) Told(ctx context.Context, r bellhop.Report, fn func(bellhop.Chunk) error) error {
	attempt, seq := max(r.Attempt.N-1, 0), int64(math.MaxInt64)
	for {
		chunks, err := e.store.Outputs.Output(ctx, r.Run.ID, attempt, seq, outputPage)
		if err != nil || len(chunks) == 0 {
			return err
		}
		for _, c := range chunks {
			if r.Attempt.N != 0 && c.Attempt > r.Attempt.N {
				return nil
			}
			if err := fn(c); err != nil {
				return err
			}
			attempt, seq = c.Attempt, c.Seq
		}
	}
}

func errForgotten(id bellhop.RunID) error {
	return bellhop.Errorf(bellhop.NotFound, "the output of %s is not kept any more; how long it is, `keep:` in the configuration says", id)
}
