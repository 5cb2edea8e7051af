package cli

import (
	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
)

func (a *app) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause SERVICE [JOB]",
		Short: "Start no runs of a service or a job until it is resumed",
		Long:  "Start no runs of a service or a job until it is resumed. What is asked for is\naccepted and waits; what runs already goes on.",
		Args:  cobra.RangeArgs(1, 2),
		RunE:  a.served(a.hold(bellhop.ActionPause, nil)),
	}
}
