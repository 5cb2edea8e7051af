// Package console is the front end on a local terminal: a prompt where stdin
// and stdout are a terminal, line by line where they are not.
package console

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Options says where the console is.
type Options struct {
	In, Out, Err *os.File // nil = the process's own
	// NoColor keeps colours away, as the environment's NO_COLOR asks.
	NoColor bool
	// Command stands before commands that texts name where there is no
	// prompt: "bellhop ". At a prompt they are typed as they are.
	Command string
	Exit    chat.ExitTable
	Clock   bellhop.Clock // nil = the machine's
}

func (o Options) withDefaults() Options {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Err == nil {
		o.Err = os.Stderr
	}
	return o
}

// Run holds a conversation with d until its person leaves, input ends, ctx
// does, or SIGTERM or SIGHUP comes, and returns the exit status. The terminal
// is as it was before when Run returns or panics. Runs go on. A Read of In may
// stay behind when it was not the input that ended.
func Run(ctx context.Context, d chat.Desk, opt Options) int {
	opt = opt.withDefaults()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if isTerminal(opt.In) && isTerminal(opt.Out) {
		return prompt(ctx, d, opt)
	}
	return Conversation(d, opt).Lines(ctx, opt.In)
}

// Conversation makes a conversation without a prompt, for Once or Lines.
func Conversation(d chat.Desk, opt Options) *chat.Conversation {
	opt = opt.withDefaults()
	return chat.New(d, chat.Options{
		Out: opt.Out, Err: opt.Err,
		OutTerminal: isTerminal(opt.Out), ErrTerminal: isTerminal(opt.Err),
		Color: !opt.NoColor, Command: opt.Command, Exit: opt.Exit, Clock: opt.Clock,
	})
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func prompt(ctx context.Context, d chat.Desk, opt Options) int {
	fd := int(opt.In.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		_, _ = io.WriteString(opt.Err, "the terminal can't be put into raw mode: "+err.Error()+"; use a pipe, or: bellhop ask\n")
		return opt.Exit.Internal
	}
	restore := sync.OnceFunc(func() { _ = term.Restore(fd, before) })
	defer restore()

	p := chat.NewPrompt(terminal{opt.In, opt.Out}, d, chat.Options{
		Color: !opt.NoColor, Exit: opt.Exit, Clock: opt.Clock, OnPanic: restore,
	})
	resize := func() {
		if w, h, err := term.GetSize(int(opt.Out.Fd())); err == nil {
			p.SetSize(w, h)
		}
	}
	resize()
	defer onResize(resize)()
	err = p.Run(ctx)
	restore()
	if err == nil || errors.Is(err, io.EOF) {
		return 0
	}
	return opt.Exit.OfError(err)
}

type terminal struct {
	io.Reader
	io.Writer
}
