package config

import (
	"reflect"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// Slack is a chat in a workspace of Slack.
type Slack struct {
	AppToken      string
	BotToken      string
	SigningSecret string
	Events        string // path that Slack sends events to; "" = Socket Mode
	Reactions     SlackReactions
	CatchUp       time.Duration
	ThreadAlways  bool
	Silent        bool
	HearName      bool
	AutoJoin      bool
	Listen        []SlackListen
	APIURL        string // "" = Slack's own
	// Channels are the names (#ops) that the file speaks of.
	Channels []string
}

// SlackReactions are names of emoji, without colons.
type SlackReactions struct{ Accepted, Succeeded, Failed string }

// SlackListen says what becomes of an ordinary message.
type SlackListen struct {
	Match   string // RE2, without regard to case; it compiles
	Reply   string
	React   string
	Forward string // C0123 or #team
}

type reactionsRaw struct {
	at
	Accepted  text `yaml:"accepted" def:"hourglass_flowing_sand" doc:"What an ask is marked with when it was accepted."`
	Succeeded text `yaml:"succeeded" def:"white_check_mark" doc:"What replaces it when the run succeeded."`
	Failed    text `yaml:"failed" def:"x" doc:"What replaces it when the run did not succeed."`
}

type listenRuleRaw struct {
	at
	Match   text `yaml:"match" mode:"code" doc:"A regular expression (RE2), without regard to case, that is looked for in messages to nobody."`
	Reply   text `yaml:"reply" mode:"plain" doc:"What is said in the message's thread."`
	React   text `yaml:"react" doc:"An emoji that the message is marked with."`
	Forward text `yaml:"forward" doc:"A channel, #name or id, that is sent a link to the message."`
}

// listenRaw is an address for a chat of kind ssh, and a list of rules for one
// of kind slack.
type listenRaw struct {
	text
	rules list[listenRuleRaw]
}

func (l *listenRaw) load(d *decoder, n *yaml.Node, f field, c *scope) {
	if n.Kind == yaml.SequenceNode {
		l.at = d.at(n)
		l.rules.load(d, n, field{key: f.key, item: "rule"}, c)
		return
	}
	l.text.load(d, n, f, c)
}

func (l *listenRaw) schema(f field) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "array", "items": typeSchema(reflect.TypeFor[listenRuleRaw](), field{key: "rule"})},
	}}
}

func (b *builder) slack(e entry[chatRaw]) *Slack {
	c := e.val
	for key, t := range map[string]text{"authorized_keys": c.AuthorizedKeys, "trusted_user_ca": c.TrustedUserCA, "host_key": c.HostKey} {
		if t.isSet() {
			b.fault(t.at, "%s belongs to a chat of kind ssh; remove it", key)
		}
	}
	s := &Slack{
		AppToken: c.AppToken.val, BotToken: c.BotToken.val, SigningSecret: c.SigningSecret.val, Events: c.Events.val, APIURL: c.APIURL.val,
		CatchUp: 10 * time.Minute, ThreadAlways: c.Thread.val == "always", Silent: c.Refuse.val == "silent", HearName: c.Hear.val == "name",
		AutoJoin: c.AutoJoin.val,
	}
	if c.CatchUp.good() {
		s.CatchUp = c.CatchUp.val
	}
	b.slackTokens(e, s)
	s.Reactions = SlackReactions{
		b.emoji("accepted", c.Reactions.Accepted, "hourglass_flowing_sand"),
		b.emoji("succeeded", c.Reactions.Succeeded, "white_check_mark"),
		b.emoji("failed", c.Reactions.Failed, "x"),
	}
	if c.APIURL.good() && !strings.HasPrefix(s.APIURL, "http://") && !strings.HasPrefix(s.APIURL, "https://") {
		b.fault(c.APIURL.at, "api_url: %s is no URL; leave the key out to speak to Slack itself", shorten(s.APIURL))
	}
	if c.Listen.isSet() && !c.Listen.rules.isSet() {
		b.fault(c.Listen.at, "listen: a chat of kind slack listens to no address; write a list of rules, such as [{match: help, reply: Ask me}], or remove the key")
	}
	for _, r := range c.Listen.rules.items {
		s.Listen = append(s.Listen, b.listenRule(r))
	}
	return s
}

// slackTokens checks that the tokens are there that are needed, and not mixed
// up.
func (b *builder) slackTokens(e entry[chatRaw], s *Slack) {
	c := e.val
	missing := func(key, why string) {
		b.fault(e.key, "chat %q has no %s; %s (docs/slack.md says where to find it)", e.name, key, why)
	}
	if !c.BotToken.isSet() {
		missing("bot_token", `add bot_token: "${SLACK_BOT_TOKEN}"`)
	}
	switch {
	case !c.Events.isSet() && !c.AppToken.isSet():
		missing("app_token", `add app_token: "${SLACK_APP_TOKEN}" for Socket Mode`)
	case c.Events.isSet() && !c.SigningSecret.isSet():
		missing("signing_secret", "it is needed to know that events come from Slack")
	}
	if c.Events.good() && (!strings.HasPrefix(s.Events, "/") || strings.ContainsAny(s.Events, " ?#{}")) {
		b.fault(c.Events.at, "events: %s is no path; write one such as /slack/events", shorten(s.Events))
	}
	kinds := []struct {
		key, begins string
		t           text
	}{{"bot_token", "xoxb-", c.BotToken}, {"app_token", "xapp-", c.AppToken}}
	for _, k := range kinds {
		switch {
		case !k.t.good():
		case k.t.val == "":
			b.fault(k.t.at, "%s is empty", k.key)
		case isSecret(k.t.val): // looked at when it is read
		case !strings.HasPrefix(k.t.val, k.begins): // the token itself is not shown
			b.fault(k.t.at, "%s does not begin with %s, so it is a token of another kind", k.key, k.begins)
		}
	}
	if c.SigningSecret.good() && c.SigningSecret.val == "" {
		b.fault(c.SigningSecret.at, "signing_secret is empty")
	}
}

// emoji reads the name of one.
func (b *builder) emoji(key string, t text, def string) string {
	name := strings.Trim(t.or(def), ":")
	if !emojiName().MatchString(name) {
		b.fault(t.at, "%s: %s is not the name of an emoji, such as %s", key, shorten(t.val), def)
	}
	return name
}

func emojiName() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?$`)
}

func (b *builder) listenRule(r listenRuleRaw) SlackListen {
	l := SlackListen{Match: r.Match.val, Reply: r.Reply.val, Forward: r.Forward.val}
	if r.React.isSet() {
		l.React = b.emoji("react", r.React, "eyes")
	}
	switch _, err := regexp.Compile("(?i)" + l.Match); {
	case r.bad:
	case !r.Match.isSet() || r.Match.good() && l.Match == "":
		b.fault(r.at, "this rule of listen matches nothing; add match: with the words to look for")
	case err != nil:
		b.fault(r.Match.at, "match: %s is no regular expression: %v", shorten(l.Match), err)
	case !r.Reply.isSet() && !r.React.isSet() && !r.Forward.isSet():
		b.fault(r.at, "this rule of listen does nothing; add reply:, react: or forward:")
	}
	if r.Forward.good() && !channelName().MatchString(l.Forward) {
		b.fault(r.Forward.at, "forward: %s is no channel; write #name, or the channel's id such as C0123", shorten(l.Forward))
	}
	return l
}

func channelName() *regexp.Regexp {
	return regexp.MustCompile(`^(#[^\s#,:<>@&]{1,80}|[CGD][A-Z0-9]{2,})$`)
}

// slackChannels notes, for each chat of Slack, the names of channels that are
// told of runs, so that a wrong one is found at start.
func (b *builder) slackChannels(chats []Chat, services []bellhop.Service) {
	for _, c := range chats {
		if c.Slack == nil {
			continue
		}
		note := func(places []string) {
			for _, p := range places {
				if name, ok := strings.CutPrefix(p, c.Name+":#"); ok {
					c.Slack.Channels = append(c.Slack.Channels, "#"+name)
				}
			}
		}
		for _, s := range services {
			for _, sc := range s.Schedules {
				note([]string{sc.ReportTo})
			}
			for _, w := range s.Webhooks {
				note([]string{w.ReportTo})
			}
			for _, br := range s.Brokers {
				note([]string{br.ReportTo})
			}
			for _, x := range s.Sources {
				note([]string{x.ReportTo})
			}
			for _, j := range s.Jobs {
				note(j.OnFailure.Notify)
				if j.Approve != nil {
					note(j.Approve.Notify)
				}
			}
		}
	}
}
