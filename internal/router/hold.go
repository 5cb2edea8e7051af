package router

import (
	"fmt"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// holds reports whether an action keeps a job, or a whole service, from
// starting, or ends that.
func holds(a bellhop.Action) bool {
	switch a {
	case bellhop.ActionSuppress, bellhop.ActionUnsuppress, bellhop.ActionPause, bellhop.ActionResume:
		return true
	}
	return false
}

// own reports whether name is a parameter of the action rather than of the
// job.
func own(a bellhop.Action, name string) bool {
	return a == bellhop.ActionSuppress && (name == takesFrom || name == takesUntil)
}

// timeText takes the text of a time, which the engine reads. It is short, so
// that nothing long travels with it.
func timeText(name string, v bellhop.Value) (string, error) {
	text := strings.TrimSpace(v.Text)
	switch {
	case text == "" || v.IsList():
		return "", bellhop.Errorf(bellhop.Invalid, "%s is empty; write a time such as 18:30, a date, or a duration such as 2h", name)
	case len(text) > maxTime:
		return "", bellhop.Errorf(bellhop.Invalid, "%s is %d bytes long, which is no time; write one such as 18:30, a date, or a duration such as 2h", name, len(text))
	}
	return text, nil
}

// maxTime is the longest text of a time, in bytes.
const maxTime = 200

// hold fills what an action that holds, or ends a hold, has beside the job's
// arguments.
func (c *command) hold(inv *bellhop.Invocation, args bellhop.Args) (err error) {
	if c.entry.Action == bellhop.ActionSuppress {
		from, asked := c.ownValue(takesFrom, args)
		if asked {
			if inv.From, err = timeText(takesFrom, from); err != nil {
				return err
			}
		}
		until, asked := c.ownValue(takesUntil, args)
		if !asked { // a regex whose group took no part
			return bellhop.Errorf(bellhop.Invalid, "until is missing: say when it ends")
		}
		if inv.Until, err = timeText(takesUntil, until); err != nil {
			return err
		}
	}
	if inv.Args, err = c.narrow(args); err == nil && len(inv.Args) == 0 {
		inv.Args = nil
	}
	return err
}

func (c *command) ownValue(name string, args bellhop.Args) (bellhop.Value, bool) {
	if v, ok := args[name]; ok {
		return v, true
	}
	v, ok := c.entry.Args[name]
	return v, ok
}

// checkOwn says what is wrong with a parameter of the action's own.
func (b *builder) checkOwn(c *command, what string, pl place) {
	switch _, fixed := c.entry.Args[pl.name]; {
	case fixed:
		b.fault(c.entry.Pos, "%s: %s is asked for and fixed by args at once; remove one of them", what, pl.name)
	case pl.kind == wordList:
		b.fault(c.entry.Pos, "%s: [%s...] gives a list, but %s is one time; write [%s]", what, pl.name, pl.name, pl.name)
	}
}

// checkUntil says that a way to suppress does not say until when.
func (b *builder) checkUntil(c *command, what, how string, given map[string]bool) {
	if _, fixed := c.entry.Args[takesUntil]; c.entry.Action == bellhop.ActionSuppress && !fixed && !given[takesUntil] {
		b.fault(c.entry.Pos, "%s: suppress needs until; add %s to it, or fix it with `args: {until: ...}`", what, fmt.Sprintf(how, takesUntil))
	}
}

// noParam says that a name stands for nothing.
func (b *builder) noParam(c *command, what, name string) {
	more := ""
	if c.entry.Action == bellhop.ActionSuppress {
		more = "; suppress has from and until of its own"
	}
	if c.entry.Job == "" {
		b.fault(c.entry.Pos, "%s: there is no parameter %q, since the command is about the whole service; name a job with job:, or remove it%s", what, name, more)
		return
	}
	b.fault(c.entry.Pos, "%s: job %s has no parameter %q; it has: %s%s", what, c.job.Name, name, paramNames(&c.job), more)
}

// helpHold says in short what a command that holds, or ends a hold, does.
func (c *command) helpHold() string {
	job := c.job.Name
	if job == "" {
		switch c.entry.Action {
		case bellhop.ActionSuppress:
			return "starts nothing here for a time"
		case bellhop.ActionUnsuppress:
			return "ends the suppressions of the whole service, not those of single jobs"
		case bellhop.ActionPause:
			return "pauses the whole service until it is resumed"
		}
		return "resumes the whole service, not jobs that are paused by themselves"
	}
	switch c.entry.Action {
	case bellhop.ActionSuppress:
		return "starts no runs of " + job + " for a time"
	case bellhop.ActionUnsuppress:
		return "ends the suppressions of " + job
	case bellhop.ActionPause:
		return "pauses " + job + " until it is resumed"
	}
	return "resumes " + job
}
