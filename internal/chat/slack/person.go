package slack

import (
	"context"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Person returns somebody as Slack knows them now.
func (c *Chat) Person(ctx context.Context, identity string) (bellhop.Person, error) {
	if err := c.whenReady(ctx); err != nil {
		return bellhop.Person{}, err
	}
	team, user, ok := strings.Cut(strings.TrimPrefix(identity, c.opt.Name+":"), "/")
	if !ok {
		return bellhop.Person{Identity: identity, Outside: true}, nil // a reminder
	}
	return c.person(ctx, user, team)
}
