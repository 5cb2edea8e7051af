package engine

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// sweepRuns is how many runs are looked at in one step, and sweepForget how
	// many are changed: a step must not hold up a claim.
	sweepRuns   = 500
	sweepForget = 100
	sweepKeys   = 1000
	// sweepRest is the least pause between two steps; a pause is at least as
	// long as the step before it took.
	sweepRest = 5 * time.Millisecond
	// trimPoll is how often the size of all output is looked at.
	trimPoll = time.Minute
	// sweepIdle is how many steps without anything old end a sweep that is not
	// a full one: runs get old in about the order of their ids.
	sweepIdle = 20
	// fullSweeps: every how many sweeps, one looks at everything.
	fullSweeps = 24
)

// errNotMine ends a sweep when another server has become the keeper.
var errNotMine = errors.New("another server is the keeper now")

// cursors are where sweeps need not look again.
type cursors struct {
	mu     sync.Mutex    // one sweep at a time
	output bellhop.RunID // ended runs up to here have no output left
}

// sweepLoop forgets what is not to be kept any more, while this server is the
// keeper: everything at its start, then what has become old every so often, and
// output that is too much in between.
func (e *Engine) sweepLoop(ctx context.Context) {
	var last time.Time
	for n := 0; e.sleep(ctx, time.Second); {
		if !e.leading.Load() {
			n, last = 0, time.Time{} // another one was the keeper: begin anew
			continue
		}
		e.swept.mu.Lock()
		var err error
		if last.IsZero() || e.clock.Now().Sub(last) >= e.every || e.clock.Now().Before(last) {
			last = e.clock.Now()
			err = e.sweep(ctx, n%fullSweeps == 0, e.leads)
			n++
		} else {
			err = e.trim(ctx, e.leads)
		}
		e.swept.mu.Unlock()
		if err != nil && ctx.Err() == nil && !errors.Is(err, errNotMine) {
			e.log.Warn("forgetting what is not kept any more", "error", err)
		}
		if !e.sleep(ctx, min(trimPoll, e.every)) {
			return
		}
	}
}

// leads is what goes before each step of a sweep: a rest, and a look whether
// this server is still the one to do it.
func (e *Engine) leads(ctx context.Context, took time.Duration) error {
	if !e.sleep(ctx, max(sweepRest, took)) {
		return ctx.Err()
	}
	if !e.leading.Load() {
		return errNotMine
	}
	return nil
}

// Sweep forgets, without a rest, all that is not to be kept any more.
func (e *Engine) Sweep(ctx context.Context) error {
	e.swept.mu.Lock()
	defer e.swept.mu.Unlock()
	return e.sweep(ctx, true, func(ctx context.Context, _ time.Duration) error { return ctx.Err() })
}

// rest comes between two steps, and is told how long the last one took.
type rest func(ctx context.Context, took time.Duration) error

func (e *Engine) sweep(ctx context.Context, full bool, rest rest) error {
	cat := e.active.Load()
	now := e.clock.Now()
	s := &sweeping{Engine: e, rest: rest, cat: cat, now: now, full: full}
	if full {
		e.swept.output = 0
	}
	if err := s.runs(ctx, 0); err != nil {
		return err
	}
	if !full {
		if err := s.runs(ctx, e.swept.output); err != nil {
			return err
		}
	}
	if err := e.trim(ctx, rest); err != nil {
		return err
	}
	if err := s.keys(ctx); err != nil {
		return err
	}
	if err := s.values(ctx); err != nil {
		return err
	}
	if cat.Keep.Runs > 0 {
		if err := s.step(ctx, func() error { return e.store.Retention.ForgetHolds(ctx, now.Add(-cat.Keep.Runs)) }); err != nil {
			return err
		}
	}
	return s.shrink(ctx)
}

// sweeping is one sweep at work.
type sweeping struct {
	*Engine
	rest rest
	cat  *catalog
	now  time.Time
	full bool
}

// step does one small thing, and rests.
func (s *sweeping) step(ctx context.Context, do func() error) error {
	began := s.clock.Now()
	if err := do(); err != nil {
		return err
	}
	return s.rest(ctx, s.clock.Now().Sub(began))
}

// kept says how long runs of a job and their output are kept; not above 0 is
// for ever. What is not in the configuration any more is kept as long as what
// says nothing.
func (s *sweeping) kept(service, job string) (runs, output time.Duration) {
	runs, output = s.cat.Keep.Runs, s.cat.Keep.Output
	if o := s.cat.jobs[jobName{service, job}]; o != nil {
		if o.job.Keep.Runs != 0 {
			runs = o.job.Keep.Runs
		}
		if o.job.Keep.Output != 0 {
			output = o.job.Keep.Output
		}
	}
	return runs, output
}

func (s *sweeping) old(finished time.Time, kept time.Duration) bool {
	return kept > 0 && !finished.IsZero() && finished.Before(s.now.Add(-kept))
}

// runs looks at the runs with ids above after, and forgets those that are old,
// or their output. The cursor moves on as long as nothing with output is left
// behind it.
func (s *sweeping) runs(ctx context.Context, after bellhop.RunID) error {
	clear := after == s.swept.output
	for idle := 0; s.full || idle < sweepIdle; idle++ {
		var next bellhop.RunID
		err := s.step(ctx, func() error {
			found, last, err := s.store.Retention.Old(ctx, after, sweepRuns)
			if err != nil {
				return err
			}
			runs, output, left := s.sort(found)
			if len(runs)+len(output) > 0 {
				idle = 0
			}
			if err := s.forget(ctx, runs, output); err != nil {
				return err
			}
			if clear && len(found) > 0 {
				s.swept.output = max(s.swept.output, found[len(found)-1].Run)
				if left != 0 {
					s.swept.output, clear = left-1, false
				}
			}
			next = last
			return nil
		})
		if err != nil || next == 0 {
			return err
		}
		after = next
	}
	return nil
}

// sort tells what is to be forgotten of runs; left is the first one that keeps
// its output, or may, since the store keeps what is still to be told; 0 when
// none does.
func (s *sweeping) sort(found []bellhop.OldRun) (runs, output []bellhop.RunID, left bellhop.RunID) {
	for _, r := range found {
		keepRun, keepOutput := s.kept(r.Service, r.Job)
		switch {
		case s.old(r.Finished, keepRun):
			runs = append(runs, r.Run)
		case r.Output > 0 && s.old(r.Finished, keepOutput):
			output = append(output, r.Run)
			continue
		}
		if r.Output > 0 && left == 0 {
			left = r.Run
		}
	}
	return runs, output, left
}

// forget deletes in small changes, with a rest after each.
func (s *sweeping) forget(ctx context.Context, runs, output []bellhop.RunID) error {
	for len(runs)+len(output) > 0 {
		r := runs[:min(len(runs), sweepForget)]
		o := output[:min(len(output), sweepForget-len(r))]
		err := s.step(ctx, func() error {
			_, err := s.store.Retention.Forget(ctx, r, o)
			return err
		})
		if err != nil {
			return err
		}
		runs, output = runs[len(r):], output[len(o):]
	}
	return nil
}

func (s *sweeping) keys(ctx context.Context) error {
	for cursor := ""; ; {
		err := s.step(ctx, func() (err error) {
			cursor, err = s.store.Retention.ForgetKeys(ctx, s.now.Add(-bellhop.KeyAge), cursor, sweepKeys)
			return err
		})
		if err != nil || cursor == "" {
			return err
		}
	}
}

// values forgets those that have expired.
func (s *sweeping) values(ctx context.Context) error {
	for more := true; more; {
		err := s.step(ctx, func() (err error) {
			more, err = s.store.Values.ForgetValues(ctx, s.now, sweepForget)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sweeping) shrink(ctx context.Context) error {
	for more := true; more; {
		err := s.step(ctx, func() (err error) {
			more, err = s.store.Retention.Shrink(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// trim forgets the output of the oldest runs until all of it is no more than
// is to be kept.
func (e *Engine) trim(ctx context.Context, rest rest) error {
	cat := e.active.Load()
	most := cat.Keep.MaxOutput
	if most <= 0 {
		return nil
	}
	size, err := e.store.Retention.OutputSize(ctx)
	if err != nil || size <= most {
		return err
	}
	// What runs now has output later, and is then among the oldest.
	running, _, _, err := e.store.Records.Active(ctx, 0)
	if err != nil {
		return err
	}
	oldest := bellhop.RunID(math.MaxInt64)
	for i := range running {
		oldest = min(oldest, running[i].ID-1)
	}
	s := &sweeping{Engine: e, rest: rest, cat: cat, now: e.clock.Now()}
	for after := e.swept.output; size > most; {
		var output []bellhop.RunID
		err := s.step(ctx, func() error {
			found, last, err := e.store.Retention.Old(ctx, after, sweepRuns)
			after = last
			for _, r := range found {
				if r.Output > 0 && size > most {
					output = append(output, r.Run)
					size -= r.Output
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := s.forget(ctx, nil, output); err != nil {
			return err
		}
		if len(output) > 0 {
			e.swept.output = min(output[len(output)-1], oldest)
		}
		if after == 0 { // the rest is of runs that run
			break
		}
	}
	return s.shrink(ctx)
}
