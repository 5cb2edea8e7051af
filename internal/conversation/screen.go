package conversation

import (
	"strconv"
	"unicode/utf8"
)

// screen reads what a line editor draws on a terminal that is wider than any
// line, and gives the lines that stay: text, carriage returns, movements within
// a line, and what is erased to its right. Colours and all else is left out.
type screen struct {
	line []rune
	at   int
	rest []byte // the beginning of a letter or a sequence
	emit func(line string)
}

// write takes what was drawn.
func (s *screen) write(b []byte) {
	b = append(s.rest, b...)
	for len(b) > 0 {
		n := s.take(b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	s.rest = append([]byte(nil), b...)
}

// take takes the first letter or sequence and returns its length, 0 when its
// end is not there yet.
func (s *screen) take(b []byte) int {
	switch b[0] {
	case '\n':
		s.emit(string(s.line))
		s.line, s.at = s.line[:0], 0
		return 1
	case '\r':
		s.at = 0
		return 1
	case 0x1b:
		return s.escape(b)
	}
	if !utf8.FullRune(b) {
		return 0
	}
	r, n := utf8.DecodeRune(b)
	if r < ' ' && r != '\t' {
		return n
	}
	for len(s.line) <= s.at {
		s.line = append(s.line, ' ')
	}
	s.line[s.at] = r
	s.at++
	return n
}

// farthest is how far right a terminal's cursor goes.
const farthest = 1 << 20

// escape takes ESC [ NUMBER LETTER, and of anything else the ESC.
func (s *screen) escape(b []byte) int {
	if len(b) == 1 {
		return 0
	}
	if b[1] != '[' {
		return 1
	}
	end := 2
	for end < len(b) && b[end] < '@' {
		end++
	}
	if end == len(b) {
		if end > 64 {
			return 1
		}
		return 0
	}
	n, err := strconv.Atoi(string(b[2:end]))
	if err != nil || n < 1 {
		n = 1
	}
	switch b[end] {
	case 'C':
		s.at = min(s.at+n, farthest)
	case 'D':
		s.at = max(0, s.at-n)
	case 'K':
		s.line = s.line[:min(s.at, len(s.line))]
	}
	return end + 1
}
