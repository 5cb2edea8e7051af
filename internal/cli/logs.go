package cli

import (
	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:   "logs [-f] RUN",
		Short: "Print a run's output",
		Long:  "Print a run's output, stdout to stdout and stderr to stderr. Without a server,\nthe store is read.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := bellhop.ParseRunID(args[0])
			if err != nil {
				return err
			}
			r, err := a.reader(cmd.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			return chat.CopyOutput(cmd.Context(), a.streams(), r, id, follow)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run has ended")
	return c
}
