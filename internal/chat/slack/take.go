package slack

import (
	"context"
	"encoding/json"
)

// incoming is one thing that Slack brings, by whatever way.
type incoming struct {
	kind    string // events_api, interactive, slash_commands
	payload json.RawMessage
}

// lane is what must be heard in order: what one person does in one place.
func (in incoming) lane() string {
	var p struct {
		Event struct {
			User    string          `json:"user"`
			Channel json.RawMessage `json:"channel"`
			Message struct {
				User string `json:"user"`
			} `json:"message"`
		} `json:"event"`
		User    json.RawMessage     `json:"user"`
		Channel struct{ ID string } `json:"channel"`
		UserID  string              `json:"user_id"`
		Place   string              `json:"channel_id"`
	}
	if json.Unmarshal(in.payload, &p) != nil {
		return ""
	}
	var user struct{ ID string }
	_ = json.Unmarshal(p.User, &user)
	var place string
	_ = json.Unmarshal(p.Event.Channel, &place)
	return firstOf(place, p.Channel.ID, p.Place) + "/" + firstOf(p.Event.User, p.Event.Message.User, user.ID, p.UserID)
}

// take hears one thing and returns what is answered with the acknowledgement;
// nil = nothing. An error says that it must not be acknowledged, and comes
// again.
func (c *Chat) take(ctx context.Context, in incoming) (answer any, err error) {
	switch in.kind {
	case "events_api":
		var cb callback
		if json.Unmarshal(in.payload, &cb) != nil || cb.Event == nil {
			return nil, nil
		}
		return nil, c.hearEvent(ctx, cb.Event)
	case "interactive":
		return c.interact(ctx, in.payload)
	case "slash_commands":
		return c.slash(ctx, in.payload)
	}
	return nil, nil
}
