package chat

import (
	"context"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// notRead stands above reports that `runs mine` brings.
const notRead = "Not read yet:"

// mine reports whether an answer lists one's own runs, after which come the
// reports that no connection has read.
func mine(a bellhop.Answer, text string) bool {
	words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(text), "."))
	return a.Action == bellhop.ActionRuns && len(words) == 2 && strings.EqualFold(words[1], "mine")
}

// unread tells, below a heading, what no connection of this person has read.
func (c *Conversation) unread(ctx context.Context, head string) error {
	first := true
	return c.desk.Unread(ctx, func(r bellhop.Report) error {
		if r.Kind != bellhop.ReportOutcome {
			return nil
		}
		if first {
			first = false
			if err := c.out.say(head); err != nil {
				return err
			}
		}
		return WriteAway(ctx, c.outlets(), c.desk, r)
	})
}
