package sshchat_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
)

func TestRefused(t *testing.T) {
	h := open(t, nil)
	help(h)
	h.keygen(t, "mallory", "alice@laptop")
	t.Run("another key with the same comment", func(t *testing.T) {
		wantResult(t, h.ssh(t, "mallory", "", "127.0.0.1", "help"), "", 255, "Permission denied (publickey)")
	})
	t.Run("passwords", func(t *testing.T) {
		r := h.ssh(t, "mallory", "", "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive", "127.0.0.1", "help")
		wantResult(t, r, "", 255, "Permission denied (publickey)")
	})
	t.Run("remote forwarding", func(t *testing.T) {
		r := h.ssh(t, "alice", "", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "127.0.0.1", "help")
		wantResult(t, r, "", 255, "remote port forwarding failed")
	})
	t.Run("local forwarding", func(t *testing.T) {
		r := h.ssh(t, "alice", "", "-W", "127.0.0.1:1", "127.0.0.1")
		wantResult(t, r, "", 255, "stdio forwarding failed")
	})
	t.Run("agent and X11", func(t *testing.T) {
		r := h.ssh(t, "alice", "", "-A", "-X", "-o", "SetEnv=LD_PRELOAD=x", "127.0.0.1", "help")
		wantResult(t, r, "ok\n", 0)
	})
	t.Run("sftp", func(t *testing.T) {
		if r := h.ssh(t, "alice", "", "-s", "127.0.0.1", "sftp"); r.status == 0 || r.stdout != "" || !strings.Contains(r.stderr, "subsystem request failed") {
			t.Errorf("%+v", r)
		}
	})
	if asked := h.desk.Asked(); strings.Join(asked, "|") != "help" {
		t.Errorf("asked %q", asked)
	}
	// The client gives up at the refusal; its command, sent right behind the
	// request for a terminal, may have been asked by then or not.
	t.Run("a terminal for a key with no-pty", func(t *testing.T) {
		h.write(t, "authorized_keys", "no-pty "+h.read(t, "alice.pub"))
		if r := h.ssh(t, "alice", "", "-tt", "127.0.0.1", "help"); r.status != 255 || r.stdout != "" || !strings.Contains(r.stderr, "PTY allocation request failed") {
			t.Errorf("%+v", r)
		}
	})
}

func TestSlowHandshakeIsCutOff(t *testing.T) {
	h := open(t, func(o *sshchat.Options) { o.Limits.Handshake = 200 * time.Millisecond })
	for name, hello := range map[string]string{"half open": "", "half a handshake": "SSH-2.0-slow\r\n"} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", h.server.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_, _ = fmt.Fprint(c, hello)
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			r := bufio.NewReader(c)
			for err == nil {
				_, err = r.ReadByte()
			}
			if n, ok := err.(net.Error); ok && n.Timeout() {
				t.Error("it was not cut off")
			}
		})
	}
}

func TestLimitOfConnections(t *testing.T) {
	h := open(t, func(o *sshchat.Options) { o.Limits.PerAddress = 2 })
	help(h)
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", h.server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	if r := h.ssh(t, "alice", "", "127.0.0.1", "help"); r.status != 255 {
		t.Errorf("a third connection was served: %+v", r)
	}
	for _, c := range held {
		_ = c.Close()
	}
	deadline := time.Now().Add(10 * time.Second)
	for h.ssh(t, "alice", "", "127.0.0.1", "help").status != 0 {
		if time.Now().After(deadline) {
			t.Fatal("closed connections still count")
		}
	}
}

func TestIdlePromptIsClosed(t *testing.T) {
	h := open(t, func(o *sshchat.Options) { o.Limits.Idle = 300 * time.Millisecond })
	x := chattest.OpenTerminal(t, 80, 24)
	wait := h.terminal(t, x, "-tt", "127.0.0.1")
	x.Expect(t, "closed after 300 ms without a word")
	wait()
}

// dial connects with Go's client, which does what OpenSSH's never would.
func (h *house) dial(t testing.TB) *ssh.Client {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(h.dir, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ssh.Dial("tcp", h.server.Addr().String(), &ssh.ClientConfig{
		User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHostileClient(t *testing.T) {
	h := open(t, nil)
	help(h)
	c := h.dial(t)
	defer func() { _ = c.Close() }()
	if _, err := c.Dial("tcp", h.server.Addr().String()); err == nil || !strings.Contains(err.Error(), "forwards nothing") {
		t.Errorf("a connection was forwarded: %v", err)
	}
	if _, err := c.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("a listener was opened")
	}
	ch, reqs, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	for _, r := range []struct {
		kind    string
		payload []byte
		ok      bool
	}{
		{"pty-req", []byte("x"), false},
		{"window-change", []byte{0, 0, 0, 1}, false},
		{"exec", []byte{0xff, 0xff, 0xff, 0xff}, false},
		{"signal", nil, false},
		{"signal", ssh.Marshal(struct{ S string }{"INT"}), false},
		{"pty-req", ssh.Marshal(struct {
			T          string
			A, B, C, D uint32
			M          string
		}{"\x1b[2J", 0, 0xffffffff, 0, 0, ""}), true},
		{"window-change", ssh.Marshal(struct{ A, B, C, D uint32 }{0xffffffff, 0, 0, 0}), true},
		{"shell", nil, true},
		{"shell", nil, false},
		{"window-change", ssh.Marshal(struct{ A, B, C, D uint32 }{1, 1, 0, 0}), true},
		{"nonsense", nil, false},
	} {
		if ok, err := ch.SendRequest(r.kind, true, r.payload); ok != r.ok || err != nil {
			t.Errorf("%s %q: %v, %v", r.kind, r.payload, ok, err)
		}
	}
	_ = ch.Close()
	// More than the protocol's largest packet ends the connection, no more.
	if s, err := c.NewSession(); err == nil {
		_ = s.Run(strings.Repeat("x", 1<<20))
	}
	wantResult(t, h.ssh(t, "alice", "", "127.0.0.1", "help"), "ok\n", 0)
}

func TestLimitOfSessions(t *testing.T) {
	h := open(t, func(o *sshchat.Options) { o.Limits.Channels = 2 })
	c := h.dial(t)
	defer func() { _ = c.Close() }()
	for i := range 3 {
		_, err := c.NewSession()
		if (err == nil) != (i < 2) {
			t.Errorf("session %d: %v", i, err)
		}
	}
}

func TestSignalCancels(t *testing.T) {
	h := open(t, nil)
	h.desk.OnRun("work", chattest.Plan{Rule: chattest.TextRule(), Hold: true})
	c := h.dial(t)
	defer func() { _ = c.Close() }()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("work"); err != nil {
		t.Fatal(err)
	}
	h.desk.WaitAsked(1)
	for len(h.desk.Cancelled()) == 0 { // the ask is known a moment after it was made
		if err := s.Signal(ssh.SIGINT); err != nil {
			break
		}
	}
	exit, ok := s.Wait().(*ssh.ExitError)
	if !ok || exit.ExitStatus() != 143 {
		t.Errorf("exit %v", exit)
	}
}

// 200 connections at once, each asking 20 times, get their own answers within
// the memory that is allowed.
func TestManyConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	h := open(t, func(o *sshchat.Options) {
		o.OpenDesk = func(p bellhop.Person, session string) (chat.Desk, func()) {
			d := chattest.NewDesk()
			for i := range 200 {
				text := fmt.Sprintf("say %d", i)
				d.OnRun(text, chattest.Plan{Rule: chattest.TextRule(), Output: []chattest.Piece{chattest.Out(text + "\n")}})
			}
			return d, func() {}
		}
	})
	var wg, dialled sync.WaitGroup
	dialled.Add(200)
	all := make(chan struct{})
	for i := range 200 {
		wg.Go(func() {
			c := h.dial(t)
			defer func() { _ = c.Close() }()
			dialled.Done()
			<-all
			for range 20 {
				s, err := c.NewSession()
				if err != nil {
					t.Error(err)
					return
				}
				out, err := s.Output(fmt.Sprintf("say %d", i))
				if want := fmt.Sprintf("say %d\n", i); string(out) != want || err != nil {
					t.Errorf("%q, %v; want %q", out, err, want)
				}
			}
		})
	}
	dialled.Wait()
	close(all)
	wg.Wait()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d MiB from the system, clients included", m.Sys>>20)
	if m.Sys > 200<<20 {
		t.Errorf("%d MiB", m.Sys>>20)
	}
}
