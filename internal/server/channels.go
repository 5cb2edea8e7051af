package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"sync"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/conversation"
)

// channels are the places of a Rehearsal that stay, of one chat: channels, their
// threads and direct messages. All is answered there in lines of text.
type channels struct {
	r      *Rehearsal
	source string // the chat's name

	answering sync.Mutex // held while something is heard, so that no report overtakes the answer

	mu      sync.Mutex
	inboxes map[conversation.Voice]*conversation.Inbox
}

// newChannels makes those of the first chat that has any; without one, of a
// chat called "chat".
func newChannels(r *Rehearsal, chats []config.Chat) *channels {
	c := &channels{r: r, source: "chat", inboxes: map[conversation.Voice]*conversation.Inbox{}}
	for _, of := range chats {
		if of.Kind != "ssh" {
			c.source = of.Name
			break
		}
	}
	return c
}

// instead makes this the destination for every chat whose places stay, outside
// sources too, so that what is told anywhere stays here.
func (c *channels) instead(destinations map[string]bellhop.Destination, cfg *Loaded) {
	destinations[c.source] = c
	for _, of := range cfg.Sources {
		destinations[of.Name] = c
	}
	for _, of := range cfg.Chats {
		if of.Kind != "ssh" {
			destinations[of.Name] = c
		}
	}
}

// inbox returns that of a place; a direct message's is known by identity.
func (c *channels) inbox(o bellhop.Origin) *conversation.Inbox {
	v := conversation.Voice{Person: o.Person, Place: "direct"}
	if o.Channel != "" {
		v = conversation.Voice{Place: "#" + strings.TrimPrefix(o.Channel, "#"), Thread: o.Thread}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inboxes[v] == nil {
		c.inboxes[v] = &conversation.Inbox{}
	}
	return c.inboxes[v]
}

// origin is where a voice speaks.
func (c *channels) origin(v conversation.Voice) (bellhop.Person, bellhop.Origin, error) {
	o := bellhop.Origin{Source: c.source, Thread: v.Thread}
	if v.Place != "direct" {
		o.Channel = strings.TrimPrefix(v.Place, "#")
	}
	if v.Person == "" {
		return bellhop.Person{}, o, nil
	}
	p, err := c.r.Person(c.source, v.Person)
	o.Person = p.Identity
	return p, o, err
}

// say says something; in a channel it is for Bellhop when it names the bot, or
// answers a question.
func (c *channels) say(ctx context.Context, v conversation.Voice, text string) error {
	p, o, err := c.origin(v)
	if err != nil {
		return err
	}
	o.Message = rand.Text()
	c.answering.Lock()
	defer c.answering.Unlock()
	a, err := house{c.r.server}.Hear(ctx, bellhop.Event{
		Key: c.source + "/" + o.Message, Text: text, Person: p, Origin: o, Addressed: v.Place == "direct",
	})
	said := c.style().AnswerText(a)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		said = c.style().ErrorText(err)
	case a.Action == bellhop.ActionLogs:
		var out bytes.Buffer
		read := func(chunk bellhop.Chunk) error { out.Write(chunk.Data); return nil }
		if err := (house{c.r.server}).Output(ctx, p, a.Run, 0, 0, false, read); err != nil {
			return err
		}
		said = chat.CleanText(out.String())
	}
	c.put(o, said)
	return nil
}

func (c *channels) style() chat.Style {
	return chat.Style{Now: zoned{c.r.Clock, c.r.server.config.Load().Location}.Now()}
}

func (c *channels) put(o bellhop.Origin, text string) {
	in := c.inbox(o)
	for line := range strings.Lines(text) {
		in.Add(conversation.Line{Text: strings.TrimRight(line, "\r\n")})
	}
}

// Deliver tells a report where it was asked for (bellhop.Destination).
func (c *channels) Deliver(ctx context.Context, r bellhop.Report) (string, error) {
	c.answering.Lock()
	defer c.answering.Unlock()
	var out bytes.Buffer
	to := chat.Outlets{Out: &out, Failures: &out, Notes: &out, Style: c.style()}
	if err := chat.WriteOutcome(ctx, to, telling{house: house{c.r.server}, report: r}, r, chat.Shown{}); err != nil {
		return "", err
	}
	c.put(r.Ask.Origin, chat.CleanText(out.String()))
	return "", nil
}

// telling is a desk of which nothing but a report's output is wanted.
type telling struct {
	chat.Desk
	house  house
	report bellhop.Report
}

// Output reads what the report tells of (chat.Desk).
func (t telling) Output(ctx context.Context, _ bellhop.RunID, _ bool, fn func(bellhop.Chunk) error) error {
	return t.house.Told(ctx, t.report, fn)
}

// Stage is a front end within a rehearsal's process, of which nobody else can
// hear: prompts, and the channels of a chat.
type Stage struct {
	*conversation.Terminals
	channels *channels
}

// Say says a text (conversation.Stage).
func (s *Stage) Say(ctx context.Context, v conversation.Voice, text string) error {
	if v.Place == "" {
		return s.Terminals.Say(ctx, v, text)
	}
	return s.channels.say(ctx, v, text)
}

// Next returns the next line (conversation.Stage).
func (s *Stage) Next(ctx context.Context, v conversation.Voice) (conversation.Line, error) {
	if v.Place == "" {
		return s.Terminals.Next(ctx, v)
	}
	_, o, err := s.channels.origin(v)
	if err != nil {
		return conversation.Line{}, err
	}
	return s.channels.inbox(o).Next(ctx)
}
