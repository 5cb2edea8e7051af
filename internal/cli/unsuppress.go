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
		Short: "End what is suppressed: all of a service's or job's, or one by its number",
		Long:  "End what is suppressed: all of a service's or job's, or one by its number, which\n`bellhop suppressions` lists.",
		Args:  cobra.RangeArgs(1, 2),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			n, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || n <= 0 { // a service's name begins with a letter
				return a.hold(bellhop.ActionUnsuppress, nil)(ctx, c, args)
			}
			if len(args) > 1 {
				return "", bellhop.Errorf(bellhop.Invalid, "a number says by itself which suppression is meant: bellhop unsuppress %d, or: bellhop unsuppress SERVICE JOB", n)
			}
			return a.letHold(ctx, c, bellhop.ActionUnsuppress, api.Holding{Number: n})
		}),
	}
}
