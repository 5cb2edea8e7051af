package slack

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// knownFor is how old what is known of people and groups may be. The manual
// states it.
const knownFor = 5 * time.Minute

// people remembers accounts for a while, and that there are none.
type people struct {
	mu      sync.Mutex
	known   map[string]known
	unknown map[string]nobody
}

type known struct {
	user slackapi.User
	at   time.Time
}

// nobody is what Slack said of an id that is no account's.
type nobody struct {
	err error
	at  time.Time
}

// unknownFor is how long it is remembered that an id is no account's.
const unknownFor = time.Minute

// maxKnown bounds what is remembered.
const maxKnown = 50_000

// remembered returns what is remembered of an account; ok is false when Slack
// has to be asked.
func (c *Chat) remembered(id string) (u slackapi.User, ok bool, err error) {
	p, now := &c.people, c.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, ok := p.known[id]; ok && now.Sub(k.at) < knownFor {
		return k.user, true, nil
	}
	if n, ok := p.unknown[id]; ok && now.Sub(n.at) < unknownFor {
		return slackapi.User{}, true, n.err
	}
	return slackapi.User{}, false, nil
}

// user returns an account, at most knownFor old.
func (c *Chat) user(ctx context.Context, id string) (slackapi.User, error) {
	if u, ok, err := c.remembered(id); ok {
		return u, err
	}
	u, err := c.api.User(ctx, id)
	if err != nil && !isNobody(err) {
		return slackapi.User{}, err
	}
	p := &c.people
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if len(p.unknown) >= maxKnown {
			clear(p.unknown)
		}
		p.unknown[id] = nobody{err, c.now()}
		return slackapi.User{}, err
	}
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	p.known[id] = known{u, c.now()}
	return u, nil
}

// isNobody reports whether Slack said that an id is no account's that the bot
// may see.
func isNobody(err error) bool {
	switch slackapi.CodeOf(err) {
	case "user_not_found", "user_not_visible", "users_not_found":
		return true
	}
	return false
}

// person says who somebody is. Whoever Slack does not know to be a full member
// of this workspace, or of its organisation, is outside. It is Unavailable when
// Slack can't say.
func (c *Chat) person(ctx context.Context, id, team string) (bellhop.Person, error) {
	u, err := c.user(ctx, id)
	if isNobody(err) {
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

const (
	// maxMentions is how many accounts Slack is asked about for one message, and
	// mentionsFor how long that may take. Who is mentioned after that stays an id.
	maxMentions = 20
	mentionsFor = 2 * time.Second
)

// undone is a text as the person typed it. Names that are not known by now are
// asked for.
func (c *Chat) undone(ctx context.Context, text string) string {
	ctx, cancel := context.WithTimeout(ctx, mentionsFor)
	defer cancel()
	return undo(text, &asking{c, ctx, maxMentions})
}

// asking is a namer that asks Slack.
type asking struct {
	*Chat
	ctx  context.Context
	left int // times that it may ask
}

// userName is the name that people call an account by.
func (a *asking) userName(id string) string {
	if id == a.self.User {
		return a.opt.Bot
	}
	u, ok, err := a.remembered(id)
	if !ok && a.left > 0 && accountID(id) {
		a.left--
		u, err = a.user(a.ctx, id)
	}
	if err != nil || !oneWord(u.Name) {
		return ""
	}
	return u.Name
}

// idsOnly is a namer that leaves accounts their ids.
type idsOnly struct{ *Chat }

func (n idsOnly) userName(id string) string {
	if id == n.self.User {
		return n.opt.Bot
	}
	return ""
}

// accountID reports whether an id may be that of an account.
func accountID(id string) bool {
	if len(id) < 2 || len(id) > 24 || id[0] != 'U' && id[0] != 'W' {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

// oneWord reports whether a name stays one word of a line. Anybody may choose a
// name; it must not add words or quotes to what somebody else says.
func oneWord(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
	})
}
