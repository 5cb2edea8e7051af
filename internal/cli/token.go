package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) tokenCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "Let programs ask over HTTP: create, list, rm",
		Long:  "Let programs ask over HTTP. A token is shown once, and kept as a hash. For admins.",
	}, a.tokenCreate(), a.tokenList(), a.tokenRemove())
}

func (a *app) tokenCreate() *cobra.Command {
	var t bellhop.Token
	var expires string
	c := &cobra.Command{
		Use:   "create NAME [--as WHO] [--allow SERVICE[/JOB]]... [--source SOURCE] [--expires 30d]",
		Short: "Make a token and show it, once",
		Long: "Make a token and show it, once. Who asks with it is api:NAME, whom rules may\n" +
			"name; with --as, it has the rights of somebody. --allow confines it to services\n" +
			"or jobs. --source makes it that of an outside source, which sends what people\n" +
			"say elsewhere, or data, and takes its reports; it is good for nothing else.",
		Args: cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			t.Name = strings.ToLower(args[0])
			if expires != "" {
				at, err := timeAhead("--expires", expires, a.now())
				if err != nil {
					return "", err
				}
				t.Expires = at
			}
			return c.CreateToken(ctx, t)
		}),
	}
	c.Flags().StringVar(&t.As, "as", "", "the person whose rights it has")
	c.Flags().StringSliceVar(&t.Allow, "allow", nil, "a service, or SERVICE/JOB, that it is confined to; more than once for several")
	c.Flags().StringVar(&t.Source, "source", "", "the outside source (sources:) that it is")
	c.Flags().StringVar(&expires, "expires", "", "when it ends: 30d, or a date such as 2026-12-31; default: never")
	return c
}

// timeAhead reads a duration from now, or a time.
func timeAhead(flag, s string, now time.Time) (time.Time, error) {
	if d, err := bellhop.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; it takes a duration such as 30d, or a date such as 2026-12-31", flag, s)
}

func (a *app) tokenList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [--json]",
		Short: "List tokens, which are not shown again",
		Args:  cobra.NoArgs,
		RunE: a.served(func(ctx context.Context, c *api.Client, _ []string) (string, error) {
			list, err := c.Tokens(ctx)
			if err != nil {
				return "", err
			}
			return a.tokenTable(list, asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func (a *app) tokenTable(list []bellhop.Token, asJSON bool) (string, error) {
	var b strings.Builder
	if len(list) == 0 && !asJSON {
		return "There are no tokens.", nil
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(w, "NAME\tAS\tFOR\tEXPIRES\tMADE BY")
	}
	for _, t := range list {
		if asJSON {
			line, err := json.Marshal(t)
			if err != nil {
				return "", err
			}
			b.Write(append(chat.CleanJSON(line), '\n'))
			continue
		}
		as, allow, expires := "api:"+t.Name, "all it may", "never"
		if t.As != "" {
			as = t.As
		}
		if t.Source != "" {
			as, allow = "source "+t.Source, "its events and reports"
		}
		if len(t.Allow) > 0 {
			allow = strings.Join(t.Allow, " ")
		}
		if !t.Expires.IsZero() {
			expires = t.Expires.In(a.now().Location()).Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Name, chat.Clean(as), chat.Clean(allow), expires, chat.Clean(t.By))
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func (a *app) tokenRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "End a token at once",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			return "", c.RemoveToken(ctx, strings.ToLower(args[0]))
		}),
	}
}
