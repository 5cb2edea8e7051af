package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
)

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "End a run, waiting or running",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := bellhop.ParseRunID(args[0])
			if err != nil {
				return err
			}
			c, err := a.online(cmd.Context(), "ask")
			if err != nil {
				return err
			}
			defer c.Close()
			done, err := c.Cancel(cmd.Context(), id)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.Out, a.style().CancelText(done))
			for _, d := range done {
				if d.Effect == bellhop.CancelTooLate || d.Effect == bellhop.CancelNotYours {
					return exit(5)
				}
			}
			return nil
		},
	}
}
