package slack

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// The actions of buttons. A button's value is what it asks for.
const (
	actAsk    = "bellhop_ask"    // says its value
	actFill   = "bellhop_fill"   // opens the modal of the question that is its value
	actAnswer = "bellhop_answer" // answers a question: ID and text
	viewFill  = "bellhop_fill"   // callback of the modal
	ownAction = "bellhop_"       // all of them begin with it
)

// interaction is a button that was pressed, or a modal that was filled in.
type interaction struct {
	Type string `json:"type"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	Channel   struct{ ID string } `json:"channel"`
	Container struct {
		ChannelID string `json:"channel_id"`
		MessageTS string `json:"message_ts"`
		ThreadTS  string `json:"thread_ts"`
	} `json:"container"`
	Message struct {
		ThreadTS string `json:"thread_ts"`
	} `json:"message"`
	Trigger string `json:"trigger_id"`
	Respond string `json:"response_url"`
	Actions []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
		TS       string `json:"action_ts"`
	} `json:"actions"`
	View *filled `json:"view"`
}

// interact takes a button or a modal.
func (c *Chat) interact(ctx context.Context, raw json.RawMessage) (any, error) {
	var in interaction
	if json.Unmarshal(raw, &in) != nil || in.User.ID == "" {
		return nil, nil
	}
	switch {
	case in.Type == "block_actions" && len(in.Actions) > 0:
		return nil, c.pressed(ctx, in)
	case in.Type == "view_submission" && in.View != nil && in.View.CallbackID == viewFill:
		return c.submitted(ctx, in)
	}
	return nil, nil
}

// pressed takes a button. Slack does not bring it again, so whoever pressed it
// is told what went wrong.
func (c *Chat) pressed(ctx context.Context, in interaction) error {
	a := in.Actions[0]
	act, _, _ := strings.Cut(a.ActionID, ":")
	o := bellhop.Origin{
		Source: c.opt.Name, Channel: firstOf(in.Container.ChannelID, in.Channel.ID),
		Thread: firstOf(in.Container.ThreadTS, in.Message.ThreadTS),
	}
	if o.Thread == in.Container.MessageTS {
		o.Thread = "" // the message has answers, and is none itself
	}
	key := c.opt.Name + ":" + c.self.Team + "/action/" + o.Channel + "/" + in.Container.MessageTS + "/" + a.TS + "/" + in.User.ID
	to := reply{alone: true, respond: in.Respond, trigger: in.Trigger}
	return c.direct(ctx, key, in.User.ID, in.User.TeamID, o, to, func(p bellhop.Person, h *hearing) error {
		ev := bellhop.Event{Key: key, Person: p, Origin: o, Addressed: true, Text: a.Value}
		ev.Origin.Person = p.Identity
		switch act {
		case actAsk:
			return c.hand(ctx, h, ev, to)
		case actFill:
			return c.fill(ctx, to, p, a.Value)
		case actAnswer:
			return c.answered(ctx, h, to, ev)
		}
		return nil
	})
}

// direct hears what came by a button, a modal or the slash command: once, and
// with every error told, since Slack does not bring it again.
func (c *Chat) direct(ctx context.Context, key, user, team string, o bellhop.Origin, to reply, fn func(bellhop.Person, *hearing) error) error {
	return c.once(ctx, key, func(h *hearing) error {
		p, err := c.person(ctx, user, team)
		if err == nil {
			err = fn(p, h)
		}
		if err == nil {
			return nil
		}
		to.origin, to.person = o, p
		if p.Identity == "" {
			to.person = bellhop.Person{Identity: c.opt.Name + ":" + firstOf(team, c.self.Team) + "/" + user, Outside: true}
		}
		c.saying.add(o.Channel+"/"+to.person.Identity, func() { c.sayError(to, err) })
		return nil
	})
}

// slash takes the slash command.
func (c *Chat) slash(ctx context.Context, raw json.RawMessage) (any, error) {
	var in struct {
		User    string `json:"user_id"`
		Team    string `json:"team_id"`
		Channel string `json:"channel_id"`
		Text    string `json:"text"`
		Trigger string `json:"trigger_id"`
		Respond string `json:"response_url"`
	}
	if json.Unmarshal(raw, &in) != nil || in.User == "" {
		return nil, nil
	}
	o := bellhop.Origin{Source: c.opt.Name, Channel: in.Channel}
	key := c.opt.Name + ":" + c.self.Team + "/slash/" + in.Trigger
	to := reply{alone: true, respond: in.Respond, trigger: in.Trigger}
	return nil, c.direct(ctx, key, in.User, "", o, to, func(p bellhop.Person, h *hearing) error {
		text := strings.TrimSpace(c.undone(ctx, in.Text))
		if text == "" {
			text = "help"
		}
		o.Person = p.Identity
		return c.hand(ctx, h, bellhop.Event{Key: key, Text: text, Person: p, Origin: o, Addressed: true}, to)
	})
}
