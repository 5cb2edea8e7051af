package config

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// This file finds the place in the file of a place in a scalar's value. YAML
// keeps the beginning of a scalar only, and between the file and the value
// stand indentation, quotes, escapes and folded lines.

// withinText is within for a line and a column (in characters), counted from 1.
func (s *source) withinText(n *yaml.Node, line, col int) bellhop.Position {
	offset := 0
	for rest := n.Value; line > 1; line-- {
		i := strings.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		offset, rest = offset+i+1, rest[i+1:]
	}
	rest := n.Value[offset:]
	return s.within(n, offset+len(rest)-len(afterRunes(rest, col-1)))
}

// within returns where the byte at offset of n's value stands in the file. For
// quoted scalars of several lines it is the scalar's beginning.
func (s *source) within(n *yaml.Node, offset int) bellhop.Position {
	offset = max(0, min(offset, len(n.Value)))
	line, rest := s.begin(n)
	col := utf8.RuneCountInString(s.line(line)) - utf8.RuneCountInString(rest) + 1
	pos := bellhop.Position{File: s.name, Line: line, Col: col}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		s.inBlock(n, offset, &pos)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		if skip, ok := skipDouble(rest, n.Value, offset); ok {
			pos.Col += skip
		}
	case n.Style&yaml.SingleQuotedStyle != 0:
		if skip, ok := skipSingle(rest, offset); ok {
			pos.Col += skip
		}
	case strings.HasPrefix(rest, n.Value):
		pos.Col += utf8.RuneCountInString(n.Value[:offset])
	default:
		s.inFolded(n, line, offset, &pos)
	}
	return pos
}

// begin returns the line of a scalar and the rest of that line from where its
// text or quote begins: a tag or an anchor may stand before it.
func (s *source) begin(n *yaml.Node) (line int, rest string) {
	for line = n.Line; line < n.Line+3 && line <= len(s.lines); line++ {
		rest = s.line(line)
		if line == n.Line {
			rest = afterRunes(rest, n.Column-1)
		}
		rest = strings.TrimLeft(rest, " \t")
		for strings.HasPrefix(rest, "&") || (strings.HasPrefix(rest, "!") && n.Style&yaml.TaggedStyle != 0) {
			_, after, _ := strings.Cut(rest, " ")
			rest = strings.TrimLeft(after, " \t")
		}
		if rest != "" {
			return line, rest
		}
	}
	return n.Line, afterRunes(s.line(n.Line), n.Column-1)
}

func afterRunes(s string, n int) string {
	for ; n > 0 && s != ""; n-- {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return s
}

// inBlock places an offset in a | or > scalar.
func (s *source) inBlock(n *yaml.Node, offset int, pos *bellhop.Position) {
	first := pos.Line + 1
	if n.Style&yaml.FoldedStyle != 0 {
		s.inFolded(n, first, offset, pos)
		return
	}
	before := n.Value[:offset]
	nth := strings.Count(before, "\n")
	start := strings.LastIndexByte(before, '\n') + 1
	valueLine, _, _ := strings.Cut(n.Value[start:], "\n")
	written := s.line(first + nth)
	if first+nth > len(s.lines) || !strings.HasSuffix(written, valueLine) {
		return
	}
	pos.Line = first + nth
	pos.Col = utf8.RuneCountInString(written[:len(written)-len(valueLine)+offset-start]) + 1
}

// inFolded places an offset in text whose lines were joined: each line's words
// stand in the value in the same order.
func (s *source) inFolded(n *yaml.Node, line, offset int, pos *bellhop.Position) {
	from := 0
	for ; line <= len(s.lines) && from < len(n.Value); line++ {
		written := s.line(line)
		if line == n.Line {
			_, written = s.begin(n)
		}
		words := strings.TrimSpace(written)
		if words == "" {
			continue
		}
		i := strings.Index(n.Value[from:], words)
		if i < 0 {
			words, _, _ = strings.Cut(words, " #")
			if i = strings.Index(n.Value[from:], words); i < 0 {
				return
			}
		}
		start := from + i
		if offset <= start+len(words) {
			indent := strings.Index(s.line(line), words)
			pos.Line = line
			pos.Col = utf8.RuneCountInString(s.line(line)[:indent]) + utf8.RuneCountInString(n.Value[start:max(offset, start)]) + 1
			return
		}
		from = start + len(words)
	}
}

// skipSingle counts the characters from the opening ' to the value's byte at
// offset.
func skipSingle(rest string, offset int) (int, bool) {
	rest, skip := strings.TrimPrefix(rest, "'"), 1
	for ; offset > 0; skip++ {
		if strings.HasPrefix(rest, "''") {
			rest, skip = rest[1:], skip+1
		} else if rest == "" || rest[0] == '\'' {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(rest)
		rest, offset = rest[size:], offset-size
	}
	return skip, true
}

// skipDouble counts the characters from the opening " to the value's byte at
// offset.
func skipDouble(rest, value string, offset int) (int, bool) {
	rest, skip := strings.TrimPrefix(rest, `"`), 1
	for offset > 0 {
		if rest == "" || rest[0] == '"' || value == "" {
			return 0, false
		}
		_, written := utf8.DecodeRuneInString(rest)
		chars := 1
		if rest[0] == '\\' {
			written = escapeLen(rest)
			chars = written
		}
		_, size := utf8.DecodeRuneInString(value)
		if written > len(rest) {
			return 0, false
		}
		rest, value, offset, skip = rest[written:], value[size:], offset-size, skip+chars
	}
	return skip, true
}

func escapeLen(s string) int {
	if len(s) < 2 {
		return 1
	}
	switch s[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}

// checkCut explains a plain scalar that YAML cut at " #" where that was hardly
// meant: no space after the #, or a quote left open before it.
func (d *decoder) checkCut(n *yaml.Node, f field) {
	if n.Style&^yaml.TaggedStyle != 0 {
		return
	}
	_, rest := d.src.begin(n)
	comment, ok := strings.CutPrefix(rest, n.Value)
	if !ok {
		return
	}
	comment = strings.TrimLeft(comment, " \t")
	if !strings.HasPrefix(comment, "#") {
		return
	}
	open := strings.Count(n.Value, `"`)%2 != 0 || strings.Count(n.Value, "'")%2 != 0
	if !open && (len(comment) == 1 || strings.ContainsRune(" \t#-=", rune(comment[1]))) {
		return
	}
	d.fault(n, "%s is only %s: YAML takes what follows \" #\" for a comment; quote the whole value if the # belongs to it, or write \"# \" with a space for a comment", f.key, shorten(n.Value))
}

// itoa is for messages that count.
func itoa(n int) string { return strconv.Itoa(n) }
