package chat

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	keyInterrupt  = 0x03 // Ctrl-C
	keySubstitute = 0x1c // Ctrl-\, as which the editor sees Ctrl-C
)

// keys lets Ctrl-C reach the prompt. The editor takes it for the end of input
// wherever it stands; as Ctrl-\, it is a key like others.
type keys struct{ io.ReadWriter }

func (k keys) Read(b []byte) (int, error) {
	n, err := k.ReadWriter.Read(b)
	for i, c := range b[:n] {
		if c == keyInterrupt {
			b[i] = keySubstitute
		}
	}
	return n, err
}

// key is called by the editor, between its own work, for each key that it has
// no meaning for.
func (p *Prompt) key(ctx context.Context, line string, pos int, key rune) (string, int, bool) {
	p.mu.Lock()
	asking := p.confirm != 0
	p.mu.Unlock()
	switch {
	case asking:
		p.answered(ctx, key)
		return "", 0, true
	case key == keySubstitute:
		p.interrupt()
		return "", 0, true
	case key == '\t':
		return p.complete(ctx, line, pos)
	}
	return "", 0, false
}

// interrupt is Ctrl-C: it clears the line, and ends the following of logs or
// else asks whether to cancel the newest run. The line does not come back
// after the question, so that Enter behind the answer asks for nothing.
func (p *Prompt) interrupt() {
	runs := p.c.Unfinished()
	p.mu.Lock()
	defer p.mu.Unlock()
	for cancel := range p.follows {
		(*cancel)()
	}
	if len(p.follows) > 0 || len(runs) == 0 {
		return
	}
	p.confirm = runs[len(runs)-1]
	p.redraw(fmt.Sprintf("Cancel %s? [y/N] ", p.confirm))
}

// answered takes a key as the answer to an open question, and reports whether
// there was one. Only y means yes.
func (p *Prompt) answered(ctx context.Context, key rune) bool {
	p.mu.Lock()
	id := p.confirm
	p.confirm = 0
	p.mu.Unlock()
	if id == 0 {
		return false
	}
	p.redraw(PromptText)
	if (key == 'y' || key == 'Y') && ctx.Err() == nil {
		p.c.spawn(func() { p.c.cancel(ctx, id) })
	}
	return true
}

func (p *Prompt) redraw(prompt string) {
	p.term.SetPrompt(prompt)
	_, _ = p.term.Write(nil) // draws the prompt again if it is on the screen
}

// completing bounds how long Tab holds up typing.
const completing = 2 * time.Second

// complete replaces the word before the cursor by the one that it may become,
// or by what several have in common; when that is nothing new, it lists them.
func (p *Prompt) complete(ctx context.Context, line string, pos int) (string, int, bool) {
	ctx, cancel := context.WithTimeout(ctx, completing)
	defer cancel()
	before, after := line[:pos], line[pos:]
	words, err := p.c.desk.Complete(ctx, before)
	if err != nil || len(words) == 0 {
		return line, pos, true
	}
	start := strings.LastIndexAny(before, " \t") + 1
	typed, common := before[start:], commonPrefix(words)
	switch {
	case len(words) == 1:
		common = words[0]
		if !strings.HasPrefix(after, " ") {
			common += " "
		}
	case len(common) <= len(typed):
		p.list(words)
		return line, pos, true
	}
	if Clean(common) != common {
		return line, pos, true
	}
	before = before[:start] + common
	return before + after, len(before), true
}

// list shows what a word may become.
func (p *Prompt) list(words []string) {
	const most = 100
	more := ""
	if len(words) > most {
		more = fmt.Sprintf("  ... and %s more", Count(int64(len(words)-most)))
		words = words[:most]
	}
	safe := make([]string, len(words))
	for i, w := range words {
		safe[i] = Clean(w)
	}
	_ = p.c.out.say(strings.Join(safe, "  ") + more)
}

// commonPrefix returns what all words begin with, by characters and without
// regard to case, as the first one has it.
func commonPrefix(words []string) string {
	first := []rune(words[0])
	n := len(first)
	for _, w := range words[1:] {
		r := []rune(w)
		n = min(n, len(r))
		for n > 0 && !strings.EqualFold(string(first[:n]), string(r[:n])) {
			n--
		}
	}
	return string(first[:n])
}

// history remembers lines; empty ones and repetitions don't count. The editor
// never uses it from two goroutines.
type history struct {
	lines []string // newest last
	bytes int      // in lines
}

// How much is remembered: many sessions may be open at once.
const (
	historyLines = 1000
	historyBytes = 256 << 10
)

// Add notes a line.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || (len(h.lines) > 0 && h.lines[len(h.lines)-1] == line) {
		return
	}
	h.lines, h.bytes = append(h.lines, line), h.bytes+len(line)
	for len(h.lines) > historyLines || (h.bytes > historyBytes && len(h.lines) > 1) {
		h.bytes -= len(h.lines[0])
		h.lines[0], h.lines = "", h.lines[1:]
	}
}

// Len returns how many lines are remembered.
func (h *history) Len() int { return len(h.lines) }

// At returns a line, 0 being the newest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
