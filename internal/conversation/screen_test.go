package conversation

import (
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	for name, c := range map[string]struct{ drawn, want string }{
		"plain":               {"one\r\ntwo\nthree", "one|two"},
		"drawn again":         {"> hel\x1b[5D\x1b[Kout\r\n> hel" + "p\r\n", "out|> help"},
		"back by one":         {"ab\x1b[Dc\n", "ac"},
		"forth":               {"ab\x1b[2Cc\n", "ab  c"},
		"colours":             {"\x1b[31mred\x1b[0m\n", "red"},
		"letters":             {"é🔒\n", "é🔒"},
		"carriage return":     {"abc\rx\n", "xbc"},
		"farther than is":     {"\x1b[9999999999999999999Dx\n", "x"},
		"other controls":      {"a\x07\x1bcb\n", "acb"},
		"no end of a command": {"\x1b[" + strings.Repeat("1", 100) + "\n", "[" + strings.Repeat("1", 100)},
	} {
		for _, size := range []int{1, 3, 1000} {
			var lines []string
			s := screen{emit: func(l string) { lines = append(lines, l) }}
			for b := []byte(c.drawn); len(b) > 0; {
				n := min(size, len(b))
				s.write(b[:n])
				b = b[n:]
			}
			if got := strings.Join(lines, "|"); got != c.want {
				t.Errorf("%s, %d bytes at a time: %q, want %q", name, size, got, c.want)
			}
		}
	}
}

func FuzzScreen(f *testing.F) {
	f.Add([]byte("> hel\x1b[5D\x1b[Kout\r\n\x1b[3C\x1b[31m"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := screen{emit: func(string) {}}
		s.write(b)
		if s.at > farthest+len(b) || len(s.rest) > 100 {
			t.Errorf("at %d with %d bytes left over", s.at, len(s.rest))
		}
	})
}
