package router

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// New reads all commands of a catalog, which must not change from then on. It
// returns every fault at once, in the catalog's order, each at its service's
// or entry's place; the Router is nil when there are any.
func New(cat *bellhop.Catalog) (*Router, []bellhop.Fault) {
	b := builder{r: &Router{byName: map[string]*service{}, page: cat.Page}, cat: cat}
	b.r.addBuiltins()
	for i := range cat.Services {
		b.addService(&cat.Services[i])
	}
	for _, s := range b.r.services {
		b.addCommands(s)
	}
	if len(b.faults) > 0 {
		return nil, b.faults
	}
	b.r.near = newNearIndex(b.r)
	return b.r, nil
}

type builder struct {
	r      *Router
	cat    *bellhop.Catalog
	faults []bellhop.Fault
}

func (b *builder) fault(pos bellhop.Position, format string, args ...any) {
	b.faults = append(b.faults, bellhop.Fault{Pos: pos, Message: fmt.Sprintf(format, args...)})
}

// addService makes a service known by its name, so that all names are known
// when commands are checked.
func (b *builder) addService(sv *bellhop.Service) {
	key := fold(sv.Name)
	other := b.r.byName[key]
	switch {
	case bellhop.Reserved(sv.Name):
		b.fault(sv.Pos, "service %s: the name %q is reserved for Bellhop's own commands and addresses; use another", echo(sv.Name), sv.Name)
	case key == fold(b.cat.Bot):
		b.fault(sv.Pos, "service %s is named as the bot, so nobody could tell who is called; use another name", echo(sv.Name))
	case other != nil:
		b.fault(sv.Pos, "service %s is defined twice; the other is at %s", echo(sv.Name), at(other.Pos))
		return
	}
	s := &service{Service: sv}
	for _, text := range []string{"", "help"} {
		p, _ := parsePattern(text)
		s.tree.insert(&leaf{pattern: p, shown: strings.TrimSpace(sv.Name + " " + text), builtin: builtin{action: bellhop.ActionHelp, service: sv.Name}})
	}
	b.r.services = append(b.r.services, s)
	b.r.byName[key] = s
}

func (b *builder) addCommands(s *service) {
	regexes := map[string]*command{}
	for i := range s.Entries {
		e := &s.Entries[i]
		c := &command{service: s, entry: e}
		b.addJob(c)
		b.addPatterns(c)
		if e.Regex != "" && b.addRegex(c) {
			if other := regexes[e.Regex]; other != nil {
				b.fault(e.Pos, "%s is the same regex as the one at %s, which goes first; remove one of them", echo(e.Regex), at(other.entry.Pos))
			} else {
				regexes[e.Regex] = c
				s.regexes = append(s.regexes, c)
				if s.NoPrefix {
					b.r.regexes = append(b.r.regexes, c)
				}
			}
		}
		s.commands = append(s.commands, c)
	}
}

// addJob finds the command's job and checks the arguments that the
// configuration fixes. Those become the job's defaults, since they were
// checked by a rule of their own: they may begin with a dash.
func (b *builder) addJob(c *command) {
	e := c.entry
	if e.Action != bellhop.ActionRun && e.Action != bellhop.ActionCancel && !holds(e.Action) {
		b.fault(e.Pos, "%s: action %q does not exist; an action is one of run, cancel, suppress, unsuppress, pause, resume", c.name(), e.Action)
	}
	if e.Job != "" || !holds(e.Action) {
		job, ok := c.service.Job(e.Job)
		if !ok {
			b.fault(e.Pos, "%s: service %s has no job %q; it has: %s", c.name(), c.service.Name, e.Job, jobNames(c.service.Service))
			return
		}
		c.job = *job
	}
	c.known = true
	if len(e.Args) == 0 {
		return
	}
	c.job.Params = slices.Clone(c.job.Params)
	for _, name := range slices.Sorted(maps.Keys(e.Args)) {
		if own(e.Action, name) {
			if _, err := timeText(name, e.Args[name]); err != nil {
				b.fault(e.Pos, "%s: args: %v", c.name(), err)
			}
			continue
		}
		i := slices.IndexFunc(c.job.Params, func(p bellhop.Param) bool { return p.Name == name })
		if i < 0 {
			b.noParam(c, c.name()+": args", name)
			continue
		}
		v, p := e.Args[name], c.job.Params[i]
		p.Dash = true
		if err := p.Check(v); err != nil {
			b.fault(e.Pos, "%s: args: %v", c.name(), err)
		}
		c.job.Params[i].Default = &v
	}
}

func (b *builder) addPatterns(c *command) {
	e := c.entry
	texts := e.Aliases
	switch {
	case e.Regex == "":
		texts = append([]string{e.Pattern}, texts...)
	case e.Pattern != "":
		b.fault(e.Pos, "%s has a command and a regex; write two commands, or keep one", c.name())
		texts = append([]string{e.Pattern}, texts...)
	}
	for i, text := range texts {
		what := "command " + echo(text)
		if i > 0 || e.Regex != "" && e.Pattern == "" {
			what = "alias " + echo(text)
		}
		p, faults := parsePattern(text)
		for _, f := range faults {
			b.fault(e.Pos, "%s: %s", what, f)
		}
		if len(faults) > 0 {
			continue
		}
		c.patterns = append(c.patterns, p)
		b.checkGiven(c, what, "[%s]", p.places)
		b.insert(c, what, p)
	}
}

// checkGiven says which parameters of the job a pattern (or a regex, whose
// groups stand for its places) can't give, must not give, or has to. how is
// the way in which it would give one, a format for the name.
func (b *builder) checkGiven(c *command, what, how string, places []place) {
	if !c.known {
		return // said already
	}
	given := map[string]bool{}
	for _, pl := range places {
		if pl.kind == literal {
			continue
		}
		given[pl.name] = true
		if own(c.entry.Action, pl.name) {
			b.checkOwn(c, what, pl)
			continue
		}
		param, ok := c.job.Param(pl.name)
		_, fixed := c.entry.Args[pl.name]
		switch isList := param.Type == bellhop.TypeList; {
		case !ok:
			b.noParam(c, what, pl.name)
		case fixed:
			b.fault(c.entry.Pos, "%s: %s is asked for and fixed by args at once; remove one of them", what, pl.name)
		case isList && pl.kind != wordList:
			b.fault(c.entry.Pos, "%s: %s is a list, which only [%s...] at the end of a command gives", what, pl.name, pl.name)
		case !isList && pl.kind == wordList:
			b.fault(c.entry.Pos, "%s: [%s...] gives a list, but the parameter's type is %s; write [%s], or `type: list` on the parameter", what, pl.name, typeName(param), pl.name)
		}
	}
	b.checkUntil(c, what, how, given)
	if c.entry.Action != bellhop.ActionRun {
		return
	}
	for _, p := range c.job.Params {
		if p.Default == nil && !given[p.Name] {
			b.fault(c.entry.Pos, "%s: job %s needs %s; add %s to it, or fix it with `args: {%s: ...}`, or give the parameter a default", what, c.job.Name, p.Name, fmt.Sprintf(how, p.Name), p.Name)
		}
	}
}

func (b *builder) insert(c *command, what string, p pattern) {
	l := &leaf{pattern: p, command: c, shown: c.prefixed(p)}
	if c.service.NoPrefix {
		switch first := p.places[0].name; {
		case !p.hasLiteral(len(p.places)):
			b.fault(c.entry.Pos, "%s would answer to every line, since its service has no prefix; add a word of its own", what)
			return
		case p.places[0].kind != literal:
		case bellhop.Reserved(first):
			b.fault(c.entry.Pos, "%s: %q is reserved for Bellhop's own commands, and its service has no prefix; begin with another word", what, first)
			return
		case b.r.byName[fold(first)] != nil:
			b.fault(c.entry.Pos, "%s: %q is a service, and lines that begin with it are for that service; begin with another word", what, first)
			return
		}
		if other := b.r.bare.insert(l); other != l {
			b.clash(c, what, other)
			return
		}
	}
	if other := c.service.tree.insert(l); other != l {
		b.clash(c, what, other)
	}
}

func (b *builder) clash(c *command, what string, other *leaf) {
	switch {
	case other.command == nil:
		b.fault(c.entry.Pos, "%s is built in: `%s` tells what the service can do; use other words", what, other.shown)
	case other.command == c:
		b.fault(c.entry.Pos, "%s is the same as `%s` of this very entry; remove one of them", what, other.shown)
	default:
		b.fault(c.entry.Pos, "%s is the same as `%s` at %s, so nobody could tell which is meant; change a word in one of them", what, other.shown, at(other.command.entry.Pos))
	}
}

// addRegex compiles the command's regex and reports whether it is good.
func (b *builder) addRegex(c *command) bool {
	e, what := c.entry, "regex "+echo(c.entry.Regex)
	if _, err := regexp.Compile(e.Regex); err != nil {
		reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		b.fault(e.Pos, "%s can't be read: %s (the syntax is RE2's: no lookaround, no backreferences)", what, reason)
		return false
	}
	re, err := regexp.Compile(`\A(?:` + e.Regex + `)\z`)
	if err != nil { // only when the regex is at a limit of size or depth
		b.fault(e.Pos, "%s can't be read: %v", what, err)
		return false
	}
	c.regex = re
	var groups []place
	for _, name := range re.SubexpNames() {
		if name != "" {
			groups = append(groups, place{oneWord, name})
		}
	}
	b.checkGiven(c, what, "a group (?P<%s>...)", groups)
	return true
}

// name names the command in faults.
func (c *command) name() string {
	if c.entry.Pattern == "" && c.entry.Regex != "" {
		return "regex " + echo(c.entry.Regex)
	}
	return "command " + echo(c.entry.Pattern)
}

func at(p bellhop.Position) string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

func jobNames(s *bellhop.Service) string {
	names := make([]string, len(s.Jobs))
	for i, j := range s.Jobs {
		names[i] = j.Name
	}
	return orNone(names)
}

func paramNames(j *bellhop.Job) string {
	names := make([]string, len(j.Params))
	for i, p := range j.Params {
		names[i] = p.Name
	}
	return orNone(names)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func typeName(p bellhop.Param) bellhop.ParamType {
	if p.Type == "" {
		return bellhop.TypeString
	}
	return p.Type
}
