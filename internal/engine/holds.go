package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

// suppress keeps the runs of a job or service from starting for a time.
func (e *Engine) suppress(ctx context.Context, inv *ask) ([]bellhop.Hold, error) {
	if err := e.mayHold(ctx, inv); err != nil {
		return nil, err
	}
	now := e.clock.Now()
	from, until, err := window(inv.From, inv.Until, now.In(e.active.Load().zone()))
	if err != nil {
		return nil, err
	}
	h := newHold(bellhop.HoldSuppress, inv, now)
	h.From, h.Until = from, until
	return e.putHold(ctx, inv.Key, h)
}

// pause keeps the runs of a job or service from starting until somebody
// resumes it. What is paused already stays so, by one hold.
func (e *Engine) pause(ctx context.Context, inv *ask) ([]bellhop.Hold, error) {
	if err := e.mayHold(ctx, inv); err != nil {
		return nil, err
	}
	now := e.clock.Now()
	there, err := e.store.Holds.Holds(ctx, bellhop.HoldFilter{Kind: bellhop.HoldPause, Service: inv.Service, Job: &inv.Job}, now)
	if err != nil {
		return nil, notAccepted(err)
	}
	for _, h := range there {
		if h.Args.Equal(inv.Args) && h.Open(now) {
			return []bellhop.Hold{h}, e.noteKey(ctx, inv, h, now)
		}
	}
	h := newHold(bellhop.HoldPause, inv, now)
	h.From = now
	return e.putHold(ctx, inv.Key, h)
}

// noteKey has the store know a key by which nothing was changed, so that it
// changes nothing later either: it ends what is not there. A key that is known
// already, since it made the hold, is left as it is.
func (e *Engine) noteKey(ctx context.Context, inv *ask, h bellhop.Hold, now time.Time) error {
	f := bellhop.HoldFilter{ID: h.ID, Kind: bellhop.HoldSuppress, Service: h.Service}
	_, err := e.store.Holds.EndHolds(ctx, inv.Key, f, inv.Person.Principal(), now)
	if bellhop.CodeOf(err) == bellhop.Unavailable {
		return notAccepted(err)
	}
	return nil
}

func newHold(kind bellhop.HoldKind, inv *ask, now time.Time) bellhop.Hold {
	h := bellhop.Hold{Kind: kind, Service: inv.Service, Job: inv.Job, By: inv.Person.Principal(), At: now}
	if len(inv.Args) > 0 {
		h.Args = inv.Args
	}
	return h
}

func (e *Engine) putHold(ctx context.Context, key string, h bellhop.Hold) ([]bellhop.Hold, error) {
	if n := e.holds.about(h.Service, h.At); n >= maxHolds {
		return nil, bellhop.Errorf(bellhop.Conflict, "%s has %d suppressions and pauses that are not over, which is as many as may be; take some back (see: suppressions)", h.Service, n)
	}
	h, err := e.store.Holds.PutHold(ctx, key, h)
	if err != nil {
		return nil, notAccepted(err)
	}
	e.knowHolds(ctx)
	return []bellhop.Hold{h}, nil
}

// release ends windows or pauses: those made for the job, or for the service
// as a whole, or one by its number. None to end is no error.
func (e *Engine) release(ctx context.Context, inv *ask, kind bellhop.HoldKind) ([]bellhop.Hold, error) {
	if err := checkKey(inv.Key); err != nil {
		return nil, err
	}
	now := e.clock.Now()
	f := bellhop.HoldFilter{ID: inv.Hold, Kind: kind, Service: inv.Service}
	if len(inv.Args) > 0 {
		f.Args = inv.Args
	}
	if inv.Hold == 0 {
		f.Job = &inv.Job
		if err := e.mayChange(ctx, inv, inv.Args); err != nil {
			return nil, err
		}
	} else if err := e.mayRelease(ctx, inv, kind, now); err != nil {
		return nil, err
	}
	ended, err := e.store.Holds.EndHolds(ctx, inv.Key, f, inv.Person.Principal(), now)
	if err != nil {
		return nil, notAccepted(err)
	}
	e.knowHolds(ctx)
	if len(ended) > 0 {
		e.bus.Publish(bellhop.TopicQueue)
	} else if inv.Hold == 0 {
		return nil, e.others(ctx, inv, kind, now)
	}
	return ended, nil
}

// others tells whoever had nothing to end of the holds that the name does not
// mean, though it may well have been thought to: those of single jobs, or of
// the whole service. It is nil when there are none.
func (e *Engine) others(ctx context.Context, inv *ask, kind bellhop.HoldKind, now time.Time) error {
	there, err := e.store.Holds.Holds(ctx, bellhop.HoldFilter{Kind: kind, Service: inv.Service}, now)
	if err != nil {
		return notAccepted(err)
	}
	var list []string
	for _, h := range there {
		if inv.Job != "" && h.Job != "" && h.Job != inv.Job {
			continue
		}
		list = append(list, fmt.Sprintf("%d (%s)", h.ID, target(h.Service, h.Job)))
	}
	if len(list) == 0 {
		return nil
	}
	state, verb := "suppressed", bellhop.ActionUnsuppress
	if kind == bellhop.HoldPause {
		state, verb = "paused", bellhop.ActionResume
	}
	which := "as a whole"
	switch {
	case len(inv.Args) > 0:
		which = "with just these arguments"
	case inv.Job != "":
		which = "by itself"
	}
	if n := len(list) - maxOthers; n > 0 {
		list = append(list[:maxOthers], fmt.Sprintf("and %d more (see: suppressions)", n))
	}
	return bellhop.Errorf(bellhop.Conflict, "%s is not %s %s, but there are: %s. One is ended by its number: %s NUMBER",
		target(inv.Service, inv.Job), state, which, strings.Join(list, ", "), verb)
}

// maxOthers is how many holds a message lists.
const maxOthers = 5

// target names what a hold is about.
func target(service, job string) string {
	if job == "" {
		return service
	}
	return service + " " + job
}

// mayRelease is the gate for one hold by its number.
func (e *Engine) mayRelease(ctx context.Context, inv *ask, kind bellhop.HoldKind, now time.Time) error {
	there, err := e.store.Holds.Holds(ctx, bellhop.HoldFilter{ID: inv.Hold, Over: true}, now)
	if err != nil {
		return notAccepted(err)
	}
	if len(there) == 0 {
		what := "suppression"
		if kind == bellhop.HoldPause {
			what = "pause"
		}
		return bellhop.Errorf(bellhop.NotFound, "there is no %s %d (see: suppressions)", what, inv.Hold)
	}
	h := there[0]
	inv.Service, inv.Job = h.Service, h.Job
	if err := e.mayChange(ctx, inv, h.Args); err != nil {
		return err
	}
	if h.Kind == kind {
		return nil
	}
	what := target(h.Service, h.Job)
	if h.Kind == bellhop.HoldPause {
		return bellhop.Errorf(bellhop.Invalid, "%d is a pause of %s, not a suppression; it is ended by: resume %d", h.ID, what, h.ID)
	}
	return bellhop.Errorf(bellhop.Invalid, "%d is a suppression of %s, not a pause; it is ended by: unsuppress %d", h.ID, what, h.ID)
}

// suppressions lists what keeps runs back, now or later, of a job, a service
// or everything.
func (e *Engine) suppressions(ctx context.Context, inv *ask) ([]bellhop.Hold, error) {
	f := bellhop.HoldFilter{Service: inv.Service}
	if inv.Job != "" {
		f.Job = &inv.Job
	}
	all, err := e.store.Holds.Holds(ctx, f, e.clock.Now())
	return e.redactHolds(ctx, inv.Person, holdsInScope(inv.Person, all)), err
}

// mayHold says whether the person may have a job or service kept back.
func (e *Engine) mayHold(ctx context.Context, inv *ask) error {
	if err := checkKey(inv.Key); err != nil {
		return err
	}
	cat := e.active.Load()
	if _, ok := cat.Service(inv.Service); !ok {
		return bellhop.Errorf(bellhop.NotFound, "there is no service %s in the configuration (see: help)", inv.Service)
	}
	var job *bellhop.Job
	if inv.Job != "" {
		o, err := cat.offer(inv.Service, inv.Job)
		if err != nil {
			return err
		}
		job = o.job
	}
	if err := e.mayChange(ctx, inv, inv.Args); err != nil {
		return err
	}
	if job == nil && len(inv.Args) > 0 {
		return bellhop.Errorf(bellhop.Invalid, "arguments narrow what is meant to some runs of one job; name a job of %s too, or leave them out", inv.Service)
	}
	return checkNarrowed(job, inv.Args)
}

// checkNarrowed refuses arguments that no run of the job can have: what they
// are meant to keep back would start.
func checkNarrowed(job *bellhop.Job, args bellhop.Args) error {
	for _, name := range slices.Sorted(maps.Keys(args)) {
		p, ok := job.Param(name)
		if !ok {
			_, err := job.Bind(bellhop.Args{name: args[name]}) // says which there are
			return err
		}
		if err := p.Check(args[name]); err != nil {
			return err
		}
	}
	return nil
}

// mayChange is the gate for what keeps a job's or a whole service's runs back,
// and notes it. An entry stands for its service's wish that whoever may use it
// may do this; built in, it is for those whom the installation knows, and for
// admins. It takes the right to everything that is kept back.
func (e *Engine) mayChange(ctx context.Context, inv *ask, args bellhop.Args) error {
	d := e.judgeChange(ctx, inv, args)
	if err := refusal(d); err != nil {
		return e.refused(ctx, inv, d, err)
	}
	return e.note(ctx, inv, d)
}

func (e *Engine) judgeChange(ctx context.Context, inv *ask, args bellhop.Args) bellhop.Decision {
	r := e.requestOf(inv)
	r.args = args
	d := e.decide(ctx, inv.who, r)
	if d.Allowed && inv.Job == "" {
		d = e.decideAll(ctx, inv.who, inv.Service)
	}
	if inv.Entry != "" {
		return d
	}
	if d.Allowed && !inv.who.Internal {
		d = bellhop.Decision{Rule: "built in: internal people alone", Reason: fmt.Sprintf("%s is a guest here and may not have %s kept back or let go. %s",
			inv.who.Principal(), inv.Service, e.active.Load().whoMay())}
	}
	if !d.Allowed {
		if admin := e.admin(ctx, inv.who); admin.Allowed {
			return admin
		}
	}
	return d
}

// decideAll judges what is about every job of a service.
func (e *Engine) decideAll(ctx context.Context, who bellhop.Principal, service string) bellhop.Decision {
	d := e.decide(ctx, who, request{service: service})
	s := e.active.Load().services[service]
	for i := 0; s != nil && d.Allowed && i < len(s.Jobs); i++ {
		d = e.decide(ctx, who, request{service: service, job: s.Jobs[i].Name})
	}
	return d
}

// holdsFresh is how old what a receipt is told by may be, where other servers
// make holds too.
const holdsFresh = time.Second

// holdCache remembers what keeps runs back, for receipts: nobody waits for a
// store to tell it. Queue.Claim does not rely on it.
type holdCache struct {
	now     atomic.Pointer[heldNow]
	reading atomic.Bool
	mu      sync.Mutex // one reading at a time, so that a later one wins
}

// maxHolds bounds the holds of a service that are not over.
const maxHolds = 200

// about counts the holds of a service that are not over, as far as is known.
func (c *holdCache) about(service string, now time.Time) (n int) {
	known := c.now.Load()
	if known == nil {
		return 0
	}
	for i := range known.holds {
		if known.holds[i].Service == service && !known.holds[i].Over(now) {
			n++
		}
	}
	return n
}

type heldNow struct {
	holds []bellhop.Hold
	at    time.Time
}

// knownHolds returns what keeps runs back as far as is known, and has it read
// anew in the background when others may have changed it.
func (e *Engine) knownHolds() []bellhop.Hold {
	known := e.holds.now.Load()
	if known == nil {
		return nil
	}
	age := e.clock.Now().Sub(known.at)
	stale := age < 0 || e.store.Shared && age > holdsFresh // before it was read, more may have been open
	if stale && e.holds.reading.CompareAndSwap(false, true) {
		e.stopped.Go(func() {
			defer e.holds.reading.Store(false)
			ctx, cancel := context.WithTimeout(context.Background(), 10*holdsFresh)
			defer cancel()
			_ = e.readHolds(ctx) // the next receipt tries again
		})
	}
	return known.holds
}

func (e *Engine) readHolds(ctx context.Context) error {
	e.holds.mu.Lock()
	defer e.holds.mu.Unlock()
	now := e.clock.Now()
	holds, err := e.store.Holds.Holds(ctx, bellhop.HoldFilter{}, now)
	if err == nil {
		e.holds.now.Store(&heldNow{holds, now})
	}
	return err
}

// knowHolds has the next receipt know what was just changed.
func (e *Engine) knowHolds(ctx context.Context) {
	if err := e.readHolds(ctx); err != nil {
		e.log.Warn("reading what keeps runs back", "error", err)
	}
}

// openHold returns what keeps a run from starting at the given time, of what
// has begun by then and by begun: what lasts longest, a pause before all. more
// counts the others. It is nil when nothing is known to.
func openHold(holds []bellhop.Hold, run *bellhop.RunSpec, begun, at time.Time) (longest *bellhop.Hold, more int) {
	found := 0
	for i := range holds {
		h := &holds[i]
		if !h.Begun(begun) || !h.Open(at) || !h.Covers(run.Service, run.Job, run.Args) {
			continue
		}
		found++
		if longest == nil || outlasts(h, longest) {
			longest = h
		}
	}
	if longest == nil {
		return nil, 0
	}
	h := *longest
	return &h, found - 1
}

// outlasts reports whether h ends after other, as far as is known. Nobody but
// people ends a pause.
func outlasts(h, other *bellhop.Hold) bool {
	if h.Kind != other.Kind {
		return h.Kind == bellhop.HoldPause
	}
	return !other.Until.IsZero() && (h.Until.IsZero() || h.Until.After(other.Until))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
