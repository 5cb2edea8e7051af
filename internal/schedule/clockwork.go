package schedule

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// look is how often the clock is looked at, at least: it may be set anew.
	look = time.Second
	// space and laterSpace are where what is known of schedules, and what is to
	// be asked for later, is kept.
	space      = "schedule"
	laterSpace = "later"
	// failedFor is how long it is told that what was to be asked for later came
	// to nothing.
	failedFor = 7 * 24 * time.Hour
)

// Options are what a Clockwork is made of; all but Clock and Log are needed.
type Options struct {
	Values bellhop.Values
	Clock  bellhop.Clock // nil = the machine's
	Log    *slog.Logger  // nil = discarded
	// Mine reports whether this server is the one that asks. Two that do it at
	// a time do no harm.
	Mine func() bool
	// Schedules returns the active ones, and the zone of those that have none.
	Schedules func() ([]bellhop.Schedule, *time.Location)
	House     House
}

// House is Bellhop as the clock sees it.
type House interface {
	// Tick asks for the run of a schedule's tick. The same tick again is the
	// same run.
	Tick(ctx context.Context, s *bellhop.Schedule, at time.Time, delay time.Duration) (bellhop.RunID, error)
	// Ended reports whether a run has ended, or is not known any more.
	Ended(ctx context.Context, run bellhop.RunID) (bool, error)
	// Cancel cancels a run of a schedule.
	Cancel(ctx context.Context, s *bellhop.Schedule, run bellhop.RunID) error
	// Say says what somebody wanted to be said at this time.
	Say(ctx context.Context, l bellhop.Later) error
}

// Clockwork asks for what is due. What it has asked for is kept in the store,
// so that each tick is dealt with once: by whichever server, across restarts,
// and when a clock is set anew.
type Clockwork struct {
	opt    Options
	stop   context.CancelFunc
	loop   sync.WaitGroup
	adding sync.Mutex       // one at a time, so that they are counted
	wake   [2]chan struct{} // one for each loop
	specs  map[string]*Spec // by text; this and the rest is the first loop's alone
	known  map[string]*cursor
	names  string // of the schedules that there were last
	mine   bool
}

// New returns a clockwork that is not started.
func New(o Options) *Clockwork {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Clockwork{opt: o, wake: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}, specs: map[string]*Spec{}, known: map[string]*cursor{}}
}

// Start begins to ask.
func (c *Clockwork) Start(ctx context.Context) error {
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	for i, round := range []func(context.Context) time.Duration{c.round, c.laterRound} {
		c.loop.Go(func() { c.run(ctx, round, c.wake[i]) })
	}
	return nil
}

// Stop ends that. It may be called twice.
func (c *Clockwork) Stop() {
	if c.stop != nil {
		c.stop()
	}
	c.loop.Wait()
}

// Look has it look at once: the schedules, or what is to be asked for, changed.
func (c *Clockwork) Look() {
	for _, wake := range c.wake {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// run is one of two loops: schedules wait for nobody whose chat is slow to say
// who somebody is.
func (c *Clockwork) run(ctx context.Context, round func(context.Context) time.Duration, wake <-chan struct{}) {
	for ctx.Err() == nil {
		timer, stop := c.opt.Clock.NewTimer(round(ctx))
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer:
		}
		stop()
	}
}

// round asks for what schedules want when it is this server that does, and says
// how long there is to wait.
func (c *Clockwork) round(ctx context.Context) time.Duration {
	if !c.opt.Mine() {
		c.mine = false
		return look
	}
	if !c.mine { // another server has asked meanwhile
		clear(c.known)
	}
	return c.until(c.pass(ctx))
}

// laterRound says what is due, as round.
func (c *Clockwork) laterRound(ctx context.Context) time.Duration {
	if !c.opt.Mine() {
		return look
	}
	next, err := c.later(ctx)
	if err != nil && ctx.Err() == nil {
		c.opt.Log.Warn("what is to be asked for later could not be looked after; it is tried again", "error", err)
	}
	return c.until(next)
}

// until is how long to wait for what is due next; zero = nothing is.
func (c *Clockwork) until(next time.Time) time.Duration {
	if next.IsZero() {
		return look
	}
	return min(look, max(time.Millisecond, next.Sub(c.opt.Clock.Now())))
}

// pass asks for all that is due, and says when something is due next.
func (c *Clockwork) pass(ctx context.Context) (next time.Time) {
	schedules, zone := c.opt.Schedules()
	if err := c.tidy(ctx, schedules); err != nil && ctx.Err() == nil {
		c.opt.Log.Warn("schedules that are gone could not be forgotten", "error", err)
	}
	pauses, err := c.pauses(ctx)
	if err != nil { // one that may be paused asks for nothing
		if ctx.Err() == nil {
			c.opt.Log.Warn("it can't be read which schedules are paused, so none asks for anything; it is tried again", "error", err)
		}
		return next
	}
	for i := range schedules {
		s := schedules[i]
		p := pauses[s.Service+"/"+s.Name]
		s.Paused = s.Paused || p.Paused
		at, err := c.tick(ctx, &s, p, zone)
		if err != nil && ctx.Err() == nil {
			c.opt.Log.Warn("a schedule could not be looked after; it is tried again", "schedule", s.Principal(), "error", err)
		}
		next = sooner(next, at)
	}
	return next
}

// tidy forgets schedules that the configuration has no more, so that nothing is
// made up for when one comes back.
func (c *Clockwork) tidy(ctx context.Context, schedules []bellhop.Schedule) error {
	there := make(map[string]bool, len(schedules))
	names := ""
	for i := range schedules {
		name := schedules[i].Service + "/" + schedules[i].Name
		there[name] = true
		names += name + "\n"
	}
	if names == c.names && c.mine {
		return nil
	}
	for after, more := "", true; more; {
		list, err := c.opt.Values.List(ctx, space, "", after, laterBatch, c.opt.Clock.Now())
		if err != nil {
			return err
		}
		for _, v := range list {
			if after = v.Key; !there[v.Key] {
				if err := c.opt.Values.Delete(ctx, space, v.Key, v.Version, c.opt.Clock.Now()); err != nil {
					return err
				}
				delete(c.known, v.Key)
			}
		}
		more = len(list) == laterBatch
	}
	c.names, c.mine = names, true
	return nil
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// spec returns a parsed expression. The configuration was checked.
func (c *Clockwork) spec(text string) (*Spec, error) {
	if s := c.specs[text]; s != nil {
		return s, nil
	}
	s, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if len(c.specs) > 10_000 {
		clear(c.specs)
	}
	c.specs[text] = s
	return s, nil
}

// tick deals with all ticks of a schedule that are due, and returns the next.
func (c *Clockwork) tick(ctx context.Context, s *bellhop.Schedule, p pause, zone *time.Location) (next time.Time, err error) {
	k, err := c.cursor(ctx, s, zone)
	if err != nil {
		return next, err
	}
	now := c.opt.Clock.Now()
	for _, move := range []func() *cursor{func() *cursor { return k.now(s, zone, now) }, func() *cursor { return p.since(k, now) }} {
		moved := move()
		if moved == nil {
			continue
		}
		if err := c.put(ctx, s.Service+"/"+s.Name, moved); err != nil {
			return next, err
		}
		*k = *moved
	}
	if s.Paused {
		return next, nil
	}
	due, next, err := c.due(s, k, now, zone)
	if err != nil {
		return next, err
	}
	for _, d := range due {
		if err := c.ask(ctx, s, k, d, now); err != nil {
			return next, err
		}
	}
	return next, nil
}

// ask deals with one tick and writes that down. When the server dies in
// between, the same tick is asked for again under the same key.
func (c *Clockwork) ask(ctx context.Context, s *bellhop.Schedule, k *cursor, d owed, now time.Time) error {
	next := *k
	next.Last, next.Note, next.next = d.at, d.skip, time.Time{}
	if d.skip == "" {
		if err := c.askFor(ctx, s, &next, d, now); err != nil {
			return err
		}
	}
	if next.Note != "" {
		c.opt.Log.Debug("a tick of a schedule brings no run", "schedule", s.Principal(), "tick", d.at, "why", next.Note)
	}
	if err := c.put(ctx, s.Service+"/"+s.Name, &next); err != nil {
		return err
	}
	*k = next
	return nil
}

func (c *Clockwork) askFor(ctx context.Context, s *bellhop.Schedule, k *cursor, d owed, now time.Time) error {
	if k.Run != 0 && s.Overlap != bellhop.OverlapQueue && !d.queue {
		ended, err := c.opt.House.Ended(ctx, k.Run)
		if err != nil {
			return err
		}
		switch {
		case ended:
		case s.Overlap == bellhop.OverlapCancel:
			if err := c.opt.House.Cancel(ctx, s, k.Run); bellhop.CodeOf(err) == bellhop.Unavailable {
				return err
			}
		default:
			k.Note = "the run before, " + k.Run.String() + ", has not ended"
			return nil
		}
	}
	run, err := c.opt.House.Tick(ctx, s, d.at, max(0, d.at.Add(jitter(s, d.at)).Sub(now)))
	switch bellhop.CodeOf(err) {
	case "":
		k.Run, k.At = run, d.at
	case bellhop.Unavailable, bellhop.Internal: // it may work later
		return err
	default:
		k.Note = err.Error()
		c.opt.Log.Error("a schedule's run could not be asked for", "schedule", s.Principal(), "tick", d.at, "error", err)
	}
	return nil
}

// State tells how a schedule stands; how its last run does, is for others to
// say.
func (c *Clockwork) State(ctx context.Context, s *bellhop.Schedule, zone *time.Location) (bellhop.ScheduleState, error) {
	st := bellhop.ScheduleState{Service: s.Service, Name: s.Name, Job: s.Job, Cron: s.Cron, Zone: s.Zone, Paused: s.Paused}
	k, err := c.read(ctx, s.Service+"/"+s.Name)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		k, err = &cursor{}, nil
	}
	if err != nil {
		return st, err
	}
	st.Run = k.Run
	if st.Last, st.Note = k.At, k.Note; k.Note != "" {
		st.Noted = k.Last
	}
	p, _, err := c.pauseOf(ctx, s.Service+"/"+s.Name)
	if err != nil {
		return st, err
	}
	if p.Paused {
		st.Paused, st.PausedBy, st.PausedAt = true, p.By, p.At
	}
	if st.Paused {
		return st, nil
	}
	spec, err := Parse(s.Cron)
	if err != nil {
		return st, err
	}
	at := c.opt.Clock.Now()
	if k.Last.After(at) { // the clock was set back
		at = k.Last
	}
	for range 3 {
		if at = after(spec, s, at, zone); at.IsZero() {
			break
		}
		st.Next = append(st.Next, at)
	}
	return st, nil
}
