package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the server read its configuration again",
		Long:  "Have the server read its configuration again. A configuration with faults is\nrefused as a whole, and the server goes on with the old one.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.online(cmd.Context(), "ask")
			if err != nil {
				return err
			}
			defer c.Close()
			got, err := c.Reload(cmd.Context())
			if err != nil {
				return err
			}
			for _, key := range got.Restart {
				a.tell("%s changed: restart the server to use it", key)
			}
			_, err = fmt.Fprintf(a.Out, "reloaded: %s, %s\n", count(got.Services, "service"), count(got.Jobs, "job"))
			return err
		},
	}
}

// count words a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
