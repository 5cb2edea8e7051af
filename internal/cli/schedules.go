package cli

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) schedulesCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "schedules [--json]",
		Short: "List what happens by the clock: the next times and the last outcome",
		Args:  cobra.NoArgs,
		RunE: a.served(func(ctx context.Context, c *api.Client, _ []string) (string, error) {
			all, err := c.Schedules(ctx)
			if err != nil || !asJSON {
				return a.style().SchedulesText(all), err
			}
			b, err := json.Marshal(all)
			return string(chat.CleanJSON(b)), err
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return c
}
