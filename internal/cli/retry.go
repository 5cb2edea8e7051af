package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
)

func (a *app) retryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retry RUN",
		Short: "Run a finished run again: a new run with the same arguments",
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
			got, err := c.Retry(cmd.Context(), id)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Out, a.style().AnswerText(got))
			return err
		},
	}
}
