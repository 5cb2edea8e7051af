package conversation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Patience is how long a line is waited for that does not come, as long as it
// is not clear that it never will.
const Patience = 10 * time.Second

// glance is how long a line is waited for before it is found out whether any
// may come at all.
const glance = 200 * time.Millisecond

// Run runs a script on a stage. A *Failure says what was not as the script has
// it; any other error, that the stage can't go on. patience 0 = Patience.
func Run(ctx context.Context, s *Script, st Stage, patience time.Duration) error {
	if patience <= 0 {
		patience = Patience
	}
	r := &run{script: s, stage: st, patience: patience, vars: map[string]string{}, ears: map[Voice]*ear{}}
	err := r.all(ctx)
	if f, ok := errors.AsType[*Failure](err); ok {
		_, f.Faults = st.Pending()
	}
	return err
}

func (r *run) all(ctx context.Context) error {
	for i := range r.script.Steps {
		step := &r.script.Steps[i]
		if !step.on(r.stage.Name()) {
			continue
		}
		if err := r.step(ctx, step); err != nil {
			return r.place(step, err)
		}
	}
	return r.end(ctx)
}

// run is one script that is being run.
type run struct {
	script   *Script
	stage    Stage
	patience time.Duration
	vars     map[string]string
	ears     map[Voice]*ear
	order    []Voice // of ears, as they were first used
	last     *Step   // what was said last
}

// ear is what came to a Voice, as far as that was looked at.
type ear struct {
	said  *Step    // after which it came
	fine  []string // matched since then
	came  []Line   // looked at, and not matched
	loose bool     // "..." allows any
}

// ear returns what is known of a voice. Whoever is named, a channel has one.
func (r *run) ear(v Voice) *ear {
	if v.Place != "" && v.Place != "direct" {
		v.Person = ""
	}
	e := r.ears[v]
	if e == nil {
		e = &ear{}
		r.ears[v] = e
		r.order = append(r.order, v)
	}
	return e
}

// place says where a stage's error came up.
func (r *run) place(s *Step, err error) error {
	if _, ok := errors.AsType[*Failure](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	f := &Failure{File: r.script.File, Line: s.Line, What: err.Error()}
	if errors.Is(err, context.DeadlineExceeded) {
		f.What = fmt.Sprintf("it did not come to an end within %s", r.patience)
		f.Waits, _ = r.stage.Pending()
	}
	return f
}

func (r *run) step(ctx context.Context, s *Step) error {
	if s.Kind == Expect {
		return r.expect(ctx, s)
	}
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	switch s.Kind {
	case Say:
		return r.say(ctx, s)
	case Never:
		return r.never(ctx, s)
	case Fake, Wait:
		if r.last != nil { // what was set going goes by what was before
			if err := r.stage.Settle(ctx); err != nil {
				return err
			}
		}
		if s.Kind == Fake {
			return r.stage.Fake(*s)
		}
		if err := r.stage.Move(s.Time); err != nil {
			return err
		}
		return r.stage.Settle(ctx) // what was to happen meanwhile has happened
	default:
		return r.stage.SetClock(s.Text)
	}
}

// say says a line, and first makes sure that what came before was expected, as
// far as it is there.
func (r *run) say(ctx context.Context, s *Step) error {
	e := r.ear(s.Voice)
	if e.loose { // any lines may come, but they belong to what was said before
		if err := r.stage.Settle(ctx); err != nil {
			return err
		}
		r.rest(ctx, e, s.Voice)
	} else if err := r.surplus(e); err != nil {
		return err
	}
	e.said, e.fine, e.loose, r.last = s, nil, false, s
	return r.stage.Say(ctx, s.Voice, expand(s.Text, r.vars))
}

// expect waits for a line.
func (r *run) expect(ctx context.Context, s *Step) error {
	e := r.ear(s.Voice)
	if s.Want.Reaction() && !r.stage.Reactions() {
		return nil
	}
	if s.Want.Rest {
		e.loose = true
		return nil
	}
	var passed []Line
	for {
		l, err := r.next(ctx, e, s.Voice)
		if err != nil {
			f := &Failure{File: r.script.File, Line: s.Line, What: "this did not come", Said: e.said, Fine: e.fine, Want: s.Want.Text, Came: passed, Silent: err.Error()}
			f.Waits, _ = r.stage.Pending()
			return f
		}
		switch {
		case l.Reaction == s.Want.Reaction() && s.Want.Match(l.Text, r.vars):
			e.fine, e.loose = append(e.fine, l.Text), false
			return nil
		case l.Stands != "" && s.Want.Match(l.Stands, r.vars):
			e.fine, e.loose = append(e.fine, l.Stands), false
			return nil
		case e.loose:
			passed = append(passed, l)
		case l.Reaction: // nobody needs to mention it
		default:
			return &Failure{File: r.script.File, Line: s.Line, What: "something else came", Said: e.said, Fine: e.fine, Want: s.Want.Text, Came: append([]Line{l}, r.rest(ctx, e, s.Voice)...)}
		}
	}
}

// next returns the next line, or an error that says that none comes.
func (r *run) next(ctx context.Context, e *ear, v Voice) (Line, error) {
	if len(e.came) > 0 {
		l := e.came[0]
		e.came = e.came[1:]
		return l, nil
	}
	l, err := r.peek(ctx, v, glance)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		return l, err
	}
	settling, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	settled := r.stage.Settle(settling)
	l, err = r.peek(ctx, v, time.Millisecond)
	switch {
	case err == nil || !errors.Is(err, context.DeadlineExceeded):
		return l, err
	case settled == nil:
		return l, errors.New("nothing more")
	case errors.Is(settled, context.DeadlineExceeded):
		return l, fmt.Errorf("nothing more within %s", r.patience)
	default:
		return l, settled
	}
}

func (r *run) peek(ctx context.Context, v Voice, d time.Duration) (Line, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return r.stage.Next(ctx, v)
}

// rest returns what else is there.
func (r *run) rest(ctx context.Context, e *ear, v Voice) []Line {
	lines := e.came
	e.came = nil
	for len(lines) < 1000 {
		l, err := r.peek(ctx, v, time.Millisecond)
		if err != nil {
			break
		}
		lines = append(lines, l)
	}
	return lines
}

// never makes sure that a line has not come, or none at all.
func (r *run) never(ctx context.Context, s *Step) error {
	if err := r.stage.Settle(ctx); err != nil {
		return err
	}
	e := r.ear(s.Voice)
	e.came = r.rest(ctx, e, s.Voice)
	for i, l := range e.came {
		switch {
		case s.Want.Text == "" && !l.Reaction:
			return &Failure{File: r.script.File, Line: s.Line, What: "something came where nothing should", Said: e.said, Fine: e.fine, Came: e.came[i:]}
		case s.Want.Text != "" && l.Reaction == s.Want.Reaction() && s.Want.Match(l.Text, r.vars):
			return &Failure{File: r.script.File, Line: s.Line, What: "this came, and should not", Said: e.said, Fine: e.fine, Came: []Line{l}}
		}
	}
	if e.loose { // what came was allowed to
		e.came = nil
	}
	return nil
}

// end makes sure that nothing came that nobody expected.
func (r *run) end(ctx context.Context) error {
	settling, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	if err := r.stage.Settle(settling); err != nil {
		return r.place(&r.script.Steps[len(r.script.Steps)-1], err)
	}
	for _, v := range r.order {
		e := r.ears[v]
		if e.came = r.rest(ctx, e, v); e.loose {
			continue
		}
		if err := r.surplus(e); err != nil {
			return err
		}
	}
	if _, faults := r.stage.Pending(); len(faults) > 0 {
		return &Failure{File: r.script.File, Line: r.last.Line, What: "all came as expected, and yet"}
	}
	return nil
}

// surplus is the failure that lines came which nobody expected, unless they are
// all reactions.
func (r *run) surplus(e *ear) error {
	for i, l := range e.came {
		if !l.Reaction {
			f := &Failure{File: r.script.File, What: "more came than was expected", Said: e.said, Fine: e.fine, Came: e.came[i:]}
			if f.Line = 1; e.said != nil {
				f.Line = e.said.Line
			}
			return f
		}
	}
	e.came = nil
	return nil
}
