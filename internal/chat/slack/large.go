package slack

import (
	"bytes"
	"context"
)

const (
	// smallFile is how much output is held in memory for each who wants it, and
	// largeAtOnce how many of more there are at a time; the others wait.
	smallFile   = 1 << 20
	largeAtOnce = 4
)

// limited is a buffer that drops what is more than a file may hold. What is
// large waits until there is room.
type limited struct {
	bytes.Buffer
	ctx  context.Context
	room chan struct{} // one is sent for each that is large
	held bool
	over bool // something was dropped
}

func (c *Chat) newLimited(ctx context.Context) *limited {
	return &limited{ctx: ctx, room: c.large}
}

func (l *limited) Write(b []byte) (int, error) {
	if !l.held && l.Len()+len(b) > smallFile {
		select {
		case l.room <- struct{}{}:
			l.held = true
		case <-l.ctx.Done():
			return 0, l.ctx.Err()
		}
	}
	if room := maxFile - l.Len(); len(b) > room {
		l.over = true
		l.Buffer.Write(b[:max(0, room)])
		return len(b), nil
	}
	return l.Buffer.Write(b)
}

// done makes room.
func (l *limited) done() {
	if l.held {
		l.held = false
		<-l.room
	}
}
