package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// What may wait to be asked for: for one principal, and in all.
const (
	MaxLater  = 100
	maxLaters = 10_000
)

// laterBatch is how many are looked at in one go.
const laterBatch = 50

// The parts of a Later's key in the store: those to come, by their time, and
// those that failed.
const (
	toCome = "due/"
	failed = "failed/"
)

func laterKey(l *bellhop.Later) string {
	if l.Failed != "" {
		return failed + l.ID
	}
	return fmt.Sprintf("%s%020d/%s", toCome, max(0, l.At.UnixMicro()), l.ID)
}

// idOf is the name under which somebody takes it back: from the event's key, so
// that the same event is the same wish.
func idOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	id := make([]byte, 8)
	for i := range id {
		id[i] = digits[sum[i]%32]
	}
	return string(id)
}

// Add writes down what somebody wants to be asked for later. The same event
// again gives what was written then.
func (c *Clockwork) Add(ctx context.Context, l bellhop.Later) (bellhop.Later, error) {
	c.adding.Lock()
	defer c.adding.Unlock()
	l.ID = idOf(l.Key)
	all, err := c.Later(ctx)
	if err != nil {
		return l, err
	}
	waiting, own := 0, 0
	for _, k := range all {
		switch {
		case k.Key == l.Key:
			return k, nil
		case k.ID == l.ID: // which takes some 2^40 keys to find
			return l, bellhop.Errorf(bellhop.Conflict, "the id %s is taken by something else; ask again, under another key", l.ID)
		case k.Failed != "":
			continue
		}
		waiting++
		if k.Person.Principal() == l.Person.Principal() {
			own++
		}
	}
	switch {
	case own >= MaxLater:
		return l, bellhop.Errorf(bellhop.Conflict, "%d things are to be asked for later for %s, which is as many as may be; take some back (unschedule ID; schedules lists them), or ask again when some are done", own, l.Person.Principal())
	case waiting >= maxLaters:
		return l, bellhop.Errorf(bellhop.Conflict, "%d things are to be asked for later, which is as many as may be; ask again when some are done", waiting)
	}
	text, err := json.Marshal(l)
	if err != nil {
		return l, err
	}
	if _, err := c.opt.Values.Put(ctx, laterSpace, laterKey(&l), text, -1, 0, c.opt.Clock.Now()); err != nil {
		return l, err
	}
	c.Look()
	return l, nil
}

// Later returns what is to be asked for, the next first, and what came to
// nothing.
func (c *Clockwork) Later(ctx context.Context) (all []bellhop.Later, err error) {
	for after := ""; ; {
		list, err := c.opt.Values.List(ctx, laterSpace, "", after, laterBatch, c.opt.Clock.Now())
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			var l bellhop.Later
			if err := json.Unmarshal(v.Value, &l); err != nil {
				return nil, bellhop.Errorf(bellhop.Internal, "what is kept as %s can't be read: %w", v.Key, err)
			}
			all, after = append(all, l), v.Key
		}
		if len(list) < laterBatch {
			return all, nil
		}
	}
}

func (c *Clockwork) find(ctx context.Context, id string) (bellhop.Later, error) {
	all, err := c.Later(ctx)
	if err != nil {
		return bellhop.Later{}, err
	}
	for _, l := range all {
		if strings.EqualFold(l.ID, id) {
			return l, nil
		}
	}
	return bellhop.Later{}, bellhop.Errorf(bellhop.NotFound, "nothing called %.40q is to be asked for later; `schedules` lists what is", id)
}

// Find returns one by its id, in any case, or NotFound.
func (c *Clockwork) Find(ctx context.Context, id string) (bellhop.Later, error) {
	return c.find(ctx, id)
}

// Remove takes one back.
func (c *Clockwork) Remove(ctx context.Context, l bellhop.Later) error {
	return c.opt.Values.Delete(ctx, laterSpace, laterKey(&l), -1, c.opt.Clock.Now())
}

// later says what is due, in order, and returns when the next is. Where
// somebody's source is away, what comes after it from there waits as well.
func (c *Clockwork) later(ctx context.Context) (next time.Time, err error) {
	away := map[string]bool{}
	for after := ""; ; {
		now := c.opt.Clock.Now()
		list, fault := c.opt.Values.List(ctx, laterSpace, toCome, after, laterBatch, now)
		if fault != nil {
			return next, errors.Join(err, fault)
		}
		for _, v := range list {
			after = v.Key
			var l bellhop.Later
			if fault := json.Unmarshal(v.Value, &l); fault != nil {
				err = bellhop.Errorf(bellhop.Internal, "what is kept as %s can't be read: %w", v.Key, fault)
				continue
			}
			if l.At.After(now) {
				return l.At, err
			}
			if away[l.Person.Source()] {
				continue
			}
			if fault := c.say(ctx, v.Key, l); fault != nil {
				err = fault
				away[l.Person.Source()] = bellhop.CodeOf(fault) == bellhop.Unavailable
			}
			if ctx.Err() != nil {
				return next, err
			}
		}
		if len(list) < laterBatch {
			return next, err
		}
	}
}

// say has it said, under a key of its own, so that it is asked for once.
func (c *Clockwork) say(ctx context.Context, key string, l bellhop.Later) error {
	_, err := c.opt.Values.Get(ctx, laterSpace, key, c.opt.Clock.Now())
	if bellhop.CodeOf(err) == bellhop.NotFound { // it was taken back meanwhile
		return nil
	}
	if err == nil {
		err = c.opt.House.Say(ctx, l)
	}
	if code := bellhop.CodeOf(err); code == bellhop.Unavailable || code == bellhop.Internal || ctx.Err() != nil {
		return err
	}
	was := l
	if err != nil {
		c.opt.Log.Warn("what was to be asked for later came to nothing", "id", l.ID, "principal", l.Person.Principal(), "error", err)
		l.Failed = err.Error()
		if err := c.dropFailed(ctx, l.Person.Principal()); err != nil {
			return err
		}
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if _, err := c.opt.Values.Put(ctx, laterSpace, laterKey(&l), text, -1, failedFor, c.opt.Clock.Now()); err != nil {
			return err
		}
	}
	return c.Remove(ctx, was)
}

// dropFailed forgets the oldest of what came to nothing for a principal, when
// there is as much of it as is kept.
func (c *Clockwork) dropFailed(ctx context.Context, principal string) error {
	all, err := c.Later(ctx)
	if err != nil {
		return err
	}
	var oldest bellhop.Later
	n := 0
	for _, l := range all {
		if l.Failed == "" || l.Person.Principal() != principal {
			continue
		}
		if n++; n == 1 || l.At.Before(oldest.At) {
			oldest = l
		}
	}
	if n < MaxLater {
		return nil
	}
	return c.Remove(ctx, oldest)
}
