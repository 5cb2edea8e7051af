package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// watchQuiet is after how long somebody is told that nothing happened.
const watchQuiet = 15 * time.Second

// Watch calls fn with the runs that a person may see, each as it is when it has
// changed: made, begun, waiting again, ended. It begins with those that are
// active, and, unless after is 0, those made behind that one, up to 1,000 of
// each. Changes that follow each other fast may be told as one; none is told
// twice. With no run, fn is told that nothing happened for 15 seconds. What it
// is given is shared with others who watch, and is not to be changed. Watch
// returns when fn fails or ctx ends, and with ErrBehind when fn is so slow that
// what has changed is not known any more.
func (e *Engine) Watch(ctx context.Context, p bellhop.Person, after bellhop.RunID, fn func([]*bellhop.Run) error) error {
	l, leave := e.lookout()
	defer leave()
	w := &watch{l: l, v: viewer{e: e, p: p}, after: after}
	found, err := w.begin(ctx)
	if err != nil {
		return err
	}
	last := e.clock.Now()
	for {
		runs := w.v.runs(ctx, found)
		now := e.clock.Now()
		switch quiet := now.Sub(last); {
		case len(runs) > 0 || quiet >= watchQuiet:
			last = now
			if err := fn(runs); err != nil {
				return err
			}
		case quiet < 0: // the clock was set back
			last = now
		}
		var news <-chan struct{}
		if found, news, err = w.more(); err != nil {
			return err
		}
		if len(found) > 0 {
			continue
		}
		if err := e.rest(ctx, max(watchQuiet-now.Sub(last), time.Millisecond), news); err != nil {
			return err
		}
	}
}

// watch is how much somebody was told.
type watch struct {
	l     *lookout
	v     viewer
	after bellhop.RunID
	seq   uint64                  // of the last change
	own   map[bellhop.RunID]print // what they were told that no look had found yet
}

// begin returns what somebody is told first: what is active, what has changed
// since they came, and what is new to them; by id.
func (w *watch) begin(ctx context.Context) ([]*sighting, error) {
	o, seq, err := w.l.begin(ctx)
	if err != nil {
		return nil, err
	}
	first := make(map[bellhop.RunID]*sighting, len(o.active))
	for w.seq = seq; w.seq < o.seq; {
		found, _, err := w.l.since(w.seq)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if s.seq <= o.seq {
				first[s.run.ID] = s
			}
			w.seq = s.seq
		}
		if len(found) == 0 {
			break
		}
	}
	w.seq = o.seq
	for _, s := range o.active {
		first[s.run.ID] = s
	}
	if w.after != 0 {
		if err := w.behind(ctx, o, first); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(first), func(a, b *sighting) int { return cmp.Compare(a.run.ID, b.run.ID) }), nil
}

// behind adds the runs that were made behind the one that somebody knows.
func (w *watch) behind(ctx context.Context, o *overview, first map[bellhop.RunID]*sighting) (err error) {
	var runs []bellhop.Run
	page := o.newest
	for n := watchPage; ; n += watchPage {
		fresh := 0
		for _, r := range page {
			if r.ID <= w.after {
				continue
			}
			fresh++
			if first[r.ID] == nil {
				runs = append(runs, r)
			}
		}
		if fresh < watchPage || n >= watchNew {
			break
		}
		page, err = w.v.e.store.Records.Runs(ctx, bellhop.RunFilter{Limit: watchPage, Before: page[len(page)-1].ID})
		if err != nil {
			return err
		}
	}
	found, err := w.v.e.sight(ctx, runs)
	if err != nil || len(found) == 0 {
		return err
	}
	w.own = make(map[bellhop.RunID]print)
	for _, s := range found {
		first[s.run.ID] = s
		if !s.print.over() { // the next look finds it, too
			w.own[s.run.ID] = s.print
		}
	}
	return nil
}

// more returns what has changed since, and what is closed when something has.
func (w *watch) more() (found []*sighting, news <-chan struct{}, err error) {
	found, news, err = w.l.since(w.seq)
	if err != nil || len(found) == 0 {
		return nil, news, err
	}
	w.seq = found[len(found)-1].seq
	if len(w.own) > 0 {
		found = slices.DeleteFunc(found, func(s *sighting) bool {
			was, told := w.own[s.run.ID]
			delete(w.own, s.run.ID)
			return told && was == s.print
		})
	}
	return found, news, nil
}

// viewFor is how long it is remembered what somebody may see of a job's runs:
// a chat may say anew who belongs to its groups.
const viewFor = time.Second

// viewer is what somebody may see of runs. What the gate says of a job whose
// rules do not look at arguments, it says of each of its runs.
type viewer struct {
	e    *Engine
	p    bellhop.Person
	who  bellhop.Principal
	cat  *catalog // by which; another makes all of it void
	at   time.Time
	jobs map[jobName]bool
}

// runs returns what somebody is told of runs.
func (v *viewer) runs(ctx context.Context, found []*sighting) []*bellhop.Run {
	if len(found) == 0 {
		return nil
	}
	cat, now := v.e.active.Load(), v.e.clock.Now()
	if age := now.Sub(v.at); v.cat != cat || age < 0 || age >= viewFor {
		*v = viewer{e: v.e, p: v.p, who: v.e.Identify(v.p), cat: cat, at: now, jobs: make(map[jobName]bool)}
	}
	runs := make([]*bellhop.Run, 0, len(found))
	for _, s := range found {
		switch {
		case !v.p.Within(s.run.Service, s.run.Job):
		case v.sees(ctx, &s.run):
			runs = append(runs, s.full)
		default:
			runs = append(runs, s.bare)
		}
	}
	return runs
}

// sees is Engine.sees, remembered.
func (v *viewer) sees(ctx context.Context, r *bellhop.Run) bool {
	if asked(v.who, r) {
		return true
	}
	name := jobName{r.Service, r.Job}
	allowed, known := v.jobs[name]
	if !known {
		allowed = v.e.decide(ctx, v.who, ofMany(r)).Allowed
		if v.cat.plain(name) {
			v.jobs[name] = allowed
		}
	}
	return allowed || v.e.votes(ctx, v.who, r)
}

// plain reports whether the rules of a job do not look at arguments.
func (c *catalog) plain(name jobName) bool {
	looks := func(r bellhop.Rule) bool { return len(r.When) > 0 }
	if s := c.services[name.service]; s != nil && slices.ContainsFunc(s.Allow, looks) {
		return false
	}
	o := c.jobs[name]
	return o == nil || !o.ruled && !slices.ContainsFunc(o.job.Allow, looks)
}
