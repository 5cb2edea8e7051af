// Package router turns what people say into invocations: it reads the patterns
// of a configuration, finds the command that a line means and binds its
// arguments, and words help, near misses and completions.
//
// How a line is read: space around it and one final dot go. A quote opens a
// phrase at the start of a word when its partner, the next quote of its kind
// that ends a word, follows; any other quote is a letter, and so is every
// backslash. A phrase is one word of which every byte stays, and never a
// literal. A parameter in the middle of a pattern takes one word (with plain
// quotes for typographic ones) or phrase; one that ends the pattern takes the
// rest of the line byte for byte, without its quotes when it is one phrase;
// [words...] takes zero or more words as a list.
//
// Which command a line means: a line whose first word is a service's name
// belongs to that service, and one whose first word is reserved
// (bellhop.Reserved) to Bellhop. Any other line is for the commands of services
// without prefix, which are understood behind their service's name too. Among
// the patterns that match a whole line, places are compared from the left:
// literal, then one word, then the rest of the line (words as a list included).
// Only when no pattern matches, regexes are tried in file order, against the
// line without its service's name, one space between words and phrases with
// their quotes as typed; a group that is one phrase loses its quotes.
package router

import (
	"regexp"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Router resolves lines against one configuration. It never changes, and may
// be used by several goroutines at once.
type Router struct {
	services []*service // in the catalog's order
	byName   map[string]*service
	builtins node
	page     bool       // there is a web page
	bare     node       // commands of services without prefix
	regexes  []*command // of services without prefix, in file order
	near     nearIndex
}

// service is a service with its own tree.
type service struct {
	*bellhop.Service
	tree     node
	commands []*command
	regexes  []*command // in file order
}

// command is an entry, checked.
type command struct {
	service  *service
	entry    *bellhop.Entry
	job      bellhop.Job // fixed arguments are its defaults; without a name: the whole service
	known    bool        // that job was found
	patterns []pattern   // its own, if any, then its aliases
	regex    *regexp.Regexp
}

// Resolve finds what a line asks for. It fills all of the Invocation but Key,
// Person and Origin. The error is a *bellhop.Error for the asker: NotFound when
// nothing like it can be asked, Invalid when an argument is missing or bad. One
// that tells of a command is a *Fault, or an *Incomplete when nothing but
// arguments are missing.
func (r *Router) Resolve(text string) (bellhop.Invocation, error) { return r.ResolveFor(text, nil) }

// ResolveFor is Resolve for an asker to whom no command is suggested that they
// may not use. A Fault and an Incomplete are for the caller to keep from them.
func (r *Router) ResolveFor(text string, may May) (bellhop.Invocation, error) {
	may = may.orAll()
	l := split(text)
	if len(l.words) == 0 {
		return bellhop.Invocation{}, bellhop.Errorf(bellhop.Invalid, "the line is empty; `help` lists what you can ask")
	}
	first := l.key(l.words[0])
	s := r.byName[first]
	tree, regexes, base := &r.bare, r.regexes, 0
	switch {
	case s != nil:
		tree, regexes, base = &s.tree, s.regexes, 1
	case bellhop.Reserved(first):
		tree, regexes = &r.builtins, nil
	}
	m := newMatch(&l, base)
	if lf := m.walk(tree, base); lf != nil {
		return r.invoke(m, lf, may)
	}
	if len(regexes) > 0 {
		normal := l.normal(base)
		for _, c := range regexes {
			if at := c.regex.FindStringSubmatchIndex(normal); at != nil {
				return c.invoke(c.groupArgs(normal, at), c.title())
			}
		}
	}
	if m.short != nil {
		return bellhop.Invocation{}, incomplete(m)
	}
	return bellhop.Invocation{}, r.unknown(&l, first, s, may)
}

func (r *Router) invoke(m *match, lf *leaf, may May) (bellhop.Invocation, error) {
	if lf.command == nil {
		return r.invokeBuiltin(m, lf, may)
	}
	return lf.command.invoke(m.args(lf), lf.shown)
}

// args collects what a pattern's parameters took.
func (m *match) args(lf *leaf) bellhop.Args {
	args := bellhop.Args{}
	taken := m.words
	for _, pl := range lf.pattern.places {
		switch pl.kind {
		case oneWord:
			args[pl.name] = bellhop.Text(m.line.value(m.line.words[taken[0]]))
			taken = taken[1:]
		case restOfLine:
			args[pl.name] = bellhop.Text(m.line.rest(m.rest))
		case wordList:
			words := m.line.words[m.rest:]
			list := make([]string, len(words))
			for i, w := range words {
				list[i] = m.line.value(w)
			}
			args[pl.name] = bellhop.List(list...)
		}
	}
	return args
}

// groupArgs collects what a regex's named groups took. A group that took no
// part gives no argument. at is what regexp's Index functions return.
func (c *command) groupArgs(text string, at []int) bellhop.Args {
	args := bellhop.Args{}
	for i, name := range c.regex.SubexpNames() {
		if name == "" || at[2*i] < 0 {
			continue
		}
		v := text[at[2*i]:at[2*i+1]]
		if w := split(v); len(w.words) == 1 && w.words[0].phrase && w.words[0].end == len(v) {
			v = w.value(w.words[0])
		}
		args[name] = bellhop.Text(v)
	}
	return args
}

// invoke binds arguments. shown is the command as the asker is told of it.
func (c *command) invoke(args bellhop.Args, shown string) (bellhop.Invocation, error) {
	e := c.entry
	inv := bellhop.Invocation{
		Action: e.Action, Service: e.Service, Job: e.Job, Entry: e.Name,
		Delay: e.Delay, MaxDelay: e.MaxDelay, OnRepeat: e.OnRepeat, Priority: e.Priority, Running: e.Running,
		Confirm: e.Confirm,
	}
	var err error
	switch {
	case e.Action == bellhop.ActionRun:
		inv.Args, err = c.job.Bind(args)
	case holds(e.Action):
		err = c.hold(&inv, args)
	default:
		inv.Args, err = c.narrow(args)
	}
	if err != nil {
		return bellhop.Invocation{}, c.fault(&bellhop.Error{Code: bellhop.CodeOf(err), Message: "in `" + shown + "`: " + err.Error(), Err: err})
	}
	return inv, nil
}

// narrow returns the arguments that a job's runs must have to be meant: those
// that were asked, checked, and those that the configuration fixes.
func (c *command) narrow(asked bellhop.Args) (bellhop.Args, error) {
	args := bellhop.Args{}
	for _, p := range c.job.Params {
		v, ok := asked[p.Name]
		if !ok || own(c.entry.Action, p.Name) {
			continue
		}
		if err := p.Check(v); err != nil {
			return nil, err
		}
		args[p.Name] = v
	}
	for name, v := range c.entry.Args {
		if !own(c.entry.Action, name) {
			args[name] = v
		}
	}
	return args, nil
}

// title names the command for people.
func (c *command) title() string {
	if len(c.patterns) > 0 {
		return c.prefixed(c.patterns[0])
	}
	text := "/" + plain(c.entry.Regex) + "/"
	if !c.service.NoPrefix {
		text = c.service.Name + " " + text
	}
	return text
}

// prefixed returns a pattern as it would be typed.
func (c *command) prefixed(p pattern) string {
	if c.service.NoPrefix {
		return p.String()
	}
	return strings.TrimSpace(c.service.Name + " " + p.String())
}
