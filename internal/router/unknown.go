package router

import (
	"strings"
	"unicode"

	"github.com/bellhop-io/bellhop"
)

// unknown words the answer to a line that nothing matches. s is the service
// whose name the line begins with, if any; first is its first word.
func (r *Router) unknown(l *line, first string, s *service) error {
	if announced(first) {
		return bellhop.Errorf(bellhop.NotFound, "`%s` is not available yet; `help` lists what you can ask", first)
	}
	more := "`help` lists what you can ask"
	if s != nil {
		more = "`" + s.Name + " help` lists what it can do"
	}
	return notKnown(l.text, r.near.nearest(l, s), more)
}

// noService words the answer to `help` with something that is no service.
func (r *Router) noService(name string) error {
	l := split(name)
	l.words = l.words[:min(len(l.words), 1)] // `help SERVICE COMMAND` means the service
	near := r.near.services(&l)
	for i, n := range near {
		near[i] = "help " + n
	}
	return notKnown("help "+name, near, "`help` lists the services")
}

func notKnown(asked string, near []string, more string) error {
	if len(near) == 0 {
		return bellhop.Errorf(bellhop.NotFound, "I don't know %s; %s", echo(asked), more)
	}
	for i := range near {
		near[i] = "`" + near[i] + "`"
	}
	last := len(near) - 1
	list := near[last]
	if last > 0 {
		list = strings.Join(near[:last], ", ") + " or " + list
	}
	return bellhop.Errorf(bellhop.NotFound, "I don't know %s. Did you mean %s? (%s)", echo(asked), list, more)
}

// missing words the answer to a line that is the beginning of a pattern: it
// names the parameters that are missing, or, where a word is missing first, all
// that is.
func missing(m *match) error {
	lf := m.short
	if lf.command == nil {
		return bellhop.Errorf(bellhop.Invalid, "which run? Write `%s`; `runs` lists the latest", lf.shown)
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
