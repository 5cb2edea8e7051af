package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) loginCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Print a link that logs you in to the web page, once",
		Long: "Print a link that logs you in to the web page, as who you are here. It is good\n" +
			"once, for a minute. Whoever opens it first is you: give it to nobody.",
		Args: cobra.NoArgs,
		RunE: a.served(func(ctx context.Context, c *api.Client, _ []string) (string, error) {
			got, err := c.Login(ctx)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(a.Err, "Open this in a browser within a minute. It works once, for you:")
			return got.Link, nil
		}),
	}
}
