package sshchat_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
)

// TestRefusedKeysAreLogged: at the level that is the default, who runs a server
// sees which key was refused, from where and why.
func TestRefusedKeysAreLogged(t *testing.T) {
	for _, tc := range []struct {
		name  string
		setup func(t *testing.T, h *house)
		want  string
	}{
		{"unknown", func(t *testing.T, h *house) { h.write(t, "authorized_keys", "# nobody\n") }, "the key is not known"},
		{"expired", func(t *testing.T, h *house) {
			h.write(t, "authorized_keys", `expiry-time="20200101Z" `+h.read(t, "alice.pub"))
		}, "the key of alice expired at 2020-01-01"},
		{"from elsewhere", func(t *testing.T, h *house) {
			h.write(t, "authorized_keys", `from="192.0.2.7" `+h.read(t, "alice.pub"))
		}, "the key of alice may not be used from 127.0.0.1"},
		{"a certificate from elsewhere", func(t *testing.T, h *house) {
			h.write(t, "authorized_keys", "# nobody\n")
			h.keygen(t, "ca", "ca")
			h.certify(t, "ca", "alice", "-n", "alice", "-O", "source-address=192.0.2.0/24")
		}, "the key of alice may not be used from 127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t, atInfo)
			tc.setup(t, h)
			h.ssh(t, "alice", "", "127.0.0.1", "help")
			public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(h.read(t, "alice.pub")))
			if err != nil {
				t.Fatal(err)
			}
			log := h.log.String()
			if strings.HasPrefix(tc.name, "a certificate") {
				if !strings.Contains(log, tc.want) {
					t.Errorf("the log lacks %q:\n%s", tc.want, log)
				}
				return
			}
			for _, want := range []string{"level=INFO", "a key was refused", tc.want, ssh.FingerprintSHA256(public), "from=127.0.0.1:"} {
				if !strings.Contains(log, want) {
					t.Errorf("the log lacks %q:\n%s", want, log)
				}
			}
		})
	}
}

func atInfo(o *sshchat.Options) {
	o.Log = slog.New(infoOnly{o.Log.Handler()})
}

// TestRefusedKeysDontFillTheLog: who tries keys without end gets a few lines a
// second, and what was left out is counted.
func TestRefusedKeysDontFillTheLog(t *testing.T) {
	clock := &stillClock{now: time.Now()}
	h := open(t, func(o *sshchat.Options) { atInfo(o); o.Clock = clock })
	h.write(t, "authorized_keys", "# nobody\n")
	for range 10 {
		h.ssh(t, "alice", "", "127.0.0.1", "help")
	}
	if n := strings.Count(h.log.String(), "a key was refused"); n != 6 {
		t.Errorf("%d lines within a second:\n%s", n, h.log.String())
	}
	clock.advance(2 * time.Second)
	h.ssh(t, "alice", "", "127.0.0.1", "help")
	if log := h.log.String(); strings.Count(log, "a key was refused") != 7 || !strings.Contains(log, "left_out=4") {
		t.Errorf("after a while:\n%s", log)
	}
	for range 6 {
		h.ssh(t, "alice", "", "127.0.0.1", "help")
	}
	h.stop(t)
	if log := h.log.String(); !strings.Contains(log, "more keys were refused\" chat=ssh from=127.0.0.1 left_out=1") {
		t.Errorf("when it stops:\n%s", log)
	}
}

// infoOnly is a log at the default level.
type infoOnly struct{ slog.Handler }

func (infoOnly) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (i infoOnly) WithAttrs(a []slog.Attr) slog.Handler { return infoOnly{i.Handler.WithAttrs(a)} }

// stillClock tells the time that it is set to; its timers are the machine's.
type stillClock struct {
	bellhop.SystemClock
	mu  sync.Mutex
	now time.Time
}

func (c *stillClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stillClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
