package script

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// maxParam is the longest name of a placeholder, in bytes.
const maxParam = 63

// piece is a part of the user's text: a placeholder (name is set), a reserved
// form (fault is set), or fixed text.
type piece struct {
	off   int    // in the user's text
	raw   string // as written
	text  string // fixed text as it stands for: {{x}} is {x}
	name  string
	fault string
}

// scan cuts text into pieces. It knows nothing of shells.
func scan(text string) []piece {
	var out []piece
	start := 0
	flush := func(end int) {
		if end > start {
			out = append(out, piece{off: start, raw: text[start:end], text: text[start:end]})
		}
	}
	for i := 0; i < len(text); {
		if text[i] != '{' || i > 0 && text[i-1] == '$' {
			i++
			continue
		}
		p, ok := scanBrace(text[i:])
		if !ok {
			i++
			continue
		}
		flush(i)
		p.off = i
		out = append(out, p)
		i += len(p.raw)
		start = i
	}
	flush(len(text))
	return out
}

// scanBrace reads what begins with the { at the start of s. ok is false when
// the brace is the shell's own.
func scanBrace(s string) (p piece, ok bool) {
	if strings.HasPrefix(s, "{{") {
		n := nameLen(s[2:])
		if n > 0 && strings.HasPrefix(s[2+n:], "}}") {
			return piece{raw: s[:n+4], text: s[1 : n+3]}, true
		}
		return piece{}, false
	}
	n := nameLen(s[1:])
	if n == 0 {
		return piece{}, false
	}
	name, rest := s[1:1+n], s[1+n:]
	switch {
	case strings.HasPrefix(rest, "}") && n > maxParam:
		return piece{raw: s[:n+2], text: s[:n+2], fault: fmt.Sprintf("{%.20s...} is %d characters long; a parameter's name has at most %d", name, n, maxParam)}, true
	case strings.HasPrefix(rest, "}"):
		return piece{raw: s[:n+2], name: name}, true
	case strings.HasPrefix(rest, "|"), strings.HasPrefix(rest, ":"), strings.HasPrefix(rest, "..."):
		mark := rest[:1]
		if mark == "." {
			mark = "..."
		}
		raw := s[:1+n+len(mark)]
		return piece{raw: raw, text: raw, fault: fmt.Sprintf("%s is reserved for a later version; write {%s} for the parameter, put a space after the brace if it is the shell's or a program's own, or move the text to a script file", raw, name)}, true
	}
	return piece{}, false
}

// nameLen returns the length of the name or dotted name that s begins with: of
// each part the first is a letter a-z, the rest a-z, 0-9, _ and -.
func nameLen(s string) int {
	n := 0
	for {
		i := n
		if i >= len(s) || s[i] < 'a' || s[i] > 'z' {
			return max(n-1, 0) // without the dot
		}
		for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= '0' && s[i] <= '9' || s[i] == '_' || s[i] == '-') {
			i++
		}
		if i >= len(s) || s[i] != '.' {
			return i
		}
		n = i + 1
	}
}

// mapped is text made from the user's, which knows where each byte came from.
type mapped struct {
	text string
	segs []seg
}

type seg struct{ out, src, srcLen int }

func (m *mapped) add(text string, p piece) {
	n := len(p.raw)
	if p.name != "" {
		n = 0 // every byte of a reference came from the placeholder's brace
	}
	m.segs = append(m.segs, seg{len(m.text), p.off, n})
	m.text += text
}

// source returns the offset in the user's text for one in m.text.
func (m *mapped) source(off int) int {
	i := sort.Search(len(m.segs), func(i int) bool { return m.segs[i].out > off }) - 1
	if i < 0 {
		return 0
	}
	return m.segs[i].src + min(off-m.segs[i].out, m.segs[i].srcLen)
}

// faultAt makes a fault; the column counts characters.
func faultAt(text string, item, off int, message string) bellhop.JobFault {
	before := text[:min(max(off, 0), len(text))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return bellhop.JobFault{Item: item, Line: strings.Count(before, "\n") + 1, Col: utf8.RuneCountInString(line) + 1, Message: message}
}

// badText says what makes text unfit to be kept and parsed; "" = nothing.
func badText(text string) (off int, message string) {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return i, "the text holds a NUL character; take it out"
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i, "the text is not UTF-8 here; save the file as UTF-8, or write the bytes as $'\\xff'"
		}
		i += n
	}
	return 0, ""
}
