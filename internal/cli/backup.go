package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store to a new file, while it is in use",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			c, err := a.online(cmd.Context(), "ask")
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.Backup(cmd.Context(), path); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Out, "the store is copied to %s\nTo restore it: stop the server, remove the store's file and those beside it that end in -wal and -shm,\nand put the copy in its place.\n", path)
			return err
		},
	}
}
