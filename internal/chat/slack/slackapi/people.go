package slackapi

import (
	"context"

	"github.com/slack-go/slack"
)

// User is an account as Slack knows it.
type User struct {
	ID         string
	Team       string
	Enterprise string
	Name       string
	Deleted    bool
	Bot        bool
	Guest      bool // of one or several channels
	Stranger   bool // of another organisation
}

// User returns an account.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	var u *slack.User
	err := c.do(ctx, "users.info", "", func() (err error) {
		u, err = c.api.GetUserInfoContext(ctx, id)
		return err
	})
	if err != nil {
		return User{}, err
	}
	return User{
		ID: u.ID, Team: u.TeamID, Enterprise: u.Enterprise.EnterpriseID, Name: u.Name, Deleted: u.Deleted,
		Bot: u.IsBot || u.IsWorkflowBot, Guest: u.IsRestricted || u.IsUltraRestricted, Stranger: u.IsStranger,
	}, nil
}

// UsergroupMembers returns who belongs to a user group.
func (c *Client) UsergroupMembers(ctx context.Context, id string) (users []string, err error) {
	err = c.do(ctx, "usergroups.users.list", "", func() (err error) {
		users, err = c.api.GetUserGroupMembersContext(ctx, id)
		return err
	})
	return users, err
}

// ChannelMembers returns who is in a channel.
func (c *Client) ChannelMembers(ctx context.Context, id string) (users []string, err error) {
	cursor := ""
	for {
		var page []string
		err := c.do(ctx, "conversations.members", "", func() (err error) {
			page, cursor, err = c.api.GetUsersInConversationContext(ctx, &slack.GetUsersInConversationParameters{ChannelID: id, Cursor: cursor, Limit: 1000})
			return err
		})
		if err != nil {
			return nil, err
		}
		users = append(users, page...)
		if cursor == "" {
			return users, nil
		}
	}
}

// Channel is a place to talk.
type Channel struct {
	ID       string
	Name     string // without #; "" for a direct message
	Member   bool   // the bot is in it
	Archived bool
	Private  bool
	Direct   bool
}

func channelOf(c slack.Channel) Channel {
	return Channel{ID: c.ID, Name: c.Name, Member: c.IsMember || c.IsIM, Archived: c.IsArchived, Private: c.IsPrivate, Direct: c.IsIM}
}

// Channels calls fn for the channels that the bot can see, until it returns
// false.
func (c *Client) Channels(ctx context.Context, private bool, fn func(Channel) bool) error {
	types := []string{"public_channel"}
	if private {
		types = append(types, "private_channel")
	}
	p := slack.GetConversationsParameters{Types: types, Limit: 1000, ExcludeArchived: true}
	for {
		var page []slack.Channel
		err := c.do(ctx, "conversations.list", "", func() (err error) {
			page, p.Cursor, err = c.api.GetConversationsContext(ctx, &p)
			return err
		})
		if err != nil {
			return err
		}
		for _, ch := range page {
			if !fn(channelOf(ch)) {
				return nil
			}
		}
		if p.Cursor == "" {
			return nil
		}
	}
}

// Joined returns the channels and direct messages that the bot is in.
func (c *Client) Joined(ctx context.Context) (all []Channel, err error) {
	p := slack.GetConversationsForUserParameters{Types: []string{"public_channel", "private_channel", "im", "mpim"}, Limit: 1000, ExcludeArchived: true}
	for {
		var page []slack.Channel
		err := c.do(ctx, "users.conversations", "", func() (err error) {
			page, p.Cursor, err = c.api.GetConversationsForUserContext(ctx, &p)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, ch := range page {
			all = append(all, channelOf(ch))
		}
		if p.Cursor == "" {
			return all, nil
		}
	}
}

// Join has the bot join a public channel.
func (c *Client) Join(ctx context.Context, channel string) error {
	return c.do(ctx, "conversations.join", "", func() error {
		_, _, _, err := c.api.JoinConversationContext(ctx, channel)
		return err
	})
}

// Direct opens the direct message with somebody and returns its id.
func (c *Client) Direct(ctx context.Context, user string) (channel string, err error) {
	err = c.do(ctx, "conversations.open", "", func() error {
		ch, _, _, err := c.api.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
		if err == nil {
			channel = ch.ID
		}
		return err
	})
	return channel, err
}
