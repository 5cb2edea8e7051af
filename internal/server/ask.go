package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/router"
	"github.com/bellhop-io/bellhop/internal/web"
	"github.com/bellhop-io/bellhop/internal/web/ui"
)

// hear is the way of every event of a person: an answer to an open question,
// or a line that is resolved and done. An answer without an Action and a
// Question says that it was not meant for Bellhop.
func (s *Server) hear(ctx context.Context, ev bellhop.Event) (bellhop.Answer, error) {
	return s.hide(s.understand(ctx, ev))
}

// hide masks secrets in what is answered at once: a line that is told back may
// hold one. (What the engine knows of runs it has masked itself.)
func (s *Server) hide(a bellhop.Answer, err error) (bellhop.Answer, error) {
	mask := s.seals.hidden.Text
	a.Text = mask(a.Text)
	if a.Question != nil {
		q := *a.Question
		q.Text, q.Plain, q.Command = mask(q.Text), mask(q.Plain), mask(q.Command)
		a.Question = &q
	}
	if e, ok := errors.AsType[*bellhop.Error](err); ok {
		if text := mask(err.Error()); text != err.Error() {
			err = &bellhop.Error{Code: e.Code, Message: text, Err: err}
		}
	}
	return a, err
}

func (s *Server) understand(ctx context.Context, ev bellhop.Event) (bellhop.Answer, error) {
	if len(ev.Text) > chat.MaxLine {
		if !ev.Addressed {
			return bellhop.Answer{}, nil
		}
		return bellhop.Answer{}, bellhop.Errorf(bellhop.Invalid, "the line is longer than %s bytes and was not asked; put long values in a file and name the file", chat.Count(chat.MaxLine))
	}
	s.swap.RLock()
	defer s.swap.RUnlock()
	ev.Person = s.engine.Identify(ev.Person).Person
	if a, mine, err := s.answers(ctx, ev); mine || err != nil {
		return a, err
	}
	table, text := s.table.Load(), ev.Text
	if !ev.Addressed {
		var ok bool
		if text, ok = router.Addressed(s.config.Load().Catalog.Bot, text); !ok {
			return bellhop.Answer{}, nil
		}
	}
	inv, err := table.ResolveFor(text, s.may(ctx, ev.Person))
	if err != nil {
		if err := s.mayBeTold(ctx, ev.Person, ev.Origin, err); err != nil {
			return bellhop.Answer{}, err
		}
		return s.askMissing(ctx, ev, err)
	}
	if inv.Action == bellhop.ActionRun && inv.Confirm != bellhop.ConfirmNone {
		return s.askConfirm(ctx, ev, inv)
	}
	return s.carryOut(ctx, ev, inv)
}

// mayBeTold is nil when a person may know of what is wrong with what they said:
// what tells of a command is for those alone who may use it.
func (s *Server) mayBeTold(ctx context.Context, p bellhop.Person, o bellhop.Origin, err error) error {
	var service, entry string
	if f, ok := errors.AsType[*router.Fault](err); ok {
		service, entry = f.Service, f.Entry
	} else if in, ok := errors.AsType[*router.Incomplete](err); ok {
		service, entry = in.Service, in.Entry
	} else {
		return nil
	}
	return s.engine.MaySay(ctx, p, o, service, entry)
}

// carryOut has an invocation done for an event.
func (s *Server) carryOut(ctx context.Context, ev bellhop.Event, inv bellhop.Invocation) (bellhop.Answer, error) {
	switch {
	case inv.Action == bellhop.ActionHelp:
		return bellhop.Answer{Action: inv.Action, Text: s.table.Load().Help(inv.Service, s.may(ctx, ev.Person))}, nil
	case inv.Action == bellhop.ActionWhy && inv.Run == 0:
		return s.explain(ctx, ev.Person, inv)
	case inv.Action == bellhop.ActionWeb:
		l, err := s.loginLink(ctx, ev.Person, ev.Origin, ev.Key)
		if err != nil {
			return bellhop.Answer{}, err
		}
		return bellhop.Answer{Action: inv.Action, Login: &l}, nil
	case inv.Action == bellhop.ActionSchedules:
		return s.clocked(ctx, ev, inv)
	}
	if makes(inv.Action) && ev.Key == "" { // which only a caller of the HTTP API can forget, who knows it by this name
		return bellhop.Answer{}, bellhop.Errorf(bellhop.Invalid, "the header Idempotency-Key is missing; send a value of your own, and the same when you send the request again")
	}
	if inv.Action == bellhop.ActionLater || inv.Action == bellhop.ActionUnschedule {
		return s.clocked(ctx, ev, inv)
	}
	if ev.Key != "" {
		inv.Key = ev.Key + "/" + inv.Entry
	}
	inv.Person, inv.Origin = ev.Person, ev.Origin
	switch inv.Action {
	case bellhop.ActionPauseSchedule, bellhop.ActionResumeSchedule:
		return s.pauseSchedule(ctx, inv)
	case bellhop.ActionRunSchedule:
		sc, err := s.schedule(ctx, inv)
		if err != nil {
			return bellhop.Answer{}, err
		}
		inv.Action, inv.Service, inv.Job, inv.Args, inv.OnRepeat = bellhop.ActionRun, sc.Service, sc.Job, sc.Args, bellhop.OnRepeatQueue
	}
	a, err := s.engine.Do(ctx, inv)
	if err == nil && a.Accepted != nil && a.Accepted.How == bellhop.Repeated && byProgram(ev.Origin) {
		if err = s.engine.MadeBy(ctx, inv, a.Accepted.Run); bellhop.CodeOf(err) == bellhop.Conflict {
			err = &web.Problem{Status: http.StatusUnprocessableEntity, Code: bellhop.Conflict, Detail: s.seals.hidden.Text(err.Error())}
		}
	}
	if a.Status != nil {
		a.Status.Brokers = s.ill(ctx, ev.Person)
	}
	return a, err
}

// byProgram reports whether who asked has chosen the key: over HTTP. In a chat
// it is the message's, which may have been edited when it is read again.
func byProgram(o bellhop.Origin) bool { return o.Source == bellhop.SourceAPI || o.Source == "ask" }

// makes reports whether an action changes something.
func makes(a bellhop.Action) bool {
	switch a {
	case bellhop.ActionRun, bellhop.ActionRetry, bellhop.ActionCancel, bellhop.ActionCancelRun, bellhop.ActionApprove, bellhop.ActionDeny,
		bellhop.ActionSuppress, bellhop.ActionUnsuppress, bellhop.ActionPause, bellhop.ActionResume,
		bellhop.ActionLater, bellhop.ActionUnschedule, bellhop.ActionPauseSchedule, bellhop.ActionResumeSchedule, bellhop.ActionRunSchedule:
		return true
	}
	return false
}

// explain answers `why TEXT`: what would become of a line.
func (s *Server) explain(ctx context.Context, p bellhop.Person, why bellhop.Invocation) (bellhop.Answer, error) {
	text := why.Text
	if rest, ok := router.Addressed(s.config.Load().Catalog.Bot, text); ok {
		text = rest
	}
	inv, err := s.table.Load().ResolveFor(text, s.may(ctx, p))
	if err != nil {
		told := s.mayBeTold(ctx, p, bellhop.Origin{}, err)
		if why.As != "" {
			told = s.engine.MayManage(ctx, p, string(bellhop.ActionWhy))
		}
		if told != nil {
			return bellhop.Answer{}, told
		}
		return bellhop.Answer{}, err
	}
	said, err := s.engine.Explain(ctx, p, why.As, inv)
	return bellhop.Answer{Action: bellhop.ActionWhy, Text: said}, err
}

// try says what would become of a line, and changes nothing.
func (s *Server) try(ctx context.Context, p bellhop.Person, as, text string) (ui.Trial, error) {
	if len(text) > chat.MaxLine {
		return ui.Trial{}, bellhop.Errorf(bellhop.Invalid, "the line is longer than %s bytes", chat.Count(chat.MaxLine))
	}
	of, err := s.engine.About(ctx, p, as)
	if err != nil {
		return ui.Trial{}, err
	}
	s.swap.RLock()
	defer s.swap.RUnlock()
	if rest, ok := router.Addressed(s.config.Load().Catalog.Bot, text); ok {
		text = rest
	}
	inv, err := s.table.Load().ResolveFor(text, s.may(ctx, of))
	t := ui.Trial{Action: inv.Action, Service: inv.Service, Job: inv.Job, Args: inv.Args.Masked(s.seals.hidden.Text), Confirm: inv.Confirm}
	if err == nil {
		if half, err := s.table.Load().Halve(inv); err == nil {
			t.Command = half.Shown
		}
		var f bellhop.Foretold
		if f, err = s.engine.Foretell(ctx, p, as, inv); err == nil {
			t.Foretold = &f
		}
	} else if f, ok := errors.AsType[*router.Fault](err); ok {
		return s.tryPart(ctx, p, as, ui.Trial{Service: f.Service, Fault: err.Error()}, f.Entry)
	} else if in, ok := errors.AsType[*router.Incomplete](err); ok {
		return s.tryPart(ctx, p, as, ui.Trial{Service: in.Service, Command: in.Shown, Args: in.Args.Masked(s.seals.hidden.Text), Missing: in.Missing}, in.Entry)
	}
	if code := bellhop.CodeOf(err); code == bellhop.Internal || code == bellhop.Unavailable {
		return t, err
	}
	if err != nil {
		t.Fault = s.seals.hidden.Text(err.Error())
	}
	return t, nil
}

// tryPart is try for a line that means a command and lacks something. What
// tells of the command is for those alone who may use it.
func (s *Server) tryPart(ctx context.Context, p bellhop.Person, as string, t ui.Trial, entry string) (ui.Trial, error) {
	f, err := s.engine.ForetellSay(ctx, p, as, t.Service, entry)
	if err != nil {
		return ui.Trial{}, err
	}
	if !f.Decision.Allowed {
		return ui.Trial{Service: t.Service, Foretold: &f}, nil
	}
	t.Action, t.Fault, t.Foretold = bellhop.ActionRun, s.seals.hidden.Text(t.Fault), &f
	return t, nil
}

// may says what help and completion show a person.
func (s *Server) may(ctx context.Context, p bellhop.Person) router.May {
	return func(service string, entry *bellhop.Entry) bool { return s.engine.Sees(ctx, p, service, entry) }
}

// open returns nil while the server takes on what makes runs.
func (s *Server) open(ctx context.Context) error {
	if !s.stopping.Load() {
		return nil
	}
	if s.opt.Solo { // this ends in a moment; the client is cut off, and asks who comes next, under the same key
		<-ctx.Done()
		return ctx.Err()
	}
	return bellhop.Errorf(bellhop.Unavailable, "not accepted: the server is stopping; ask again when it is back")
}

// house is Bellhop for a chat whose places stay (chat.House).
type house struct{ s *Server }

func (h house) Hear(ctx context.Context, ev bellhop.Event) (bellhop.Answer, error) {
	if err := h.s.open(ctx); err != nil {
		return bellhop.Answer{}, err
	}
	ev.Text = strings.TrimSpace(ev.Text)
	return h.s.hear(ctx, ev)
}

func (h house) Run(ctx context.Context, p bellhop.Person, id bellhop.RunID) (bellhop.Run, error) {
	return h.s.engine.Run(ctx, p, id)
}

func (h house) Output(ctx context.Context, p bellhop.Person, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	return h.s.engine.ReadOutput(ctx, p, id, attempt, seq, follow, fn)
}

func (h house) Told(ctx context.Context, r bellhop.Report, fn func(bellhop.Chunk) error) error {
	return h.s.engine.Told(ctx, r, fn)
}
