package router

import (
	"slices"
	"strings"
	"unicode"

	"github.com/bellhop-io/bellhop"
)

// unknown words the answer to a line that nothing matches. s is the service
// whose name the line begins with, if any; first is its first word.
func (r *Router) unknown(l *line, first string, s *service, may May) error {
	more := "`help` lists what you can ask"
	switch {
	case s != nil:
		more = "`" + s.Name + " help` lists what it can do"
	case first == string(bellhop.ActionSuppress):
		return notSuppress(l)
	}
	return notKnown(l.text, r.near.nearest(l, s, may), more)
}

// notSuppress words the answer to a line that begins as `suppress` does.
func notSuppress(l *line) error {
	if !slices.ContainsFunc(l.words, func(w word) bool { return l.key(w) == takesUntil }) {
		return bellhop.Errorf(bellhop.Invalid, "until when? Write `%s`", suppressUntil)
	}
	return bellhop.Errorf(bellhop.NotFound, "I don't know %s; write `%s` or `%s`, a time of several words in quotes", echo(l.text), suppressUntil, suppressFrom)
}

// noService words the answer to a built-in command, whose first word is verb,
// about something that is no service. more says that there were words behind it.
func (r *Router) noService(verb, name string, more bool) error {
	verb = fold(verb)
	l := split(name)
	l.words = l.words[:min(len(l.words), 1)] // `help SERVICE COMMAND` means the service
	near := r.near.services(&l)
	for i, n := range near {
		near[i] = verb + " " + n
		if more && verb != "help" {
			near[i] += " ..."
		}
	}
	return notKnown(verb+" "+name, near, "`help` lists the services")
}

func notKnown(asked string, near []string, more string) error {
	if len(near) == 0 {
		return bellhop.Errorf(bellhop.NotFound, "I don't know %s; %s", echo(asked), more)
	}
	return bellhop.Errorf(bellhop.NotFound, "I don't know %s. Did you mean %s? (%s)", echo(asked), orList(near), more)
}

// orList returns texts in backquotes, as in: `a`, `b` or `c`.
func orList(texts []string) string {
	last := len(texts) - 1
	list := "`" + texts[last] + "`"
	if last > 0 {
		list = "`" + strings.Join(texts[:last], "`, `") + "` or " + list
	}
	return list
}

// missing words the answer to a line that is the beginning of a pattern: it
// names the parameters that are missing, or, where a word is missing first, all
// that is.
func missing(m *match) error {
	lf := m.short
	if lf.command == nil && lf.pattern.places[m.at].kind != literal {
		return missingBuiltin(lf, lf.pattern.places[m.at].name)
	}
	if lf.pattern.places[m.at].kind == literal {
		return bellhop.Errorf(bellhop.Invalid, "`%s` is missing: write `%s`", pattern{lf.pattern.places[m.at:]}, lf.shown)
	}
	names := lf.pattern.params(m.at)
	verb := " is"
	list := names[len(names)-1]
	if len(names) > 1 {
		verb = " are"
		list = strings.Join(names[:len(names)-1], ", ") + " and " + list
	}
	return bellhop.Errorf(bellhop.Invalid, "%s%s missing: write `%s`", list, verb, lf.shown)
}

// missingBuiltin asks for a parameter of a built-in command.
func missingBuiltin(lf *leaf, name string) error {
	question, more := "which run?", "; `runs` lists the latest"
	switch name {
	case takesService:
		question, more = "which service?", "; `help` lists them"
	case takesTime:
		question, more = "when?", "; a time is 17:30, a date, or 2h"
	case takesLine:
		question, more = "what?", ""
	case takesSched:
		question, more = "which schedule?", "; `schedules` lists them"
	case takesLater:
		question, more = "which one?", "; `schedules` lists them with their ids"
	case takesFrom:
		question, more = "from when?", ""
	case takesJob, takesUntil: // a job may be left out, the end may not
		question, more = "until when?", ""
	}
	return bellhop.Errorf(bellhop.Invalid, "%s Write `%s`%s", question, lf.shown, more)
}

// maxEcho is how many characters of what was typed are told back.
const maxEcho = 60

// echo returns text in backquotes, safe to show: cut, on one line, without
// control and formatting characters and without backquotes of its own.
func echo(text string) string {
	var b strings.Builder
	b.WriteByte('`')
	n := 0
	for _, r := range text {
		if n == maxEcho {
			b.WriteString("...")
			break
		}
		b.WriteRune(safeRune(r))
		n++
	}
	b.WriteByte('`')
	return b.String()
}

func safeRune(r rune) rune {
	switch {
	case r == '`':
		return '\''
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsPrint(r):
		return r
	}
	return unicode.ReplacementChar
}

// plain returns a text of the configuration on one line, safe to show.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '`' {
			return r
		}
		return safeRune(r)
	}, strings.Join(strings.Fields(text), " "))
}
