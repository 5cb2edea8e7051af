package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell what runs and what waits, and why",
		Long:  "Tell what runs and what waits, and why. Without a server, the store is read and\nthe exit status is 5.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.reader(cmd.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			s, err := r.Status(cmd.Context())
			if err != nil {
				return err
			}
			if r.offline {
				a.tell("%s", r.missing())
			}
			fmt.Fprintln(a.Out, r.words(a.style()).StatusText(*s))
			if r.offline {
				return exit(5)
			}
			return nil
		},
	}
}
