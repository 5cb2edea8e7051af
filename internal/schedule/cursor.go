package schedule

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bellhop-io/bellhop"
)

// cursor is what is kept of a schedule.
type cursor struct {
	Last time.Time     `json:"last"`          // the tick up to which all were dealt with
	Run  bellhop.RunID `json:"run,omitempty"` // asked for last
	At   time.Time     `json:"at,omitzero"`   // the tick of that
	Note string        `json:"note,omitempty"`
	Rule string        `json:"rule"` // what its ticks were found by then
	Span string        `json:"span"` // and its bounds
	// Paused: it was when this was written, and Last is of no matter.
	Paused bool `json:"paused,omitempty"`

	version int64
	next    time.Time // after Last; zero = not known
}

// ruleOf is all that a schedule's ticks follow from but its bounds.
func ruleOf(s *bellhop.Schedule, zone *time.Location) string {
	name := s.Zone
	if name == "" {
		name = zone.String() // UTC for nil
	}
	return s.Cron + " " + name
}

func spanOf(s *bellhop.Schedule) string {
	text := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return text(s.From) + "/" + text(s.Until)
}

func (c *Clockwork) cursor(ctx context.Context, s *bellhop.Schedule, zone *time.Location) (*cursor, error) {
	name := s.Service + "/" + s.Name
	if k := c.known[name]; k != nil {
		return k, nil
	}
	k, err := c.read(ctx, name)
	if bellhop.CodeOf(err) == bellhop.NotFound { // a new one: what is past was not meant
		k = &cursor{Last: c.opt.Clock.Now(), Rule: ruleOf(s, zone), Span: spanOf(s), Paused: s.Paused}
		err = c.put(ctx, name, k)
	}
	if err != nil {
		return nil, err
	}
	c.known[name] = k
	return k, nil
}

// now returns what is to be kept of a schedule that has changed since; nil when
// it has not. What is past when its ticks are others, or begin again, was not
// meant.
func (k *cursor) now(s *bellhop.Schedule, zone *time.Location, now time.Time) *cursor {
	rule, span := ruleOf(s, zone), spanOf(s)
	if k.Rule == rule && k.Span == span && k.Paused == s.Paused {
		return nil
	}
	begin := now
	if k.Rule == rule && k.Paused == s.Paused { // what is due just now goes on
		begin = now.Add(-bellhop.MissedAfter)
	}
	next := *k
	next.Rule, next.Span, next.Paused, next.next = rule, span, s.Paused, time.Time{}
	if begin.After(k.Last) {
		next.Last = begin
	}
	return &next
}

func (c *Clockwork) read(ctx context.Context, name string) (*cursor, error) {
	v, err := c.opt.Values.Get(ctx, space, name, c.opt.Clock.Now())
	if err != nil {
		return nil, err
	}
	k := &cursor{version: v.Version}
	if err := json.Unmarshal(v.Value, k); err != nil {
		return nil, bellhop.Errorf(bellhop.Internal, "what is kept of schedule %s can't be read: %w", name, err)
	}
	return k, nil
}

// put writes a cursor in place of the one that was read. When another server
// has written meanwhile, what is known here is forgotten.
func (c *Clockwork) put(ctx context.Context, name string, k *cursor) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	version, err := c.opt.Values.Put(ctx, space, name, text, k.version, 0, c.opt.Clock.Now())
	if err != nil {
		delete(c.known, name)
		return err
	}
	k.version = version
	return nil
}
