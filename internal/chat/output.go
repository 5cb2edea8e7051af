package chat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/bellhop-io/bellhop"
)

// port is where one channel of a conversation ends: a terminal, or a pipe.
// Ports that may share a screen share their mutex. Nothing that is written to a
// terminal ends within a line, so lines of several runs never mix.
type port struct {
	mu       *sync.Mutex
	w        io.Writer
	terminal bool
	color    bool
	midline  bool // a pipe's last byte was not a newline
}

// Write writes b as it is.
func (p *port) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.write(b)
}

func (p *port) write(b []byte) (int, error) {
	if len(b) > 0 {
		p.midline = b[len(b)-1] != '\n'
	}
	return p.w.Write(b)
}

// say writes words of our own on lines of their own; "" says nothing.
func (p *port) say(text string) error {
	if text == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text += "\n"
	if p.midline {
		text = "\n" + text
	}
	_, err := p.write([]byte(text))
	return err
}

// say writes words of our own to any writer.
func say(w io.Writer, text string) error {
	if p, ok := w.(*port); ok {
		return p.say(text)
	}
	if text == "" {
		return nil
	}
	_, err := io.WriteString(w, text+"\n")
	return err
}

// maxHeld is how long an unfinished line may become before it is shown.
const maxHeld = 8 << 10

// runWriter takes one channel of a run's output: to a pipe as it is, to a
// terminal by whole lines that are made safe.
type runWriter struct {
	w     io.Writer
	held  []byte // terminal: the line that is not complete yet
	label *label // terminal: nil = none
}

// label names the run that lines are of, from the moment when other runs show
// theirs on the same terminal too. One goroutine uses it.
type label struct {
	id   bellhop.RunID
	live *atomic.Int32 // runs that show lines now
	on   bool
}

// before is what stands before each line.
func (l *label) before(p *port) string {
	if l == nil {
		return ""
	}
	if l.on = l.on || l.live.Load() > 1; !l.on {
		return ""
	}
	return Style{Color: p.color}.paint(cyan, l.id.String()) + " | "
}

func (r *runWriter) terminal() *port {
	if p, ok := r.w.(*port); ok && p.terminal {
		return p
	}
	return nil
}

func (r *runWriter) Write(b []byte) (int, error) {
	p := r.terminal()
	if p == nil {
		return r.w.Write(b)
	}
	r.held = append(r.held, b...)
	before := r.label.before(p)
	var safe bytes.Buffer
	for {
		i := bytes.IndexByte(r.held, '\n')
		if i < 0 && len(r.held) <= maxHeld {
			break
		}
		if i < 0 {
			i = maxHeld
			safe.WriteString(before + TerminalLine(r.held[:i], p.color) + "\n")
			r.held = r.held[i:]
			continue
		}
		safe.WriteString(before + TerminalLine(r.held[:i], p.color) + "\n")
		r.held = r.held[i+1:]
	}
	if safe.Len() > 0 {
		if _, err := p.Write(safe.Bytes()); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// flush shows a last line that has no newline.
func (r *runWriter) flush() error {
	p := r.terminal()
	if p == nil || len(r.held) == 0 {
		return nil
	}
	line := r.label.before(p) + TerminalLine(r.held, p.color) + "\n"
	r.held = nil
	_, err := p.Write([]byte(line))
	return err
}

// place is one channel of one attempt.
type place struct {
	attempt int
	channel bellhop.Channel
}

// reader passes a run's chunks on and shows what is missing between them.
type reader struct {
	out, err runWriter
	// only, unless 0, is the one attempt that is passed on.
	only    int
	noErr   bool // stdout alone
	next    map[place]int64
	midline map[bellhop.Channel]bool
	attempt int // that the last chunk was of

	// begun is called with the first chunk, and again when chunks of another
	// attempt come; nil = nobody cares.
	begun, again func()
}

func newReader(out, err io.Writer) *reader {
	return &reader{
		out: runWriter{w: out}, err: runWriter{w: err},
		next: map[place]int64{}, midline: map[bellhop.Channel]bool{},
	}
}

// read passes on a run's output until its end, or with follow until the run
// has ended.
func (r *reader) read(ctx context.Context, d OutputSource, id bellhop.RunID, follow bool) error {
	err := d.Output(ctx, id, follow, r.chunk)
	if ferr := r.flush(); err == nil {
		err = ferr
	}
	return err
}

// flush shows the last lines, that have no newline.
func (r *reader) flush() error {
	err := r.out.flush()
	if ferr := r.err.flush(); err == nil {
		err = ferr
	}
	return err
}

func (r *reader) chunk(c bellhop.Chunk) error {
	if (r.only != 0 && c.Attempt != r.only) || (r.noErr && c.Channel != bellhop.Stdout) || len(c.Data) == 0 {
		return nil
	}
	w := &r.out
	if c.Channel == bellhop.Stderr {
		w = &r.err
	}
	if err := r.turn(c.Attempt); err != nil {
		return err
	}
	at := place{c.Attempt, c.Channel}
	if gap := c.Offset - r.next[at]; gap > 0 {
		mark := fmt.Sprintf("[... %s bytes not kept ...]\n", Count(gap))
		if r.midline[c.Channel] {
			mark = "\n" + mark
		}
		if _, err := w.Write([]byte(mark)); err != nil {
			return err
		}
	}
	r.next[at] = c.Offset + int64(len(c.Data))
	r.midline[c.Channel] = c.Data[len(c.Data)-1] != '\n'
	_, err := w.Write(c.Data)
	return err
}

// turn notes the attempt that a chunk is of.
func (r *reader) turn(attempt int) error {
	before := r.attempt
	r.attempt = attempt
	switch {
	case before == 0 && r.begun != nil:
		r.begun()
	case before != 0 && before != attempt && r.again != nil:
		if err := r.flush(); err != nil {
			return err
		}
		r.again()
	}
	return nil
}

// wrote reports whether an attempt has written anything to stdout.
func (r *reader) wrote(attempt int) bool { return r.next[place{attempt, bellhop.Stdout}] > 0 }
