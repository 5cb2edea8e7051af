package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) webhookCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "webhook",
		Short: "See what other programs have posted, and try out what is done with it: list, show, replay, test",
		Long: "See what other programs have posted, and try out what is done with it. The last\n" +
			"100 deliveries of each webhook are kept. They are for admins, and for those whom\n" +
			"people: knows and who may have the webhook's job done.",
	}, a.webhookList(), a.webhookShow(), a.webhookReplay(), a.webhookTest())
}

func (a *app) webhookList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [SERVICE[/NAME]] [--json]",
		Short: "List webhooks, or what came to those of a service or to one, newest first",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			all, err := c.Webhooks(ctx)
			if err != nil {
				return "", err
			}
			if len(args) == 0 {
				return webhookTable(all, asJSON)
			}
			service, name, one := strings.Cut(strings.ToLower(args[0]), "/")
			all = slices.DeleteFunc(all, func(w bellhop.WebhookInfo) bool { return w.Service != service || one && w.Name != name })
			if len(all) == 0 {
				return "", bellhop.Errorf(bellhop.NotFound, "there is no webhook %.60s here, or it is not for you to see; bellhop webhook list shows those that there are", args[0])
			}
			var came []bellhop.Delivery
			for _, w := range all {
				list, err := c.Deliveries(ctx, w.Service, w.Name)
				if err != nil {
					return "", err
				}
				came = append(came, list...)
			}
			slices.SortStableFunc(came, func(x, y bellhop.Delivery) int { return y.At.Compare(x.At) })
			return a.deliveryTable(came, asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func webhookTable(all []bellhop.WebhookInfo, asJSON bool) (string, error) {
	if asJSON {
		return jsonLines(all)
	}
	if len(all) == 0 {
		return "There are no webhooks that you may see.", nil
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WEBHOOK\tPROOF\tJOB\tPATH")
	for _, h := range all {
		fmt.Fprintf(w, "%s/%s\t%s\t%s %s\t%s\n", h.Service, h.Name, h.Proof, h.Service, h.Job, h.Path)
	}
	err := w.Flush()
	return strings.TrimSuffix(b.String(), "\n"), err
}

// jsonLines is one JSON object a line.
func jsonLines[T any](all []T) (string, error) {
	lines := make([]string, len(all))
	for i, v := range all {
		b, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		lines[i] = string(chat.CleanJSON(b))
	}
	return strings.Join(lines, "\n"), nil
}

func (a *app) deliveryTable(came []bellhop.Delivery, asJSON bool) (string, error) {
	if asJSON {
		shown := make([]any, len(came))
		for i, d := range came {
			shown[i] = api.DeliveryJSON(d)
		}
		return jsonLines(shown)
	}
	if len(came) == 0 {
		return "Nothing has come yet.", nil
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DELIVERY\tAT\tFROM\tEVENT\tOUTCOME")
	for _, d := range came {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.DeliveryID(), a.shortTime(d), chat.Clean(d.From), chat.Clean(cmp.Or(d.Event, "-")), chat.Clean(outcome(d)))
	}
	err := w.Flush()
	return strings.TrimSuffix(b.String(), "\n"), err
}

func (a *app) shortTime(d bellhop.Delivery) string {
	return d.At.In(a.now().Location()).Format("2006-01-02 15:04:05")
}

func outcome(d bellhop.Delivery) string {
	switch {
	case d.Ignored != "":
		return "ignored: " + d.Ignored
	case d.Error != "":
		return "refused: " + d.Error
	}
	return "run " + d.Run.String()
}

func (a *app) webhookShow() *cobra.Command {
	var asJSON, body bool
	c := &cobra.Command{
		Use:   "show DELIVERY [--body | --json]",
		Short: "Show one delivery with what was posted",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			d, err := c.Delivery(ctx, args[0])
			if err != nil {
				return "", err
			}
			if body {
				_, err := a.Out.Write(a.safe(d.Body))
				return "", err
			}
			if asJSON {
				return jsonLines([]any{api.DeliveryJSON(d)})
			}
			return a.deliveryText(d), nil
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	c.Flags().BoolVar(&body, "body", false, "what was posted and nothing else, for a file")
	c.MarkFlagsMutuallyExclusive("json", "body")
	return c
}

// safe is what a terminal may be shown of bytes from anywhere; a file gets them
// as they are.
func (a *app) safe(b []byte) []byte {
	if terminal(a.Out) {
		return []byte(chat.CleanText(string(b)) + "\n")
	}
	return b
}

func (a *app) deliveryText(d bellhop.Delivery) string {
	var b strings.Builder
	line := func(k, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%-10s %s\n", k, chat.Clean(v))
		}
	}
	line("delivery", d.DeliveryID())
	line("at", a.shortTime(d))
	line("from", d.From)
	line("event", d.Event)
	line("id", d.ID)
	line("outcome", outcome(d))
	for _, k := range slices.Sorted(maps.Keys(d.Header)) {
		line("header", k+": "+d.Header[k])
	}
	size := fmt.Sprintf("%d bytes", d.Size)
	if err := d.Replayable(); err != nil {
		size += "; " + err.Error()
	}
	line("size", size)
	b.WriteString("\n" + chat.CleanText(string(d.Body)))
	return strings.TrimRight(b.String(), "\n")
}

func (a *app) webhookReplay() *cobra.Command {
	return &cobra.Command{
		Use:   "replay DELIVERY",
		Short: "Ask again for what a webhook wants for a delivery: a new run, in your name",
		Args:  cobra.ExactArgs(1),
		RunE: a.served(func(ctx context.Context, c *api.Client, args []string) (string, error) {
			got, err := c.Replay(ctx, args[0])
			if err != nil {
				return "", err
			}
			return a.style().AnswerText(got), nil
		}),
	}
}
