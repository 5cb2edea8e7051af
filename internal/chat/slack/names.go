package slack

import (
	"context"
	"sort"
	"strings"
	"sync"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// names knows channels by their names. Names are for destinations alone: a
// rule of access goes by id.
type names struct {
	mu    sync.Mutex
	ids   map[string]string // by name, without #
	names map[string]string // by id, the latest
}

func (n *names) put(name, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ids[name], n.names[id] = id, name
}

func (n *names) id(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ids[name]
}

// channelName is the name of a channel, if it is known.
func (c *Chat) channelName(id string) string {
	c.names.mu.Lock()
	defer c.names.mu.Unlock()
	return c.names.names[id]
}

// resolveNames finds the ids of the channels that the configuration names.
func (c *Chat) resolveNames(ctx context.Context) error {
	want := make(map[string]bool)
	for _, ch := range c.opt.Channels {
		if name, ok := strings.CutPrefix(ch, "#"); ok {
			want[strings.ToLower(name)] = true
		}
	}
	for _, l := range c.opt.Listen {
		if name, ok := strings.CutPrefix(l.Forward, "#"); ok {
			want[strings.ToLower(name)] = true
		}
	}
	if len(want) == 0 {
		return nil
	}
	if err := c.findNames(ctx, want); err != nil {
		return c.wordToken("bot_token", err)
	}
	if len(want) == 0 {
		return nil
	}
	var missing []string
	for name := range want {
		missing = append(missing, "#"+name)
	}
	sort.Strings(missing)
	return bellhop.Errorf(bellhop.Invalid, "chat %s: there is no channel %s that the bot can see; mind the spelling, invite it if it is a private channel, or write the channel's id",
		c.opt.Name, strings.Join(missing, ", "))
}

// findNames notes the ids of channels, until it has those whose names are wanted,
// and takes these out of want.
func (c *Chat) findNames(ctx context.Context, want map[string]bool) error {
	private := c.granted("groups:read")
	return c.api.Channels(ctx, private, func(ch slackapi.Channel) bool {
		c.names.put(ch.Name, ch.ID)
		delete(want, ch.Name)
		return len(want) > 0
	})
}

// channelID returns the id of a channel that may be given by its name.
func (c *Chat) channelID(ctx context.Context, channel string) (string, error) {
	name, named := strings.CutPrefix(channel, "#")
	if !named {
		return channel, nil
	}
	name = strings.ToLower(name)
	if id := c.names.id(name); id != "" {
		return id, nil
	}
	if err := c.findNames(ctx, map[string]bool{name: true}); err != nil {
		return "", err
	}
	if id := c.names.id(name); id != "" {
		return id, nil
	}
	return "", bellhop.Errorf(bellhop.NotFound, "there is no channel %s that the bot can see", channel)
}
