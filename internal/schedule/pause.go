package schedule

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

// pauseSpace is where it is kept which schedules somebody has paused. It stays
// when the configuration has a schedule no more: one that comes back is as it
// was left.
const pauseSpace = "schedulepause"

// pause is what is kept of a schedule that somebody has paused.
type pause struct {
	Paused bool      `json:"paused"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	// Keys are those of the events that said so, the newest last: the same
	// event again changes nothing.
	Keys []string `json:"keys,omitempty"`
}

const (
	// pauseKeys is how many keys are kept, and resumedFor how long after it was
	// resumed: as long as keys of asks.
	pauseKeys  = 100
	resumedFor = 7 * 24 * time.Hour
	// pauseTries is how often a change is tried that others make at the same time.
	pauseTries = 10
)

// Pause has a schedule bring nothing until somebody resumes it, or resumes it.
// What is so already stays as it is, as does what the same event has changed
// before.
func (c *Clockwork) Pause(ctx context.Context, s *bellhop.Schedule, paused bool, by, key string) error {
	name := s.Service + "/" + s.Name
	for try := 0; ; try++ {
		now := c.opt.Clock.Now()
		was, version, err := c.pauseOf(ctx, name)
		if err != nil || slices.Contains(was.Keys, key) {
			return err
		}
		next := was
		if was.Paused != paused {
			next = pause{Paused: paused, By: by, At: now, Keys: was.Keys}
		}
		next.Keys = append(slices.Clone(next.Keys), key)
		next.Keys = next.Keys[max(0, len(next.Keys)-pauseKeys):]
		text, err := json.Marshal(next)
		if err != nil {
			return err
		}
		ttl := time.Duration(0)
		if !paused {
			ttl = resumedFor
		}
		_, err = c.opt.Values.Put(ctx, pauseSpace, name, text, version, ttl, now)
		if bellhop.CodeOf(err) == bellhop.Conflict && try < pauseTries {
			continue
		}
		c.Look()
		return err
	}
}

// pauseOf reads whether somebody has paused a schedule.
func (c *Clockwork) pauseOf(ctx context.Context, name string) (p pause, version int64, err error) {
	v, err := c.opt.Values.Get(ctx, pauseSpace, name, c.opt.Clock.Now())
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return p, 0, nil
	}
	if err != nil {
		return p, 0, err
	}
	p, err = readPause(v)
	return p, v.Version, err
}

// since returns the cursor of a schedule that was resumed after the last tick
// that was dealt with: what passed before that was not meant. It is nil when
// there is nothing to change.
func (p pause) since(k *cursor, now time.Time) *cursor {
	at := p.At
	if at.After(now) { // the clock was set back
		at = now
	}
	if p.Paused || !k.Last.Before(at) {
		return nil
	}
	next := *k
	next.Last, next.next = at, time.Time{}
	return &next
}

func readPause(v bellhop.Stored) (p pause, err error) {
	if err := json.Unmarshal(v.Value, &p); err != nil {
		return p, bellhop.Errorf(bellhop.Internal, "what is kept of the pause of schedule %s can't be read: %w", v.Key, err)
	}
	return p, nil
}

// pauses returns the schedules that somebody has paused, or has resumed of late,
// by SERVICE/NAME.
func (c *Clockwork) pauses(ctx context.Context) (map[string]pause, error) {
	names := make(map[string]pause)
	for after, more := "", true; more; {
		list, err := c.opt.Values.List(ctx, pauseSpace, "", after, laterBatch, c.opt.Clock.Now())
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			after = v.Key
			p, err := readPause(v)
			if err != nil {
				return nil, err
			}
			names[v.Key] = p
		}
		more = len(list) == laterBatch
	}
	return names, nil
}
