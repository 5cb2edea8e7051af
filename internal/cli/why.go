package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "why RUN",
		Short: "Tell why a run has not started, or what became of it",
		Args:  cobra.ExactArgs(1),
		RunE: a.servedRun(func(ctx context.Context, c *api.Client, id bellhop.RunID) (string, error) {
			got, err := c.Why(ctx, id)
			if err != nil {
				return "", err
			}
			return a.style().AnswerText(got), nil
		}),
	}
}
