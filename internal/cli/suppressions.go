package cli

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) suppressionsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "suppressions [--json]",
		Short: "List what is suppressed, now or later, and what is paused",
		Args:  cobra.NoArgs,
		RunE: a.served(func(ctx context.Context, c *api.Client, _ []string) (string, error) {
			holds, err := c.Suppressions(ctx)
			switch {
			case err != nil:
				return "", err
			case asJSON:
				return holdsJSON(holds)
			}
			return a.style().HoldsText(bellhop.ActionSuppressions, holds), nil
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func holdsJSON(holds []bellhop.Hold) (string, error) {
	lines := make([]string, len(holds))
	for i, h := range holds {
		b, err := json.Marshal(h)
		if err != nil {
			return "", err
		}
		lines[i] = string(chat.CleanJSON(b))
	}
	return strings.Join(lines, "\n"), nil
}
