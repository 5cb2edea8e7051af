package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) retryCommand() *cobra.Command {
	var args argFlags
	c := &cobra.Command{
		Use:   "retry RUN [--arg NAME=VALUE]...",
		Short: "Run a finished run again: a new run with the same arguments, or others",
		Args:  cobra.ExactArgs(1),
		RunE: a.servedRun(func(ctx context.Context, c *api.Client, id bellhop.RunID) (string, error) {
			got, err := c.Retry(ctx, id, bellhop.Args(args))
			if err != nil {
				return "", err
			}
			return a.style().AnswerText(got), nil
		}),
	}
	c.Flags().Var(&args, "arg", "another value for an argument (a list: one flag a value)")
	return c
}

// argFlags are the values of --arg.
type argFlags bellhop.Args

// Set reads what stands behind the flag.
func (f *argFlags) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return bellhop.Errorf(bellhop.Invalid, "--arg is %.40q; it takes NAME=VALUE, such as env=staging", s)
	}
	if *f == nil {
		*f = argFlags{}
	}
	switch before, again := (*f)[name]; {
	case !again:
		(*f)[name] = bellhop.Text(value)
	case before.IsList():
		(*f)[name] = bellhop.List(append(before.List, value)...)
	default:
		(*f)[name] = bellhop.List(before.Text, value)
	}
	return nil
}

// String is the default that help shows.
func (*argFlags) String() string { return "" }

// Type is what help calls a value.
func (*argFlags) Type() string { return "NAME=VALUE" }
