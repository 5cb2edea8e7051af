package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// watchGap is between two looks at least, watchPoll at most: hints may be
	// lost, and of other servers' runs there are few.
	watchGap  = 100 * time.Millisecond
	watchPoll = time.Second
	// watchQuiet is after how long somebody is told that nothing happened.
	watchQuiet = 15 * time.Second

	watchActive = 1000   // waiting runs that a look reads at most
	watchPage   = 100    // new runs that are read at a time
	watchNew    = 1000   // new runs that a look tells of at most
	watchAlone  = 200    // runs that a look reads one by one at most
	watchKnown  = 10_000 // runs that are remembered at most
)

// Watch calls fn for each run that a person may see, as it is when it has
// changed: made, begun, waiting again, ended. It begins with those that are
// active, and, unless after is 0, those made behind that one, up to 1,000 of
// each. Changes that follow each other fast may be told as one; none is told
// twice. With nil, fn is told that nothing happened for 15 seconds. Watch
// returns when fn fails or ctx ends.
func (e *Engine) Watch(ctx context.Context, p bellhop.Person, after bellhop.RunID, fn func(*bellhop.Run) error) error {
	queue, endQueue := e.bus.Subscribe(bellhop.TopicQueue)
	defer endQueue()
	begun, endBegun := e.bus.Subscribe(bellhop.TopicBegun)
	defer endBegun()
	defer e.glances.enter()()
	w := &watch{e: e, p: p, after: after, known: make(map[bellhop.RunID]print)}
	if after == 0 {
		newest, err := e.store.Records.Runs(ctx, bellhop.RunFilter{Limit: 1})
		if err != nil {
			return err
		}
		if len(newest) > 0 {
			w.after = newest[0].ID
		}
	}
	last, hinted := e.clock.Now(), true
	for {
		runs, err := w.look(ctx, hinted)
		if err != nil {
			return err
		}
		for i := range runs {
			if err := fn(&runs[i]); err != nil {
				return err
			}
		}
		switch now := e.clock.Now(); {
		case len(runs) > 0 || now.Before(last):
			last = now
		case now.Sub(last) >= watchQuiet:
			last = now
			if err := fn(nil); err != nil {
				return err
			}
		}
		if _, err := e.rest(ctx, watchGap, nil, nil); err != nil {
			return err
		}
		if hinted, err = e.rest(ctx, watchPoll-watchGap, queue, begun); err != nil {
			return err
		}
	}
}

// rest waits for a time or a hint, and reports whether there was one.
func (e *Engine) rest(ctx context.Context, d time.Duration, hint, other <-chan struct{}) (hinted bool, err error) {
	over, stop := e.clock.NewTimer(d)
	defer stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-hint:
	case <-other:
	case <-over:
		return false, nil
	}
	return true, nil
}

// watch is what somebody was told.
type watch struct {
	e     *Engine
	p     bellhop.Person
	after bellhop.RunID
	known map[bellhop.RunID]print
}

// print is what of a run is told when it changes.
type print struct {
	over bool
	text string
}

func printOf(r *bellhop.Run) print {
	votes := 0
	if r.Approval != nil {
		votes = len(r.Approval.Votes)
	}
	return print{r.State.Terminal(), fmt.Sprint(r.State, r.Attempt, r.Verdict, r.Start.UnixMicro(), votes, r.OutputForgotten)}
}

// look returns what has changed since the last one, by id. hinted: something
// has.
func (w *watch) look(ctx context.Context, hinted bool) ([]bellhop.Run, error) {
	now := make(map[bellhop.RunID]bellhop.Run)
	note := func(runs []bellhop.Run) {
		for i := range runs {
			now[runs[i].ID] = runs[i]
		}
	}
	seen, err := w.e.glance(ctx, hinted)
	if err != nil {
		return nil, err
	}
	note(seen.running)
	note(seen.waiting)
	for i := range seen.newest { // those that have ended are not looked up one by one
		if was, known := w.known[seen.newest[i].ID]; known && !was.over {
			note(seen.newest[i : i+1])
		}
	}
	if err := w.made(ctx, seen.newest, note); err != nil {
		return nil, err
	}
	if err := w.left(ctx, now); err != nil {
		return nil, err
	}
	var changed []bellhop.Run
	for id, r := range now {
		if is := printOf(&r); w.known[id] != is {
			w.known[id] = is
			changed = append(changed, r)
		}
	}
	w.forget()
	changed = inScope(w.p, changed)
	slices.SortFunc(changed, func(a, b bellhop.Run) int { return cmp.Compare(a.ID, b.ID) })
	if err := w.e.explain(ctx, changed); err != nil {
		return nil, err
	}
	return w.e.redact(ctx, w.p, changed), nil
}

// made notes runs that are new, page being the newest of all. It reads on behind what is known: on a shared
// store a run may come to be seen after one with a higher number.
func (w *watch) made(ctx context.Context, page []bellhop.Run, note func([]bellhop.Run)) (err error) {
	for n := watchPage; ; n += watchPage {
		fresh := slices.DeleteFunc(slices.Clone(page), func(r bellhop.Run) bool {
			_, known := w.known[r.ID]
			return known || r.ID <= w.after
		})
		note(fresh)
		if len(fresh) == 0 || len(page) < watchPage || n >= watchNew {
			return nil
		}
		if page, err = w.e.store.Records.Runs(ctx, bellhop.RunFilter{Limit: watchPage, Before: page[len(page)-1].ID}); err != nil {
			return err
		}
	}
}

// left notes runs that were active and may have ended since.
func (w *watch) left(ctx context.Context, now map[bellhop.RunID]bellhop.Run) error {
	n := 0
	for id, was := range w.known {
		if _, seen := now[id]; seen || was.over {
			continue
		}
		if n++; n > watchAlone { // the next look begins somewhere else
			return nil
		}
		run, err := w.e.store.Records.Run(ctx, id)
		if bellhop.CodeOf(err) == bellhop.NotFound {
			delete(w.known, id)
			continue
		}
		if err != nil {
			return err
		}
		now[id] = run
	}
	return nil
}

// forget bounds what is remembered: the oldest that have ended go first, and
// are behind what is looked at from then on.
func (w *watch) forget() {
	if len(w.known) <= watchKnown {
		return
	}
	ids := slices.SortedFunc(maps.Keys(w.known), func(a, b bellhop.RunID) int {
		if x, y := w.known[a].over, w.known[b].over; x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	for _, id := range ids[:len(ids)-watchKnown/2] {
		if w.known[id].over {
			w.after = max(w.after, id)
		}
		delete(w.known, id)
	}
}
