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
	c.AddCommand(
		a.scheduleVerb("pause", "Have a schedule ask for nothing until it is resumed"),
		a.scheduleVerb("resume", "Let a schedule go on with its next time"),
		a.scheduleVerb("run", "Ask now for what a schedule asks for, as yourself"),
	)
	return c
}

// scheduleVerb is something that is done with one schedule.
func (a *app) scheduleVerb(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " SERVICE/NAME", Short: short, DisableFlagsInUseLine: true,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			got, err := c.Ask(ctx, api.NewKey(), verb+" schedule "+args[0])
			if err != nil {
				return "", err
			}
			return a.style().AnswerText(got), nil
		}),
	}
}
