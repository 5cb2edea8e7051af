package cli

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/server"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration, and list every fault or what it offers",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := a.config
			if len(args) > 0 {
				path = args[0]
			}
			loaded, faults, err := server.Load(path)
			if err != nil {
				return err
			}
			if len(faults) == 0 {
				var note string
				if faults, note = server.CheckSecrets(cmd.Context(), loaded); note != "" {
					a.tell("note: %s", note)
				}
			}
			for _, f := range faults {
				fmt.Fprintln(a.Out, chat.CleanText(f.String()))
			}
			if len(faults) > 0 {
				return exit(1)
			}
			return a.offer(loaded.Catalog)
		},
	}
}

// offer prints what a configuration offers.
func (a *app) offer(cat *bellhop.Catalog) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	jobs, commands := 0, 0
	fmt.Fprintln(w, "SERVICE\tJOB\tCOMMAND")
	for _, s := range cat.Services {
		jobs += len(s.Jobs)
		service := s.Name
		if s.Restricted {
			service += " (restricted)"
		}
		asked := make(map[string]bool)
		for _, e := range s.Entries {
			commands++
			asked[e.Job] = true
			text := cmp.Or(e.Pattern, e.Regex) + doing(e.Action)
			if e.Delay > 0 {
				text += fmt.Sprintf(" (after %s)", chat.Duration(e.Delay))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", service, cmp.Or(e.Job, "(all)"), chat.Clean(strings.Join(append([]string{text}, e.Aliases...), ", ")))
		}
		for _, j := range s.Jobs {
			if !asked[j.Name] {
				fmt.Fprintf(w, "%s\t%s\t-\n", service, j.Name)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.Out, "\nok: %s, %s, %s\n", count(len(cat.Services), "service"), count(jobs, "job"), count(commands, "command"))
	return err
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.Out, "%s\n", strings.TrimSpace(string(config.Schema())))
			return err
		},
	}
}

// doing says what a command does to its job, when that is not to run it.
func doing(a bellhop.Action) string {
	switch a {
	case bellhop.ActionCancel:
		return " (cancels)"
	case bellhop.ActionSuppress:
		return " (suppresses)"
	case bellhop.ActionUnsuppress:
		return " (ends suppressions)"
	case bellhop.ActionPause:
		return " (pauses)"
	case bellhop.ActionResume:
		return " (resumes)"
	}
	return ""
}
