package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write a commented configuration and a workspace to begin with",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			folder := filepath.Dir(a.config)
			if len(args) > 0 {
				folder = args[0]
			}
			return a.initIn(folder)
		},
	}
}

// initIn writes the starting files. None that exists is overwritten: then
// nothing is written at all.
func (a *app) initIn(folder string) error {
	files := config.Starter()
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			return bellhop.Errorf(bellhop.Conflict, "%s is there already, so nothing was written; name another folder: bellhop init FOLDER", filepath.Join(folder, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return bellhop.Errorf(bellhop.Invalid, "%s can't be used: %w", folder, err)
		}
	}
	for _, name := range names {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return bellhop.Errorf(bellhop.Unavailable, "%s can't be made: %w", filepath.Dir(path), err)
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return bellhop.Errorf(bellhop.Unavailable, "%s can't be written: %w", path, err)
		}
		fmt.Fprintln(a.Out, "wrote", path)
	}
	at := ""
	if folder != "." {
		at = fmt.Sprintf("cd %s\n  ", folder)
	}
	_, err := fmt.Fprintf(a.Out, "\nNext:\n  %sbellhop check\n  bellhop ask example say hello Bob\n  bellhop up\n", at)
	return err
}
