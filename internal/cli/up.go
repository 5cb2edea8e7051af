package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) upCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Serve until SIGTERM or Ctrl-C",
		Long: "Serve until SIGTERM or Ctrl-C: then claim no more, wait `grace` for what runs,\n" +
			"interrupt the rest (it runs again at the next start). A second signal stops at once.\n" +
			"SIGHUP reads the configuration again.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.up(cmd.Context()) },
	}
}

func (a *app) up(ctx context.Context) error {
	begin := time.Now()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	outlivePipes()
	loaded, err := a.load()
	if err != nil {
		return err
	}
	s, lines, err := a.takeOver(ctx, loaded, server.Options{Config: loaded, Version: version(), Log: a.serverLog(loaded)})
	if err != nil {
		return err
	}
	for _, l := range lines {
		fmt.Fprintf(a.Out, "%-8s %s\n", l.What, l.Where)
	}
	fmt.Fprintf(a.Out, "ready    in %d ms; Ctrl-C stops\n", time.Since(begin).Milliseconds())
	for sig := range signals {
		if sig != syscall.SIGHUP {
			break
		}
		if _, err := s.Reload(ctx); err != nil {
			fmt.Fprintln(a.Err, "bellhop:", a.style().ErrorText(err))
		}
	}
	if working := s.Working(); len(working) > 0 {
		fmt.Fprintf(a.Out, "stopping: waiting up to %s for %s; again to stop at once\n", chat.Duration(loaded.Grace), names(working))
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Stop(context.WithoutCancel(ctx), loaded.Grace)
	}()
	for {
		select {
		case <-stopped:
			return nil
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				return exit(130) // the watchdog ends what runs, and the next start finds it
			}
		}
	}
}

// lockWait is how long a store may be in use by somebody who does not answer:
// a server that is starting or stopping, or what one that was killed had just
// forked and that has not become another program yet.
const lockWait = 3 * time.Second

// takeOver starts a server. An `ask` that serves itself on the same store is
// told to make way first.
func (a *app) takeOver(ctx context.Context, loaded *server.Loaded, o server.Options) (*server.Server, []server.Line, error) {
	c := &api.Client{Socket: server.SocketPath(loaded.Home), Source: "ask", Session: api.NewKey()}
	defer c.Close()
	told, deadline := false, time.Now().Add(lockWait)
	for {
		s := server.New(o)
		lines, err := s.Start(ctx)
		if err == nil || bellhop.CodeOf(err) != bellhop.Conflict {
			return s, lines, err
		}
		other, asked := c.Handover(ctx)
		if _, refused := errors.AsType[*bellhop.Error](asked); refused || asked != nil && !told && time.Now().After(deadline) {
			return nil, nil, err // a server like this one, or not to be reached
		}
		if asked == nil && !told {
			told = true
			what := "to finish"
			if len(other.Working) > 0 {
				what = "to finish " + names(other.Working)
			}
			fmt.Fprintf(a.Out, "waiting  for `bellhop ask` (process %d) %s\n", other.PID, what)
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// names lists runs in words.
func names(ids []bellhop.RunID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = id.String()
	}
	return strings.Join(words, ", ")
}
