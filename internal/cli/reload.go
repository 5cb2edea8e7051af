package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the server read its configuration again",
		Long:  "Have the server read its configuration again. A configuration with faults is\nrefused as a whole, and the server goes on with the old one.",
		Args:  cobra.NoArgs,
		RunE: a.served(func(ctx context.Context, c *api.Client, _ []string) (string, error) {
			got, err := c.Reload(ctx)
			if err != nil {
				return "", err
			}
			for _, key := range got.Restart {
				a.tell("%s changed: restart the server to use it", key)
			}
			return fmt.Sprintf("reloaded: %s, %s", count(got.Services, "service"), count(got.Jobs, "job")), nil
		}),
	}
}

// count words a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
