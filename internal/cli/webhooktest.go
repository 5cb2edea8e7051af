package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/server"
)

// maxPosted is the largest body that a server takes.
const maxPosted = 2 << 20

func (a *app) webhookTest() *cobra.Command {
	var of string
	var in server.Posted
	header := headerFlags{}
	c := &cobra.Command{
		Use:   "test FILE [--webhook SERVICE[/NAME]] [--event KIND] [--header NAME=VALUE]...",
		Short: "Say what webhooks would do with what is in a file, without doing it",
		Long: "Say what webhooks would do with what is in a file (- is stdin), as another program\n" +
			"posts it: JSON, or what --header Content-Type=... says. It takes no server and no\n" +
			"secret, and nothing is run. The exit status is 0 when one of them would ask for a\n" +
			"run, and 1 when none would. `bellhop webhook show DELIVERY --body` writes such a\n" +
			"file.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.Body, err = a.posted(args[0]); err != nil {
				return err
			}
			loaded, faults, err := server.LoadToTry(a.config)
			if err != nil {
				return err
			}
			if len(faults) > 0 {
				return a.faulty(faults)
			}
			in.Header = header
			service, name, one := strings.Cut(strings.ToLower(of), "/")
			if of != "" && (service == "" || one && name == "") {
				return bellhop.Errorf(bellhop.Invalid, "--webhook is %.60q; it takes SERVICE or SERVICE/NAME", of)
			}
			all, err := server.TryWebhooks(cmd.Context(), loaded, service, name, in)
			if err != nil {
				return err
			}
			return a.verdicts(all)
		},
	}
	c.Flags().StringVar(&of, "webhook", "", "those of a service, or one of them; default: all that there are")
	c.Flags().StringVar(&in.Event, "event", "", "which kind of event it is, such as push: what X-GitHub-Event or X-Gitlab-Event would say")
	c.Flags().Var(&header, "header", "a header that would come with it, such as Content-Type=text/plain; more than once for several")
	return c
}

// posted reads a file, or stdin.
func (a *app) posted(path string) ([]byte, error) {
	in := a.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, bellhop.Errorf(bellhop.NotFound, "%s can't be read: %w", path, err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPosted+1))
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "%s can't be read: %w", path, err)
	}
	if len(b) > maxPosted {
		return nil, bellhop.Errorf(bellhop.Invalid, "%s has more than the 2 MiB that a server takes", path)
	}
	return b, nil
}

// verdicts prints them; the exit status is 1 when none would ask for a run.
func (a *app) verdicts(all []server.Verdict) error {
	some := false
	for _, v := range all {
		w := &v.Webhook
		if v.Why != "" {
			fmt.Fprintf(a.Out, "%s/%s: nothing: %s\n", w.Service, w.Name, chat.Clean(v.Why))
		} else {
			some = true
			fmt.Fprintf(a.Out, "%s/%s: would ask for a run\n", w.Service, w.Name)
			a.wouldRun(&v)
		}
		for _, h := range v.Hints {
			fmt.Fprintf(a.Out, "  note: %s\n", h)
		}
	}
	if !some {
		return exit(1)
	}
	return nil
}

func (a *app) wouldRun(v *server.Verdict) {
	w := &v.Webhook
	line := func(k, format string, args ...any) {
		fmt.Fprintf(a.Out, "  %-10s %s\n", k, chat.Clean(fmt.Sprintf(format, args...)))
	}
	line("job", "%s %s", w.Service, w.Job)
	for _, name := range slices.Sorted(maps.Keys(v.Args)) {
		line("argument", "%s=%s", name, v.Args[name])
	}
	if w.Delay > 0 {
		line("delay", "%s", chat.Duration(w.Delay))
	}
	line("on_repeat", "%s", w.OnRepeat)
	if w.ReportTo != "" {
		line("report_to", "%s", w.ReportTo)
	}
	for i, l := range v.Gate {
		line([]string{"allowed", ""}[min(i, 1)], "%s", l)
	}
}

// headerFlags are the values of --header.
type headerFlags map[string]string

// Set reads what stands behind the flag.
func (f *headerFlags) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if colon := strings.IndexByte(s, ':'); colon > 0 && (!ok || colon < len(name)) { // as curl has it
		name, value, ok = s[:colon], strings.TrimSpace(s[colon+1:]), true
	}
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return bellhop.Errorf(bellhop.Invalid, "--header is %.60q; it takes NAME=VALUE, such as Content-Type=text/plain", s)
	}
	(*f)[name] = value
	return nil
}

// String is the default that help shows.
func (*headerFlags) String() string { return "" }

// Type is what help calls a value.
func (*headerFlags) Type() string { return "NAME=VALUE" }
