package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) unsuppressCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unsuppress SERVICE [JOB] | NUMBER",
		Short: "End what is suppressed: those of a service, those of a job, or one by its number",
		Long:  "End what is suppressed: those of a service (those of its jobs stay), those of a job,\nor one by its number, which `bellhop suppressions` lists.",
		Args:  cobra.RangeArgs(1, 2),
		RunE:  a.served(a.letGo(bellhop.ActionUnsuppress)),
	}
}

// letGo makes what ends holds: those of SERVICE [JOB], or one by its NUMBER.
func (a *app) letGo(action bellhop.Action) func(context.Context, *api.Client, []string) (string, error) {
	return func(ctx context.Context, c *api.Client, args []string) (string, error) {
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || n <= 0 { // a service's name begins with a letter
			return a.hold(action, nil)(ctx, c, args)
		}
		if len(args) > 1 {
			return "", bellhop.Errorf(bellhop.Invalid, "a number says by itself which one is meant: bellhop %s %d, or: bellhop %s SERVICE JOB", action, n, action)
		}
		return a.letHold(ctx, c, action, api.Holding{Number: n})
	}
}
