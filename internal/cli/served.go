package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// served is a verb that the running server does: it is given a client, and
// what it returns is printed.
func (a *app) served(do func(ctx context.Context, c *api.Client, args []string) (string, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.online(cmd.Context(), "ask")
		if err != nil {
			return err
		}
		defer c.Close()
		text, err := do(cmd.Context(), c, args)
		if gone, ok := errors.AsType[*net.OpError](err); ok { // it has stopped meanwhile
			err = noServer(gone)
		}
		if text != "" {
			if _, err := fmt.Fprintln(a.Out, text); err != nil {
				return err
			}
		}
		return err
	}
}

// servedRun is a verb about one run, that the running server does.
func (a *app) servedRun(do func(ctx context.Context, c *api.Client, id bellhop.RunID) (string, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		id, err := bellhop.ParseRunID(args[0])
		if err != nil {
			return err
		}
		return a.served(func(ctx context.Context, c *api.Client, _ []string) (string, error) { return do(ctx, c, id) })(cmd, args)
	}
}

// online returns a client of a server that answers, or Unavailable. Times are
// told in that server's zone from then on.
func (a *app) online(ctx context.Context, source string) (*api.Client, error) {
	c, err := a.client(source)
	if err != nil {
		return nil, err
	}
	s, err := c.Server(ctx)
	if err != nil {
		c.Close()
		return nil, noServer(err)
	}
	a.tellTimesAs(s)
	return c, nil
}

// tellTimesAs has times told in the zone in which the server reads them.
func (a *app) tellTimesAs(s api.Server) {
	if zone, err := time.LoadLocation(s.Zone); err == nil && s.Zone != "" {
		a.zone = zone
	}
}
