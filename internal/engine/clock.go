package engine

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Tick asks for the run of a schedule's tick, which starts after a delay. The
// same tick again is the same run.
func (e *Engine) Tick(ctx context.Context, s *bellhop.Schedule, at time.Time, delay time.Duration) (bellhop.RunID, error) {
	name := s.Principal()
	origin := bellhop.Origin{Source: bellhop.SourceSchedule}
	if s.ReportTo != "" {
		origin = e.tellTo(s.ReportTo, at)[0].Origin
	}
	a, err := e.Do(ctx, bellhop.Invocation{
		Key: name + "/" + strconv.FormatInt(at.Unix(), 10), Action: bellhop.ActionRun, Service: s.Service, Job: s.Job, Args: s.Args,
		Delay: delay, OnRepeat: bellhop.OnRepeatQueue, Person: bellhop.Person{Identity: name}, Origin: origin,
	})
	if err != nil {
		return 0, err
	}
	return a.Accepted.Run, nil
}

// Ended reports whether a run has ended, or is not known any more.
func (e *Engine) Ended(ctx context.Context, id bellhop.RunID) (bool, error) {
	run, err := e.store.Records.Run(ctx, id)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return true, nil
	}
	return run.State.Terminal(), err
}

// CancelTick cancels the run of a schedule whose next tick has come.
func (e *Engine) CancelTick(ctx context.Context, s *bellhop.Schedule, id bellhop.RunID) error {
	name := s.Principal()
	_, err := e.Do(ctx, bellhop.Invocation{
		Key: name + "/cancel/" + id.String(), Action: bellhop.ActionCancelRun, Run: id,
		Person: bellhop.Person{Identity: name}, Origin: bellhop.Origin{Source: bellhop.SourceSchedule},
	})
	return err
}

// Scheduled returns the schedules of the active configuration, and the zone of
// those that have none of their own.
func (e *Engine) Scheduled() ([]bellhop.Schedule, *time.Location) {
	cat := e.active.Load()
	var all []bellhop.Schedule
	for i := range cat.Services {
		all = append(all, cat.Services[i].Schedules...)
	}
	return all, cat.zone()
}

// MayPauseSchedule is nil when a person may pause a schedule, or resume it: whoever
// may have its job kept back with its arguments. What they may is recorded, as
// is a refusal.
func (e *Engine) MayPauseSchedule(ctx context.Context, inv bellhop.Invocation, s *bellhop.Schedule) error {
	inv.Service, inv.Job, inv.Args, inv.Entry, inv.Reason = s.Service, s.Job, s.Args, "", "schedule "+s.Name
	a := &ask{Invocation: &inv, who: e.Identify(inv.Person)}
	if err := checkKey(inv.Key); err != nil {
		return err
	}
	return e.mayChange(ctx, a, s.Args)
}

// maxLater is how far ahead something may be asked for.
const maxLater = 366 * 24 * time.Hour

// LaterTime reads when something is to be asked for: a time of day, a date or
// both, or a duration from now.
func (e *Engine) LaterTime(text string) (time.Time, error) {
	now := e.clock.Now().In(e.active.Load().zone())
	at, err := readLater(strings.TrimSpace(text), now)
	switch {
	case err != nil:
		return at, err
	case !at.After(now):
		return at, bellhop.Errorf(bellhop.Invalid, "%s is past; name a time to come", sayTime(at))
	case at.Sub(now) > maxLater:
		return at, bellhop.Errorf(bellhop.Invalid, "%s is more than a year ahead; name a sooner time", sayTime(at))
	}
	return at, nil
}

func readLater(s string, now time.Time) (time.Time, error) {
	if m, ok := clockTime(s); ok {
		at := atMinute(now, 0, m)
		if !at.After(now) {
			at = atMinute(now, 1, m)
		}
		return at, nil
	}
	if day, m, ok := dayTime(s, now); ok {
		return atMinute(day, 0, max(m, 0)), nil
	}
	if d, ok := duration(s); ok {
		return now.Add(d), nil
	}
	return now, bellhop.Errorf(bellhop.Invalid, "the time %.40q can't be read; expected %s", s, timeForms)
}

// MayUnschedule is nil when a person may take back what somebody wanted to be
// asked for later: their own, and an admin anybody's. A refusal is recorded.
func (e *Engine) MayUnschedule(ctx context.Context, p bellhop.Person, l bellhop.Later) error {
	who := e.Identify(p)
	a := &ask{Invocation: &bellhop.Invocation{Action: bellhop.ActionUnschedule, Person: who.Person, Reason: l.ID}, who: who}
	d := bellhop.Decision{Allowed: true, Rule: "asked for it"}
	if !e.owns(who, l) {
		if d = e.admin(ctx, who); !d.Allowed {
			d.Reason = l.ID + " is not for " + who.Principal() + " to take back: somebody else asked for it"
		}
	}
	if err := refusal(d); err != nil {
		return e.refused(ctx, a, d, err)
	}
	return e.note(ctx, a, d)
}

func (e *Engine) owns(who bellhop.Principal, l bellhop.Later) bool {
	return who.Identity == l.Person.Identity || who.Scope == "" && who.Principal() == e.Identify(l.Person).Principal()
}

// NoteLater records that something is to be asked for later.
func (e *Engine) NoteLater(ctx context.Context, inv bellhop.Invocation) error {
	who := e.Identify(inv.Person)
	inv.Reason = "at " + inv.From + ": " + inv.Text
	return e.note(ctx, &ask{Invocation: &inv, who: who}, bellhop.Decision{Allowed: true, Rule: "judged when its time comes"})
}

// MaySeeLater reports whether a person is shown what somebody wants to be asked
// for later: their own, and an admin all.
func (e *Engine) MaySeeLater(ctx context.Context, p bellhop.Person, l bellhop.Later) bool {
	who := e.Identify(p)
	return e.owns(who, l) || e.admin(ctx, who).Allowed
}

// SeesJob reports whether a person may have a job done with some arguments at
// least.
func (e *Engine) SeesJob(ctx context.Context, p bellhop.Person, service, job string) bool {
	return e.decide(ctx, e.Identify(p), request{service: service, job: job, maybe: true, many: true}).Allowed
}
