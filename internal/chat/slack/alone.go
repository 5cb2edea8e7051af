package slack

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// postAlone says something to a person alone, who used the slash command or
// pressed a button. Nobody else sees it, whatever fails: what does not get
// there by the URL that came with it is shown in the channel to them alone, and
// else sent to them directly, as is what is long.
func (c *Chat) postAlone(ctx context.Context, to reply, w words) {
	at, user := c.spotOf(to.origin), c.userID(to.person.Identity)
	if width(clean(w.text)) > maxText {
		channel, err := c.tellAside(ctx, user, w)
		switch {
		case err != nil:
			c.note("answering directly", err)
			w.text = cut(clean(w.text), maxSection)
		case channel == at.channel:
			return
		default:
			w = words{text: "The answer is long, so it was sent to you directly."}
		}
	}
	if to.respond != "" {
		err := c.api.Respond(ctx, to.respond, c.compose(spot{}, w))
		if err == nil {
			return
		}
		c.note("answering", err)
	}
	err := c.api.PostTo(ctx, user, c.compose(at, w))
	if err == nil {
		return
	}
	c.note("answering", err)
	_, err = c.tellAside(ctx, user, w)
	c.note("answering directly", err)
}

// tellAside says something in the direct message with somebody, and returns the
// channel of that.
func (c *Chat) tellAside(ctx context.Context, user string, w words) (channel string, err error) {
	if user == "" {
		return "", bellhop.Errorf(bellhop.NotFound, "there is nobody to write to")
	}
	if channel, err = c.api.Direct(ctx, user); err == nil {
		_, err = c.tell(ctx, spot{channel: channel}, w)
	}
	return channel, err
}
