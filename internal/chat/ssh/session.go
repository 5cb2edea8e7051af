package sshchat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// session is one session channel: a command, a prompt, or lines.
type session struct {
	s    *Server
	who  person
	key  ssh.PublicKey
	addr net.Addr
	ch   ssh.Channel
	in   *input // what comes by ch

	// Only the goroutine of serve uses these.
	pty     *size
	started bool
	then    func() // what a request began: a short command must not end before its request is answered
	wg      sync.WaitGroup

	mu     sync.Mutex
	prompt *chat.Prompt
	conv   *chat.Conversation

	cancelling atomic.Bool // for a signal

	active atomic.Int64 // when something was typed or shown last, Unix nanoseconds
}

// size is of a terminal in characters.
type size struct{ Columns, Rows, Width, Height uint32 }

// serve answers the channel's requests until the client closes it. Closing it
// cancels no run.
func (x *session) serve(ctx context.Context, reqs <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	x.wg.Go(func() { x.in.pump(x.ch, func() { x.tooMuch(cancel) }) })
	x.wg.Go(func() { _, _ = io.Copy(io.Discard, x.ch.Stderr()) }) // which means nothing in this direction
	late, stop := x.s.opt.Clock.NewTimer(x.s.opt.Limits.Handshake)
	defer stop()
	for open := true; open; {
		select {
		case req, more := <-reqs:
			if open = more; !more {
				break
			}
			ok := x.request(ctx, req)
			if req.WantReply {
				_ = req.Reply(ok, nil)
			}
			if x.then != nil {
				x.wg.Go(x.then)
				x.then = nil
			}
		case <-late:
			if late = nil; !x.started {
				_ = x.ch.Close() // the client does too, which ends reqs
			}
		}
	}
	cancel()
	_ = x.ch.Close() // ends a Write that the client does not take
	x.wg.Wait()
}

// tooMuch ends a session whose client sends far more than is answered.
func (x *session) tooMuch(end context.CancelFunc) {
	x.s.opt.Log.Warn("a session was closed: too much was sent ahead of the answers", "identity", x.who.Identity, "from", x.addr.String())
	x.wg.Go(func() {
		defer func() { _ = x.ch.Close() }()
		defer end()
		defer time.AfterFunc(5*time.Second, func() { _ = x.ch.Close() }).Stop() // should the client not read
		_, _ = fmt.Fprintf(x.ch.Stderr(), "closed: more than %s bytes were sent ahead of the answers; send less at a time\r\n", chat.Count(int64(x.s.opt.Limits.Ahead)))
	})
}

func (x *session) request(ctx context.Context, req *ssh.Request) bool {
	switch req.Type {
	case "pty-req":
		return x.wantPTY(req.Payload)
	case "window-change":
		var to size
		if x.pty == nil || ssh.Unmarshal(req.Payload, &to) != nil {
			return false
		}
		x.resize(to)
		return true
	case "exec":
		var msg struct{ Command string }
		if ssh.Unmarshal(req.Payload, &msg) != nil {
			return false
		}
		return x.begin(ctx, func(ctx context.Context, d chat.Desk) int { return x.exec(ctx, d, msg.Command) })
	case "shell":
		return x.begin(ctx, x.shell)
	case "signal":
		var msg struct{ Signal string }
		if ssh.Unmarshal(req.Payload, &msg) != nil {
			return false
		}
		return x.signal(ctx, msg.Signal)
	}
	return false // env, subsystem, agent, X11, whatever comes
}

func (x *session) wantPTY(payload []byte) bool {
	var msg struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if x.started || x.pty != nil || x.who.noPTY || ssh.Unmarshal(payload, &msg) != nil {
		return false
	}
	x.pty = &size{msg.Columns, msg.Rows, msg.Width, msg.Height}
	return true
}

func (x *session) resize(to size) {
	x.mu.Lock()
	p := x.prompt
	*x.pty = to
	x.mu.Unlock()
	if p != nil {
		p.SetSize(int(to.Columns), int(to.Rows))
	}
}

// signal: INT and TERM, which only a program sends on purpose, cancel the
// newest run of this session without asking.
func (x *session) signal(ctx context.Context, name string) bool {
	x.mu.Lock()
	c := x.conv
	x.mu.Unlock()
	if c == nil || (name != "INT" && name != "TERM") {
		return false
	}
	if !x.cancelling.CompareAndSwap(false, true) {
		return true // one at a time, however many are sent
	}
	x.wg.Go(func() {
		defer x.cancelling.Store(false)
		c.Cancel(ctx)
	})
	return true
}

// begin starts what the session is for, once.
func (x *session) begin(ctx context.Context, fn func(context.Context, chat.Desk) int) bool {
	if x.started {
		return false
	}
	x.started = true
	if x.s.still(x.key, x.addr, x.who) != nil {
		return false
	}
	x.then = func() {
		d, closeDesk := x.s.opt.OpenDesk(x.who.Person, newSession())
		status := fn(ctx, guarded{Desk: d, still: func() error { return x.s.still(x.key, x.addr, x.who) }})
		closeDesk()
		_, _ = x.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
		_ = x.ch.Close()
	}
	return true
}

func (x *session) options() chat.Options {
	opt := chat.Options{
		Out: x.ch, Err: x.ch.Stderr(), FailuresToErr: true,
		Exit: chat.SSHExit(), Clock: x.s.opt.Clock,
	}
	if x.pty != nil { // one screen, in raw mode
		screen := lineEnds{x.ch}
		opt.Out, opt.Err = screen, screen
		opt.OutTerminal, opt.ErrTerminal, opt.Color = true, true, true
	}
	return opt
}

func (x *session) talk(opt chat.Options, d chat.Desk) *chat.Conversation {
	c := chat.New(d, opt)
	x.mu.Lock()
	x.conv = c
	x.mu.Unlock()
	return c
}

// exec asks the command as it was sent. What is typed meanwhile is not for
// the run; at a terminal, Ctrl-C asks whether to cancel it.
func (x *session) exec(ctx context.Context, d chat.Desk, command string) int {
	opt := x.options()
	if len(command) > x.s.opt.Limits.Command {
		_, _ = fmt.Fprintf(opt.Err, "the command is longer than %s bytes and was not asked\n", chat.Count(int64(x.s.opt.Limits.Command)))
		return opt.Exit.NotUnderstood
	}
	c := x.talk(opt, d)
	terminal := x.pty != nil
	if terminal {
		x.wg.Go(func() { c.Keys(ctx, x.in) })
	} else {
		x.in.discard()
	}
	return c.Once(ctx, command)
}

// shell is a session without a command: a prompt on a terminal, else lines.
func (x *session) shell(ctx context.Context, d chat.Desk) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x.touch()
	x.wg.Go(func() { x.watchIdle(ctx, cancel) })
	opt := x.options()
	if x.pty == nil {
		return x.talk(opt, d).Lines(ctx, touched{x})
	}
	p := chat.NewPrompt(touched{x}, d, opt)
	x.mu.Lock()
	x.prompt = p
	to := *x.pty
	x.mu.Unlock()
	p.SetSize(int(to.Columns), int(to.Rows))
	if err := p.Run(ctx); err != nil && !errors.Is(err, io.EOF) {
		return opt.Exit.Interrupted
	}
	return 0
}

func (x *session) touch() { x.active.Store(x.s.opt.Clock.Now().UnixNano()) }

// watchIdle ends a session in which nothing was typed or shown for long.
func (x *session) watchIdle(ctx context.Context, end context.CancelFunc) {
	limit := x.s.opt.Limits.Idle
	for {
		left := limit - x.s.opt.Clock.Now().Sub(time.Unix(0, x.active.Load()))
		if left <= 0 {
			defer time.AfterFunc(5*time.Second, end).Stop() // should the client not read
			_, _ = fmt.Fprintf(x.ch.Stderr(), "\r\nclosed after %s without a word\r\n", chat.Duration(limit))
			end()
			return
		}
		timer, stop := x.s.opt.Clock.NewTimer(left)
		select {
		case <-timer:
		case <-ctx.Done():
			stop()
			return
		}
	}
}

// touched notes when something is typed or shown.
type touched struct{ x *session }

func (t touched) Read(b []byte) (int, error) {
	n, err := t.x.in.Read(b)
	t.x.touch()
	return n, err
}

func (t touched) Write(b []byte) (int, error) {
	t.x.touch()
	return t.x.ch.Write(b)
}

// lineEnds writes each newline as a terminal in raw mode needs it.
type lineEnds struct{ w io.Writer }

func (l lineEnds) Write(b []byte) (int, error) {
	if _, err := l.w.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// guarded is a desk whose person must still be admitted for each new wish.
type guarded struct {
	chat.Desk
	still func() error
}

func (g guarded) Ask(ctx context.Context, key, text string) (bellhop.Answer, error) {
	if err := g.still(); err != nil {
		return bellhop.Answer{}, err
	}
	return g.Desk.Ask(ctx, key, text)
}

func (g guarded) Cancel(ctx context.Context, run bellhop.RunID) ([]bellhop.CancelledRun, error) {
	if err := g.still(); err != nil {
		return nil, err
	}
	return g.Desk.Cancel(ctx, run)
}

func (g guarded) Complete(ctx context.Context, line string) ([]string, error) {
	if err := g.still(); err != nil {
		return nil, err
	}
	return g.Desk.Complete(ctx, line)
}
