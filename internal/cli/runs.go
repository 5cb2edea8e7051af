package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

type runsFlags struct {
	service, job, since string
	states              []string
	limit               limitFlag
	mine, json          bool
}

func (a *app) runsCommand() *cobra.Command {
	var f runsFlags
	c := &cobra.Command{
		Use:   "runs [flags]",
		Short: "List runs, newest first",
		Long:  "List runs, newest first. Without a server, the store is read.\n--mine also shows reports that no connection of yours has read.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.runs(cmd.Context(), f) },
	}
	c.Flags().StringVar(&f.service, "service", "", "only runs of this service")
	c.Flags().StringVar(&f.job, "job", "", "only runs of this job")
	c.Flags().StringSliceVar(&f.states, "state", nil, "only runs in this state (may be given more than once)")
	c.Flags().StringVar(&f.since, "since", "", "only runs asked for since then: 2h, 3d, or a time such as 2026-01-31T15:04:05Z")
	f.limit = 20
	c.Flags().Var(&f.limit, "limit", "at most this many; 0 = all")
	c.Flags().BoolVar(&f.mine, "mine", false, "only runs that you asked for")
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
	return c
}

// filter reads the flags; now is what --since counts back from.
func (f runsFlags) filter(now time.Time) (bellhop.RunFilter, error) {
	out := bellhop.RunFilter{Service: f.service, Job: f.job, Limit: int(f.limit)}
	for _, s := range f.states {
		state, err := bellhop.ParseState(s)
		if err != nil {
			return out, err
		}
		out.States = append(out.States, state)
	}
	if f.since == "" {
		return out, nil
	}
	if d, err := bellhop.ParseDuration(f.since); err == nil && d >= 0 {
		out.Since = now.Add(-d)
		return out, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, f.since, now.Location()); err == nil {
			out.Since = t
			return out, nil
		}
	}
	return out, bellhop.Errorf(bellhop.Invalid, "--since is %.40q; it takes a duration such as 2h or 3d, or a time such as 2026-01-31T15:04:05Z", f.since)
}

func (a *app) runs(ctx context.Context, f runsFlags) error {
	filter, err := f.filter(time.Now())
	if err != nil {
		return err
	}
	r, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	runs, err := r.Runs(ctx, filter, f.mine)
	if err != nil {
		return err
	}
	if f.json {
		for _, run := range runs {
			line, err := json.Marshal(run)
			if err == nil {
				_, err = fmt.Fprintf(a.Out, "%s\n", chat.CleanJSON(line))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := fmt.Fprintln(a.Out, a.style().RunsTable(runs)); err != nil {
		return err
	}
	if f.mine {
		return a.unread(ctx, r)
	}
	return nil
}
