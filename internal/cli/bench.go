package cli

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bench"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

const benchLong = `Measure what this machine does, through the real engine into a real store: each
submit has a key, looks for a run to merge with and is durable before it is
answered; each end is durable with its report.

The store is one of its own and is removed at the end, also after Ctrl-C:
  sqlite:PATH      a file that does not exist yet, on the disk that is to be measured
  postgres://...   a schema of its own in that database
${NAME} in it is replaced by that variable of the environment, and $$ by a
dollar, as in bellhop.yaml. Write a URL with a password in it so, in single
quotes: what stands on the command line is shown to everybody on the machine.

Each measurement is one JSON line on stdout; what goes on meanwhile is told on
stderr. Without any of them, --submit, --work, --latency and --exec are measured
with numbers that take about a minute.
  submit    single submits from many callers at a time, per second
  work      runs that do nothing, from a full queue, per second
  latency   from before a submit to the start of its run, at a steady rate
  exec      runs of a command, with what it prints stored, per second
  history   fills the store with so many finished runs first, and times claims
            of one run before and after (10,000,000 take some minutes and some GB)

Compare lines of one machine and one sitting only; docs/performance.md has some.`

const benchExample = `  bellhop bench --store sqlite:/var/tmp/bench.db
  bellhop bench --store sqlite:bench.db --submit 100000 --work 100000
  bellhop bench --store '${DATABASE_URL}' --submit 100000
  bellhop bench --store sqlite:bench.db --latency 200 --for 10s
  bellhop bench --store sqlite:bench.db --exec 4000 --parallel 4 -- sh -c 'echo hello'`

func (a *app) benchCommand() *cobra.Command {
	o := bench.Options{Callers: 64, Slots: 200, For: 5 * time.Second, Parallel: 4}
	cmd := &cobra.Command{
		Use:     "bench --store URL [flags] [-- COMMAND ...]",
		Short:   "Measure submits, runs and latency on this machine, in a store of its own",
		Long:    benchLong,
		Example: benchExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 0 && len(args) > 0 {
				return usage(cmd, bellhop.Errorf(bellhop.Invalid, "%.40q is too much; a command to run stands after --", args[0]))
			}
			o.Argv = args
			if o.Submit+o.Work+o.Rate+o.Exec+o.History == 0 && len(args) == 0 {
				o.Submit, o.Work, o.Rate, o.Exec = 50_000, 50_000, 200, 4_000
				o.Argv = []string{"sh", "-c", "echo hello"}
			}
			return a.bench(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.URL, "store", "", "where to measure: sqlite:PATH or postgres://...")
	for _, n := range []struct {
		name, what string
		to         *int
	}{
		{"submit", "`N` submits", &o.Submit},
		{"callers", "submit from `P` callers at a time", &o.Callers},
		{"work", "`N` runs that do nothing; those of --submit are among them", &o.Work},
		{"slots", "`P` runs at a time for --work and --latency", &o.Slots},
		{"latency", "`RATE` submits a second", &o.Rate},
		{"exec", "`N` runs of the command after --", &o.Exec},
		{"parallel", "`P` commands at a time for --exec", &o.Parallel},
		{"history", "fill the store with `N` finished runs first", &o.History},
	} {
		f.Var(&countFlag{name: n.name, to: n.to}, n.name, n.what)
	}
	f.BoolVar(&o.Unaudited, "unaudited", false, "without the audit trail, which a server always writes, to see what it costs")
	f.Var((*durationFlag)(&o.For), "for", "how long --latency goes on (`D`)")
	return cmd
}

func (a *app) bench(ctx context.Context, o bench.Options) error {
	ctx, stop := hangup(ctx) // so that the store goes
	defer stop()
	o.Open, o.Out, o.Progress = openForBench, a.Out, a.Err
	o.Log = slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	err := bench.Run(ctx, o)
	if err != nil && err == ctx.Err() { // and nothing else was joined to it
		a.tell("interrupted; the store was removed")
		return exit(130)
	}
	return err
}

// variables are what expandStore replaces.
var variables = regexp.MustCompile(`\$\$|\$\{[^}]*\}?`)

// expandStore replaces ${NAME} and $$ as the configuration file has it: so a
// password need not stand on the command line.
func expandStore(url string) (_ string, err error) {
	url = variables.ReplaceAllStringFunc(url, func(found string) string {
		name, closed := strings.CutSuffix(strings.TrimPrefix(found, "${"), "}")
		if found == "$$" {
			return "$"
		}
		value, set := os.LookupEnv(name)
		switch {
		case !closed || name == "":
			err = bellhop.Errorf(bellhop.Invalid, "--store: ${ is not followed by a variable's name and }; write ${NAME}, or $${ for the signs themselves")
		case !set:
			err = bellhop.Errorf(bellhop.Invalid, "--store: the environment variable %.40s is not set; set and export it before", name)
		}
		return value
	})
	return url, err
}

// openForBench makes a store of its own at url.
func openForBench(ctx context.Context, url string) (*bench.Place, error) {
	url, err := expandStore(url)
	if err != nil {
		return nil, err
	}
	kind, path, ok := strings.Cut(url, ":")
	switch {
	case url == "":
		return nil, bellhop.Errorf(bellhop.Invalid, "--store is missing; name a file that does not exist yet, such as --store sqlite:bench.db")
	case ok && (kind == "postgres" || kind == "postgresql"):
		t, err := postgres.OpenTemporary(ctx, postgres.Options{URL: url})
		if err != nil {
			return nil, err
		}
		return &bench.Place{Store: t.Store, Sync: t.Sync, Remove: t.Remove}, nil
	case !ok || kind != "sqlite":
		return nil, bellhop.Errorf(bellhop.Invalid, "--store: %.20q is not a store that is known; write sqlite:PATH, such as sqlite:bench.db", kind) // what follows may hold a password
	case path == "" || path == ":memory:" || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?\x00"):
		return nil, bellhop.Errorf(bellhop.Invalid, "--store %.40q names no file; write sqlite:PATH, such as sqlite:bench.db", url)
	}
	return openBenchFile(ctx, path)
}

// besides are the endings of the files that a store has beside its own.
var besides = [...]string{"-wal", "-shm", "-journal", ".lock"}

// openBenchFile makes a store in a file that is not there, or empty. At the
// end everything is as it was.
func openBenchFile(ctx context.Context, path string) (*bench.Place, error) {
	for _, end := range besides {
		if _, err := os.Lstat(path + end); err == nil {
			return nil, bellhop.Errorf(bellhop.Conflict, "%s is there already, so %s belongs to somebody; measure in a file that does not exist yet", path+end, path)
		}
	}
	made := true
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
			return nil, bellhop.Errorf(bellhop.Conflict, "%s is there already and holds something; measure in a file that does not exist yet", path)
		}
		made = false
	case errors.Is(err, fs.ErrNotExist):
		return nil, bellhop.Errorf(bellhop.NotFound, "the folder of %s does not exist; make it, or name another file: %w", path, err)
	case err != nil:
		return nil, bellhop.Errorf(bellhop.Unavailable, "%s can't be made; look at the folder's rights: %w", path, err)
	default:
		if err := f.Close(); err != nil {
			return nil, bellhop.Errorf(bellhop.Unavailable, "%s can't be made: %w", path, err)
		}
	}
	remove := func() error {
		var left error
		for _, end := range besides {
			if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
				left = errors.Join(left, err)
			}
		}
		if made {
			return errors.Join(left, os.Remove(path))
		}
		return errors.Join(left, os.Truncate(path, 0)) // an empty file was there before
	}
	store, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		if bellhop.CodeOf(err) == bellhop.Conflict { // another bench was quicker, and what is there is its own
			return nil, err
		}
		return nil, errors.Join(err, remove())
	}
	return &bench.Place{
		Store: store, Sync: "sqlite, WAL, synchronous=FULL",
		Remove: func(context.Context) error { return errors.Join(store.Admin.Close(), remove()) },
	}, nil
}

// countFlag is the value of a flag that says how many.
type countFlag struct {
	name string
	to   *int
}

// maxCount is the largest number that such a flag takes.
const maxCount = 1_000_000_000

// Set reads what stands behind the flag; 10_000 and 10,000 are numbers too.
func (c *countFlag) Set(s string) error {
	n, err := strconv.Atoi(strings.NewReplacer("_", "", ",", "").Replace(s))
	if err != nil || n < 1 || n > maxCount {
		return bellhop.Errorf(bellhop.Invalid, "--%s is %.40q; it takes a whole number from 1 up", c.name, s)
	}
	*c.to = n
	return nil
}

// String is the default that help shows; "" = none.
func (c *countFlag) String() string {
	if c.to == nil || *c.to == 0 {
		return ""
	}
	return strconv.Itoa(*c.to)
}

// Type is what help calls a value.
func (*countFlag) Type() string { return "int" }

// durationFlag is the value of --for.
type durationFlag time.Duration

// Set reads what stands behind the flag.
func (d *durationFlag) Set(s string) error {
	got, err := bellhop.ParseDuration(s)
	if err != nil {
		return bellhop.Errorf(bellhop.Invalid, "--for: %w", err)
	}
	*d = durationFlag(got)
	return nil
}

// String is the default that help shows.
func (d *durationFlag) String() string { return time.Duration(*d).String() }

// Type is what help calls a value.
func (*durationFlag) Type() string { return "duration" }
