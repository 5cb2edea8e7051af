package engine

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// beatFor is how long a server counts as alive, or has a role, after it
	// last said so; it says so every third of that.
	beatFor = 15 * time.Second
	// expirePoll is how often passed deadlines are looked for at least.
	expirePoll = time.Second
	// expireStep is how many runs are given up in one change.
	expireStep = 100
)

// expiredReason is what the record says of runs that were given up.
const expiredReason = "it had not started by its deadline"

// beat says that this server lives, and takes or keeps what one server does
// for all. Two that do it at a time do no harm.
func (e *Engine) beat(ctx context.Context) error {
	if err := e.store.Cluster.Beat(ctx, e.server, beatFor); err != nil {
		return err
	}
	return e.lead(ctx)
}

func (e *Engine) lead(ctx context.Context) error {
	if e.only.Load() != nil { // gone in a moment: it takes no role from anybody
		e.leading.Store(true)
		return nil
	}
	leading, err := e.store.Cluster.Lead(ctx, bellhop.RoleKeeper, e.server, beatFor)
	if err == nil && e.leading.Swap(leading) != leading {
		e.log.Debug("the keeper's role", "server", e.server, "mine", leading)
	}
	if err == nil {
		err = e.leadClock(ctx)
	}
	return err
}

// leadClock takes or keeps the clock's role as long as this server's
// configuration is the newest one, and gives it up otherwise.
func (e *Engine) leadClock(ctx context.Context) error {
	newest, err := e.store.Cluster.Activated(ctx)
	if err != nil {
		return err
	}
	if newest.Digest == e.active.Load().Digest {
		mine, err := e.store.Cluster.Lead(ctx, bellhop.RoleClock, e.server, beatFor)
		if err == nil {
			e.ticking.Store(mine)
			e.clockless = 0
		}
		return err
	}
	now := e.clock.Now()
	if !e.ticking.Swap(false) && now.Before(e.looked.Add(lookEvery)) {
		return nil
	}
	e.looked = now
	free, err := e.store.Cluster.Lead(ctx, bellhop.RoleClock, e.server, time.Millisecond) // and given up at once
	if err == nil {
		e.missClock(free, newest)
	}
	return err
}

const (
	// lookEvery is how often a server with an older configuration looks whether
	// one with the newest is there: between two looks that one starts again.
	lookEvery = 30 * time.Second
	// warnEvery is after how many looks without one that is said again.
	warnEvery = 20
)

// missClock warns, every now and then, when no server has the newest
// configuration any more: only those may say what its schedules want.
func (e *Engine) missClock(free bool, newest bellhop.Activation) {
	if !free {
		e.clockless = 0
		return
	}
	if e.clockless++; e.clockless%warnEvery == 2 {
		e.log.Warn("no schedule is looked at: the newest configuration is that of a server which is gone; start it again, or reload this one",
			"server", newest.Server, "activated", newest.At)
	}
}

// Ticking reports whether this server is the one that asks for what schedules
// want.
func (e *Engine) Ticking() bool { return e.ticking.Load() && e.only.Load() == nil }

// expireLoop gives up runs whose deadline passes: then, or when nobody was told
// of it at most one poll later.
func (e *Engine) expireLoop(ctx context.Context) {
	if err := e.lead(ctx); err != nil && ctx.Err() == nil {
		e.log.Warn("taking the keeper's role", "error", err)
	}
	for wait := time.Duration(0); e.sleep(ctx, wait); {
		wait = expirePoll
		if !e.leading.Load() {
			continue
		}
		for _, look := range []func(context.Context) (time.Time, error){e.Expire, e.Lapse} {
			next, err := look(ctx)
			if err != nil && ctx.Err() == nil {
				e.log.Warn("looking for passed deadlines", "error", err)
			}
			if !next.IsZero() {
				wait = min(wait, max(time.Millisecond, next.Sub(e.clock.Now())))
			}
		}
	}
}

// Expire gives up the runs whose deadline has passed, and returns the next one.
func (e *Engine) Expire(ctx context.Context) (next time.Time, err error) {
	for {
		gone, next, err := e.store.Queue.Expire(ctx, e.clock.Now(), expireStep, expiredReason)
		if err != nil {
			return time.Time{}, err
		}
		for _, id := range gone {
			e.done(id)
			e.bus.Publish(bellhop.TopicRun(id))
		}
		if len(gone) > 0 {
			e.bus.Publish(bellhop.TopicOutbox)
			e.bus.Publish(bellhop.TopicQueue) // others of their keys may go first now
		}
		if len(gone) < expireStep {
			return next, nil
		}
	}
}
