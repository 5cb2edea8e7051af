package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store to a new file, while it is in use",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return "", err
			}
			if err := c.Backup(ctx, path); err != nil {
				return "", err
			}
			return fmt.Sprintf("the store is copied to %s\nTo restore it: stop the server, remove the store's file and those beside it that end in -wal and -shm,\nand put the copy in its place.", path), nil
		}),
	}
}
