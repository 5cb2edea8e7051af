package slack

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

const (
	// replacedFor is how long a socket whose end was announced is read still.
	replacedFor = 30 * time.Second
	// lastReopen bounds the pause before a socket is opened again; it doubles
	// up to that while Slack can't be reached.
	lastReopen = 30 * time.Second
	// shortLived is how long a socket must have lived to be replaced at once.
	shortLived = 500 * time.Millisecond
)

// socketEnd is why a socket needs another in its place.
type socketEnd struct {
	announced bool // it still works
	reason    string
}

// keepSockets sees to it that one socket is open until the chat stops. When the
// end of one is announced, the next is open before it goes.
func (c *Chat) keepSockets(socket *slackapi.Socket) {
	for socket != nil {
		socket = c.nextSocket(socket)
	}
}

// nextSocket reads a socket until it needs another in its place, and returns
// that; nil = the chat has stopped.
func (c *Chat) nextSocket(old *slackapi.Socket) *slackapi.Socket {
	opened, ends := c.now(), make(chan socketEnd, 1)
	c.loops.Go(func() { c.readSocket(old, ends) })
	var end socketEnd
	select {
	case end = <-ends:
	case <-c.ctx.Done():
		old.Close()
		return nil
	}
	if !end.announced {
		c.away.Store(true)
		old.Close()
		c.seen.hold()
		if c.now().Sub(opened) < shortLived && !c.sleep(shortLived) {
			return nil
		}
	}
	if end.reason == "link_disabled" {
		c.opt.Log.Error("Socket Mode was switched off in the app's settings", "chat", c.opt.Name)
		if !c.sleep(lastReopen) {
			old.Close()
			return nil
		}
	}
	next := c.reopen()
	c.away.Store(next == nil)
	switch {
	case next == nil:
		old.Close()
	case end.announced:
		c.loops.Go(func() { // Slack closes it, or we do
			c.sleep(replacedFor)
			old.Close()
		})
	default:
		c.catchUp() // with what was said meanwhile
	}
	return next
}

// reopen opens a socket, whatever long it takes; nil = the chat has stopped.
func (c *Chat) reopen() *slackapi.Socket {
	for pause := time.Second / 2; ; pause = min(2*pause, lastReopen) {
		ctx, cancel := context.WithTimeout(c.ctx, startFor)
		s, err := c.api.Open(ctx)
		cancel()
		if err == nil {
			return s
		}
		if c.ctx.Err() != nil {
			return nil
		}
		c.opt.Log.Warn("no socket to Slack", "chat", c.opt.Name, "again in", pause, "error", c.wordToken("app_token", err))
		if !c.sleep(pause) {
			return nil
		}
	}
}

// readSocket reads one socket until it ends.
func (c *Chat) readSocket(s *slackapi.Socket, ends chan<- socketEnd) {
	tell := func(e socketEnd) {
		select {
		case ends <- e:
		default:
		}
	}
	for {
		f, err := s.Read()
		if err != nil {
			tell(socketEnd{reason: err.Error()})
			return
		}
		switch f.Type {
		case "disconnect":
			tell(socketEnd{announced: true, reason: f.Reason})
		case "events_api", "interactive", "slash_commands":
			c.takeFrame(s, f)
		}
	}
}

// takeFrame has an envelope heard, and acknowledges it after that.
func (c *Chat) takeFrame(s *slackapi.Socket, f slackapi.Frame) {
	in := incoming{kind: f.Type, payload: f.Payload}
	ack := func(answer any) {
		if err := s.Ack(f.Envelope, answer); err != nil {
			c.opt.Log.Debug("an envelope could not be acknowledged; it comes again", "chat", c.opt.Name, "error", err)
		}
	}
	added := c.hearing.add(in.lane(), func() {
		early := c.early(in, func() { ack(nil) })
		ctx, cancel := context.WithTimeout(c.ctx, hearFor)
		defer cancel()
		answer, err := c.take(ctx, in)
		switch {
		case early(): // it was, and what is to be said is said otherwise
			c.sayLate(in, answer)
		case err != nil:
			c.untaken(err)
		default:
			ack(answer)
		}
	})
	if !added {
		c.opt.Log.Debug("something came while the chat stops; Slack brings it again", "chat", c.opt.Name)
	}
}

// untaken notes that something was not written, and so not acknowledged.
func (c *Chat) untaken(err error) {
	c.opt.Log.Warn("something that was said could not be taken; Slack brings it again", "chat", c.opt.Name, "error", cause(err))
	c.catchUpLater()
}

const (
	// hearFor is how long hearing one thing may take.
	hearFor = 30 * time.Second
	// earlyAfter is when a button or a slash command is acknowledged though it
	// is not heard yet. Slack gives up on them after 3 s and does not bring them
	// again; whoever asked is told what it came to when it is written.
	earlyAfter = 2500 * time.Millisecond
)

// early calls fn after earlyAfter, for what Slack brings once only. The function
// that it returns ends that and reports whether fn was called.
func (c *Chat) early(in incoming, fn func()) (was func() bool) {
	if in.kind == "events_api" {
		return func() bool { return false }
	}
	timer, stop := c.opt.Clock.NewTimer(earlyAfter)
	heard, done := make(chan struct{}), make(chan bool, 1)
	c.loops.Go(func() {
		select {
		case <-timer:
			fn()
			done <- true
		case <-heard:
			done <- false
		}
	})
	return func() bool { stop(); close(heard); return <-done }
}

// cause is what an error of Bellhop's own came from.
func cause(err error) error {
	for {
		e, ok := err.(interface{ Unwrap() error })
		if !ok || e.Unwrap() == nil || bellhop.CodeOf(err) == "" {
			return err
		}
		err = e.Unwrap()
	}
}
