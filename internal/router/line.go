package router

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// line is what somebody typed, split into words. Its text is without the space
// around it and without one final dot; nothing else of it is changed.
type line struct {
	text  string
	words []word
}

// word is a place in a line's text. A phrase includes its two quotes.
type word struct {
	start, end int
	phrase     bool
}

// split reads a line. It takes time in proportion to the line's length,
// whatever quotes are in it.
//
// A quote opens a phrase at the start of a word when its partner follows: the
// next quote of its kind that ends a word. Any other quote is a letter. Typed
// quotes and typographic ones are different kinds, since a device that makes
// them typographic does so with both; one kind closes the other only when its
// own is not there.
func split(text string) line {
	text = trimDot(text)
	l := line{text: text}
	scan := closers{text: text}
	for i := skipSpace(text, 0); i < len(text); i = skipSpace(text, i) {
		if width, kind := quoteAt(text, i); width > 0 {
			if end := scan.partner(kind, i+width); end > 0 {
				l.words = append(l.words, word{i, end, true})
				i = end
				continue
			}
		}
		end := wordEnd(text, i)
		l.words = append(l.words, word{i, end, false})
		i = end
	}
	return l
}

// trimDot removes the space around text and one final dot. The last character
// of a line is never inside a phrase, unless it is the phrase's quote.
func trimDot(text string) string {
	text = strings.TrimSpace(text)
	if strings.HasSuffix(text, ".") {
		text = strings.TrimRightFunc(text[:len(text)-1], unicode.IsSpace)
	}
	return text
}

// value returns what a parameter that takes one word gets.
func (l *line) value(w word) string {
	s := l.text[w.start:w.end]
	if !w.phrase {
		return plainQuotes(s)
	}
	first, _ := quoteAt(s, 0)
	last := 1
	if s[len(s)-1] >= utf8.RuneSelf {
		last = len("”")
	}
	return s[first : len(s)-last]
}

// rest returns the text from the i-th word to the end, as typed; when that is
// one phrase, without its quotes.
func (l *line) rest(i int) string {
	if w := l.words[i]; w.phrase && i == len(l.words)-1 {
		return l.value(w)
	}
	return l.text[l.words[i].start:]
}

// normal returns the line from the i-th word on with one space between words
// and with plain quotes; phrases stay as they were typed, quotes included.
func (l *line) normal(i int) string {
	var b strings.Builder
	for n, w := range l.words[i:] {
		if n > 0 {
			b.WriteByte(' ')
		}
		if s := l.text[w.start:w.end]; w.phrase {
			b.WriteString(s)
		} else {
			b.WriteString(plainQuotes(s))
		}
	}
	return b.String()
}

// The kinds of quote, for closers.
const (
	typedDouble = iota
	typedSingle
	smartDouble
	smartSingle
	quoteKinds
)

// quoteAt returns the width and the kind of the quote at text[i:], or a width
// of 0.
func quoteAt(text string, i int) (width, kind int) {
	switch text[i] {
	case '"':
		return 1, typedDouble
	case '\'':
		return 1, typedSingle
	case 0xE2: // U+2018 to U+201F are E2 80 98 to E2 80 9F
		if i+2 >= len(text) || text[i+1] != 0x80 || text[i+2] < 0x98 || text[i+2] > 0x9F {
			return 0, 0
		}
		if text[i+2] < 0x9C {
			return 3, smartSingle
		}
		return 3, smartDouble
	}
	return 0, 0
}

// plainQuotes replaces typographic quotes.
func plainQuotes(s string) string {
	if !strings.Contains(s, "\xE2\x80") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		switch width, kind := quoteAt(s, i); {
		case width == 3 && kind == smartDouble:
			b = append(b, '"')
			i += width
		case width == 3:
			b = append(b, '\'')
			i += width
		default:
			b = append(b, s[i])
			i++
		}
	}
	return string(b)
}

// closers finds the quotes that end a word. Each kind has a place up to which
// the text was searched, which only grows, so that all searches together read
// the text once per kind.
type closers struct {
	text string
	at   [quoteKinds]int // of the next closer found; len(text) = there is none
	end  [quoteKinds]int // behind that closer
}

// partner returns the place behind the quote that closes one of that kind
// whose phrase begins at from, or 0.
func (c *closers) partner(kind, from int) int {
	if end := c.next(kind, from); end > 0 {
		return end
	}
	return c.next((kind+2)%quoteKinds, from)
}

func (c *closers) next(kind, from int) int {
	if c.at[kind] < from || c.end[kind] == 0 {
		c.find(kind, max(from, c.at[kind]))
	}
	return c.end[kind]
}

func (c *closers) find(kind, from int) {
	for i := from; i < len(c.text); i++ {
		if width, k := quoteAt(c.text, i); width > 0 && k == kind && endsWord(c.text, i+width) {
			c.at[kind], c.end[kind] = i, i+width
			return
		}
	}
	c.at[kind], c.end[kind] = len(c.text), 0
}

// endsWord reports whether a word may end at i: there is space, or the end.
func endsWord(text string, i int) bool {
	return i >= len(text) || spaceAt(text, i) > 0
}

// spaceAt returns the width of the space at text[i:], 0 when there is none.
func spaceAt(text string, i int) int {
	if c := text[i]; c < utf8.RuneSelf {
		if c == ' ' || c >= '\t' && c <= '\r' {
			return 1
		}
		return 0
	}
	if r, n := utf8.DecodeRuneInString(text[i:]); unicode.IsSpace(r) {
		return n
	}
	return 0
}

func skipSpace(text string, i int) int {
	for i < len(text) {
		n := spaceAt(text, i)
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

func wordEnd(text string, i int) int {
	for i < len(text) && spaceAt(text, i) == 0 {
		i++
	}
	return i
}

// fold returns a form of s that is the same for texts which differ in case
// alone.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return strings.Map(foldRune, s)
		}
	}
	return s
}

func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return unicode.ToLower(least)
}
