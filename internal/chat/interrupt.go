package chat

import (
	"context"
	"fmt"
	"io"

	"github.com/bellhop-io/bellhop"
)

// Cancel cancels the newest run that was asked for here and whose outcome was
// not told yet, and says what came of it on Err. It does nothing when there is
// none.
func (c *Conversation) Cancel(ctx context.Context) {
	if runs := c.Unfinished(); len(runs) > 0 {
		c.cancel(ctx, runs[len(runs)-1])
	}
}

func (c *Conversation) cancel(ctx context.Context, id bellhop.RunID) {
	done, err := c.desk.Cancel(ctx, id)
	if err != nil {
		c.refuse(err)
		return
	}
	_ = c.err.say(c.style(c.err).CancelText(done))
	for _, r := range done {
		if r.Effect == bellhop.CancelWithdrawn {
			c.drop(r.Run) // nothing more will be told of it
		}
	}
}

// Keys reads the keys that are typed on a terminal in raw mode while Once goes
// on, until in ends: Ctrl-C asks whether to cancel the run, and y does.
// Everything else means nothing.
func (c *Conversation) Keys(ctx context.Context, in io.Reader) {
	buf := make([]byte, 256)
	var asked bellhop.RunID
	for {
		n, err := in.Read(buf)
		for _, key := range buf[:n] {
			asked = c.typed(ctx, key, asked)
		}
		if err != nil {
			return
		}
	}
}

// typed takes one key; asked is the run that an open question is about.
func (c *Conversation) typed(ctx context.Context, key byte, asked bellhop.RunID) bellhop.RunID {
	runs := c.Unfinished()
	switch {
	case key == keyInterrupt && len(runs) > 0:
		id := runs[len(runs)-1]
		_ = c.err.say(fmt.Sprintf("Cancel %s? [y/N]", id))
		return id
	case asked != 0 && (key == 'y' || key == 'Y'):
		c.cancel(ctx, asked)
	}
	return 0
}
