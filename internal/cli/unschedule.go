package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) unscheduleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unschedule ID",
		Short: "Take back what is to be asked for later, by its id",
		Long:  "Take back what is to be asked for later, by its id, which `bellhop schedules` lists.",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			got, err := c.Ask(ctx, api.NewKey(), "unschedule "+args[0])
			if err != nil {
				return "", err
			}
			return a.style().AnswerText(got), nil
		}),
	}
}
