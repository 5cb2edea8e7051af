package e2e_test

// TestManual runs what the manual shows. In docs/*.md and README.md of the
// repository, fenced blocks with these info strings count; all others don't:
//
//	```yaml file=bellhop.yaml    the block is written to that file of the page's
//	```python file=path/x.py     folder first (yaml, python, sh, text, json, any
//	```sh file=do.sh             word before file=); a later one replaces it
//	```console run               each line that begins with "$ " is run by sh, and
//	                             what follows, up to the next one or the end of
//	                             the block, is what stdout and stderr must say
//	```console                   is not run
//
// A page's blocks are run in order in one fresh folder, against the real
// binary. In what is expected, `...` within a line stands for any text, and a
// line that is `...` alone for any lines, none among them. Space at the end of
// lines and around the whole does not count. Run ids, times and paths that
// differ from run to run are written as `...`.
//
// `$ bellhop up &` starts a server in the background and waits until it is
// ready; what follows, if anything does, is compared with what it said until
// then. A later `$ bellhop up &` replaces it. Any other command
// that ends in & goes to the background with its output thrown away. A block
// may hold `$ command \` with lines that begin with "> " going on. Exit
// statuses don't count, but for a last line `[N]`, which says that the command
// ends with status N.

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestManual(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("../README.md"); err == nil {
		pages = append(pages, "../README.md")
	}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := readPage(t, page, string(b))
		if len(blocks) == 0 {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			m := &manual{place: newPlace(t), t: t, page: page}
			m.dir = m.path("page")
			if err := os.Mkdir(m.dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, b := range blocks {
				m.run(b)
			}
		})
	}
}

// block is a fenced block that counts.
type block struct {
	line  int    // of its first line in the page
	file  string // to be written; "" = to be run
	lines []string
}

var fence = regexp.MustCompile("^( *)(```+|~~~+) *(.*)$")

// readPage returns the blocks of a page that count.
func readPage(t *testing.T, page, text string) (out []block) {
	t.Helper()
	var at *block
	end, indent, counts := "", "", false
	for n, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case at == nil && m != nil:
			indent, end = m[1], m[2]
			at = &block{line: n + 2}
			words := strings.Fields(m[3])
			counts = len(words) > 1 && words[0] == "console" && words[1] == "run"
			for _, w := range words {
				if name, ok := strings.CutPrefix(w, "file="); ok {
					at.file, counts = name, true
				}
			}
		case at != nil && strings.TrimSpace(line) == end:
			if counts {
				out = append(out, *at)
			}
			at = nil
		case at != nil:
			at.lines = append(at.lines, strings.TrimPrefix(line, indent))
		}
	}
	if at != nil {
		t.Errorf("%s:%d: the block is not closed", page, at.line-1)
	}
	for _, b := range out {
		if b.file != "" && !filepath.IsLocal(b.file) {
			t.Fatalf("%s:%d: file=%s leads out of the page's folder", page, b.line-1, b.file)
		}
	}
	return out
}

// manual is a page being run.
type manual struct {
	*place
	t      *testing.T
	page   string
	dir    string // the page's folder
	server *process
	n      int // of background commands
}

func (m *manual) run(b block) {
	m.t.Helper()
	if b.file != "" {
		m.write(filepath.Join(m.dir, b.file), strings.Join(b.lines, "\n")+"\n")
		return
	}
	for _, s := range steps(b) {
		got, status := m.step(s)
		want := s.want
		if n := len(want); n > 0 {
			if only := regexp.MustCompile(`^\[(\d+)\]$`).FindStringSubmatch(want[n-1]); only != nil {
				want = want[:n-1]
				if only[1] != strconv.Itoa(status) {
					m.t.Errorf("%s:%d: $ %s\nends with status %d, the page says %s\n%s", m.page, s.line, s.command, status, only[1], got)
				}
			}
		}
		if !matches(want, got) {
			m.t.Errorf("%s:%d: $ %s\nsays\n%s\nand the page says\n%s", m.page, s.line, s.command, got, strings.Join(want, "\n"))
		}
	}
}

// step is one command with what it must say.
type step struct {
	line    int
	command string
	want    []string
}

// steps takes a console block apart.
func steps(b block) (out []step) {
	for n, line := range b.lines {
		command, ok := strings.CutPrefix(line, "$ ")
		switch {
		case ok:
			out = append(out, step{line: b.line + n, command: command})
		case len(out) == 0:
		default:
			s := &out[len(out)-1]
			if more, ok := strings.CutPrefix(line, "> "); ok && len(s.want) == 0 && strings.HasSuffix(s.command, `\`) {
				s.command += "\n" + more
				continue
			}
			s.want = append(s.want, line)
		}
	}
	return out
}

// step runs one command and returns what it said and its exit status.
func (m *manual) step(s step) (string, int) {
	m.t.Helper()
	m.n++
	name := fmt.Sprintf("background%d", m.n)
	command, background := strings.CutSuffix(strings.TrimSpace(s.command), "&")
	command = strings.TrimSpace(command)
	if !background {
		cmd := m.command("sh", "-c", s.command)
		cmd.Dir = m.dir
		r := finishTogether(m.t, cmd)
		return r.stdout, r.status
	}
	cmd := m.command("sh", "-c", "exec "+command)
	cmd.Dir = m.dir
	if command != "bellhop up" && !strings.HasPrefix(command, "bellhop up ") {
		m.startCmd(name, cmd)
		return "", 0
	}
	if m.server != nil {
		m.server.signal(syscall.SIGTERM)
		m.server.wait()
	}
	m.server = m.startCmd(name, cmd)
	m.server.waitOutput(name+".out", "ready ")
	if len(trimmed(s.want)) == 0 {
		return "", 0 // a page need not show it
	}
	return m.server.stdout(), 0
}

// matches reports whether a text is as expected, `...` standing for anything.
func matches(want []string, got string) bool {
	var p strings.Builder
	p.WriteString(`\A\s*`)
	for _, line := range trimmed(want) {
		if strings.TrimSpace(line) == "..." {
			p.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		for i, part := range strings.Split(strings.TrimRight(line, " \t\r"), "...") {
			if i > 0 {
				p.WriteString(`[^\n]*`)
			}
			p.WriteString(regexp.QuoteMeta(part))
		}
		p.WriteString(`[ \t\r]*\n`)
	}
	p.WriteString(`\s*\z`)
	return regexp.MustCompile(p.String()).MatchString(strings.TrimRight(got, " \t\r\n") + "\n")
}

// trimmed takes empty lines off the beginning and the end.
func trimmed(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// TestManualMatching holds the comparison itself, so that a page that is wrong
// is seen.
func TestManualMatching(t *testing.T) {
	for name, c := range map[string]struct {
		want, got string
		ok        bool
	}{
		"the same":                {"a\nb", "a\nb\n", true},
		"space around":            {"\na  \n\n", "a\n", true},
		"another word":            {"a\nb", "a\nc\n", false},
		"a line too many":         {"a", "a\nb\n", false},
		"a line too few":          {"a\nb", "a\n", false},
		"nothing":                 {"", "", true},
		"nothing was expected":    {"", "a\n", false},
		"dots within a line":      {"accepted ...: x", "accepted 000001: x\n", true},
		"dots stay in their line": {"a...b", "a\nb\n", false},
		"dots for lines":          {"a\n...\nz", "a\nb\nc\nz\n", true},
		"dots for no lines":       {"a\n...\nz", "a\nz\n", true},
		"dots at the end":         {"a\n...", "a\nb\n", true},
		"not a pattern":           {"a.c (1)", "abc (1)\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := matches(strings.Split(c.want, "\n"), c.got); got != c.ok {
				t.Errorf("matches is %t, want %t", got, c.ok)
			}
		})
	}
}

// TestManualReading holds what of a page counts.
func TestManualReading(t *testing.T) {
	text := "```yaml file=a/b.yaml\nx: 1\n```\n```console\n$ rm -rf x\n```\n" +
		"1. list\n   ```console run\n   $ echo a \\\n   > b\n   a b\n   $ false\n   [1]\n   ```\n"
	blocks := readPage(t, "page.md", text)
	if len(blocks) != 2 || blocks[0].file != "a/b.yaml" || blocks[1].file != "" || blocks[1].line != 9 {
		t.Fatalf("blocks %+v", blocks)
	}
	got := steps(blocks[1])
	if len(got) != 2 || got[0].command != "echo a \\\nb" || strings.Join(got[0].want, "|") != "a b" || got[1].line != 12 {
		t.Errorf("steps %+v", got)
	}
	m := &manual{place: newPlace(t), t: t, page: "page.md"}
	m.dir = m.place.dir
	for _, b := range blocks {
		m.run(b)
	}
	if got := m.read("a/b.yaml"); got != "x: 1\n" {
		t.Errorf("the file holds %q", got)
	}
}
