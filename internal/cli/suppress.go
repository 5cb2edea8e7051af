package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) suppressCommand() *cobra.Command {
	var times api.Holding
	c := &cobra.Command{
		Use:   "suppress SERVICE [JOB] [--from TIME] --until TIME",
		Short: "Start no runs of a service or a job for a time",
		Long: "Start no runs of a service or a job for a time. What is asked for is accepted,\n" +
			"waits, and starts then; what runs already goes on.\n\n" +
			"TIME is 18:00, tomorrow, \"tomorrow 06:00\", 2026-01-31, \"2026-01-31 06:00\", or a span\nsuch as 2h30m.",
		Args: cobra.RangeArgs(1, 2),
	}
	c.Flags().StringVar(&times.From, "from", "", "from `TIME` on (default: now)")
	c.Flags().StringVar(&times.Until, "until", "", "until `TIME`; a span counts from --from")
	suppress := a.served(a.hold(bellhop.ActionSuppress, &times))
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if times.Until == "" {
			return usage(cmd, bellhop.Errorf(bellhop.Invalid, "--until is missing: it says when runs may start again; without an end, see: bellhop pause"))
		}
		return suppress(cmd, args)
	}
	return c
}

// hold makes what suppresses, pauses or lets go again SERVICE [JOB].
func (a *app) hold(action bellhop.Action, times *api.Holding) func(context.Context, *api.Client, []string) (string, error) {
	return func(ctx context.Context, c *api.Client, args []string) (string, error) {
		h := api.Holding{Service: args[0]}
		if times != nil {
			h.From, h.Until = times.From, times.Until
		}
		if len(args) > 1 {
			h.Job = args[1]
		}
		return a.letHold(ctx, c, action, h)
	}
}

// letHold has something held or let go, and words what came of it. When there
// was nothing to let go, the exit status says so.
func (a *app) letHold(ctx context.Context, c *api.Client, action bellhop.Action, h api.Holding) (string, error) {
	got, err := c.Hold(ctx, action, h)
	if err != nil {
		return "", err
	}
	if len(got.Holds) == 0 {
		err = exit(5)
	}
	return a.style().AnswerText(got), err
}
