package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
)

// reply is where an answer is said.
type reply struct {
	origin  bellhop.Origin
	person  bellhop.Person
	alone   bool   // nobody else is shown the answer
	respond string // URL that answers the person alone, for half an hour; "" = there is none
	trigger string // that opens a modal within 3 s; "" = none
	receipt *receipt
}

// spot is a place to post to.
type spot struct{ channel, thread string }

// sayFor is how long saying one thing may take, rate limits included.
const sayFor = 5 * time.Minute

// spotOf is where an origin is told things. Origin.Thread is the thread in
// which an answer is looked for: of what was said in a channel, the message
// itself; so the two are equal for what was not said in a thread.
func (c *Chat) spotOf(o bellhop.Origin) spot {
	if o.Thread != o.Message || c.opt.ThreadAlways {
		return spot{o.Channel, o.Thread}
	}
	return spot{o.Channel, ""}
}

func (c *Chat) style() chat.Style { return chat.Style{Now: c.now()} }

// say says an answer of the House.
func (c *Chat) say(to reply, a bellhop.Answer) {
	ctx, cancel := context.WithTimeout(c.ctx, sayFor)
	defer cancel()
	switch {
	case a.Question != nil:
		c.ask(ctx, to, *a.Question)
	case a.Action == "":
	case a.Accepted != nil:
		c.sayAccepted(ctx, to, *a.Accepted)
	case a.Action == bellhop.ActionLogs:
		c.sayLogs(ctx, to, a.Run)
	case a.Login != nil:
		c.sayLogin(ctx, to, *a.Login)
	case a.Decided != nil:
		c.post(ctx, to, words{text: c.style().DecidedText(*a.Decided)})
	default:
		text := c.style().AnswerText(a)
		c.post(ctx, to, words{text: text, code: tabular(a)})
	}
}

// sayLogin tells a person alone a link with which they log in. Of what was said
// where others read, it goes by a direct message.
func (c *Chat) sayLogin(ctx context.Context, to reply, l bellhop.Login) {
	w := words{text: c.style().LoginText(l)}
	if to.alone {
		c.postAlone(ctx, to, w)
		return
	}
	channel, err := c.tellAside(ctx, c.userID(to.person.Identity), w)
	switch {
	case err != nil:
		c.note("sending a login link", err)
		c.post(ctx, to, words{text: "I could not send you a link in a direct message, and show it nowhere else. Use /bellhop web, or write to me directly."})
	case channel != to.origin.Channel:
		c.post(ctx, to, words{text: "I sent you a link in a direct message."})
	}
}

// tabular reports whether an answer has columns.
func tabular(a bellhop.Answer) bool {
	return a.Status != nil || a.Action == bellhop.ActionRuns || a.Action == bellhop.ActionHelp || a.Action == bellhop.ActionSuppressions
}

// sayAccepted marks the ask, or says in words what the mark can't tell.
func (c *Chat) sayAccepted(ctx context.Context, to reply, a bellhop.Accepted) {
	if a.How == bellhop.Repeated && a.Ended { // Slack brought it again: its outcome says it all
		return
	}
	ctx, stop := to.receipt.saying(ctx, a.Run)
	defer stop()
	if to.receipt.late() {
		return
	}
	text := c.style().Receipt(a)
	marked := false
	if m := to.origin.Message; m != "" && a.Run != 0 && !a.Ended && a.How != bellhop.Rejected {
		err := c.api.React(ctx, to.origin.Channel, m, c.opt.Reactions.Accepted)
		if to.receipt.late() { // the mark of its end is there, and stays alone
			c.note("taking a mark back", c.api.Unreact(c.ctx, to.origin.Channel, m, c.opt.Reactions.Accepted))
			return
		}
		c.note("reacting", err)
		marked = err == nil
	}
	later := a.Start.Sub(c.now()) > time.Second
	if !marked || a.How != bellhop.Created || a.Hold != nil || a.Behind != 0 || a.Approval != nil || later {
		c.post(ctx, to, words{text: text})
	}
	if a.Run != 0 && !a.Ended && a.How != bellhop.Rejected {
		c.follow(to, a)
	}
}

// sayError words an error for whoever asked.
func (c *Chat) sayError(to reply, err error) {
	if c.opt.Silent && bellhop.CodeOf(err) == bellhop.NotAllowed {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, sayFor)
	defer cancel()
	if bellhop.CodeOf(err) == bellhop.Internal {
		c.opt.Log.Error("an ask failed", "chat", c.opt.Name, "person", to.person.Identity, "error", errors.Join(err, errors.Unwrap(err)))
	}
	c.post(ctx, to, words{text: c.style().ErrorText(err)})
}

// sayAway tells somebody that what they said was not heard in time.
func (c *Chat) sayAway(m message) {
	ctx, cancel := context.WithTimeout(c.ctx, sayFor)
	defer cancel()
	text := "I was away when you asked this (" + chat.Duration(c.now().Sub(stamp(m.TS)).Truncate(time.Minute)) + " ago), and did nothing. Ask again if you still want it."
	thread := firstOf(m.Thread, m.TS)
	_, err := c.api.Post(ctx, slackapi.Message{Channel: m.Channel, Thread: thread, Text: plain(text)})
	c.note("saying that it was away", err)
}

// sayLogs shows what a run printed.
func (c *Chat) sayLogs(ctx context.Context, to reply, id bellhop.RunID) {
	out := c.newLimited(ctx)
	defer out.done()
	err := c.opt.House.Output(ctx, to.person, id, 0, 0, false, func(ch bellhop.Chunk) error {
		if _, err := out.Write(ch.Data); err != nil || !out.over {
			return err
		}
		return errEnough
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		c.post(ctx, to, words{text: c.style().ErrorText(err)})
		return
	case out.Len() == 0:
		c.post(ctx, to, words{text: id.String() + " has written nothing so far"})
		return
	case out.over:
		fmt.Fprintf(&out.Buffer, "\n... that is its beginning; all of it: bellhop logs %s", id)
	}
	c.post(ctx, to, words{text: out.String(), code: true, name: id.String() + ".log"})
}

// errEnough ends the reading of output.
var errEnough = errors.New("that is enough")

// words are something to say. The text is as it is: what is hostile in it is
// made harmless on the way.
type words struct {
	text    string
	code    bool   // shown in a block, every character as it is
	name    string // of the file that it becomes when it is too long
	buttons []button
	kind    string // of what is looked up later
	ref     string
}

// button is one that asks for something when it is pressed.
type button struct {
	label string
	ask   string // what it says
	style string // primary, danger
	id    string // action; "" = actAsk
}

const (
	// maxText is the longest text of one message, in characters as Slack counts
	// them; what is longer is divided, and above maxParts of these a file.
	maxText  = 3900
	maxParts = 5
	// maxSection is the longest text of a block.
	maxSection = 2900
	// maxFile is the largest file.
	maxFile = 20 << 20
)

// post says something in answer to a person. What can't be said is logged: it
// is no report, which would be tried again.
func (c *Chat) post(ctx context.Context, to reply, w words) {
	if strings.TrimSpace(w.text) == "" {
		return
	}
	if to.alone {
		c.postAlone(ctx, to, w)
		return
	}
	_, err := c.tell(ctx, c.spotOf(to.origin), w)
	if final(err) && c.userID(to.person.Identity) != "" {
		err = c.tellDirectly(ctx, to.person.Identity, to.origin.Channel, err, w)
	}
	c.note("answering", err)
}

// tell posts words, divided or as a file when they are too long for one
// message, and returns the time stamp of the message with the buttons, or of the
// first.
func (c *Chat) tell(ctx context.Context, at spot, w words) (ts string, err error) {
	text := clean(w.text)
	n := width(text)
	switch {
	case n > maxText*maxParts, n > maxText && w.code:
		return c.tellFile(ctx, at, w, []byte(text))
	case n > maxText:
		parts := split(text, maxText)
		for i, part := range parts {
			p := words{text: part, kind: w.kind, ref: w.ref}
			if i == len(parts)-1 {
				p.buttons = w.buttons
			}
			if i > 0 && w.ref != "" {
				p.ref = w.ref + "/" + string(rune('a'+i))
			}
			one, err := c.tellOnce(ctx, at, p)
			if err != nil {
				return ts, err
			}
			if ts = firstOf(ts, one); len(p.buttons) > 0 { // it is the one that changes
				ts = one
			}
		}
		return ts, nil
	}
	return c.tellOnce(ctx, at, w)
}

// tellFile shares text as a file, with its beginning as a comment.
func (c *Chat) tellFile(ctx context.Context, at spot, w words, data []byte) (ts string, err error) {
	if len(w.buttons) > 0 || w.ref != "" {
		head := words{text: "It is long, so it is a file: " + firstOf(w.name, "output.txt"), buttons: w.buttons, kind: w.kind, ref: w.ref}
		if ts, err = c.tellOnce(ctx, at, head); err != nil {
			return ts, err
		}
	}
	return ts, c.shareFile(ctx, at, firstOf(w.name, "output.txt"), "", data, w.ref != "")
}

// tellOnce posts one message.
func (c *Chat) tellOnce(ctx context.Context, at spot, w words) (string, error) {
	if found, err := c.told(ctx, at, w.kind, w.ref); found != "" || err != nil {
		return found, err
	}
	return c.api.Post(ctx, c.compose(at, w))
}

// compose makes a message of words.
func (c *Chat) compose(at spot, w words) slackapi.Message {
	m := slackapi.Message{Channel: at.channel, Thread: at.thread, Kind: w.kind, Ref: w.ref}
	show := plain
	if w.code {
		show = code
	}
	m.Text = show(w.text)
	if len(w.buttons) == 0 {
		m.Plain = !w.code
		return m
	}
	for _, part := range split(clean(w.text), maxSection) {
		m.Blocks = append(m.Blocks, section(show(part), w.code))
	}
	m.Blocks = append(m.Blocks, actions(w.buttons))
	return m
}

func section(text string, markup bool) json.RawMessage {
	kind := "plain_text"
	if markup {
		kind = "mrkdwn"
	}
	return block(map[string]any{"type": "section", "text": map[string]any{"type": kind, "text": text}})
}

func actions(list []button) json.RawMessage {
	var elements []any
	for i, b := range list {
		e := map[string]any{
			"type": "button", "text": map[string]any{"type": "plain_text", "text": b.label}, "value": b.ask,
			"action_id": firstOf(b.id, actAsk) + ":" + string(rune('a'+i)), // ids are unique within a block
		}
		if b.style != "" {
			e["style"] = b.style
		}
		elements = append(elements, e)
	}
	return block(map[string]any{"type": "actions", "elements": elements})
}

func block(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil { // plain data
		panic("slack: a block that can't be written as JSON: " + err.Error())
	}
	return b
}

// cut shortens a text to its last n characters as Slack counts them, at the end
// of a line.
func cut(text string, n int) string {
	if width(text) <= n {
		return text
	}
	from := len(text)
	for from > 0 {
		r, size := utf8.DecodeLastRuneInString(text[:from])
		if n -= runeWidth(r); n < 0 {
			break
		}
		from -= size
	}
	text = text[from:]
	if i := strings.IndexByte(text, '\n'); i >= 0 && i < len(text)-1 {
		text = text[i+1:]
	}
	return "...\n" + text
}
