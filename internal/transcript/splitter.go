package transcript

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// MaxText is how much of a line is shown and searched, in bytes.
const MaxText = 4 << 10

// Line is one line of a run's output.
type Line struct {
	N       int // from 1
	Attempt int
	Channel bellhop.Channel
	At      time.Time // of its first byte
	Text    string    // valid UTF-8, with escape sequences as they came; at most about MaxText bytes
	Size    int64     // of the whole line as it would be shown, in bytes
	Cut     bool      // Text is not all of it
	Gap     int64     // how many bytes are not kept before its end, since the line before it on its channel
	Open    bool      // it has not ended yet: it may get another text, and another number
}

// partial is what has come of a channel's line that has not ended.
type partial struct {
	begun bool
	cr    bool // a carriage return was last: what follows starts the line again, unless it ends it
	order int  // who began first
	at    time.Time
	text  []byte // of what would be shown: after the last carriage return
	size  int64
	gap   int64
}

// splitter divides output into lines. \n ends a line, and \r\n does; a \r
// within a line starts it again, as progress bars mean it, so that a line is
// what a terminal would show of it in the end. The lines of both channels come
// in the order in which they end; the end of an attempt ends both.
type splitter struct {
	attempt int
	begun   int            // lines, for order
	offsets [3]int64       // of what comes next, by bellhop.Channel
	open    [3]partial     // by bellhop.Channel
	line    func(*rawLine) // is called for each line that ended; what it is given it may not keep
	gap     func(n int64)  // is told that n bytes are missing before the chunk that is fed; may be nil
	raw     rawLine        // that line is called with
	after   func(used int) // is called after each line, with how much of the chunk's data is used; may be nil
}

// rawLine is a line before anybody needs it as text.
type rawLine struct {
	attempt int
	channel bellhop.Channel
	at      time.Time
	text    []byte
	size    int64
	gap     int64
}

// feed takes in a chunk, of which the first skip bytes were taken in before.
func (s *splitter) feed(c *bellhop.Chunk, skip int) {
	if c.Attempt != s.attempt {
		s.flush()
		if s.after != nil {
			s.after(0)
		}
		s.attempt, s.offsets = c.Attempt, [3]int64{}
	}
	ch := channelOf(c)
	p := &s.open[ch]
	if missing := c.Offset - s.offsets[ch]; missing > 0 && skip == 0 {
		if p.begun { // what came before the gap and what comes after it are not one line
			s.end(ch)
			if s.after != nil {
				s.after(0)
			}
		}
		p.gap += missing
		if s.gap != nil {
			s.gap(missing)
		}
	}
	s.offsets[ch] = c.Offset + int64(len(c.Data))
	for data := c.Data[skip:]; len(data) > 0; {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			s.add(p, data, c.At)
			return
		}
		s.add(p, data[:i], c.At)
		s.end(ch)
		data = data[i+1:]
		if s.after != nil {
			s.after(len(c.Data) - len(data))
		}
	}
}

func channelOf(c *bellhop.Chunk) bellhop.Channel {
	if c.Channel == bellhop.Stderr {
		return bellhop.Stderr
	}
	return bellhop.Stdout
}

// add takes in more of a line.
func (s *splitter) add(p *partial, seg []byte, at time.Time) {
	if !p.begun {
		s.begun++
		p.begun, p.order, p.at = true, s.begun, at
	}
	shown := bytes.TrimRight(seg, "\r")
	if len(shown) == 0 {
		p.cr = p.cr || len(seg) > 0
		return
	}
	back := -1
	if bytes.IndexByte(shown, '\r') >= 0 { // which is quicker, and hardly any line has one
		back = bytes.LastIndexByte(shown, '\r')
	}
	if back >= 0 || p.cr {
		p.text, p.size = p.text[:0], 0
	}
	p.cr = len(shown) < len(seg)
	shown = shown[back+1:]
	p.size += int64(len(shown))
	if room := MaxText - len(p.text); room > 0 {
		p.text = append(p.text, shown[:min(room, len(shown))]...)
	}
}

// end ends a channel's line.
func (s *splitter) end(ch bellhop.Channel) {
	p := &s.open[ch]
	s.raw = rawLine{s.attempt, ch, p.at, p.text, p.size, p.gap}
	s.line(&s.raw)
	*p = partial{text: p.text[:0]}
}

// flush ends the lines that have not ended, who began first first.
func (s *splitter) flush() {
	for _, ch := range s.unended() {
		s.end(ch)
	}
	for i := range s.open { // a gap at the end belongs to nothing
		s.open[i].gap = 0
	}
}

// unended are the channels that have a line that has not ended.
func (s *splitter) unended() []bellhop.Channel {
	out, err := s.open[bellhop.Stdout], s.open[bellhop.Stderr]
	switch {
	case out.begun && err.begun && err.order < out.order:
		return []bellhop.Channel{bellhop.Stderr, bellhop.Stdout}
	case out.begun && err.begun:
		return []bellhop.Channel{bellhop.Stdout, bellhop.Stderr}
	case out.begun:
		return []bellhop.Channel{bellhop.Stdout}
	case err.begun:
		return []bellhop.Channel{bellhop.Stderr}
	}
	return nil
}

// state is what a splitter must know to go on from somewhere. A nil lines says
// that no line has begun there.
type state struct {
	attempt int
	offsets [3]int64
	open    *[3]partial
}

func (s *splitter) state() state {
	st := state{attempt: s.attempt, offsets: s.offsets}
	for i := range s.open {
		if s.open[i].begun || s.open[i].gap > 0 {
			st.open = new([3]partial)
			break
		}
	}
	if st.open != nil {
		for i := range s.open {
			st.open[i] = s.open[i]
			st.open[i].text = bytes.Clone(s.open[i].text)
		}
	}
	return st
}

// size is about how much memory a state has, in bytes.
func (st *state) size() int64 {
	n := int64(64)
	if st.open != nil {
		n += 250
		for i := range st.open {
			n += int64(cap(st.open[i].text))
		}
	}
	return n
}

// from makes the splitter go on from a state.
func (s *splitter) from(st state) {
	s.attempt, s.offsets = st.attempt, st.offsets
	for i := range s.open {
		text := s.open[i].text[:0]
		s.open[i] = partial{}
		if st.open != nil {
			s.open[i] = st.open[i]
			text = append(text, st.open[i].text...)
			s.begun = max(s.begun, st.open[i].order)
		}
		s.open[i].text = text
	}
}

// opened are the lines that have not ended, numbered after n others.
func (s *splitter) opened(n int) []Line {
	var lines []Line
	for i, ch := range s.unended() {
		p := &s.open[ch]
		l := (&rawLine{s.attempt, ch, p.at, p.text, p.size, p.gap}).as(n + i + 1)
		l.Open = true
		lines = append(lines, l)
	}
	return lines
}

// as makes a line of it, with its number.
func (r *rawLine) as(n int) Line {
	text := r.text
	cut := r.size > int64(len(text))
	if cut { // no half of a character at the cut
		for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
			if b := text[len(text)-i]; utf8.RuneStart(b) {
				if !utf8.FullRune(text[len(text)-i:]) {
					text = text[:len(text)-i]
				}
				break
			}
		}
	}
	return Line{
		N: n, Attempt: r.attempt, Channel: r.channel, At: r.at, Size: r.size, Cut: cut, Gap: r.gap,
		Text: strings.ToValidUTF8(string(text), "\uFFFD"),
	}
}
