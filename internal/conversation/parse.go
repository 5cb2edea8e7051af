package conversation

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// Bounds of a script. A conversation that needs more is several.
const (
	maxScript = 1 << 20 // bytes
	maxWait   = 366 * 24 * time.Hour
)

// Parse reads a script; file is how faults name it. All faults are returned at
// once, and with any the Script is nil.
func Parse(file string, data []byte) (*Script, []bellhop.Fault) {
	p := &parser{script: &Script{File: file}}
	switch {
	case len(data) > maxScript:
		p.fault("the file is larger than 1 MB; make several of it")
	case !utf8.Valid(data):
		p.fault("the file is not text in UTF-8")
	default:
		for text := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
			p.line++
			p.read(strings.TrimRight(text, " \t\r\n"))
		}
		p.whole()
	}
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return p.script, nil
}

type parser struct {
	script *Script
	line   int
	last   Voice // who spoke, or was answered, last
	spoken bool
	faults []bellhop.Fault
}

func (p *parser) fault(format string, args ...any) {
	at := bellhop.Position{File: p.script.File, Line: max(p.line, 1), Col: 1}
	p.faults = append(p.faults, bellhop.Fault{Pos: at, Message: fmt.Sprintf(format, args...)})
}

// whole looks at what no line alone shows.
func (p *parser) whole() {
	if !p.spoken && len(p.faults) == 0 {
		p.line = 1
		p.fault("nobody says anything; a line such as `alice> help` does")
	}
}

var (
	condition = regexp.MustCompile(`^\[([^\]]*)\]\s*(.*)$`)
	voiced    = regexp.MustCompile(`^([A-Za-z0-9_:/.@#-]+)([><!])(.*)$`)
)

// read takes one line.
func (p *parser) read(text string) {
	text = strings.TrimLeft(text, " \t")
	if text == "" || text[0] == '#' {
		return
	}
	for _, r := range text {
		if r < ' ' && r != '\t' || r == 0x7f {
			p.fault("the line holds a control character; take it out")
			return
		}
	}
	step := Step{Line: p.line}
	if m := condition.FindStringSubmatch(text); m != nil {
		text = m[2]
		if !p.condition(&step, m[1]) {
			return
		}
	}
	word, rest, _ := strings.Cut(text, " ")
	ok := true
	switch m := voiced.FindStringSubmatch(text); {
	case text != "" && text[0] == '<':
		ok = p.expect(&step, Expect, "", text[1:])
	case text != "" && text[0] == '!':
		ok = p.expect(&step, Never, "", text[1:])
	case m != nil && m[2] == "<":
		ok = p.expect(&step, Expect, m[1], m[3])
	case m != nil && m[2] == "!":
		ok = p.expect(&step, Never, m[1], m[3])
	case m != nil:
		ok = p.say(&step, m[1], m[3])
	case word == "fake":
		ok = p.fake(&step, rest)
	case word == "wait":
		ok = p.wait(&step, strings.TrimSpace(rest))
	case word == "clock":
		ok = p.clock(&step, strings.TrimSpace(rest))
	default:
		p.fault("%.60q is none of `NAME> what is said`, `< what comes back`, `! what must not`, `fake ...`, `wait ...`, `clock ...`, `# a comment`", text)
		return
	}
	if ok {
		p.script.Steps = append(p.script.Steps, step)
	}
}

// condition reads "[console ssh]" or "[!slack]".
func (p *parser) condition(s *Step, text string) bool {
	for _, word := range strings.Fields(text) {
		list := &s.Only
		if rest, not := strings.CutPrefix(word, "!"); not {
			list, word = &s.Not, rest
		}
		if bellhop.CheckName("front end", word) != nil {
			p.fault("[%.40s] does not name front ends; write [ssh], [console ssh] or [!slack] before a line that is for those alone", text)
			return false
		}
		*list = append(*list, word)
	}
	if len(s.Only)+len(s.Not) == 0 {
		p.fault("[] is empty; name a front end, such as [ssh] or [!slack]")
		return false
	}
	return true
}

func (p *parser) say(s *Step, voice, text string) bool {
	v, ok := p.voice(voice)
	if !ok {
		return false
	}
	text = strings.TrimSpace(text)
	switch {
	case v.Person == "":
		p.fault("nobody is named before %s>; write NAME%s>", voice, voice)
		return false
	case text == "":
		p.fault("nothing stands behind %s>; write what is said", voice)
		return false
	}
	s.Kind, s.Voice, s.Text = Say, v, text
	p.last, p.spoken = v, true
	return true
}

// expect reads what stands behind <, or behind !.
func (p *parser) expect(s *Step, kind Kind, voice, text string) bool {
	v := p.last
	if voice != "" {
		var ok bool
		if v, ok = p.voice(voice); !ok {
			return false
		}
		p.last = v
	}
	if v == (Voice{}) {
		p.fault("nobody has spoken yet, so nothing can come back; begin with `NAME> what is said`")
		return false
	}
	s.Kind, s.Voice = kind, v
	text = strings.TrimSpace(text)
	if kind == Never && text == "nothing" {
		return true
	}
	if kind == Never && (text == "" || text == "...") {
		p.fault("behind ! stands `nothing`, or a line that must not come")
		return false
	}
	s.Want = Want{Text: text, Rest: text == "..."}
	if kind == Never || len(text) < 3 || text[0] != '/' || text[len(text)-1] != '/' {
		return true
	}
	re, err := regexp.Compile(`\A(?:` + text[1:len(text)-1] + `)\z`)
	if err != nil {
		p.fault("%s is not a regular expression: %s", text, err)
		return false
	}
	s.Want.re = re
	return true
}

var (
	channel  = regexp.MustCompile(`^#([A-Za-z0-9_.-]+)(?:/([A-Za-z0-9_-]+))?$`)
	identity = regexp.MustCompile(`^[a-z][a-z0-9_-]*:[^\s]+$`)
)

// voice reads alice, slack:T1/U9, alice@direct, alice@#ops, alice@#ops/thread,
// @#ops and @#ops/thread.
func (p *parser) voice(text string) (v Voice, ok bool) {
	person, place := text, ""
	if at := strings.Index(text, "@#"); at >= 0 {
		person, place = text[:at], text[at+1:]
	} else if before, direct := strings.CutSuffix(text, "@direct"); direct {
		person, place = before, "direct"
	}
	v = Voice{Person: person, Place: place}
	if m := channel.FindStringSubmatch(place); m != nil {
		v.Place, v.Thread = "#"+m[1], m[2]
	} else if place != "" && place != "direct" {
		p.fault("%s is not a place; write @#channel, @#channel/thread or @direct", place)
		return v, false
	}
	if (person != "" || v.Place == "direct" || v.Place == "") && !identity.MatchString(person) && bellhop.CheckName("person", person) != nil {
		p.fault("%q is neither a person's name, such as alice, nor an identity, such as ssh:carol", person)
		return v, false
	}
	return v, true
}

func (p *parser) wait(s *Step, text string) bool {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxWait {
		p.fault("wait is followed by a time such as 61s, 10m or 12h, not %.40q", text)
		return false
	}
	s.Kind, s.Time, s.Text = Wait, d, text
	return true
}

// clockForm is how a time is written.
const clockForm = "2006-01-02 15:04"

func (p *parser) clock(s *Step, text string) bool {
	if _, err := time.Parse(clockForm, text); err != nil {
		p.fault("clock is followed by a date and a time such as 2026-03-02 09:00, not %.40q", text)
		return false
	}
	if p.spoken {
		p.fault("clock stands before anybody speaks; later, `wait` moves the time on")
		return false
	}
	s.Kind, s.Text = Clock, text
	return true
}
