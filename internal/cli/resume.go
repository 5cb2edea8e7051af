package cli

import (
	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
)

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume SERVICE [JOB]",
		Short: "Let a paused service or job start its runs again",
		Args:  cobra.RangeArgs(1, 2),
		RunE:  a.served(a.hold(bellhop.ActionResume, nil)),
	}
}
