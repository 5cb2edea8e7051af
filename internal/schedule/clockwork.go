package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
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
	for i := range schedules {
		s := &schedules[i]
		at, err := c.tick(ctx, s, zone)
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
func (c *Clockwork) tick(ctx context.Context, s *bellhop.Schedule, zone *time.Location) (next time.Time, err error) {
	k, err := c.cursor(ctx, s, zone)
	if err != nil {
		return next, err
	}
	now := c.opt.Clock.Now()
	if moved := k.now(s, zone, now); moved != nil {
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
	if s.Paused {
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
