package slack

import (
	"context"
	"regexp"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// Listen says what becomes of an ordinary message that has certain words. It
// asks for nothing by its own right.
type Listen struct {
	Match   *regexp.Regexp // anywhere in the text
	Reply   string         // said in the message's thread
	React   string         // an emoji
	Forward string         // a channel that is sent a link to it
}

// listen looks at a message that was said to nobody.
func (c *Chat) listen(ctx context.Context, key string, m message) error {
	if len(c.opt.Listen) == 0 || m.User == slackbot || m.Edited != nil {
		return nil
	}
	text := undo(m.Text, idsOnly{c}) // nobody asked for it, so nothing is asked of Slack
	for _, l := range c.opt.Listen {
		if !l.Match.MatchString(text) {
			continue
		}
		return c.once(ctx, key, func(*hearing) error {
			c.saying.add(m.Channel+"/listen", func() {
				c.setMark(key, false) // first: rather not at all than twice
				c.answerHeard(l, m)
			})
			return nil
		})
	}
	return nil
}

func (c *Chat) answerHeard(l Listen, m message) {
	ctx, cancel := context.WithTimeout(c.ctx, sayFor)
	defer cancel()
	thread := firstOf(m.Thread, m.TS)
	if l.React != "" {
		c.note("reacting", c.api.React(ctx, m.Channel, m.TS, strings.Trim(l.React, ":")))
	}
	if l.Reply != "" {
		_, err := c.api.Post(ctx, slackapi.Message{Channel: m.Channel, Thread: thread, Text: plain(l.Reply)})
		c.note("replying", err)
	}
	if l.Forward != "" {
		c.note("forwarding", c.forward(ctx, l.Forward, m))
	}
}

func (c *Chat) forward(ctx context.Context, to string, m message) error {
	channel, err := c.channelID(ctx, to)
	if err != nil {
		return err
	}
	if channel == m.Channel {
		return nil
	}
	link, err := c.api.Permalink(ctx, m.Channel, m.TS)
	if err != nil {
		return err
	}
	said := c.undone(ctx, "<@"+m.User+"> in #"+firstOf(c.channelName(m.Channel), m.Channel)+": "+m.Text)
	text := plain(short(strings.TrimPrefix(said, "@"), maxText)) + "\n<" + link + "|to the message>"
	_, err = c.api.Post(ctx, slackapi.Message{Channel: channel, Text: text})
	return err
}

// note logs what could not be done and is not worth to be tried again.
func (c *Chat) note(what string, err error) {
	if err != nil && c.ctx.Err() == nil {
		c.opt.Log.Warn("Slack: "+what, "chat", c.opt.Name, "error", err)
	}
}

// joinAll joins the public channels that are there.
func (c *Chat) joinAll() {
	var list []slackapi.Channel
	err := c.api.Channels(c.ctx, false, func(ch slackapi.Channel) bool {
		if !ch.Member && !ch.Archived {
			list = append(list, ch)
		}
		return true
	})
	c.note("listing channels", err)
	for _, ch := range list {
		c.join(ch.ID)
	}
}

func (c *Chat) join(id string) {
	if err := c.api.Join(c.ctx, id); err != nil {
		c.note("joining "+id, err)
		return
	}
	c.seen.reached(id, stampOf(c.now()), c.seen.gap())
}

// newChannel takes note of a channel that was made or got another name.
func (c *Chat) newChannel(id, name string, created bool) {
	if name != "" && c.names.has(id) {
		c.names.rename(id, name)
	}
	if created && c.opt.AutoJoin {
		c.loops.Go(func() { c.join(id) })
	}
}

func (n *names) has(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[id] != ""
}

// rename adds a name. The old one still leads to the channel: that is what the
// configuration says.
func (n *names) rename(id, name string) { n.put(name, id) }

var _ bellhop.Destination = (*Chat)(nil)
