package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

//go:embed demo.yaml
var demoConfig []byte

// demoAsks are what the demo shows, and why.
var demoAsks = []struct{ why, text string }{
	{"A request waits its delay (1 s here), runs, and is answered:", "example say hello"},
	{"What you type is an argument, never code:", "example say hello Bob; touch pwned $(id)"},
	{"Output is shown live:", "example count to 3"},
	{"A job that says nothing still reports:", "example tidy up"},
	{"A failure says what happened and how to look further:", "example break"},
}

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show it at work: in a temporary folder, on free ports",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

func (a *app) demo(ctx context.Context) error {
	ctx, stop := hangup(ctx) // so that the folder goes
	defer stop()
	folder, err := os.MkdirTemp("", "bellhop-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	a.config = filepath.Join(folder, "bellhop.yaml")
	if err := os.WriteFile(a.config, demoConfig, 0o600); err != nil {
		return err
	}
	key, err := demoKey(folder)
	if err != nil {
		return err
	}
	loaded, err := a.load()
	if err != nil {
		return err
	}
	begin := time.Now()
	s := server.New(server.Options{Config: loaded, Version: version(), Log: slog.New(slog.DiscardHandler)})
	lines, err := s.Start(ctx)
	if err != nil {
		return err
	}
	defer s.Stop(context.WithoutCancel(ctx), 0)
	fmt.Fprintf(a.Out, "Bellhop is up after %d ms, with its store and everything else in %s\n", time.Since(begin).Milliseconds(), folder)
	for _, ask := range demoAsks {
		fmt.Fprintf(a.Out, "\n%s\n\n  > %s\n", ask.why, ask.text)
		if err := a.demoAsk(ctx, s, ask.text); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.Out, "\nThe whole configuration: %s\n", a.config)
	for _, l := range lines {
		if l.What == "ssh" {
			if _, port, err := net.SplitHostPort(l.Where); err == nil {
				fmt.Fprintf(a.Out, "Ask from another terminal, while this goes on:\n\n  ssh -i %s -p %s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null 127.0.0.1 example say hello Bob\n", key, port)
			}
		}
	}
	fmt.Fprint(a.Out, "\nYour own: bellhop init, edit bellhop.yaml, bellhop up\n")
	if !terminal(a.In) || !terminal(a.Out) {
		return nil
	}
	fmt.Fprint(a.Out, "Ask here, too (`help` lists what there is, `exit` ends the demo):\n\n")
	return a.prompt(ctx, s.Socket())
}

// demoAsk asks one line as `bellhop ask` does, indented.
func (a *app) demoAsk(ctx context.Context, s *server.Server, text string) error {
	c := &api.Client{Socket: s.Socket(), Source: "ask", Session: api.NewKey()}
	defer c.Close()
	out := &indent{w: a.Out, begin: true}
	chat.New(c, chat.Options{
		Out: out, Err: out, OutTerminal: terminal(a.Out), ErrTerminal: terminal(a.Out),
		Color: colorful(a.Out), Command: "bellhop ", Exit: chat.AskExit(),
	}).Once(ctx, text)
	return ctx.Err()
}

// demoKey makes a key for asking over SSH and returns its file.
func demoKey(folder string) (string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := ssh.MarshalPrivateKey(private, "visitor")
	if err != nil {
		return "", err
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", err
	}
	line := fmt.Appendf(nil, "principal=\"visitor\" %s", ssh.MarshalAuthorizedKey(sshPublic))
	if err := os.WriteFile(filepath.Join(folder, "authorized_keys"), line, 0o600); err != nil {
		return "", err
	}
	path := filepath.Join(folder, "key")
	return path, os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}

// indent writes lines with two spaces before each.
type indent struct {
	w     *os.File
	begin bool
}

func (i *indent) Write(p []byte) (int, error) {
	var out []byte
	for _, b := range p {
		if i.begin {
			out = append(out, "  "...)
		}
		out = append(out, b)
		i.begin = b == '\n'
	}
	if _, err := i.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
