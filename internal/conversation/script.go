// Package conversation holds conversations that are written down as files: who
// says what where, and what must come back. The same file is run over every
// front end, each of which is a Stage.
package conversation

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop/internal/executor/fake"
)

// Script is one file, read.
type Script struct {
	File  string // as messages name it
	Steps []Step
}

// Fakes returns the jobs that the script makes fake, as "SERVICE JOB".
func (s *Script) Fakes() []string {
	var names []string
	for _, step := range s.Steps {
		if name := step.Service + " " + step.Job; step.Kind == Fake && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Kind is what a Step does.
type Kind int

// The kinds.
const (
	Say    Kind = iota // Voice says Text
	Expect             // a line that must come to Voice
	Never              // a line that must not have come; without a Want, any
	Fake               // Job of Service does as Plays say, from now on
	Wait               // the clock is moved by Time
	Clock              // the clock is set to Text, "2026-03-02 09:00"
)

// Step is one line of a script that does something.
type Step struct {
	Line  int
	Kind  Kind
	Voice Voice
	Text  string
	Want  Want
	Time  time.Duration

	Service, Job string
	Plays        []fake.Play

	// Only and Not are names of stages: where Only is not empty, the step is
	// for those alone, and never for those in Not.
	Only, Not []string
}

// on reports whether a step is for a stage.
func (s *Step) on(stage string) bool {
	return (len(s.Only) == 0 || slices.Contains(s.Only, stage)) && !slices.Contains(s.Not, stage)
}

// Voice is somebody in one place.
type Voice struct {
	// Person is a name of `people:` (alice), or an identity (slack:T1/U9); ""
	// is whoever hears what is said in a channel.
	Person string
	// Place is a channel by name ("#ops"), "direct" for a direct message, or ""
	// for where a front end has no choice: a connection, else a direct message.
	Place string
	// Thread is one of the channel, by a name that the script gives it.
	Thread string
}

// String returns the voice as it is written.
func (v Voice) String() string {
	s := v.Person
	if v.Place != "" {
		s += "@"
	}
	s += v.Place
	if v.Thread != "" {
		s += "/" + v.Thread
	}
	return s
}

// Line is one line that came back.
type Line struct {
	Text string
	// Reaction says that Text (":eyes:") was put under what was said.
	Reaction bool
	// Stands is what a reaction says in place of words, as front ends have it
	// that know no reactions: "accepted 000001: example hello".
	Stands string
}

// Want is what a line must be.
type Want struct {
	Text string // as it is written
	Rest bool   // "...": any lines, none among them
	// re is a regular expression from beginning to end, nil for Text with
	// wildcards and variables.
	re *regexp.Regexp
}

var reaction = regexp.MustCompile(`^:[a-z0-9_+'-]+:$`)

// Reaction reports whether a reaction is wanted, ":eyes:".
func (w Want) Reaction() bool { return w.re == nil && reaction.MatchString(w.Text) }

var variable = regexp.MustCompile(`\$[a-z][a-z0-9_]*`)

// Match reports whether a line is what is wanted; space around it does not
// count. What a $name stands for that
// has no value yet, one word or a part of it, is put into vars.
func (w Want) Match(line string, vars map[string]string) bool {
	if w.Rest {
		return true
	}
	re := w.re
	if re == nil {
		re = w.compile(vars)
	}
	m := re.FindStringSubmatch(strings.TrimSpace(line))
	for i, name := range re.SubexpNames() {
		if m != nil && name != "" {
			vars[name] = m[i]
		}
	}
	return m != nil
}

// compile makes a regular expression of text in which * is anything and $name
// is what it was before.
func (w Want) compile(vars map[string]string) *regexp.Regexp {
	var b strings.Builder
	literal := func(text string) {
		for i, part := range strings.Split(text, "*") {
			if i > 0 {
				b.WriteString(".*")
			}
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	rest, named := w.Text, map[string]bool{}
	b.WriteString(`\A`)
	for _, at := range variable.FindAllStringIndex(w.Text, -1) {
		begin := at[0] - (len(w.Text) - len(rest))
		name := rest[begin+1 : begin+at[1]-at[0]]
		literal(rest[:begin])
		rest = rest[begin+len(name)+1:]
		value, known := vars[name]
		switch {
		case known:
			b.WriteString(regexp.QuoteMeta(value))
		case named[name]:
			b.WriteString(`\S+?`)
		default:
			b.WriteString(`(?P<` + name + `>\S+?)`)
			named[name] = true
		}
	}
	literal(rest)
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// expand puts the values of variables into what is said; what has none stays.
func expand(text string, vars map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(name string) string {
		if v, ok := vars[name[1:]]; ok {
			return v
		}
		return name
	})
}
