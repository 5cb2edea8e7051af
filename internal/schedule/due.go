package schedule

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/bellhop-io/bellhop"
)

// owed is one tick that is to be dealt with.
type owed struct {
	at   time.Time
	skip string // why nothing is asked for; "" = a run is
	// queue: it is made up for, and waits its turn.
	queue bool
}

// due returns the ticks after the cursor that are not later than now, and the
// first that is.
func (c *Clockwork) due(s *bellhop.Schedule, k *cursor, now time.Time, zone *time.Location) (due []owed, next time.Time, err error) {
	spec, err := c.spec(s.Cron)
	if err != nil {
		return nil, next, err
	}
	if k.next.IsZero() {
		k.next = after(spec, s, k.Last, zone)
	}
	if !within(k.next, now) {
		return nil, k.next, nil
	}
	from, dropped := k.Last, 0
	if oldest := now.Add(-bellhop.MissedAge); from.Before(oldest) {
		if from = oldest; !within(after(spec, s, from, zone), now) { // all that was missed is old
			from = lastBefore(spec, s, k.next, now, zone)
		}
		if k.next.Unix() <= from.Unix() {
			dropped = 1 // at least
		}
	}
	const most = bellhop.MissedMost + int(bellhop.MissedAfter/time.Second) + 1 // can bring a run
	var ticks []time.Time
	at := after(spec, s, from, zone)
	for ; within(at, now); at = after(spec, s, at, zone) {
		if ticks = append(ticks, at); len(ticks) > 2*most {
			dropped += len(ticks) - most
			ticks = append(ticks[:0], ticks[len(ticks)-most:]...)
		}
	}
	return judge(s.Missed, ticks, dropped, now), at, nil
}

// after is the first tick after a time within the schedule's bounds.
func after(spec *Spec, s *bellhop.Schedule, t time.Time, zone *time.Location) time.Time {
	if s.From.After(t) {
		t = s.From.Add(-time.Nanosecond)
	}
	if s.Zone != "" {
		if loc, err := time.LoadLocation(s.Zone); err == nil {
			zone = loc
		}
	}
	at := spec.Next(t, zone)
	if !at.IsZero() && !s.Until.IsZero() && !at.Before(s.Until) {
		return time.Time{}
	}
	return at
}

// within reports whether there is a tick, not later than now.
func within(tick, now time.Time) bool { return !tick.IsZero() && !tick.After(now) }

// lastBefore returns a time from which the last tick up to now is the next one:
// of ticks all of which were missed long ago, the first of them as given.
func lastBefore(spec *Spec, s *bellhop.Schedule, first, now time.Time, zone *time.Location) time.Time {
	low, high := first.Unix()-1, now.Unix() // a tick comes after low; none does after high
	for high-low > 1 {
		middle := low + (high-low)/2
		if within(after(spec, s, time.Unix(middle, 0), zone), now) {
			low = middle
		} else {
			high = middle
		}
	}
	return time.Unix(low, 0)
}

// judge says which ticks are run: those in time, and of those that were missed
// as many as the schedule wants. Others were missed and dropped before them.
func judge(m bellhop.Missed, ticks []time.Time, dropped int, now time.Time) []owed {
	late := 0
	for late < len(ticks) && now.Sub(ticks[late]) > bellhop.MissedAfter {
		late++
	}
	made := 0 // of those that were missed, the newest so many are run
	switch m {
	case bellhop.MissedOne, "":
		made = min(late, 1)
	case bellhop.MissedAll:
		for made < min(late, bellhop.MissedMost) && now.Sub(ticks[late-made-1]) <= bellhop.MissedAge {
			made++
		}
	}
	var due []owed
	if skipped := late - made; skipped > 0 {
		note := "missed"
		if skipped+dropped > 1 {
			note = "missed, as some before it"
		}
		due = append(due, owed{at: ticks[skipped-1], skip: note})
	}
	for i, at := range ticks[late-made:] {
		due = append(due, owed{at: at, queue: m == bellhop.MissedAll && i < made})
	}
	return due
}

// jitter is the part of a schedule's jitter by which a tick's run is late: the
// same on every server.
func jitter(s *bellhop.Schedule, at time.Time) time.Duration {
	if s.Jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s/%s/%d", s.Service, s.Name, at.UnixNano())
	return time.Duration(h.Sum64() % uint64(s.Jitter))
}
