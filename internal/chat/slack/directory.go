package slack

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// What stands behind the chat's name and a dash in the groups that rules name:
// slack-usergroup:S0123, slack-channel-members:C0123.
const (
	groupUsers   = "usergroup:"
	groupChannel = "channel-members:"
)

// members remembers who belongs to groups, for knownFor at most.
type members struct {
	mu    sync.Mutex
	known map[string]group
}

type group struct {
	users map[string]bool
	at    time.Time
}

var _ bellhop.Directory = (*Chat)(nil)

// Member reports whether an identity belongs to a user group or is in a
// channel. What it says is at most 5 minutes old, and with fresh it is asked
// for anew. An identity of elsewhere is in no group.
func (c *Chat) Member(ctx context.Context, name, identity string, fresh bool) (bool, error) {
	if err := c.whenReady(ctx); err != nil {
		return false, err
	}
	rest, own := strings.CutPrefix(identity, c.opt.Name+":"+c.self.Team+"/")
	if !own {
		return false, nil
	}
	c.members.mu.Lock()
	g, ok := c.members.known[name]
	c.members.mu.Unlock()
	if !ok || fresh || c.now().Sub(g.at) >= knownFor {
		var err error
		if g, err = c.group(ctx, name); err != nil {
			return false, err
		}
	}
	return g.users[rest], nil
}

// group asks Slack who belongs to a group.
func (c *Chat) group(ctx context.Context, name string) (group, error) {
	var users []string
	var err error
	kind, _ := strings.CutPrefix(name, c.opt.Name+"-")
	if id, ok := strings.CutPrefix(kind, groupUsers); ok {
		users, err = c.api.UsergroupMembers(ctx, id)
	} else if id, ok := strings.CutPrefix(kind, groupChannel); ok {
		users, err = c.api.ChannelMembers(ctx, id)
	} else {
		return group{}, bellhop.Errorf(bellhop.NotFound, "%q is no group of chat %s; write %[2]s-usergroup:S0123 or %[2]s-channel-members:C0123", name, c.opt.Name)
	}
	switch slackapi.CodeOf(err) {
	case "no_such_subteam", "subteam_not_found", "channel_not_found":
		err, users = nil, nil // nobody belongs to what does not exist
	}
	if err != nil {
		return group{}, bellhop.Errorf(bellhop.Unavailable, "Slack can't say who belongs to %s: %w", name, err)
	}
	g := group{users: make(map[string]bool, len(users)), at: c.now()}
	for _, u := range users {
		g.users[u] = true
	}
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	c.members.known[name] = g
	return g, nil
}
