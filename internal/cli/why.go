package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) whyCommand() *cobra.Command {
	as := ""
	c := &cobra.Command{
		Use:   "why RUN | why [--as WHO] TEXT...",
		Short: "Tell why a run has not started, or whether TEXT may be asked for and which rule says so",
		Args:  cobra.MinimumNArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			text := strings.Join(args, " ")
			id, err := bellhop.ParseRunID(text)
			var got bellhop.Answer
			if err == nil && as == "" {
				got, err = c.Why(ctx, id)
			} else {
				got, err = c.Explain(ctx, text, as)
			}
			if err != nil {
				return "", err
			}
			return a.style().AnswerText(got), nil
		}),
	}
	c.Flags().StringVar(&as, "as", "", "for somebody else: a name in people:, or an identity such as ssh:alice (for admins)")
	return c
}
