package conversation

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/fake"
)

var faked = regexp.MustCompile(`^\s*([A-Za-z0-9_-]+)\s+([A-Za-z0-9_-]+)\s*(?::(.*))?$`)

// fake reads what stands behind `fake`: SERVICE JOB, and maybe what it does.
func (p *parser) fake(s *Step, text string) bool {
	m := faked.FindStringSubmatch(text)
	if m == nil {
		p.fault("fake is followed by a service and a job: fake deploys deploy: \"deployed to {env}\"")
		return false
	}
	s.Kind, s.Service, s.Job = Fake, m[1], m[2]
	r := &plays{rest: strings.TrimSpace(m[3])}
	for {
		play := r.play()
		if r.bad != "" {
			p.fault("%s; a fake job does these, with commas between: \"text\", error \"text\", takes 2s, exit 3, stopped \"text\", missing \"reason\", and then ... the next time", r.bad)
			return false
		}
		s.Plays = append(s.Plays, play)
		if r.rest == "" {
			return true
		}
	}
}

// plays reads `"text", exit 3 then "better"`.
type plays struct {
	rest string
	bad  string
}

// play reads up to `then`, or the end.
func (r *plays) play() (play fake.Play) {
	for r.rest != "" && r.bad == "" {
		if after, ok := cutWord(r.rest, "then"); ok {
			if r.rest = after; after == "" {
				r.bad = "nothing stands behind `then`"
			}
			return play
		}
		r.action(&play)
		after, comma := strings.CutPrefix(r.rest, ",")
		_, then := cutWord(r.rest, "then")
		switch r.rest = strings.TrimSpace(after); {
		case r.bad != "":
		case comma && r.rest == "":
			r.bad = "nothing stands behind the last comma"
		case !comma && !then && r.rest != "":
			r.bad = "a comma or `then` is missing before " + clip(r.rest)
		}
	}
	return play
}

// action reads one thing that is done.
func (r *plays) action(play *fake.Play) {
	whole := r.rest
	verb, rest, _ := strings.Cut(r.rest, " ")
	if strings.HasPrefix(r.rest, `"`) {
		verb, rest = "", r.rest
	}
	r.rest = strings.TrimSpace(rest)
	switch verb {
	case "":
		play.Steps = append(play.Steps, fake.Step{Channel: bellhop.Stdout, Text: r.quoted() + "\n"})
	case "error":
		play.Steps = append(play.Steps, fake.Step{Channel: bellhop.Stderr, Text: r.quoted() + "\n"})
	case "stopped":
		play.Bye = r.quoted() + "\n"
	case "missing":
		play.Missing = r.quoted()
	case "takes":
		word := r.word()
		d, err := time.ParseDuration(word)
		if err != nil || d <= 0 {
			r.bad = "takes is followed by a time such as 2s, not " + clip(word)
		}
		play.Steps = append(play.Steps, fake.Step{Takes: d})
	case "exit":
		word := r.word()
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 || n > 255 {
			r.bad = "exit is followed by a number from 0 to 255, not " + clip(word)
		}
		play.Exit = n
	default:
		r.bad = clip(whole) + " is not understood"
	}
}

// quoted takes a text in double quotes, with Go's escapes.
func (r *plays) quoted() string {
	q, err := strconv.QuotedPrefix(r.rest)
	if err != nil || q[0] != '"' {
		r.bad = "a text in double quotes is missing before " + clip(r.rest)
		return ""
	}
	text, err := strconv.Unquote(q)
	if err != nil {
		r.bad = clip(q) + " is not a text in double quotes"
	}
	r.rest = strings.TrimSpace(r.rest[len(q):])
	return text
}

// word takes what stands before the next space or comma.
func (r *plays) word() string {
	end := strings.IndexAny(r.rest, " ,")
	if end < 0 {
		end = len(r.rest)
	}
	word := r.rest[:end]
	r.rest = strings.TrimSpace(r.rest[end:])
	return word
}

// cutWord takes a word off the beginning of a text.
func cutWord(text, word string) (string, bool) {
	rest, ok := strings.CutPrefix(text, word)
	if !ok || rest != "" && rest[0] != ' ' {
		return text, false
	}
	return strings.TrimSpace(rest), true
}

// clip quotes the beginning of a text.
func clip(text string) string {
	if text == "" {
		return "the end of the line"
	}
	if r := []rune(text); len(r) > 40 {
		text = string(r[:40]) + "..."
	}
	return "`" + text + "`"
}
