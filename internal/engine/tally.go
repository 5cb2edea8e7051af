package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// tallyUnit is the least span that is counted. What is open (the day that has
	// not ended) is put together from those.
	tallyUnit = 15 * time.Minute
	// tallyLate is how long after its end a span may still grow: ends are written
	// a little after their time.
	tallyLate = time.Minute
	// tallyFresh is how old the count of what is open may be.
	tallyFresh = 3 * time.Second
	// maxTallies is how many spans are remembered, maxBuckets how many one asks
	// for at a time.
	maxTallies = 500
	maxBuckets = 100
)

// tallies are what was counted, for all who look. A span that is over is counted
// once.
type tallies struct {
	mu sync.Mutex // held while something is counted
	by map[span]*counted
}

type span struct{ start, end int64 } // microseconds

type counted struct {
	at   time.Time
	over bool
	list []bellhop.Tally // shared: not to be changed
}

// Tally counts the runs that ended since a time, in spans of equal length that
// are shared by all who look: multiples of a quarter of an hour, or days (24 h)
// of the configuration's zone; the first one has since in it, and there are 100
// at the most (Invalid). Only jobs are counted that the person may have done
// with some arguments at least; service and job narrow that, "" = all.
func (e *Engine) Tally(ctx context.Context, p bellhop.Person, since time.Time, bucket time.Duration, service, job string) ([]bellhop.TallyBucket, error) {
	now := e.clock.Now()
	spans, err := e.spans(since, bucket, now)
	if err != nil {
		return nil, err
	}
	type name struct{ service, job string }
	known := map[name]bool{}
	sees := func(t *bellhop.Tally) bool {
		if service != "" && t.Service != service || job != "" && t.Job != job {
			return false
		}
		n := name{t.Service, t.Job}
		may, ok := known[n]
		if !ok {
			may = e.SeesJob(ctx, p, n.service, n.job)
			known[n] = may
		}
		return may
	}
	out := make([]bellhop.TallyBucket, len(spans))
	for i, s := range spans {
		list, err := e.countedIn(ctx, s, now)
		if err != nil {
			return nil, err
		}
		b := &out[i]
		b.Start, b.End, b.Tallies = time.UnixMicro(s.start).UTC(), time.UnixMicro(s.end).UTC(), []bellhop.Tally{}
		for j := range list {
			if sees(&list[j]) {
				b.Tallies = append(b.Tallies, list[j])
			}
		}
	}
	return out, nil
}

// spans cuts the time from since to now.
func (e *Engine) spans(since time.Time, bucket time.Duration, now time.Time) (all []span, err error) {
	const day = 24 * time.Hour
	if bucket < tallyUnit || bucket%tallyUnit != 0 || bucket > day {
		return nil, bellhop.Errorf(bellhop.Invalid, "runs are counted in spans of a quarter of an hour, a multiple of that, or a day, not %s", bucket)
	}
	start := since.UTC().Truncate(bucket)
	next := func(t time.Time) time.Time { return t.Add(bucket) }
	if bucket == day {
		zone := e.active.Load().zone()
		y, m, d := since.In(zone).Date()
		start = time.Date(y, m, d, 0, 0, 0, 0, zone)
		next = func(t time.Time) time.Time {
			y, m, d := t.Date()
			return time.Date(y, m, d+1, 0, 0, 0, 0, zone)
		}
	}
	for ; !start.After(now); start = next(start) {
		if len(all) == maxBuckets {
			return nil, bellhop.Errorf(bellhop.Invalid, "runs since %s are more than %d spans of %s; ask for longer ones, or a later time", e.say(since), maxBuckets, bucket)
		}
		all = append(all, span{start.UnixMicro(), next(start).UnixMicro()})
	}
	return all, nil
}

// countedIn returns what ended in a span. Of what is open, only the newest part
// is counted again.
func (e *Engine) countedIn(ctx context.Context, s span, now time.Time) ([]bellhop.Tally, error) {
	unit := tallyUnit.Microseconds()
	if s.end-s.start <= unit || isOver(s, now) {
		return e.countOnce(ctx, s, now)
	}
	var parts []bellhop.Tally
	for start := s.start; start < s.end && start <= now.UnixMicro(); start += unit {
		list, err := e.countOnce(ctx, span{start, min(start+unit, s.end)}, now)
		if err != nil {
			return nil, err
		}
		parts = append(parts, list...)
	}
	return summed(parts), nil
}

func isOver(s span, now time.Time) bool { return now.UnixMicro() >= s.end+tallyLate.Microseconds() }

// countOnce counts, or returns what was counted before.
func (e *Engine) countOnce(ctx context.Context, s span, now time.Time) ([]bellhop.Tally, error) {
	t := &e.tallies
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.by[s]; c != nil && (c.over || apart(now, c.at) < tallyFresh) {
		return c.list, nil
	}
	list, err := e.store.Records.Tally(ctx, time.UnixMicro(s.start), time.UnixMicro(s.end))
	if err != nil {
		return nil, err
	}
	if t.by == nil {
		t.by = map[span]*counted{}
	}
	t.by[s] = &counted{at: now, over: isOver(s, now), list: summed(list)}
	for len(t.by) > maxTallies { // that which is over the longest goes
		first := s
		for other := range t.by {
			if other.end < first.end {
				first = other
			}
		}
		if first == s {
			break
		}
		delete(t.by, first)
	}
	return t.by[s].list, nil
}

// summed adds up counts of the same, and sorts them.
func summed(list []bellhop.Tally) []bellhop.Tally {
	slices.SortFunc(list, func(a, b bellhop.Tally) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Job, b.Job), cmp.Compare(a.State, b.State), cmp.Compare(a.Verdict, b.Verdict))
	})
	var out []bellhop.Tally
	for i := range list {
		t := &list[i]
		if n := len(out); n > 0 && out[n-1].Service == t.Service && out[n-1].Job == t.Job && out[n-1].State == t.State && out[n-1].Verdict == t.Verdict {
			out[n-1].Add(t)
			continue
		}
		out = append(out, *t)
	}
	return out
}
