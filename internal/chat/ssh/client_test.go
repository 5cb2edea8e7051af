package sshchat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// need looks for a program on PATH.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	text := program + " is not on PATH; install it with: apt-get install openssh-client"
	if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// house is a server with its files.
type house struct {
	dir    string
	server *sshchat.Server
	log    *syncBuffer
	desk   *chattest.Desk // every session's, unless the test has its own

	mu       sync.Mutex
	people   []bellhop.Person
	sessions map[string]bool
	closed   chan struct{} // one for each session that ended
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// open starts a server that knows alice's key, which lies in dir/alice.
func open(t *testing.T, change func(*sshchat.Options)) *house {
	t.Helper()
	need(t, "ssh")
	need(t, "ssh-keygen")
	h := &house{dir: t.TempDir(), log: &syncBuffer{}, desk: chattest.NewDesk(), sessions: map[string]bool{}, closed: make(chan struct{}, 10_000)}
	h.keygen(t, "alice", "Alice@laptop")
	h.write(t, "authorized_keys", h.read(t, "alice.pub"))
	opt := sshchat.Options{
		Name: "ssh", Listen: "127.0.0.1:0",
		HostKey: h.path("keys/host"), AuthorizedKeys: h.path("authorized_keys"), TrustedUserCA: h.path("ca.pub"),
		OpenDesk: h.openDesk,
		Log:      slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&opt)
	}
	s, err := sshchat.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.server = s
	t.Cleanup(func() { h.stop(t) })
	return h
}

func (h *house) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := h.server.Stop(ctx); err != nil {
		t.Errorf("the server did not stop by itself: %v", err)
	}
}

func (h *house) openDesk(p bellhop.Person, session string) (chat.Desk, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.people = append(h.people, p)
	h.sessions[session] = true
	return h.desk, func() { h.closed <- struct{}{} }
}

// waitClosed waits until one more session has closed its desk.
func (h *house) waitClosed(t *testing.T) {
	t.Helper()
	select {
	case <-h.closed:
	case <-time.After(10 * time.Second):
		t.Error("the desk was not closed")
	}
}

func (h *house) person(t *testing.T) bellhop.Person {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.people) == 0 {
		t.Fatal("nobody came in")
	}
	return h.people[len(h.people)-1]
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

func (h *house) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(h.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (h *house) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h *house) keygen(t *testing.T, name, comment string, more ...string) {
	t.Helper()
	run(t, "ssh-keygen", append([]string{"-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", h.path(name)}, more...)...)
}

// certify signs dir/NAME.pub with dir/CA.
func (h *house) certify(t *testing.T, ca, name string, more ...string) {
	t.Helper()
	run(t, "ssh-keygen", append(append([]string{"-q", "-s", h.path(ca), "-I", "test"}, more...), h.path(name+".pub"))...)
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// args are those of an OpenSSH client that uses dir/KEY.
func (h *house) args(key string, more ...string) []string {
	_, port, _ := net.SplitHostPort(h.server.Addr().String())
	args := []string{
		"-F", "none", "-i", h.path(key), "-p", port, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile=" + h.path("known_hosts"), "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR",
	}
	return append(args, more...)
}

// result is what a client came to.
type result struct {
	stdout, stderr string
	status         int
}

// ssh runs the client: its options, the host, the command.
func (h *house) ssh(t *testing.T, key, stdin string, more ...string) result {
	t.Helper()
	return h.client(t, "ssh", stdin, h.args(key, more...))
}

func (h *house) client(t *testing.T, program, stdin string, args []string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// terminal runs the client on a terminal.
func (h *house) terminal(t *testing.T, x *chattest.Terminal, more ...string) (wait func() int) {
	t.Helper()
	cmd := exec.Command("ssh", h.args("alice", more...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.Slave, x.Slave, x.Slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return func() int {
		t.Helper()
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			t.Fatalf("ssh did not end; shown: %q", x.Shown())
		}
		return cmd.ProcessState.ExitCode()
	}
}

func wantResult(t *testing.T, got result, stdout string, status int, stderr ...string) {
	t.Helper()
	if got.stdout != stdout || got.status != status {
		t.Errorf("stdout %q, status %d; want %q, %d (stderr: %q)", got.stdout, got.status, stdout, status, got.stderr)
	}
	for _, part := range stderr {
		if !strings.Contains(got.stderr, part) {
			t.Errorf("stderr lacks %q: %q", part, got.stderr)
		}
	}
}
