package sshchat_test

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop/internal/chat/chattest"
	sshchat "github.com/bellhop-io/bellhop/internal/chat/ssh"
)

// openSession opens a session channel and asks for what it is to be, if anything.
func openSession(t *testing.T, c *ssh.Client, kind string, payload any) ssh.Channel {
	t.Helper()
	ch, reqs, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	if kind == "" {
		return ch
	}
	var b []byte
	if payload != nil {
		b = ssh.Marshal(payload)
	}
	if ok, err := ch.SendRequest(kind, true, b); !ok || err != nil {
		t.Fatalf("%s: %t, %v", kind, ok, err)
	}
	return ch
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestBytesAPieceCostNoMemory: a client that sends its window a byte a packet
// makes the server hold no more than those bytes, whatever the session is for,
// and on the channel that means nothing too.
func TestBytesAPieceCostNoMemory(t *testing.T) {
	const packets = 100_000 // of the 2 MiB of a window
	type exec struct{ Command string }
	for name, c := range map[string]struct {
		kind    string
		payload any
		stderr  bool
	}{
		"a session for nothing":     {},
		"stderr of a client":        {stderr: true},
		"lines while a run goes on": {kind: "shell"},
		"a command":                 {kind: "exec", payload: exec{"example hold"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			h.desk.OnRun("example hold", chattest.Plan{Hold: true})
			client := h.dial(t)
			defer func() { _ = client.Close() }()
			ch := openSession(t, client, c.kind, c.payload)
			if c.kind == "shell" {
				if _, err := io.WriteString(ch, "example hold\n"); err != nil {
					t.Fatal(err)
				}
			}
			to := io.Writer(ch)
			if c.stderr {
				to = ch.Stderr()
			}
			before := heap()
			for range packets {
				if _, err := to.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			// Once this is answered, the server has read all that was sent before.
			if _, _, err := client.SendRequest("are you there", true, nil); err != nil {
				t.Fatal(err)
			}
			const most = 2 << 20
			deadline := time.Now().Add(5 * time.Second)
			grown := int64(heap() - before)
			for ; grown > most && time.Now().Before(deadline); grown = int64(heap() - before) {
				time.Sleep(10 * time.Millisecond) // between two looks
			}
			if grown > most {
				t.Errorf("%d bytes made the heap grow by %d", packets, grown)
			}
		})
	}
}

// TestTooMuchAhead: what is sent far ahead of the answers ends the session, and
// says why.
func TestTooMuchAhead(t *testing.T) {
	h := open(t, func(o *sshchat.Options) { o.Limits.Ahead = 100_000 })
	h.desk.OnRun("example hold", chattest.Plan{Hold: true})
	client := h.dial(t)
	defer func() { _ = client.Close() }()
	ch := openSession(t, client, "shell", nil)
	go func() { _, _ = io.WriteString(ch, "example hold\n"+strings.Repeat("example hold\n", 20_000)) }()
	told, err := io.ReadAll(ch.Stderr())
	if err != nil || !strings.Contains(string(told), "more than 100,000 bytes were sent ahead") {
		t.Errorf("told %q, %v", told, err)
	}
	h.waitClosed(t)
}

// TestNothingIsHeldForNothing: neither a session that is for nothing nor a
// connection without one stays.
func TestNothingIsHeldForNothing(t *testing.T) {
	h := open(t, func(o *sshchat.Options) {
		o.Limits.Handshake, o.Limits.Idle = time.Second, time.Second
	})
	client := h.dial(t)
	defer func() { _ = client.Close() }()
	ch := openSession(t, client, "", nil)
	if _, err := io.ReadAll(ch); err != nil { // until it is closed
		t.Error(err)
	}
	if err := client.Wait(); err == nil { // likewise
		t.Error("the connection ended without an error")
	}
}
