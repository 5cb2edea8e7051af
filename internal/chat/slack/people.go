package slack

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// knownFor is how old what is known of people and groups may be. The manual
// states it.
const knownFor = 5 * time.Minute

// people remembers accounts for a while.
type people struct {
	mu    sync.Mutex
	known map[string]known
}

type known struct {
	user slackapi.User
	at   time.Time
}

// maxKnown bounds what is remembered.
const maxKnown = 50_000

// user returns an account, at most knownFor old.
func (c *Chat) user(ctx context.Context, id string) (slackapi.User, error) {
	p := &c.people
	p.mu.Lock()
	k, ok := p.known[id]
	p.mu.Unlock()
	if ok && c.now().Sub(k.at) < knownFor {
		return k.user, nil
	}
	u, err := c.api.User(ctx, id)
	if err != nil {
		return slackapi.User{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	p.known[id] = known{u, c.now()}
	return u, nil
}

// person says who somebody is. Whoever Slack does not know to be a full member
// of this workspace, or of its organisation, is outside. It is Unavailable when
// Slack can't say.
func (c *Chat) person(ctx context.Context, id, team string) (bellhop.Person, error) {
	u, err := c.user(ctx, id)
	switch slackapi.CodeOf(err) {
	case "user_not_found", "user_not_visible", "users_not_found":
		u, err = slackapi.User{ID: id, Team: team, Stranger: true}, nil
	}
	if err != nil {
		return bellhop.Person{}, bellhop.Errorf(bellhop.Unavailable, "Slack can't say who asks; ask again in a moment: %w", err)
	}
	home := u.Team
	if home == "" {
		home = firstOf(team, c.self.Team)
	}
	own := home == c.self.Team || c.self.Enterprise != "" && u.Enterprise == c.self.Enterprise
	foreign := team != "" && team != c.self.Team && team != home
	return bellhop.Person{
		Identity: c.opt.Name + ":" + home + "/" + id,
		Outside:  !own || foreign || u.Guest || u.Bot || u.Deleted || u.Stranger,
	}, nil
}

// userID returns the account of an identity of this chat; "" = it has none.
func (c *Chat) userID(identity string) string {
	rest, ok := strings.CutPrefix(identity, c.opt.Name+":")
	_, user, both := strings.Cut(rest, "/")
	if !ok || !both {
		return ""
	}
	return user
}

// userName is the name that people call an account by, if it is known by now.
func (c *Chat) userName(id string) string {
	if id == c.self.User {
		return c.opt.Bot
	}
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	u, err := c.user(ctx, id)
	if err != nil {
		return ""
	}
	return u.Name
}
