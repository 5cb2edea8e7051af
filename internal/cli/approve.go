package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) approveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "approve RUN",
		Short: "Let a run start that waits for approval",
		Args:  cobra.ExactArgs(1),
		RunE:  a.voteRun(bellhop.ActionApprove, new(string)),
	}
}

func (a *app) denyCommand() *cobra.Command {
	because := ""
	c := &cobra.Command{
		Use:   "deny RUN [--because REASON]",
		Short: "Refuse a run that waits for approval",
		Args:  cobra.ExactArgs(1),
		RunE:  a.voteRun(bellhop.ActionDeny, &because),
	}
	c.Flags().StringVar(&because, "because", "", "what whoever asked is told")
	return c
}

func (a *app) voteRun(action bellhop.Action, reason *string) func(*cobra.Command, []string) error {
	return a.servedRun(func(ctx context.Context, c *api.Client, id bellhop.RunID) (string, error) {
		got, err := c.Vote(ctx, action, id, *reason)
		if err != nil {
			return "", err
		}
		return a.style().AnswerText(got), nil
	})
}
