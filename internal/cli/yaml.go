package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) yamlCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "yaml",
		Short: "Keep services in the store: put, list, get, history, rm",
		Long: "Keep services in the store, beside those of the configuration. What is put is\n" +
			"checked with all of them, and active at once. For admins.",
	}, a.yamlPut(), a.yamlList(), a.yamlGet(), a.yamlHistory(), a.yamlRemove())
}

func (a *app) yamlPut() *cobra.Command {
	return &cobra.Command{
		Use:   "put FILE",
		Short: "Keep the service of a file (-: of stdin), in place of what the store has of it",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			text, err := a.yamlText(args[0])
			if err != nil {
				return "", err
			}
			y, err := c.PutYAML(ctx, text)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("service %s is active: version %d", y.Service, y.Version), nil
		}),
	}
}

func (a *app) yamlText(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.In)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.NotFound, "%s can't be read; name a file with services: and one service in it: %w", name, err)
	}
	return text, nil
}

func (a *app) yamlList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [--json]",
		Short: "List the services that the store keeps",
		Args:  cobra.NoArgs,
		RunE: a.served(func(ctx context.Context, c *api.Client, _ []string) (string, error) {
			list, err := c.YAMLs(ctx)
			if err == nil && len(list) == 0 && !asJSON {
				return "The store keeps no services.", nil
			}
			if err != nil {
				return "", err
			}
			return a.yamlTable(list, asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func (a *app) yamlTable(list []api.YAML, asJSON bool) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(w, "SERVICE\tVERSION\tAT\tBY\tBYTES\t")
	}
	for _, y := range list {
		if asJSON {
			line, err := json.Marshal(y)
			if err != nil {
				return "", err
			}
			b.Write(append(chat.CleanJSON(line), '\n'))
			continue
		}
		note := ""
		switch why, _, _ := strings.Cut(y.LeftOut, "\n"); {
		case y.Removed:
			note = "removed"
		case why != "":
			note = "left out: " + why
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\n", y.Service, y.Version, y.At.In(a.now().Location()).Format("2006-01-02 15:04:05"), chat.Clean(y.By), y.Bytes, chat.Clean(note))
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func (a *app) yamlGet() *cobra.Command {
	var version int64
	c := &cobra.Command{
		Use:   "get SERVICE [--version N]",
		Short: "Show the YAML of a service that the store keeps",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			text, err := c.YAMLText(ctx, args[0], version)
			return strings.TrimSuffix(chat.CleanText(string(text)), "\n"), err
		}),
	}
	c.Flags().Int64Var(&version, "version", 0, "an older one, as history shows them; default: the newest")
	return c
}

func (a *app) yamlHistory() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "history SERVICE [--json]",
		Short: "List the versions of a service, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			list, err := c.YAMLHistory(ctx, args[0])
			if err != nil {
				return "", err
			}
			return a.yamlTable(list, asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func (a *app) yamlRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "rm SERVICE",
		Short: "Take a service out of the store; its runs stay",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			_, err := c.RemoveYAML(ctx, args[0])
			return "", err
		}),
	}
}
