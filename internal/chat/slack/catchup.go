package slack

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// catching is the reading of what was said while nobody heard.
type catching struct {
	wake chan struct{}
}

// catchUp has the history read since what was heard last.
func (c *Chat) catchUp() {
	select {
	case c.catching.wake <- struct{}{}:
	default: // it is going to be
	}
}

// catchUpLater is catchUp in a moment, when something could not be heard.
func (c *Chat) catchUpLater() {
	c.loops.Go(func() {
		if c.sleep(catchLater) {
			c.catchUp()
		}
	})
}

const (
	catchLater = 5 * time.Second
	// threadsOf is how far before the gap threads may have begun in which is
	// looked for what was said in it.
	threadsOf = 24 * time.Hour
)

func (c *Chat) catchUpLoop() {
	for {
		select {
		case <-c.catching.wake:
		case <-c.ctx.Done():
			return
		}
		if err := c.readGap(c.ctx); err != nil && c.ctx.Err() == nil {
			c.opt.Log.Warn("what was said meanwhile could not be read; trying again", "chat", c.opt.Name, "error", err)
			c.catchUpLater()
		}
	}
}

// readGap reads all channels from where hearing stands.
func (c *Chat) readGap(ctx context.Context) error {
	now, gap := stampOf(c.now()), c.seen.gap()
	channels, err := c.api.Joined(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, ch := range channels {
		if ch.Name != "" {
			c.names.put(ch.Name, ch.ID)
		}
		from := c.seen.from(ch.ID)
		if from == "" { // it was never here: what was said before is not for it
			c.seen.reached(ch.ID, now, gap)
			continue
		}
		if err := c.readChannel(ctx, ch, from, gap); err != nil {
			failed = cmp.Or(failed, err)
		}
	}
	return failed
}

// readChannel hears what was said in a channel and its threads after a time
// stamp, oldest first.
func (c *Chat) readChannel(ctx context.Context, ch slackapi.Channel, from string, gap int) error {
	var missed []slackapi.Said
	var threads []string
	before := stampOf(stamp(from).Add(-threadsOf))
	err := c.api.History(ctx, ch.ID, before, func(s slackapi.Said) bool {
		if s.TS > from {
			missed = append(missed, s)
		}
		if s.LatestReply > from {
			threads = append(threads, s.TS)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, thread := range threads {
		err := c.api.Replies(ctx, ch.ID, thread, from, func(s slackapi.Said) bool {
			if s.TS > from && s.TS != thread {
				missed = append(missed, s)
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(missed, func(a, b slackapi.Said) int { return cmp.Compare(a.TS, b.TS) })
	last := from
	for _, s := range missed {
		if err := c.hearMissed(ctx, ch, s); err != nil {
			return err
		}
		last = s.TS
	}
	c.seen.reached(ch.ID, last, gap)
	return nil
}

// hearMissed hears one message of the history: as any other when it is recent
// enough.
func (c *Chat) hearMissed(ctx context.Context, ch slackapi.Channel, s slackapi.Said) error {
	m := message{
		Type: "message", Subtype: s.Subtype, User: s.User, BotID: s.BotID, Text: s.Text, TS: s.TS, Thread: s.Thread,
		Channel: ch.ID, UserTeam: s.UserTeam, Edited: s.Edited,
	}
	if ch.Direct {
		m.ChannelType = "im"
	}
	if c.now().Sub(stamp(s.TS)) <= c.opt.CatchUp {
		return c.inLane(ctx, m)
	}
	if _, addressed := c.addressed(m); !addressed || !c.mayHear(m) || s.User == slackbot {
		return nil
	}
	key := c.opt.Name + ":" + c.self.Team + "/" + m.Channel + "/" + m.TS
	return c.once(ctx, key, func(*hearing) error {
		c.sayAway(m)
		c.setMark(key, false)
		return nil
	})
}

// inLane hears a message after those of the same person that came by a socket.
func (c *Chat) inLane(ctx context.Context, m message) error {
	done := make(chan error, 1)
	if !c.hearing.add(m.Channel+"/"+m.User, func() { done <- c.hearMessage(ctx, m) }) {
		return context.Canceled
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
