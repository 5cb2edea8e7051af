package slack

import (
	"context"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// Scope is one that the bot token must have.
type Scope struct {
	Name string
	Why  string
	// If says for which settings alone it is needed; "" = always.
	If string
}

// Scopes returns what the bot token is used for. The manifest in docs/ asks for
// the same.
func Scopes() []Scope {
	return []Scope{
		{"app_mentions:read", "to hear when it is mentioned", ""},
		{"channels:history", "to hear in public channels, and to catch up", ""},
		{"channels:join", "to join public channels", "auto_join"},
		{"channels:read", "to know channels and who is in them", ""},
		{"chat:write", "to answer", ""},
		{"commands", "to have the command /bellhop", ""},
		{"files:write", "to share long output as a file", ""},
		{"groups:history", "to hear in private channels", ""},
		{"groups:read", "to know private channels that it is in", ""},
		{"im:history", "to hear direct messages", ""},
		{"im:read", "to know its direct messages", ""},
		{"im:write", "to send direct messages", ""},
		{"mpim:history", "to hear in group messages", ""},
		{"mpim:read", "to know group messages that it is in", ""},
		{"reactions:write", "to mark what it accepted", ""},
		{"usergroups:read", "to know user groups that rules name", ""},
		{"users:read", "to tell members from guests", ""},
	}
}

// BotEvents returns the events that the app must subscribe to.
func BotEvents() []string {
	return []string{"app_mention", "channel_created", "channel_rename", "message.channels", "message.groups", "message.im", "message.mpim"}
}

// granted reports whether the bot token has a scope, as far as Slack says.
func (c *Chat) granted(scope string) bool {
	return c.self.Scopes == nil || slices.Contains(c.self.Scopes, scope)
}

// checkTokens learns who the bot is, and that its token may do what it must.
func (c *Chat) checkTokens(ctx context.Context) error {
	self, err := c.api.Self(ctx)
	if err != nil {
		return c.wordToken("bot_token", err)
	}
	c.self = self
	var missing []string
	for _, s := range Scopes() {
		if !c.granted(s.Name) && (s.If == "" || s.If == "auto_join" && c.opt.AutoJoin) {
			missing = append(missing, s.Name+" ("+s.Why+")")
		}
	}
	if missing != nil {
		return bellhop.Errorf(bellhop.Invalid, "chat %s: bot_token lacks %s; add it under OAuth & Permissions of the app, and install the app again",
			c.opt.Name, strings.Join(missing, ", "))
	}
	return nil
}

// wordToken words what kept a token from being used.
func (c *Chat) wordToken(key string, err error) error {
	code := slackapi.CodeOf(err)
	say := func(text string) error {
		return bellhop.Errorf(bellhop.Invalid, "chat %s: %s %s: %w", c.opt.Name, key, text, err)
	}
	switch code {
	case "invalid_auth", "not_authed":
		return say("is not known to Slack; copy it again from the app's page")
	case "token_revoked", "token_expired", "account_inactive":
		return say("was taken back; install the app again, and copy the new one")
	case "missing_scope":
		scope := "connections:write"
		if f, ok := asFault(err); ok && f.Needed != "" {
			scope = f.Needed
		}
		return say("lacks the scope " + scope)
	case "not_allowed_token_type":
		return say("is of the wrong kind: bot_token begins with xoxb-, app_token with xapp-")
	case "":
		return bellhop.Errorf(bellhop.Unavailable, "chat %s: Slack can't be reached: %w", c.opt.Name, err)
	}
	return bellhop.Errorf(bellhop.Unavailable, "chat %s: %w", c.opt.Name, err)
}
