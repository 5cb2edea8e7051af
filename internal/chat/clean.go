package chat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes one line of foreign text safe to show: control characters
// (newlines too), escape sequences, text-direction overrides and invalid UTF-8
// become visible and harmless. It is for names, reasons and messages in
// sentences of our own.
func Clean(s string) string { return clean(s, "") }

// CleanText is Clean for text of several lines: newlines and tabs stay.
func CleanText(s string) string { return clean(s, "\n\t") }

// CleanJSON makes JSON safe to show without changing what it means: what Clean
// would take out of its texts is written as an escape.
func CleanJSON(b []byte) []byte {
	var out []byte
	from := 0
	for i, r := range string(b) {
		if r < 0x7f || r == utf8.RuneError || !hostile(r) {
			continue
		}
		out = fmt.Appendf(append(out, b[from:i]...), `\u%04x`, r)
		from = i + utf8.RuneLen(r)
	}
	return append(out, b[from:]...)
}

func clean(s, keep string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return hostile(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !hostile(r) || strings.ContainsRune(keep, r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(visible(r))
	}
	return b.String()
}

// hostile reports whether a terminal might act on r instead of showing it, or
// show later text in an order that it doesn't have.
func hostile(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' ||
		(r >= '\u200e' && r <= '\u200f') || r == '\u061c' ||
		(r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069')
}

// visible writes a control character as people know it (^[ for escape), and
// everything else that is hostile by its number.
func visible(r rune) string {
	switch {
	case r == utf8.RuneError:
		return "\ufffd"
	case r < 0x20:
		return "^" + string(r+'@')
	case r == 0x7f:
		return "^?"
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// TerminalLine makes one line of a run's output, without its newline, safe to
// write to a terminal. Tabs stay; so do the colours and weights of SGR
// sequences when color is set, and the line then ends with a reset. Every
// other escape sequence that is complete goes; what is left of control
// characters becomes visible. A carriage return starts the line again, as
// progress bars mean it: what stands after the last one is shown.
func TerminalLine(line []byte, color bool) string {
	s := lastReturn(string(line))
	var b strings.Builder
	styled := false
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == 0x1b:
			seq := sequence(s[i:])
			if seq == "" {
				b.WriteString(visible(r))
				break
			}
			n = len(seq)
			if color && harmlessSGR(seq) {
				b.WriteString(seq)
				styled = true
			}
		case r == '\t' || !hostile(r):
			b.WriteString(s[i : i+n])
		default:
			b.WriteString(visible(r))
		}
		i += n
	}
	if styled {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

func lastReturn(s string) string {
	s = strings.TrimRight(s, "\r")
	return s[strings.LastIndexByte(s, '\r')+1:]
}

// maxSequence bounds what of a line an escape sequence can hide.
const maxSequence = 256

// sequence returns the complete escape sequence that s begins with, or "".
func sequence(s string) string {
	if len(s) < 2 {
		return ""
	}
	end := min(len(s), maxSequence)
	switch s[1] {
	case '[': // CSI: parameters and intermediates, then one final byte
		for i := 2; i < end; i++ {
			switch c := s[i]; {
			case c >= 0x40 && c <= 0x7e:
				return s[:i+1]
			case c < 0x20 || c > 0x3f:
				return ""
			}
		}
	case ']', 'P', 'X', '^', '_': // strings, up to BEL or ESC \
		for i := 2; i < end; i++ {
			if s[i] == 0x07 {
				return s[:i+1]
			}
			if s[i] == 0x1b && i+1 < end && s[i+1] == '\\' {
				return s[:i+2]
			}
		}
	}
	return ""
}

// harmlessSGR reports whether seq only sets colours or weights: nothing that
// hides text (8) or makes it blink (5, 6).
func harmlessSGR(seq string) bool {
	body, ok := strings.CutSuffix(strings.TrimPrefix(seq, "\x1b["), "m")
	if !ok {
		return false
	}
	params := strings.Split(body, ";")
	for i := 0; i < len(params); i++ {
		n, err := strconv.Atoi(params[i])
		switch {
		case params[i] == "":
		case err != nil || n == 5 || n == 6 || n == 8 || n < 0 || n > 107:
			return false
		case n == 38 || n == 48:
			skip := colorParams(params[i+1:])
			if skip == 0 {
				return false
			}
			i += skip
		}
	}
	return true
}

// colorParams returns how many parameters follow a 38 or 48: 5;n or 2;r;g;b.
func colorParams(p []string) int {
	want := 0
	if len(p) > 0 && p[0] == "5" {
		want = 2
	} else if len(p) > 0 && p[0] == "2" {
		want = 4
	}
	if want == 0 || len(p) < want {
		return 0
	}
	for _, s := range p[:want] {
		if n, err := strconv.Atoi(s); err != nil || n < 0 || n > 255 {
			return 0
		}
	}
	return want
}
