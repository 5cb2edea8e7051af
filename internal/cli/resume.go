package cli

import (
	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
)

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume SERVICE [JOB] | NUMBER",
		Short: "Let what is paused start its runs again: a service, a job, or one pause by its number",
		Long:  "Let what is paused start its runs again: a service, a job with all that is paused\nof it by arguments, or one pause by its number, which `bellhop suppressions` lists.",
		Args:  cobra.RangeArgs(1, 2),
		RunE:  a.served(a.letGo(bellhop.ActionResume)),
	}
}
