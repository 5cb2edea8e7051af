package server

import (
	"context"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/schedule"
)

// makeClock makes what asks for what schedules want, and for what somebody has
// put off.
func (s *Server) makeClock() {
	s.clockwork = schedule.New(schedule.Options{
		Values: s.store.Values, Clock: s.clock, Log: s.log, House: clockHouse{s},
		Mine:      func() bool { return s.engine.Ticking() && !s.stopping.Load() },
		Schedules: s.engine.Scheduled,
	})
}

// startClock has it begin, once the chats are there. A rehearsal has no clock
// that goes on by itself.
func (s *Server) startClock(ctx context.Context) error {
	if s.opt.Solo || s.opt.rehearsal != nil {
		return nil
	}
	s.onStop(func(context.Context) { s.clockwork.Stop() })
	return s.clockwork.Start(ctx)
}

// clockHouse is Bellhop for the clock (schedule.House).
type clockHouse struct{ s *Server }

func (h clockHouse) Tick(ctx context.Context, sc *bellhop.Schedule, at time.Time, delay time.Duration) (bellhop.RunID, error) {
	return h.s.engine.Tick(ctx, sc, at, delay)
}

func (h clockHouse) Ended(ctx context.Context, run bellhop.RunID) (bool, error) {
	return h.s.engine.Ended(ctx, run)
}

func (h clockHouse) Cancel(ctx context.Context, sc *bellhop.Schedule, run bellhop.RunID) error {
	return h.s.engine.CancelTick(ctx, sc, run)
}

// Say says what somebody has put off, as who they are by now.
func (h clockHouse) Say(ctx context.Context, l bellhop.Later) error {
	p, err := h.s.whoNow(ctx, l.Person, l.Made)
	if err != nil {
		return err
	}
	a, err := h.s.hear(ctx, bellhop.Event{Key: "later/" + l.ID, Text: l.Text, Person: p, Origin: l.Origin, Addressed: true})
	if err == nil && a.Question != nil {
		return bellhop.Errorf(bellhop.Invalid, "it asks back, and nobody is there to answer: %s", a.Question.Text)
	}
	return err
}

// whoWait is how long a chat may take to say who somebody is.
const whoWait = 5 * time.Second

// whoNow is somebody as they are known now to where they spoke from, which was
// at a time: who has left since is not of the house any more, and what has
// ended (a token, a key, a whole chat) is nobody.
func (s *Server) whoNow(ctx context.Context, p bellhop.Person, spoke time.Time) (bellhop.Person, error) {
	source := p.Source()
	if own := s.slacks[source]; own != nil {
		ctx, cancel := context.WithTimeout(ctx, whoWait)
		defer cancel()
		now, err := own.Person(ctx, p.Identity)
		if now.Channel = p.Channel; err != nil && ctx.Err() != nil {
			err = bellhop.Errorf(bellhop.Unavailable, "chat %s does not say who %s is: %w", source, p.Identity, err)
		}
		return now, err
	}
	if own := s.sshs[source]; own != nil {
		return p, own.StillKnown(p)
	}
	switch {
	case source == bellhop.SourceAPI:
		return s.engine.TokenNow(ctx, p.Identity, spoke)
	case s.outside[source] != nil && s.config.Load().Catalog.Outside(source):
		return p, nil // the source alone could say more
	case source == "local" || s.opt.rehearsal != nil:
		return p, nil
	}
	return p, bellhop.Errorf(bellhop.NotAllowed, "there is no chat %s any more, so %s is not known", source, p.Identity)
}

// clocked answers what is about the clock.
func (s *Server) clocked(ctx context.Context, ev bellhop.Event, inv bellhop.Invocation) (bellhop.Answer, error) {
	inv.Person, inv.Origin = ev.Person, ev.Origin
	switch inv.Action {
	case bellhop.ActionLater:
		return s.putOff(ctx, ev, inv)
	case bellhop.ActionUnschedule:
		l, err := s.clockwork.Find(ctx, inv.Later)
		if err != nil {
			return bellhop.Answer{}, err
		}
		if err := s.engine.MayUnschedule(ctx, ev.Person, l); err != nil {
			return bellhop.Answer{}, err
		}
		return bellhop.Answer{Action: inv.Action, Later: &l}, s.clockwork.Remove(ctx, l)
	}
	states, err := s.scheduleStates(ctx, ev.Person)
	if err != nil {
		return bellhop.Answer{}, err
	}
	all, err := s.clockwork.Later(ctx)
	if err != nil {
		return bellhop.Answer{}, err
	}
	got := &bellhop.Schedules{States: states}
	for _, l := range all {
		if s.engine.MaySeeLater(ctx, ev.Person, l) {
			l.Text, l.Failed = s.seals.hidden.Text(l.Text), s.seals.hidden.Text(l.Failed)
			got.Later = append(got.Later, l)
		}
	}
	return bellhop.Answer{Action: inv.Action, Schedules: got}, nil
}

// putOff writes down what somebody wants to be asked for later. What would be
// refused or not understood now is so at once.
func (s *Server) putOff(ctx context.Context, ev bellhop.Event, inv bellhop.Invocation) (bellhop.Answer, error) {
	at, bad := s.engine.LaterTime(inv.From)
	then, err := s.table.Load().ResolveFor(inv.Text, s.may(ctx, ev.Person))
	if bellhop.CodeOf(err) == bellhop.NotFound { // a day, and its time of day unquoted: a shell takes quotes away
		word, rest, _ := strings.Cut(inv.Text, " ")
		if both, no := s.engine.LaterTime(inv.From + " " + word); no == nil && rest != "" {
			at, bad, inv.From, inv.Text = both, nil, inv.From+" "+word, strings.TrimSpace(rest)
			then, err = s.table.Load().ResolveFor(inv.Text, s.may(ctx, ev.Person))
		}
	}
	if bad != nil {
		return bellhop.Answer{}, bad
	}
	if err != nil {
		if told := s.mayBeTold(ctx, ev.Person, ev.Origin, err); told != nil {
			err = told
		}
		return bellhop.Answer{}, err
	}
	switch {
	case !makes(then.Action) || then.Action == bellhop.ActionLater || then.Action == bellhop.ActionUnschedule:
		return bellhop.Answer{}, bellhop.Errorf(bellhop.Invalid, "`%.60s` is nothing that can be done later; name a command, such as: at 17:30 SERVICE COMMAND", inv.Text)
	case then.Confirm != bellhop.ConfirmNone:
		return bellhop.Answer{}, bellhop.Errorf(bellhop.Invalid, "`%.60s` asks back before it is done, and later nobody is there to answer; ask for it when it is time", inv.Text)
	case then.Action == bellhop.ActionRun:
		if err := s.engine.MayAsk(ctx, ev.Person, ev.Origin, then); err != nil {
			return bellhop.Answer{}, err
		}
	}
	if err := s.engine.NoteLater(ctx, inv); err != nil {
		return bellhop.Answer{}, err
	}
	l, err := s.clockwork.Add(ctx, bellhop.Later{At: at, Text: inv.Text, Person: ev.Person, Origin: ev.Origin, Key: ev.Key, Made: s.clock.Now()})
	if err != nil {
		return bellhop.Answer{}, notAccepted(err)
	}
	return bellhop.Answer{Action: inv.Action, Later: &l}, nil
}

// schedule returns the schedule that an invocation names, for somebody who may
// see it.
func (s *Server) schedule(ctx context.Context, inv bellhop.Invocation) (*bellhop.Schedule, error) {
	all, _ := s.engine.Scheduled()
	for i := range all {
		sc := &all[i]
		if strings.EqualFold(sc.Service+"/"+sc.Name, inv.Schedule) && s.engine.SeesJob(ctx, inv.Person, sc.Service, sc.Job) {
			return sc, nil
		}
	}
	return nil, bellhop.Errorf(bellhop.NotFound, "there is no schedule %.150s; `schedules` lists those that there are", inv.Schedule)
}

// pauseSchedule pauses a schedule, or resumes it.
func (s *Server) pauseSchedule(ctx context.Context, inv bellhop.Invocation) (bellhop.Answer, error) {
	sc, err := s.schedule(ctx, inv)
	if err != nil {
		return bellhop.Answer{}, err
	}
	if err := s.engine.MayPauseSchedule(ctx, inv, sc); err != nil {
		return bellhop.Answer{}, err
	}
	by := s.engine.Identify(inv.Person).Principal()
	if err := s.clockwork.Pause(ctx, sc, inv.Action == bellhop.ActionPauseSchedule, by, inv.Key); err != nil {
		return bellhop.Answer{}, notAccepted(err)
	}
	st, err := s.scheduleState(ctx, inv.Person, sc)
	return bellhop.Answer{Action: inv.Action, Schedule: &st}, err
}

// scheduleStates are the schedules that a person may see.
func (s *Server) scheduleStates(ctx context.Context, p bellhop.Person) ([]bellhop.ScheduleState, error) {
	all, _ := s.engine.Scheduled()
	var states []bellhop.ScheduleState
	for i := range all {
		sc := &all[i]
		if !s.engine.SeesJob(ctx, p, sc.Service, sc.Job) {
			continue
		}
		st, err := s.scheduleState(ctx, p, sc)
		if err != nil {
			return nil, err
		}
		states = append(states, st)
	}
	return states, nil
}

// scheduleState is how a schedule stands.
func (s *Server) scheduleState(ctx context.Context, p bellhop.Person, sc *bellhop.Schedule) (bellhop.ScheduleState, error) {
	_, zone := s.engine.Scheduled()
	st, err := s.clockwork.State(ctx, sc, zone)
	if err == nil && st.Run != 0 {
		if r, err := s.engine.Run(ctx, p, st.Run); err == nil {
			st.State = r.State
		}
	}
	return st, err
}
