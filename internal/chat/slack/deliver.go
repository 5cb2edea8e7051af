package slack

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// kindReport marks messages that deliver a report. Before a report is
// delivered once more, the place is looked at for them.
const kindReport = "bellhop_report"

// Deliver tells a report. Its reference is CHANNEL/TS.
func (c *Chat) Deliver(ctx context.Context, r bellhop.Report) (ref string, err error) {
	if err := c.whenReady(ctx); err != nil {
		return "", err
	}
	at, err := c.reportSpot(ctx, r.Ask.Origin)
	if err != nil {
		return "", c.wordFinal(r, err)
	}
	if err := c.afterReceipt(ctx, at, r); err != nil {
		return "", err
	}
	tries, err := c.tryOf(ctx, r)
	if err != nil {
		return "", err
	}
	ctx = context.WithValue(ctx, lookKey{}, tries)
	var ts string
	switch r.Kind {
	case bellhop.ReportApproval:
		ts, err = c.deliverApproval(ctx, at, r)
	case bellhop.ReportDecided:
		ts, err = c.deliverDecided(ctx, at, r)
	case bellhop.ReportOutcome:
		ts, err = c.deliverOutcome(ctx, at, r)
	default:
		ts, err = c.deliverText(ctx, at, r, nil)
	}
	if final(err) && r.Ask.Identity != "" && c.userID(r.Ask.Identity) != "" && r.Ask.N >= 0 {
		direct, derr := c.deliverDirectly(ctx, at, r, err)
		if derr == nil {
			return direct, nil
		}
	}
	if err != nil {
		return "", c.wordFinal(r, err)
	}
	return at.channel + "/" + ts, nil
}

// reportSpot is where a report goes: a channel by id or name, or the direct
// message with a person.
func (c *Chat) reportSpot(ctx context.Context, o bellhop.Origin) (spot, error) {
	if o.Channel == "" {
		user := c.userID(o.Person)
		if user == "" {
			return spot{}, bellhop.Errorf(bellhop.NotFound, "a report is for %q, which is neither a channel nor a person of chat %s", o.Person, c.opt.Name)
		}
		channel, err := c.api.Direct(ctx, user)
		return spot{channel: channel}, err
	}
	at := c.spotOf(o)
	id, err := c.channelID(ctx, at.channel)
	at.channel = id
	return at, err
}

// lookKey is where a context says that a report may have been delivered
// before, and since when.
type lookKey struct{}

// look says whether the place must be looked at before something is posted.
type look struct {
	again bool
	after string // time stamp
}

// tryOf notes that a report is being delivered, and says whether it was before:
// by this server or one that died.
func (c *Chat) tryOf(ctx context.Context, r bellhop.Report) (look, error) {
	_, err := c.opt.Values.Put(ctx, c.space(), "report/"+strconv.FormatInt(r.ID, 10), []byte(stampOf(c.now())), 0, 48*time.Hour, c.now())
	if err == nil {
		return look{}, nil
	}
	if bellhop.CodeOf(err) != bellhop.Conflict {
		return look{}, err
	}
	v, err := c.opt.Values.Get(ctx, c.space(), "report/"+strconv.FormatInt(r.ID, 10), c.now())
	if err != nil {
		return look{}, err
	}
	return look{true, stampOf(stamp(string(v.Value)).Add(-time.Minute))}, nil
}

// told looks for a message that was posted already; "" = it was not.
func (c *Chat) told(ctx context.Context, at spot, kind, ref string) (ts string, err error) {
	l, _ := ctx.Value(lookKey{}).(look)
	if ref == "" || !l.again {
		return "", nil
	}
	err = c.lookAt(ctx, at, l.after, func(s slackapi.Said) bool {
		if s.Ref(kind) == ref {
			ts = s.TS
		}
		return ts == ""
	})
	return ts, err
}

// lookAt reads what the bot has posted in a place after a time stamp.
func (c *Chat) lookAt(ctx context.Context, at spot, after string, fn func(slackapi.Said) bool) error {
	own := func(s slackapi.Said) bool { return s.User != c.self.User && s.BotID != c.self.Bot || fn(s) }
	if at.thread != "" {
		return c.api.Replies(ctx, at.channel, at.thread, after, own)
	}
	return c.api.History(ctx, at.channel, after, own)
}

// shareFile uploads a file, unless it is there from a try before.
func (c *Chat) shareFile(ctx context.Context, at spot, name, comment string, data []byte, once bool) error {
	if l, _ := ctx.Value(lookKey{}).(look); once && l.again {
		found := false
		err := c.lookAt(ctx, at, l.after, func(s slackapi.Said) bool {
			for _, f := range s.Files {
				found = found || f.Name == name
			}
			return !found
		})
		if found || err != nil {
			return err
		}
	}
	return c.api.Upload(ctx, slackapi.File{Channel: at.channel, Thread: at.thread, Name: name, Comment: comment, Data: data})
}

func reportRef(r bellhop.Report) string { return strconv.FormatInt(r.ID, 10) }

// deliverOutcome tells how a run ended, marks the ask, and ends its progress.
func (c *Chat) deliverOutcome(ctx context.Context, at spot, r bellhop.Report) (ts string, err error) {
	shown := c.endShow(ctx, r)
	var buttons []button
	if r.Run.State != bellhop.Succeeded && !shown && r.Ask.N >= 0 {
		buttons = overButtons(r.Run.ID)
	}
	if r.Run.State == bellhop.Succeeded && r.Rule.Stdout {
		ts, err = c.deliverOutput(ctx, at, r)
	} else {
		ts, err = c.deliverText(ctx, at, r, buttons)
	}
	if err != nil {
		return "", err
	}
	c.markOver(ctx, r)
	return ts, nil
}

// deliverText tells a report in words.
func (c *Chat) deliverText(ctx context.Context, at spot, r bellhop.Report, buttons []button) (ts string, err error) {
	text, err := c.reportText(ctx, r)
	if err != nil || text == "" {
		return "", err
	}
	if r.Ask.N < 0 && r.Kind != bellhop.ReportProgress { // which those are told who asked
		text += c.askedAt(ctx, r)
	}
	return c.tell(ctx, at, words{text: text, buttons: buttons, kind: kindReport, ref: reportRef(r)})
}

// toldDesk reads what a report tells of.
type toldDesk struct {
	chat.Desk
	house chat.House
	r     bellhop.Report
}

// Output calls fn for the output that the report's reader is told of.
func (d toldDesk) Output(ctx context.Context, _ bellhop.RunID, _ bool, fn func(bellhop.Chunk) error) error {
	return d.house.Told(ctx, d.r, fn)
}

// reportText is what a report tells in words, as every chat tells it.
func (c *Chat) reportText(ctx context.Context, r bellhop.Report) (string, error) {
	var b strings.Builder
	to := chat.Outlets{Out: &b, Failures: &b, Notes: &b, Style: c.style()}
	err := chat.WriteOutcome(ctx, to, toldDesk{house: c.opt.House, r: r}, r, chat.Shown{})
	return strings.TrimRight(b.String(), "\n"), err
}

// askedAt is a link to where somebody asked for a run that others are told of.
func (c *Chat) askedAt(ctx context.Context, r bellhop.Report) string {
	link := c.Link(ctx, r.Run.Origin)
	if link == "" {
		return ""
	}
	return "\nasked for at " + link
}

// Link returns a link to the message of an origin in this chat, "" where there
// is none: none leads to a direct message.
func (c *Chat) Link(ctx context.Context, o bellhop.Origin) string {
	if o.Source != c.opt.Name || o.Message == "" || o.Channel == "" || strings.HasPrefix(o.Channel, "D") {
		return ""
	}
	link, err := c.api.Permalink(ctx, o.Channel, o.Message)
	if err != nil {
		c.note("linking to an ask", err)
		return ""
	}
	return link
}

// markOver replaces the mark of the ask. It is a decoration: what can't be
// done is logged.
func (c *Chat) markOver(ctx context.Context, r bellhop.Report) {
	o := r.Ask.Origin
	if o.Message == "" || o.Channel == "" || r.Ask.N < 0 {
		return
	}
	mark := c.opt.Reactions.Failed
	if r.Run.State == bellhop.Succeeded {
		mark = c.opt.Reactions.Succeeded
	}
	c.note("marking an ask", c.api.React(ctx, o.Channel, o.Message, mark))
	if mark != c.opt.Reactions.Accepted {
		c.note("marking an ask", c.api.Unreact(ctx, o.Channel, o.Message, c.opt.Reactions.Accepted))
	}
}

// overButtons are those of a run that is over.
func overButtons(id bellhop.RunID) []button {
	return []button{{label: "Run again", ask: "retry " + id.String()}, {label: "Logs", ask: "logs " + id.String()}}
}

func asFault(err error) (*slackapi.Fault, bool) { return errors.AsType[*slackapi.Fault](err) }

// final reports whether Slack said that a place can't be posted to, now or
// later.
func final(err error) bool { return finalWord(slackapi.CodeOf(err)) != "" }

// finalWord says what is the matter with a place; "" = nothing that lasts.
func finalWord(code string) string {
	switch code {
	case "is_archived":
		return "the channel is archived"
	case "channel_not_found":
		return "the channel is gone, or the bot was removed from it"
	case "not_in_channel":
		return "the bot is not in the channel"
	case "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel":
		return "the workspace does not let the bot post in the channel"
	case "user_not_found", "user_disabled", "account_inactive", "cannot_dm_bot", "messages_tab_disabled":
		return "the person can't be written to"
	}
	return ""
}

// wordFinal words an error of a delivery. One that lasts leaves the report
// unread for its person, to be shown where they ask next.
func (c *Chat) wordFinal(r bellhop.Report, err error) error {
	word := finalWord(slackapi.CodeOf(err))
	if word == "" {
		return err
	}
	text := fmt.Sprintf("chat %s, channel %s: %s", c.opt.Name, firstOf(r.Ask.Origin.Channel, r.Ask.Origin.Person), word)
	c.opt.Log.Warn("a report can't be told where it was asked for", "report", r.ID, "run", r.Run.ID.String(), "reason", text)
	if r.Ask.N < 0 || r.Ask.Principal == "" { // nobody's to find: it is tried until it is given up
		return bellhop.Errorf(bellhop.Conflict, "%s: %w", text, err)
	}
	return bellhop.Errorf(bellhop.Conflict, "%s: %w", text, bellhop.ErrGone)
}

// deliverDirectly tells a report the person who asked, when the place of it is
// closed.
func (c *Chat) deliverDirectly(ctx context.Context, at spot, r bellhop.Report, why error) (string, error) {
	channel, err := c.api.Direct(ctx, c.userID(r.Ask.Identity))
	if err != nil {
		return "", err
	}
	text, err := c.reportText(ctx, r)
	if err != nil {
		return "", err
	}
	w := words{text: c.instead(at.channel, why) + "\n" + text, kind: kindReport, ref: reportRef(r)}
	ts, err := c.tell(ctx, spot{channel: channel}, w)
	return path.Join(channel, ts), err
}

// tellDirectly says something to a person alone, when the place is closed.
func (c *Chat) tellDirectly(ctx context.Context, identity, from string, why error, w words) error {
	channel, err := c.api.Direct(ctx, c.userID(identity))
	if err != nil {
		return err
	}
	if !w.code {
		w.text = c.instead(from, why) + "\n" + w.text
	}
	_, err = c.tell(ctx, spot{channel: channel}, w)
	return err
}

func (c *Chat) instead(channel string, why error) string {
	return fmt.Sprintf("(here, since I can't post in #%s: %s)", firstOf(c.channelName(channel), channel), finalWord(slackapi.CodeOf(why)))
}
