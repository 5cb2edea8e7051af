package slack

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// callback is what the Events API brings.
type callback struct {
	Type      string          `json:"type"`
	Challenge string          `json:"challenge"`
	Event     json.RawMessage `json:"event"`
}

// message is an event of type message or app_mention, of which only what is
// needed is decoded: a block that is not understood loses nothing.
type message struct {
	Type        string           `json:"type"`
	Subtype     string           `json:"subtype"`
	User        string           `json:"user"`
	BotID       string           `json:"bot_id"`
	Text        string           `json:"text"`
	TS          string           `json:"ts"`
	Thread      string           `json:"thread_ts"`
	Channel     string           `json:"channel"`
	ChannelType string           `json:"channel_type"`
	UserTeam    string           `json:"user_team"`
	Edited      *slackapi.Edited `json:"edited"`
	New         *message         `json:"message"`          // message_changed
	Old         *message         `json:"previous_message"` // message_changed
}

// changeFor is how long after it was said a message may become a command.
const changeFor = 5 * time.Minute

// slackbot is who brings reminders, and reminder how they begin.
const (
	slackbot = "USLACKBOT"
	reminder = "Reminder: "
)

// hearEvent takes an event. An error says that it may come again.
func (c *Chat) hearEvent(ctx context.Context, raw json.RawMessage) error {
	var kind struct {
		Type    string          `json:"type"`
		Channel json.RawMessage `json:"channel"`
	}
	if json.Unmarshal(raw, &kind) != nil {
		return nil
	}
	switch kind.Type {
	case "app_mention", "message":
		var m message
		if err := json.Unmarshal(raw, &m); err != nil {
			c.opt.Log.Warn("a message of Slack could not be read", "chat", c.opt.Name, "error", err)
			return nil
		}
		return c.hearMessage(ctx, m)
	case "channel_created", "channel_rename":
		var ch struct{ ID, Name string }
		if json.Unmarshal(kind.Channel, &ch) == nil && ch.ID != "" {
			c.newChannel(ch.ID, ch.Name, kind.Type == "channel_created")
		}
	case "app_rate_limited":
		c.opt.Log.Warn("Slack holds events back: there are too many", "chat", c.opt.Name)
		c.catchUp()
	}
	return nil
}

// hearMessage takes a message, new or changed.
func (c *Chat) hearMessage(ctx context.Context, m message) error {
	if m.Subtype == "message_changed" {
		if m.New == nil || m.New.Edited == nil || m.Old != nil && m.Old.Text == m.New.Text {
			return nil // a preview was added, or the like
		}
		changed := *m.New
		changed.Channel, changed.ChannelType = m.Channel, m.ChannelType
		m = changed
	}
	if !c.mayHear(m) {
		return nil
	}
	c.seen.begin(m.Channel, m.TS)
	err := c.hearSaid(ctx, m)
	c.seen.end(m.Channel, m.TS, err == nil)
	return err
}

// mayHear reports whether a message is one that a person typed, or a reminder.
func (c *Chat) mayHear(m message) bool {
	if m.TS == "" || m.Channel == "" {
		return false
	}
	if m.User == slackbot { // any member may have it answer with words of theirs
		return strings.HasPrefix(m.Text, reminder) && m.Subtype != "slackbot_response"
	}
	switch m.Subtype {
	case "", "file_share", "thread_broadcast":
		return m.BotID == "" && m.User != "" && m.User != c.self.User
	}
	return false
}

// hearSaid hands a message over, if it may be meant for Bellhop.
func (c *Chat) hearSaid(ctx context.Context, m message) error {
	text, addressed := c.addressed(m)
	inThread := m.Thread != "" && m.Thread != m.TS
	base := c.opt.Name + ":" + c.self.Team + "/" + m.Channel + "/" + m.TS
	key := base
	if m.Edited != nil && m.Edited.TS != "" {
		if !addressed && !c.named(m.Text) || stamp(m.Edited.TS).Sub(stamp(m.TS)) > changeFor {
			return nil
		}
		if acted, err := c.acted(ctx, base); acted || err != nil {
			return err
		}
		key += "/" + m.Edited.TS
	}
	if !addressed && !inThread && !c.named(m.Text) {
		return c.listen(ctx, key, m)
	}
	ev := bellhop.Event{Key: key, Addressed: addressed, Origin: bellhop.Origin{Source: c.opt.Name, Channel: m.Channel, Message: m.TS}}
	if ev.Origin.Thread = m.Thread; ev.Origin.Thread == "" && !m.direct() {
		ev.Origin.Thread = m.TS
	}
	return c.once(ctx, key, func(h *hearing) (err error) {
		ev.Text = strings.TrimSpace(c.undone(ctx, text))
		if m.User == slackbot {
			ev.Person = bellhop.Person{Identity: c.opt.Name + ":reminder", Outside: true}
		} else if ev.Person, err = c.person(ctx, m.User, m.UserTeam); err != nil {
			return err
		}
		ev.Origin.Person = ev.Person.Identity
		err = c.hand(ctx, h, ev, reply{})
		if h.acted && key != base { // it is a command from now on
			c.heard.became(base, c.now())
			c.setMark(base, true)
		}
		return err
	})
}

// addressed returns what is said to the bot, in Slack's markup: what follows its
// mention, or all of a direct message. Otherwise all of it is returned, and
// false.
func (c *Chat) addressed(m message) (text string, addressed bool) {
	if rest, called := callsBot(m.Text, c.self.User); called {
		return strings.TrimLeft(rest, " ,:\u00a0"), true
	}
	return m.Text, m.direct() || m.Type == "app_mention"
}

// direct reports whether it was said to the bot alone.
func (m message) direct() bool { return m.ChannelType == "im" || strings.HasPrefix(m.Channel, "D") }

// named reports whether a text may begin with the bot's name, where that calls
// it. The House looks closer.
func (c *Chat) named(text string) bool {
	text = strings.TrimSpace(text)
	return c.opt.HearName && len(text) > len(c.opt.Bot) && strings.EqualFold(text[:len(c.opt.Bot)], c.opt.Bot)
}

// hand hands an event over, and has the answer said. An error that is returned
// says that nothing was written, and that it may come again.
func (c *Chat) hand(ctx context.Context, h *hearing, ev bellhop.Event, to reply) error {
	ev.Person.Channel = speaksIn(ev.Origin)
	to.receipt = c.receipts.begin(c.spotOf(ev.Origin), ev.Origin)
	answer, err := c.opt.House.Hear(ctx, ev)
	if bellhop.CodeOf(err) == bellhop.Unavailable || ctx.Err() != nil && err != nil {
		to.receipt.end()
		return err
	}
	h.acted = err == nil && answer.Action != "" && answer.Question == nil
	to.origin, to.person = ev.Origin, ev.Person
	said := c.saying.add(ev.Origin.Channel+"/"+ev.Person.Identity, func() {
		defer to.receipt.end()
		if err != nil {
			c.sayError(to, err)
		} else {
			c.say(to, answer)
		}
		if ev.Addressed || h.acted || err != nil {
			c.setMark(ev.Key, h.acted)
		}
	})
	if !said { // it is stopping: what was written is written
		to.receipt.end()
		c.setMark(ev.Key, h.acted)
	}
	return nil
}

// speaksIn is the channel in which somebody speaks; a direct message is none.
func speaksIn(o bellhop.Origin) string {
	if strings.HasPrefix(o.Channel, "D") {
		return ""
	}
	return o.Channel
}

// stamp is the time of a time stamp; zero when it is none.
func stamp(ts string) time.Time {
	s, micro, _ := strings.Cut(ts, ".")
	sec, err := strconv.ParseInt(s, 10, 64)
	if err != nil || sec < 0 || sec > 1<<40 {
		return time.Time{}
	}
	us, _ := strconv.ParseInt((micro + "000000")[:6], 10, 64)
	return time.Unix(sec, max(0, us)*1000)
}

// stampOf is the time stamp of a time.
func stampOf(t time.Time) string {
	us := t.UnixMicro()
	return strconv.FormatInt(us/1e6, 10) + "." + strconv.FormatInt(1e6+us%1e6, 10)[1:]
}
