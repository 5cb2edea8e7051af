package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/secret"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

func (a *app) secretCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "secret",
		Short: "Keep secrets: set, list, rm, rotate, export, import",
		Long: "Keep secrets, sealed in the store. `secret:NAME` as a value in env: of the\n" +
			"configuration stands for one. Without a server, the store is opened.",
	}, a.secretSet(), a.secretList(), a.secretRemove(), a.secretRotate(), a.secretExport(), a.secretImport())
}

// secrets calls fn with what keeps the secrets: the server when one runs, else
// the store itself.
func (a *app) secrets(ctx context.Context, fn func(api.Secrets) error) error {
	c, err := a.client("ask")
	if err != nil {
		return err
	}
	defer c.Close()
	answers, err := c.Server(ctx)
	if err == nil {
		a.tellTimesAs(answers)
		return fn(c)
	}
	if !absent(err) {
		return noServer(err)
	}
	loaded, err := a.load()
	if err != nil {
		return err
	}
	a.zone = loaded.Location
	s, err := server.OpenSecrets(ctx, loaded, server.LocalPerson(os.Getuid()))
	if err != nil {
		return err
	}
	defer s.Close()
	return fn(s)
}

// warn tells warnings.
func (a *app) warn(warnings []string) {
	for _, w := range warnings {
		a.tell("warning: %s", w)
	}
}

func (a *app) secretSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME",
		Short: "Set a secret: its value comes from stdin, or is asked for",
		Long: "Set a secret: its value is read from stdin, or asked for on a terminal, where it\n" +
			"is not shown. The end of a single line is not a part of it.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, bellhop.Errorf(bellhop.Invalid, "a value is not given as an argument, where ps and the history of the shell show it: choose another one, and hand it over on stdin"))
			}
			if err := bellhop.CheckName("secret", args[0]); err != nil {
				return err
			}
			value, err := a.readValue("the value of " + args[0] + ": ")
			if err != nil {
				return err
			}
			return a.secrets(cmd.Context(), func(s api.Secrets) error {
				warnings, err := s.SetSecret(cmd.Context(), args[0], value)
				a.warn(warnings)
				return err
			})
		},
	}
}

// readValue reads what must not be shown.
func (a *app) readValue(prompt string) ([]byte, error) {
	if terminal(a.In) {
		return a.readHidden(prompt)
	}
	value, err := io.ReadAll(io.LimitReader(a.In, secret.MaxValue+3))
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "stdin can't be read: %w", err)
	}
	return withoutEnd(value), nil
}

// withoutEnd takes the end off a text of one line; a key of several lines needs
// its last one.
func withoutEnd(value []byte) []byte {
	line := strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r")
	if strings.Contains(line, "\n") {
		return value
	}
	return []byte(line)
}

// readHidden asks on the terminal. It shows nothing from before the question on:
// who types at once is not shown either.
func (a *app) readHidden(prompt string) ([]byte, error) {
	was, err := term.MakeRaw(int(a.In.Fd()))
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "the terminal can't be read: %w", err)
	}
	value, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{a.In, a.Err}, "").ReadPassword(prompt)
	_ = term.Restore(int(a.In.Fd()), was)
	if err != nil { // Ctrl-C, or Ctrl-D
		return nil, context.Canceled
	}
	return []byte(value), nil
}

func (a *app) secretList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List secrets, who set them and what uses them; never their values",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.secrets(cmd.Context(), func(s api.Secrets) error {
				list, err := s.Secrets(cmd.Context())
				if err != nil {
					return err
				}
				return a.secretTable(list)
			})
		},
	}
}

func (a *app) secretTable(list []api.Secret) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(a.Out, "There are no secrets; `bellhop secret set NAME` sets one.")
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSET\tBY\tUSED BY")
	for _, s := range list {
		used := "-"
		if len(s.UsedBy) > 0 {
			used = strings.Join(s.UsedBy, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Updated.In(a.now().Location()).Format("2006-01-02 15:04"), chat.Clean(s.By), chat.Clean(used))
	}
	return w.Flush()
}

func (a *app) secretRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a secret",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.secrets(cmd.Context(), func(s api.Secrets) error {
				warnings, err := s.RemoveSecret(cmd.Context(), args[0])
				a.warn(warnings)
				return err
			})
		},
	}
}

func (a *app) secretRotate() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Change the master key, and seal all secrets anew",
		Long: "Change the master key, and seal all secrets anew with it. A key that is in\n" +
			secret.EnvKey + " is changed to the one in " + secret.EnvNewKey + ".",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.secrets(cmd.Context(), func(s api.Secrets) error {
				r, err := s.RotateKey(cmd.Context())
				if err != nil {
					return err
				}
				fmt.Fprintf(a.Out, "sealed with the master key %s, no longer with %s\n", r.New, r.Old)
				if r.Env {
					a.tell("from the next start on, set %s to what %s is now", secret.EnvKey, secret.EnvNewKey)
				}
				if len(r.Servers) > 0 {
					a.tell("every server of the store needs the new key: copy %s to each of %s", r.File, strings.Join(r.Servers, ", "))
				}
				return nil
			})
		},
	}
}
