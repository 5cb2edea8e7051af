package router

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// lock marks what the asker may not use.
const lock = "🔒"

// wideColumn is the longest text that others are aligned with; what is longer
// has its explanation on the next line.
const wideColumn = 40

// maxListed is how many values of an enum are listed.
const maxListed = 12

// May says whether the asker may use a service (entry nil), or one of its
// commands. A nil May allows all.
type May func(service string, entry *bellhop.Entry) bool

func (m May) orAll() May {
	if m == nil {
		return func(string, *bellhop.Entry) bool { return true }
	}
	return m
}

// Help returns the help text of one service or built-in command, or, for "",
// the general one. What the asker may not use is listed with a lock.
func (r *Router) Help(service string, may May) string {
	may = may.orAll()
	if service == "" {
		return r.generalHelp(may)
	}
	if verb := verbNamed(service); verb != "" {
		return builtinHelp(verb)
	}
	s := r.byName[fold(service)]
	if s == nil {
		return r.noService("help", service, false).Error() + "\n"
	}
	return s.help(may)
}

func (r *Router) generalHelp(may May) string {
	var b strings.Builder
	var t table
	locked := false
	for _, s := range slices.SortedFunc(slices.Values(r.services), func(a, b *service) int { return cmp.Compare(a.Name, b.Name) }) {
		mark := ""
		if !may(s.Name, nil) {
			mark, locked = lock, true
		}
		t.add(mark, s.Name, plain(s.Description))
	}
	if len(r.services) > 0 {
		b.WriteString("Services:\n\n")
		t.write(&b)
		if locked {
			b.WriteString("\n  " + lock + " restricted: you may not use it\n")
		}
		b.WriteString("\nEverywhere:\n\n")
	} else {
		b.WriteString("There are no services yet; they are added to the configuration. Until then you can ask:\n\n")
	}
	t = table{}
	for _, c := range builtinCommands() {
		if r.offered(c) {
			t.add("", c.shown, c.help)
		}
	}
	t.write(&b)
	if len(r.services) > 0 {
		b.WriteString("\nTo see what a service can do: help SERVICE, or just its name\n")
	}
	return b.String()
}

// builtinHelp lists the ways to say a built-in command.
func builtinHelp(verb string) string {
	var t table
	for _, c := range builtinCommands() {
		if c.verb() != verb || c.help == "" {
			continue
		}
		t.add("", c.shown, c.help)
		if strings.Contains(c.shown, "TIME") {
			t.note("TIME: " + timeHelp)
		}
	}
	var b strings.Builder
	b.WriteString("Everywhere:\n\n")
	t.write(&b)
	return b.String()
}

// timeHelp says what a time is.
const timeHelp = "a time such as 18:30, a date, or a duration such as 2h"

// help lists what the service can do.
func (s *service) help(allows May) string {
	may := allows(s.Name, nil)
	var b strings.Builder
	title := s.Name
	if d := plain(s.Description); d != "" {
		title += ": " + d
	}
	if !may {
		title = lock + " " + title
	}
	b.WriteString(title + "\n")
	if !may {
		b.WriteString("This service is restricted: you may not use it.\n")
	}
	if len(s.commands) == 0 {
		b.WriteString("\nIt has no commands.\n")
		return b.String()
	}
	b.WriteString("\n")
	var t table
	locked := false
	for _, c := range s.commands {
		mark := ""
		if may && !allows(s.Name, c.entry) {
			mark, locked = lock, true
		}
		if len(c.patterns) == 0 {
			t.add(mark, c.title(), c.help())
		}
		for i, p := range c.patterns {
			text := c.help()
			if i > 0 {
				text = "the same as " + c.title()
			}
			t.add(mark, plain(c.prefixed(p)), text)
		}
		for _, note := range c.notes() {
			t.note(note)
		}
	}
	t.write(&b)
	if locked {
		b.WriteString("\n  " + lock + " not for you; to see why: why " + s.Name + " ...\n")
	}
	return b.String()
}

// help says what the command does, in the configuration's words if there are
// any.
func (c *command) help() string {
	if text := plain(c.entry.Help); text != "" {
		return text
	}
	if holds(c.entry.Action) { // the job's own words would say that it is run
		return c.helpHold()
	}
	if text := plain(c.job.Help); text != "" {
		return text + c.differs()
	}
	switch {
	case c.entry.Action != bellhop.ActionCancel:
		return "runs " + c.job.Name + c.differs()
	case c.entry.Running:
		return "cancels " + c.job.Name + ", also while it runs"
	}
	return "cancels " + c.job.Name + " while it waits"
}

// differs says in brackets what tells a command from others that run the same
// job; "" for nothing.
func (c *command) differs() string {
	if c.entry.Action != bellhop.ActionRun {
		return ""
	}
	var parts []string
	switch c.entry.OnRepeat {
	case bellhop.OnRepeatQueue:
		parts = append(parts, "once for each ask")
	case bellhop.OnRepeatReject:
		parts = append(parts, "not while the same waits or runs")
	}
	if c.entry.Priority != nil {
		parts = append(parts, "priority "+strconv.Itoa(*c.entry.Priority))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// notes explain the command's parameters, those that there is something to
// say about, each on a line.
func (c *command) notes() []string {
	var names []string
	for _, p := range c.patterns {
		names = append(names, p.params(0)...)
	}
	if c.regex != nil {
		names = append(names, c.regex.SubexpNames()...)
	}
	var notes []string
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		if own(c.entry.Action, name) {
			notes = append(notes, "["+name+"] "+timeHelp)
			continue
		}
		p, ok := c.job.Param(name)
		if !ok {
			continue
		}
		if !c.mayLeaveOut(name) {
			p.Default = nil
		}
		if text := describe(p); text != "" {
			notes = append(notes, "["+name+"] "+text)
		}
	}
	return notes
}

// mayLeaveOut reports whether a line that means the command may be without a
// parameter, so that its default counts.
func (c *command) mayLeaveOut(name string) bool {
	return c.entry.Action == bellhop.ActionRun &&
		(c.regex != nil || slices.ContainsFunc(c.patterns, func(p pattern) bool { return !slices.Contains(p.params(0), name) }))
}

// describe says in short what a parameter's values are; "" for any text.
func describe(p bellhop.Param) string {
	var parts []string
	switch p.Type {
	case bellhop.TypeEnum:
		list := strings.Join(p.Enum[:min(len(p.Enum), maxListed)], ", ")
		if len(p.Enum) > maxListed {
			list += ", ..."
		}
		parts = append(parts, "one of "+list)
	case bellhop.TypePattern:
		parts = append(parts, "like "+p.Pattern)
	case bellhop.TypeInt:
		parts = append(parts, "a whole number"+limits(p, ""))
	case bellhop.TypeNumber:
		parts = append(parts, "a number"+limits(p, ""))
	case bellhop.TypeBool:
		parts = append(parts, "true or false")
	case bellhop.TypeDuration:
		parts = append(parts, "a duration such as 90s, 1h30m or 2d"+limits(p, ""))
	case bellhop.TypeDate:
		parts = append(parts, "a date such as 2026-01-31"+limits(p, ""))
	case bellhop.TypeList:
		parts = append(parts, "any number of words")
	case bellhop.TypeJSON:
		parts = append(parts, "JSON")
	default:
		if l := limits(p, " characters"); l != "" {
			parts = append(parts, "a text"+l)
		}
	}
	if p.Default != nil {
		parts = append(parts, "default "+p.Default.String())
	}
	if p.Help != "" {
		parts = append([]string{p.Help}, parts...)
	}
	return plain(strings.Join(parts, "; "))
}

func limits(p bellhop.Param, unit string) string {
	switch {
	case p.Min != "" && p.Max != "":
		return " from " + p.Min + " to " + p.Max + unit
	case p.Min != "":
		return " of at least " + p.Min + unit
	case p.Max != "":
		return " of at most " + p.Max + unit
	}
	return ""
}

// table is rows of text, what it means, and maybe a mark before it.
type table struct {
	rows []row
}

type row struct {
	mark, text, help string
	isNote           bool
}

func (t *table) add(mark, text, help string) {
	t.rows = append(t.rows, row{mark: mark, text: text, help: help})
}

// note adds a line below the row before.
func (t *table) note(text string) { t.rows = append(t.rows, row{text: text, isNote: true}) }

func (t *table) write(b *strings.Builder) {
	width, indent := 0, "  "
	for _, r := range t.rows {
		if n := utf8.RuneCountInString(r.text); !r.isNote && n <= wideColumn {
			width = max(width, n)
		}
		if r.mark != "" {
			indent = "     " // a lock is two columns wide
		}
	}
	for _, r := range t.rows {
		n := utf8.RuneCountInString(r.text)
		switch {
		case r.isNote:
			b.WriteString(indent + "    " + r.text + "\n")
			continue
		case r.mark != "":
			b.WriteString("  " + r.mark + " ")
		default:
			b.WriteString(indent)
		}
		b.WriteString(r.text)
		switch {
		case r.help == "":
		case n <= width:
			b.WriteString(strings.Repeat(" ", width-n+2) + r.help)
		default:
			b.WriteString("\n" + indent + strings.Repeat(" ", 4) + r.help)
		}
		b.WriteByte('\n')
	}
}
