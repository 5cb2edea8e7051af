package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

type runsFlags struct {
	service, job         string
	since, until, before string
	states, verdicts     []string
	source, arg          string
	limit                limitFlag
	mine, json           bool
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
	c.Flags().StringSliceVar(&f.verdicts, "verdict", nil, "only runs with this verdict, such as REGRESSION (may be given more than once)")
	c.Flags().StringVar(&f.source, "source", "", "only runs asked for there: slack, ssh, web, api, schedule, webhook, broker")
	c.Flags().StringVar(&f.arg, "arg", "", "only runs with an argument that begins so: NAME=PREFIX, or PREFIX of any")
	c.Flags().StringVar(&f.since, "since", "", "only runs asked for since then: 2h, 3d, or a time such as 2026-01-31T15:04:05Z")
	c.Flags().StringVar(&f.until, "until", "", "only runs asked for before then; as for --since")
	c.Flags().StringVar(&f.before, "before", "", "only runs older than this run: the next page")
	f.limit = 20
	c.Flags().Var(&f.limit, "limit", "at most this many; 0 = all")
	c.Flags().BoolVar(&f.mine, "mine", false, "only runs that you asked for")
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
	return c
}

// filter reads the flags; now is what --since and --until count back from.
func (f runsFlags) filter(now time.Time) (out bellhop.RunSearch, err error) {
	out = bellhop.RunSearch{RunFilter: bellhop.RunFilter{Service: f.service, Job: f.job, Limit: int(f.limit)}, Source: f.source, Arg: bellhop.ParseArgPrefix(f.arg)}
	for _, s := range f.verdicts {
		verdict, err := bellhop.ParseVerdict(s)
		if err != nil {
			return out, err
		}
		out.Verdicts = append(out.Verdicts, verdict)
	}
	for _, s := range f.states {
		state, err := bellhop.ParseState(strings.ReplaceAll(s, " ", "_")) // as the table shows it
		if err != nil {
			return out, err
		}
		out.States = append(out.States, state)
	}
	if out.Since, err = timeFlag("--since", f.since, now); err != nil {
		return out, err
	}
	if out.Until, err = timeFlag("--until", f.until, now); err != nil {
		return out, err
	}
	if f.before != "" {
		out.Before, err = bellhop.ParseRunID(f.before)
	}
	return out, err
}

// timeFlag reads a time, or a span that counts back from now; "" is the zero
// time.
func timeFlag(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := bellhop.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; it takes a duration such as 2h or 3d, or a time such as 2026-01-31T15:04:05Z", flag, s)
}

func (a *app) runs(ctx context.Context, f runsFlags) error {
	if _, err := f.filter(a.now()); err != nil { // before a server is looked for
		return err
	}
	r, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	filter, err := f.filter(a.now()) // in the zone that is known by now
	if err != nil {
		return err
	}
	if f.json {
		return r.EachRun(ctx, filter, f.mine, a.runsJSON)
	}
	return a.runsTable(ctx, r, filter, f.mine)
}

func (a *app) runsJSON(runs []bellhop.Run) error {
	for _, run := range runs {
		line, err := api.RunJSON(run)
		if err == nil {
			_, err = fmt.Fprintf(a.Out, "%s\n", chat.CleanJSON(line))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// runsTable prints runs aligned, and how to see the rest when there are more.
func (a *app) runsTable(ctx context.Context, r *reader, filter bellhop.RunSearch, mine bool) error {
	limit := filter.Limit
	if limit > 0 {
		filter.Limit++
	}
	var all []bellhop.Run
	err := r.EachRun(ctx, filter, mine, func(runs []bellhop.Run) error {
		all = append(all, runs...)
		return nil
	})
	if err != nil {
		return err
	}
	more := limit > 0 && len(all) > limit
	if more {
		all = all[:limit]
	}
	if _, err := fmt.Fprintln(a.Out, r.words(a.style()).RunsTable(all)); err != nil {
		return err
	}
	if more && terminal(a.Out) {
		a.tell("There are older ones: --before %s shows them.", all[limit-1].ID)
	}
	if mine {
		return a.unread(ctx, r)
	}
	return nil
}
