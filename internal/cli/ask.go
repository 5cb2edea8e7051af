package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/console"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

type askFlags struct {
	timeout timeoutFlag
	detach  bool
}

func (a *app) askCommand() *cobra.Command {
	var f askFlags
	c := &cobra.Command{
		Use:   "ask [--timeout D] [--detach] TEXT...",
		Short: "Ask for something in words, and print what comes of it",
		Long: "Ask for something in words, and print what comes of it. Outcomes go to stdout,\n" +
			"everything else to stderr. Without a server, it serves itself until the answer is there.\n\n" +
			"Exit status: 0 every run succeeded, 1 one did not, 2 not understood, 3 not allowed,\n" +
			"4 waited too long, 5 not accepted.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, words []string) error {
			return a.ask(cmd.Context(), f, strings.Join(words, " "))
		},
	}
	c.Flags().SetInterspersed(false) // the rest is text, dashes and all
	c.Flags().Var(&f.timeout, "timeout", "wait at most this long for the outcome; the run goes on")
	c.Flags().BoolVar(&f.detach, "detach", false, "print the run's id once it is accepted, and don't wait (needs a running server)")
	return c
}

func (a *app) ask(ctx context.Context, f askFlags, text string) error {
	ctx, stop := hangup(ctx)
	defer stop()
	c, err := a.client("ask")
	if err != nil {
		return err
	}
	defer c.Close()
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.timeout))
		defer cancel()
	}
	answers, err := c.Server(ctx)
	if err != nil {
		err = noServer(err)
	} else {
		a.tellTimesAs(answers)
	}
	switch {
	case f.detach && errors.Is(err, context.DeadlineExceeded):
		return err
	case f.detach && (err == nil && answers.Solo || bellhop.CodeOf(err) == bellhop.Unavailable):
		return bellhop.Errorf(bellhop.Unavailable, "--detach needs a running server, which would do the work; `bellhop up` starts one")
	case f.detach && err == nil:
		return a.detach(ctx, c, text)
	case err != nil && bellhop.CodeOf(err) != bellhop.Unavailable:
		return err
	}
	s := newStandby(ctx, a, c, answers.Solo)
	defer s.close()
	if err != nil {
		if err := s.serve(ctx); err != nil && ctx.Err() != nil {
			a.tell("bellhop: nothing was asked: there was no time to begin")
			return exit(chat.AskExit().OfError(ctx.Err()))
		} else if bellhop.CodeOf(err) == bellhop.Conflict {
			return bellhop.Errorf(bellhop.Unavailable, "not accepted, and not asked for: the server does not answer, so ask again when it does (%w)", err)
		} else if bellhop.CodeOf(err) == bellhop.Unavailable {
			return bellhop.Errorf(bellhop.Unavailable, "not accepted, and not asked for: %w", err)
		} else if err != nil {
			return err
		}
	}
	if status := console.Conversation(asking{c, s}, a.console()).Once(ctx, text); status != 0 {
		return exit(status)
	}
	return nil
}

// detach prints the id of the run that an ask came to. No session stands
// behind it, so its report is there to be read as soon as it is made.
func (a *app) detach(ctx context.Context, c *api.Client, text string) error {
	c.Session = ""
	got, err := c.Ask(ctx, api.NewKey(), text)
	if err != nil {
		fmt.Fprintln(a.Err, "bellhop:", a.style().ErrorText(err))
		return exit(chat.AskExit().OfError(err))
	}
	if got.Accepted == nil {
		_, err = fmt.Fprintln(a.Out, a.style().AnswerText(got))
		return err
	}
	_, err = fmt.Fprintln(a.Out, got.Accepted.Run)
	return err
}
