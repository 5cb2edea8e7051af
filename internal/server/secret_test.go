package server_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// load reads a configuration in a folder that has a key.
func load(t *testing.T, text string) *server.Loaded {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bellhop.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	giveKey(t, filepath.Dir(path))
	loaded, faults, err := server.Load(path)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	return loaded
}

// setSecrets sets secrets as the command line does without a server.
func setSecrets(t *testing.T, l *server.Loaded, secrets map[string]string) {
	t.Helper()
	s, err := server.OpenSecrets(t.Context(), l, server.LocalPerson(os.Getuid()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, value := range secrets {
		if _, err := s.SetSecret(t.Context(), name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
}

func startLoaded(t *testing.T, l *server.Loaded, log *slog.Logger) (*server.Server, error) {
	t.Helper()
	s := server.New(server.Options{Config: l, Version: "test", Log: log})
	_, err := s.Start(t.Context())
	if err == nil {
		t.Cleanup(func() { s.Stop(context.Background(), 0) })
	}
	return s, err
}

const sealedJob = "services: {example: {jobs: {show: {run: echo, env: {TOKEN: \"secret:token\"}}}}}\n"

// TestTokensOfSlackAreSecrets connects with tokens that stand in the store.
func TestTokensOfSlackAreSecrets(t *testing.T) {
	t.Parallel()
	w := slacktest.New(t, slacktest.Options{})
	l := load(t, fmt.Sprintf("chats: {slack: {bot_token: \"secret:bot\", app_token: \"secret:app\", api_url: %q}}\nservices: {}\n", w.URL))
	_, err := startLoaded(t, l, slog.New(slog.DiscardHandler))
	wantRefusal(t, err, "there is no secret bot", "there is no secret app", "bellhop.yaml:1:")
	setSecrets(t, l, map[string]string{"bot": slacktest.BotToken, "app": "xoxb-mixed-up"})
	_, err = startLoaded(t, l, slog.New(slog.DiscardHandler))
	wantRefusal(t, err, "secret app does not begin with xapp-")
	if strings.Contains(err.Error(), "mixed") {
		t.Errorf("the value is told: %v", err)
	}
	setSecrets(t, l, map[string]string{"app": slacktest.AppToken})
	s, err := startLoaded(t, l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	list, err := client(t, s).Secrets(t.Context())
	if err != nil || len(list) != 2 || !strings.HasPrefix(list[0].UsedBy[0], "app_token (") || !strings.HasPrefix(list[1].UsedBy[0], "bot_token (") {
		t.Errorf("%+v, %v", list, err)
	}
}

func wantRefusal(t *testing.T, err error, words ...string) {
	t.Helper()
	if bellhop.CodeOf(err) != bellhop.Invalid {
		t.Fatalf("got %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// buffer is a log that a test reads while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestTheLogIsMasked: a secret is whatever stands there, from the moment on
// that it is set.
func TestTheLogIsMasked(t *testing.T) {
	t.Parallel()
	l := load(t, strings.Replace(sealedJob, "secret:token", "plain", 1))
	var out buffer
	s, err := startLoaded(t, l, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(t.Context()); err != nil || !strings.Contains(out.String(), "configuration reloaded") {
		t.Fatal(err, out.String())
	}
	c := client(t, s)
	if _, err := c.SetSecret(t.Context(), "token", []byte("configuration")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(t.Context()); err != nil || !strings.Contains(out.String(), "*** reloaded") {
		t.Error(err, out.String())
	}
	if _, err := c.RemoveSecret(t.Context(), "token"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(t.Context()); err != nil || strings.Count(out.String(), "configuration reloaded") != 2 {
		t.Error(err, out.String())
	}
}

// TestSecretsAreForAdmins: anybody else is refused everything, and that is
// recorded.
func TestSecretsAreForAdmins(t *testing.T) {
	t.Parallel()
	l := load(t, "people: {alice: {ssh: alice}}\n"+sealedJob)
	setSecrets(t, l, map[string]string{"token": "hunter2x"})
	s, err := startLoaded(t, l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	if err := s.ControlAs(socket, bellhop.Person{Identity: "ssh:alice", Name: "alice", Listed: true}); err != nil {
		t.Fatal(err)
	}
	c := &api.Client{Socket: socket, Source: "ask"}
	t.Cleanup(c.Close)
	for name, call := range map[string]func() error{
		"list":   func() error { _, err := c.Secrets(t.Context()); return err },
		"set":    func() error { _, err := c.SetSecret(t.Context(), "token", []byte("hunter3x")); return err },
		"rm":     func() error { _, err := c.RemoveSecret(t.Context(), "token"); return err },
		"rotate": func() error { _, err := c.RotateKey(t.Context()); return err },
		"export": func() error { _, err := c.ExportSecrets(t.Context(), nil, "age1"); return err },
		"import": func() error { _, err := c.ImportSecrets(t.Context(), nil, true); return err },
	} {
		if err := call(); bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%s: %v", name, err)
		}
	}
	page, err := client(t, s).Audit(t.Context(), bellhop.AuditFilter{Refused: true, Limit: 100})
	if err != nil || len(page.Records) != 6 || page.Records[0].Action != bellhop.AuditSecret || page.Records[0].Principal != "alice" {
		t.Errorf("recorded: %+v, %v", page.Records, err)
	}
	list, err := client(t, s).Secrets(t.Context())
	if err != nil || len(list) != 1 || list[0].UsedBy[0] != "example show" {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestARehearsalHasNoSecrets: nothing real is tried out with, and no key made.
func TestARehearsalHasNoSecrets(t *testing.T) {
	t.Parallel()
	l := load(t, sealedJob)
	if err := os.RemoveAll(filepath.Join(l.Home, ".bellhop")); err != nil {
		t.Fatal(err)
	}
	r, _, err := server.Rehearse(t.Context(), server.RehearsalOptions{Config: l})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	if _, err := os.Stat(filepath.Join(l.Home, ".bellhop", "key")); !os.IsNotExist(err) {
		t.Errorf("a key was made: %v", err)
	}
}

// TestAnAnswerDoesNotEchoASecret: a line that is told back may hold one.
func TestAnAnswerDoesNotEchoASecret(t *testing.T) {
	t.Parallel()
	l := load(t, `services:
  example:
    jobs:
      show: {run: echo, env: {TOKEN: "secret:token"}}
      keep: {run: "echo {what} {when}", params: {when: {enum: [now, later]}}}
    commands:
      - {command: "keep [what] [when]", job: keep, confirm: "yes"}
`)
	setSecrets(t, l, map[string]string{"token": "hunter2-hunter2"})
	s, err := startLoaded(t, l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, s)
	for _, line := range []string{"hunter2-hunter2", "example hunter2-hunter2", "example keep hunter2-hunter2 hunter2-hunter2", "help hunter2-hunter2", "why hunter2-hunter2"} {
		a, err := c.Ask(t.Context(), "k "+line, line)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q is answered %+v, %v", line, a, err)
		}
	}
	a, err := c.Ask(t.Context(), "k", "example keep hunter2-hunter2 now")
	if err != nil || a.Question == nil || !strings.Contains(a.Question.Text, "***") || strings.Contains(a.Question.Text+a.Question.Plain, "hunter2") {
		t.Errorf("asked back %+v, %v", a.Question, err)
	}
}
