package watchdog

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// key names an attempt.
type key struct {
	run   bellhop.RunID
	lease int64
}

// The verbs. The first six go from the runner to the watchdog, the others
// back. Each message is a line: the verb, the numbers, the texts.
const (
	verbHello   = "hello"   // session of the runner; store, instance
	verbGuard   = "guard"   // run, lease, when to kill; handle
	verbExtend  = "extend"  // run, lease, when to kill
	verbRelease = "release" // run, lease
	verbPing    = "ping"    // number
	verbBye     = "bye"     // the end of input that follows is in good order
	verbKilled  = "killed"  // run, lease: it is being ended
	verbPong    = "pong"    // number of the ping: what was ended before it, was told before
	verbNote    = "note"    // a text for the log
)

// form is how many numbers and texts follow a verb.
func form(verb string) (numbers, texts int, ok bool) {
	switch verb {
	case verbHello:
		return 1, 2, true
	case verbGuard:
		return 3, 1, true
	case verbExtend:
		return 3, 0, true
	case verbRelease, verbKilled:
		return 2, 0, true
	case verbPing, verbPong:
		return 1, 0, true
	case verbBye:
		return 0, 0, true
	case verbNote:
		return 0, 1, true
	}
	return 0, 0, false
}

// message is one line. at is in nanoseconds of the monotonic clock.
type message struct {
	verb    string
	numbers []int64
	texts   []string
}

func (m message) key() key  { return key{run: bellhop.RunID(m.numbers[0]), lease: m.numbers[1]} }
func (m message) at() int64 { return m.numbers[2] }

// line writes a message, with its end of line. Texts are escaped, and begin
// with = so that an empty one is seen.
func (m message) line() string {
	var b strings.Builder
	b.WriteString(m.verb)
	for _, n := range m.numbers {
		b.WriteByte(' ')
		b.WriteString(strconv.FormatInt(n, 10))
	}
	for _, s := range m.texts {
		b.WriteString(" =")
		b.WriteString(url.QueryEscape(s))
	}
	b.WriteByte('\n')
	return b.String()
}

// parse reads a line without its end.
func parse(line string) (message, error) {
	words := strings.Split(line, " ")
	m := message{verb: words[0]}
	words = words[1:]
	numbers, texts, ok := form(m.verb)
	if !ok || len(words) != numbers+texts {
		return message{}, fmt.Errorf("line %.80q is not in the watchdog's language", line)
	}
	for _, w := range words[:numbers] {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return message{}, fmt.Errorf("line %.80q: %.20q is not a number", line, w)
		}
		m.numbers = append(m.numbers, n)
	}
	for _, w := range words[numbers:] {
		escaped, ok := strings.CutPrefix(w, "=")
		text, err := url.QueryUnescape(escaped)
		if !ok || err != nil {
			return message{}, fmt.Errorf("line %.80q: %.20q is not a text", line, w)
		}
		m.texts = append(m.texts, text)
	}
	return m, nil
}
