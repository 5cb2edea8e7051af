package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/bellhop-io/bellhop"
)

// PromptText stands before the line that is typed.
const PromptText = "> "

// Prompt is a conversation on a terminal: a line editor with history and
// completion below what is said. One may type on while runs go on; output and
// outcomes appear above the line that is being typed.
type Prompt struct {
	c    *Conversation
	term *term.Terminal

	mu      sync.Mutex
	confirm bellhop.RunID                // the run that "Cancel ...? [y/N]" asks about
	follows map[*context.CancelFunc]bool // of logs that are being followed
}

// NewPrompt makes a prompt on rw, the two directions of a terminal in raw
// mode. Options' Out, Err and their terminal flags are the prompt's to set.
func NewPrompt(rw io.ReadWriter, d Desk, opt Options) *Prompt {
	p := &Prompt{term: term.NewTerminal(keys{rw}, PromptText), follows: map[*context.CancelFunc]bool{}}
	p.term.History = &history{}
	opt.Out, opt.Err = p.term, p.term
	opt.OutTerminal, opt.ErrTerminal = true, true
	p.c = New(d, opt)
	return p
}

// SetSize tells the size of the terminal in characters. Sizes that make no
// sense (0, as some clients send) become 80 by 24.
func (p *Prompt) SetSize(width, height int) {
	if width <= 0 || width > 10_000 {
		width = 80
	}
	if height <= 0 || height > 10_000 {
		height = 24
	}
	// Fewer columns than the prompt and a letter leave the editor no room.
	_ = p.term.SetSize(max(width, len(PromptText)+2), height)
}

// Run holds the conversation until the person leaves (Ctrl-D, exit, quit), the
// input ends or ctx does. Runs go on. A Read of the terminal may stay behind
// when ctx ends; whoever owns the terminal closes it.
func (p *Prompt) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.term.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		return p.key(ctx, line, pos, key)
	}
	if err := p.greet(ctx); err != nil {
		return err
	}
	stop := p.c.start(ctx)
	asks := make(chan asked, 64)
	worker := make(chan struct{})
	p.c.spawn(func() {
		defer close(worker)
		for a := range asks {
			a.done <- p.post(ctx, a.text)
		}
	})
	err := p.loop(ctx, asks)
	p.redraw("") // what is said from now on has no prompt below it
	close(asks)
	p.leave(ctx, worker)
	cancel()
	stop()
	return err
}

// greet says hello, and what happened while the person was away.
func (p *Prompt) greet(ctx context.Context) error {
	if err := p.c.out.say("This is Bellhop. Type help to see what you can ask, exit to leave."); err != nil {
		return err
	}
	err := p.c.unread(ctx, "While you were away:")
	if err != nil && !ctxEnded(err) {
		p.c.refuse(err)
		return nil
	}
	return ctx.Err()
}

// asked is a line on its way. done receives, once it was answered, what the
// answer brought with it: closed when that is all shown, nil when it was
// nothing.
type asked struct {
	text string
	done chan (<-chan struct{})
}

// typing is how long the next prompt waits for an answer and what it brings,
// so that the prompt is not drawn only to be drawn again.
const typing = 150 * time.Millisecond

func (p *Prompt) loop(ctx context.Context, asks chan<- asked) error {
	lines, next := make(chan line), make(chan struct{})
	go p.read(ctx, lines, next)
	for {
		var l line
		select {
		case l = <-lines:
		case <-ctx.Done():
			return ctx.Err()
		}
		if l.err != nil {
			if errors.Is(l.err, io.EOF) {
				return nil
			}
			return l.err
		}
		text := strings.TrimSpace(l.text)
		if leaves(text) {
			return nil
		}
		if text != "" {
			a := asked{text: l.text, done: make(chan (<-chan struct{}), 1)}
			select {
			case asks <- a:
			case <-ctx.Done():
				return ctx.Err()
			}
			p.pause(ctx, a.done)
		}
		select {
		case next <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Prompt) pause(ctx context.Context, done <-chan (<-chan struct{})) {
	timer, stop := p.c.opt.Clock.NewTimer(typing)
	defer stop()
	var shown <-chan struct{}
	select {
	case shown = <-done:
	case <-timer:
		return
	case <-ctx.Done():
		return
	}
	if shown == nil {
		return
	}
	select {
	case <-shown:
	case <-timer:
	case <-ctx.Done():
	}
}

// read reads lines with the editor. After each it waits for next, so that the
// prompt is drawn at the right time.
func (p *Prompt) read(ctx context.Context, lines chan<- line, next <-chan struct{}) {
	defer p.c.guard()
	for {
		text, err := p.term.ReadLine()
		if err == nil && p.answered(ctx, 'n') {
			text = "" // Enter at the question means no
		}
		select {
		case lines <- line{text: text, err: err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// post asks one line and lets what it brings appear when it comes. It returns
// a channel that is closed when all of that was shown; nil = there is nothing.
func (p *Prompt) post(ctx context.Context, text string) <-chan struct{} {
	a, own, err := p.c.ask(ctx, text)
	switch {
	case err != nil:
		p.c.refuse(err)
	case own != nil:
		return own.done
	case a.Run != 0:
		return p.follow(ctx, a.Run)
	case mine(a, text):
		p.c.refuse(p.c.unread(ctx, notRead))
	}
	return nil
}

// follow shows a run's output until it has ended or Ctrl-C comes.
func (p *Prompt) follow(ctx context.Context, id bellhop.RunID) <-chan struct{} {
	ctx, cancel := context.WithCancel(ctx)
	shown := make(chan struct{})
	p.mu.Lock()
	p.follows[&cancel] = true
	p.mu.Unlock()
	p.c.spawn(func() {
		defer close(shown)
		defer cancel()
		p.c.refuse(p.c.logs(ctx, id))
		p.mu.Lock()
		delete(p.follows, &cancel)
		p.mu.Unlock()
	})
	return shown
}

// leave waits for lines that were typed already, and says what goes on.
func (p *Prompt) leave(ctx context.Context, worker <-chan struct{}) {
	select {
	case <-worker:
	case <-ctx.Done():
		return
	}
	for _, id := range p.c.Unfinished() {
		_ = p.c.out.say(fmt.Sprintf("%s goes on; you will be told the outcome when you come back.", id))
	}
}
