// Package cli is the command line: one file per verb.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// Stdio are the streams of a command.
type Stdio struct{ In, Out, Err *os.File }

// exit is an exit status that is no failure to be told.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// app is what every verb shares.
type app struct {
	Stdio
	config string         // the -c flag
	zone   *time.Location // in which times are told; nil = the machine's
}

// Run runs one command line and returns its exit status.
func Run(args []string, io Stdio) int {
	a := &app{Stdio: io}
	if len(args) > 0 && args[0] == "watchdog" { // beside each server, and nobody else's business
		return a.watchdog()
	}
	heavy := loadBallast()
	defer runtime.KeepAlive(heavy)
	root := a.root()
	root.SetArgs(args)
	ctx, stop := interruptible()
	defer stop()
	err := root.ExecuteContext(ctx)
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintln(io.Err, "bellhop:", chat.CleanText(err.Error()))
	}
	return statusOf(err)
}

// statusOf is the one place where an error becomes the exit status of a verb.
func statusOf(err error) int {
	if err == nil {
		return 0
	}
	switch bellhop.CodeOf(err) {
	case bellhop.Invalid, bellhop.NotFound:
		return 2
	case bellhop.NotAllowed:
		return 3
	case bellhop.Conflict, bellhop.Unavailable:
		return 5
	}
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 70
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bellhop",
		Short: "Ask from anywhere, run anything, lose nothing",
		Long: "Bellhop takes requests for work where a team already is, decides whether this\n" +
			"person may have it done, writes it down before it answers, runs it, and answers\n" +
			"where it was asked.\n\n" +
			"New here? `bellhop demo` shows it at work; `bellhop init` begins a configuration.",
		SilenceErrors: true,
		SilenceUsage:  true,
		// Without a Run of its own, the root would answer any word with its help.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(usage)
	root.PersistentFlags().StringVarP(&a.config, "config", "c", "bellhop.yaml", "configuration file")
	root.AddCommand(
		a.upCommand(), a.demoCommand(), a.initCommand(), a.askCommand(), a.chatCommand(),
		a.checkCommand(), a.testCommand(), a.schemaCommand(), a.reloadCommand(), a.statusCommand(), a.runsCommand(),
		a.logsCommand(), a.whyCommand(), a.cancelCommand(), a.retryCommand(), a.approveCommand(), a.denyCommand(), a.auditCommand(),
		a.pauseCommand(), a.resumeCommand(), a.suppressCommand(), a.unsuppressCommand(), a.suppressionsCommand(), a.schedulesCommand(), a.unscheduleCommand(), a.loginCommand(), a.tokenCommand(), a.yamlCommand(), a.webhookCommand(), a.backupCommand(), a.secretCommand(), a.benchCommand(), a.versionCommand(),
	)
	for _, c := range root.Commands() {
		c.DisableFlagsInUseLine = true
		if c.Args != nil {
			c.Args = usageArgs(c.Args)
		}
	}
	root.Args = unknownVerb
	return root
}

// unknownVerb words a verb that does not exist.
func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	cmd.SuggestionsMinimumDistance = 2 // as cobra has it where it words this itself
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		near = fmt.Sprintf(" Did you mean `bellhop %s`?", s[0])
	}
	return bellhop.Errorf(bellhop.Invalid, "there is no command %.40q.%s (bellhop --help lists them; bellhop ask TEXT asks for something in words)", args[0], near)
}

// usage makes a fault of the command line an Invalid error. What a flag says
// of its value stands for itself.
func usage(cmd *cobra.Command, err error) error {
	if told, ok := errors.AsType[*bellhop.Error](err); ok {
		err = told
	}
	return bellhop.Errorf(bellhop.Invalid, "%w\nUsage: %s", err, cmd.UseLine())
}

// usageArgs words a wrong number of arguments by the verb's usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case check(cmd, args) == nil:
			return nil
		case len(args) == 0:
			return usage(cmd, errors.New("something is missing after "+cmd.CommandPath()))
		default:
			return usage(cmd, fmt.Errorf("%.40q is too much", args[len(args)-1]))
		}
	}
}

// home returns the folder of the configuration, absolute.
func (a *app) home() (string, error) {
	path, err := filepath.Abs(a.config)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", bellhop.Errorf(bellhop.NotFound, "there is no configuration %s: `bellhop init` writes one, `-c FILE` names another", a.config)
	}
	return filepath.Dir(path), nil
}

// client returns a client of the configuration's control socket.
func (a *app) client(source string) (*api.Client, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	socket := server.SocketPath(home)
	if err := server.TrustSocket(socket); err != nil {
		return nil, err
	}
	return &api.Client{Socket: socket, Source: source, Session: api.NewKey()}, nil
}

// absent reports that nobody is at the control socket.
func absent(err error) bool {
	_, answered := errors.AsType[*bellhop.Error](err)
	return !answered && !errors.Is(err, syscall.EACCES) && !errors.Is(err, context.DeadlineExceeded)
}

// noServer words that nothing answers on the control socket; what a server
// said stays as it is.
func noServer(err error) error {
	if _, answered := errors.AsType[*bellhop.Error](err); answered {
		return err
	}
	if errors.Is(err, syscall.EACCES) {
		return bellhop.Errorf(bellhop.NotAllowed, "the server belongs to another user of this machine, and only that one may use its control socket: %w", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return bellhop.Errorf(bellhop.Unavailable, "the server does not answer: it is frozen, or the machine is very busy; wake it (kill -CONT), or kill it and start another (bellhop up): %w", err)
	}
	return bellhop.Errorf(bellhop.Unavailable, "no server is running; `bellhop up` starts one")
}

// group makes a verb of those below it, which by itself shows its help.
func group(c *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	c.Args = unknownVerb
	c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, v := range verbs {
		v.DisableFlagsInUseLine = true
		v.Args = usageArgs(v.Args)
	}
	c.AddCommand(verbs...)
	return c
}
