package router

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Half is a command of which some arguments are still to be given. It can be
// kept, and finished by another router whose configuration has that command
// still.
type Half struct {
	Service string       `json:"service"`
	Entry   string       `json:"entry"`
	Shown   string       `json:"shown"` // the command as it would be typed
	Args    bellhop.Args `json:"args"`  // as far as they were given
}

// Incomplete is the error of a line that ends where a command wants arguments.
type Incomplete struct {
	Half
	Missing []bellhop.Param // in the order of the command
	err     error           // as it is told where nothing is asked back
}

// Error says what is missing and how the whole is written.
func (i *Incomplete) Error() string { return i.err.Error() }

// Unwrap returns the *bellhop.Error.
func (i *Incomplete) Unwrap() error { return i.err }

// Fault is the error of a line that means a command, and what is wrong with
// it. It tells of the command, so it is for those alone who may use it.
type Fault struct {
	Service, Entry string
	err            error
}

// Error says what is wrong.
func (f *Fault) Error() string { return f.err.Error() }

// Unwrap returns the *bellhop.Error.
func (f *Fault) Unwrap() error { return f.err }

func (c *command) fault(err error) error {
	return &Fault{Service: c.entry.Service, Entry: c.entry.Name, err: err}
}

// incomplete words the answer to a line that ended too early.
func incomplete(m *match) error {
	err, lf := missing(m), m.short
	if lf.command == nil {
		return err
	}
	if !lf.command.known {
		return lf.command.fault(err)
	}
	in := &Incomplete{err: err, Half: Half{Service: lf.command.entry.Service, Entry: lf.command.entry.Name, Shown: lf.shown, Args: bellhop.Args{}}}
	for i, pl := range lf.pattern.places {
		switch {
		case i < m.at && pl.kind == oneWord:
			v := bellhop.Text(m.line.value(m.line.words[m.base+i]))
			if p, ok := lf.command.job.Param(pl.name); ok && !own(lf.command.entry.Action, pl.name) {
				if bad := p.Check(v); bad != nil {
					return lf.command.fault(&bellhop.Error{Code: bellhop.Invalid, Message: "in `" + lf.shown + "`: " + bad.Error(), Err: bad})
				}
			}
			in.Args[pl.name] = v
		case i < m.at:
		case pl.kind == literal:
			return lf.command.fault(err) // it is not just arguments that are missing
		case pl.kind != wordList:
			p, ok := lf.command.job.Param(pl.name)
			if !ok || own(lf.command.entry.Action, pl.name) {
				p = bellhop.Param{Name: pl.name}
			}
			in.Missing = append(in.Missing, p)
		}
	}
	if len(in.Missing) == 0 {
		return lf.command.fault(err)
	}
	return in
}

// Question asks for one parameter in a line.
func Question(p bellhop.Param) string {
	text := "Which " + p.Name + "?"
	if about := describe(p); about != "" {
		text += " " + strings.ToUpper(about[:1]) + about[1:] + "."
	}
	return text
}

// Finish makes an invocation of a half one and the arguments that were given
// since. Conflict says that the command is not there any more.
func (r *Router) Finish(h Half, given bellhop.Args) (bellhop.Invocation, error) {
	c := r.command(h.Service, h.Entry)
	if c == nil {
		return bellhop.Invocation{}, bellhop.Errorf(bellhop.Conflict, "`%s` is not there any more: the configuration has changed; `%s help` lists what there is", h.Shown, h.Service)
	}
	args := bellhop.Args{}
	for name, v := range h.Args {
		args[name] = v
	}
	for name, v := range given {
		if p, ok := c.job.Param(name); ok && p.Type == bellhop.TypeList && !v.IsList() {
			v = bellhop.List(strings.Fields(v.Text)...)
		}
		args[name] = v
	}
	return c.invoke(args, h.Shown)
}

// Halve is the reverse of Finish: an invocation of a command, to be kept until
// it is confirmed.
func (r *Router) Halve(inv bellhop.Invocation) (Half, error) {
	c := r.command(inv.Service, inv.Entry)
	if c == nil {
		return Half{}, bellhop.Errorf(bellhop.Internal, "the command %s of %s is not in the configuration", inv.Entry, inv.Service)
	}
	return Half{Service: inv.Service, Entry: inv.Entry, Shown: c.title(), Args: inv.Args}, nil
}

// Summary is an invocation in one line: the command and its arguments.
func (h Half) Summary() string {
	return h.Shown + argText(h.Args)
}

func argText(args bellhop.Args) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(args)) {
		text += fmt.Sprintf(" %s=%s", name, plain(args[name].String()))
	}
	if text == "" {
		return ""
	}
	return " with" + text
}

func (r *Router) command(service, entry string) *command {
	s := r.byName[service]
	if s == nil {
		return nil
	}
	for _, c := range s.commands {
		if c.entry.Name == entry {
			return c
		}
	}
	return nil
}

// Reply reads a message that answers a question for a parameter: as the rest
// of a line is read, so that one phrase loses its quotes, or a list of words.
func Reply(p bellhop.Param, text string) bellhop.Value {
	l := split(text)
	if p.Type == bellhop.TypeList {
		words := make([]string, len(l.words))
		for i, w := range l.words {
			words[i] = l.value(w)
		}
		return bellhop.List(words...)
	}
	if len(l.words) == 0 {
		return bellhop.Text("")
	}
	return bellhop.Text(l.rest(0))
}
