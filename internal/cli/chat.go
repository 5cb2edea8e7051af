package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop/internal/chat/console"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) chatCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "chat",
		Short: "Talk to the server: a prompt with history and completion",
		Long: "Talk to the server: a prompt with history and completion on a terminal, line by\n" +
			"line elsewhere. What you ask for goes on when you leave.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.online(cmd.Context(), "console")
			if err != nil {
				return err
			}
			c.Close()
			return a.prompt(cmd.Context(), c.Socket)
		},
	}
}

// prompt talks to the server on a socket until its person leaves.
func (a *app) prompt(ctx context.Context, socket string) error {
	c := &api.Client{Socket: socket, Source: "console", Session: api.NewKey()}
	defer c.Close()
	if status := console.Run(ctx, c, a.console()); status != 0 {
		return exit(status)
	}
	return nil
}
