package chat_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop/internal/chat"
)

func TestClean(t *testing.T) {
	for name, c := range map[string]struct{ in, line, text string }{
		"plain":             {"Hello, wörld 🛎", "Hello, wörld 🛎", "Hello, wörld 🛎"},
		"lines and tabs":    {"a\n\tb", "a^J^Ib", "a\n\tb"},
		"escape":            {"a\x1b[2Jb", "a^[[2Jb", "a^[[2Jb"},
		"carriage return":   {"safe\revil", "safe^Mevil", "safe^Mevil"},
		"C1":                {"a\u009b2J", `a\u009b2J`, `a\u009b2J`},
		"direction":         {"a\u202eb\u2066c", `a\u202eb\u2066c`, `a\u202eb\u2066c`},
		"invalid UTF-8":     {"a\x9bb", "a\ufffdb", "a\ufffdb"},
		"delete, backspace": {"\x7f\b", "^?^H", "^?^H"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := chat.Clean(c.in); got != c.line {
				t.Errorf("Clean: %q, want %q", got, c.line)
			}
			if got := chat.CleanText(c.in); got != c.text {
				t.Errorf("CleanText: %q, want %q", got, c.text)
			}
		})
	}
}

func TestTerminalLine(t *testing.T) {
	for name, c := range map[string]struct{ in, plain, color string }{
		"plain":                    {"a\tb", "a\tb", "a\tb"},
		"colour":                   {"\x1b[1;31mred\x1b[m", "red", "\x1b[1;31mred\x1b[m\x1b[0m"},
		"256 colours":              {"\x1b[38;5;200mx", "x", "\x1b[38;5;200mx\x1b[0m"},
		"true colour":              {"\x1b[48;2;1;2;3mx", "x", "\x1b[48;2;1;2;3mx\x1b[0m"},
		"conceal is not kept":      {"\x1b[8msecret\x1b[31;8mx", "secretx", "secretx"},
		"5 as a colour, not blink": {"\x1b[5mx\x1b[38;5;5mY", "xY", "x\x1b[38;5;5mY\x1b[0m"},
		"broken colour":            {"\x1b[38;5mx\x1b[38;9;1my\x1b[38;5;999mz\x1b[1:2mq", "xyzq", "xyzq"},
		"clear screen":             {"a\x1b[2Jb\x1b[6n", "ab", "ab"},
		"title, BEL and ST":        {"a\x1b]0;t\x07b\x1b]0;t\x1b\\c", "abc", "abc"},
		"unfinished sequences":     {"a\x1b", "a^[", "a^["},
		"unfinished string":        {"\x1b]0;all of it", "^[]0;all of it", "^[]0;all of it"},
		"reset":                    {"\x1bcx", "^[cx", "^[cx"},
		"progress":                 {"10%\r20%\r100%\r\r", "100%", "100%"},
		"raw C1":                   {"\x9b2J", "\ufffd2J", "\ufffd2J"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := chat.TerminalLine([]byte(c.in), false); got != c.plain {
				t.Errorf("plain: %q, want %q", got, c.plain)
			}
			if got := chat.TerminalLine([]byte(c.in), true); got != c.color {
				t.Errorf("colour: %q, want %q", got, c.color)
			}
		})
	}
}

func FuzzTerminalLine(f *testing.F) {
	for _, s := range []string{"", "\x1b[31mx", "\x1b]0;\x07", "\x1b\x1b[", "\r", "\x1b[38;2;1;2;3m", "\xff\u009b", "\u202e"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		plain := chat.TerminalLine(line, false)
		if !utf8.ValidString(plain) || strings.ContainsFunc(plain, func(r rune) bool { return r != '\t' && (r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0)) }) {
			t.Errorf("%q became %q", line, plain)
		}
		// What colour adds is SGR alone.
		rest := chat.TerminalLine(line, true)
		for {
			before, after, ok := strings.Cut(rest, "\x1b")
			if strings.ContainsAny(before, "\x07\r\b\n") {
				t.Errorf("%q became %q", line, before)
			}
			if !ok {
				return
			}
			end := strings.IndexByte(after, 'm')
			if end < 1 || strings.Trim(after[1:end], "0123456789;") != "" || after[0] != '[' {
				t.Errorf("%q became %q", line, after)
			}
			rest = after[max(end, 0):]
		}
	})
}

// TestCleanJSON: the same meaning, and nothing that a terminal acts on.
func TestCleanJSON(t *testing.T) {
	for name, text := range map[string]string{
		"plain":         "Hello, wörld 🛎 \ufffd",
		"C0, C1":        "\x00a\x1b[2J\x7f\u009b2J\u0080",
		"direction":     "\u202eb\u2066c\u2028",
		"invalid UTF-8": "a\x9bb",
		"backslashes":   `\u009b \\`,
	} {
		t.Run(name, func(t *testing.T) {
			plain, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			got := chat.CleanJSON(plain)
			if chat.Clean(string(got)) != string(got) {
				t.Errorf("%q is not safe to show", got)
			}
			var want, back string
			if json.Unmarshal(plain, &want) != nil || json.Unmarshal(got, &back) != nil || back != want {
				t.Errorf("%q came back as %q", want, back)
			}
		})
	}
}
