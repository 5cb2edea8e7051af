package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "End a run, waiting or running",
		Args:  cobra.ExactArgs(1),
		RunE: a.servedRun(func(ctx context.Context, c *api.Client, id bellhop.RunID) (string, error) {
			done, err := c.Cancel(ctx, id)
			if err != nil {
				return "", err
			}
			for _, d := range done {
				if d.Effect == bellhop.CancelTooLate || d.Effect == bellhop.CancelNotYours {
					err = exit(5)
				}
			}
			return a.style().CancelText(done), err
		}),
	}
}
