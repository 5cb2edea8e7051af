package chattest

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Terminal is a pseudo-terminal: a front end has Slave, the test types at the
// other side and sees what a person would see.
type Terminal struct {
	Slave  *os.File
	master *os.File

	mu      sync.Mutex
	screen  bytes.Buffer // all that was shown
	seen    int          // up to where Expect has looked
	changed chan struct{}
	ended   bool
}

func newTerminal(t *testing.T, master, slave *os.File) *Terminal {
	x := &Terminal{Slave: slave, master: master, changed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			x.mu.Lock()
			x.screen.Write(buf[:n])
			x.ended = err != nil
			close(x.changed)
			x.changed = make(chan struct{})
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = slave.Close()
		_ = master.Close()
		<-done
	})
	return x
}

// Type types keys.
func (x *Terminal) Type(t *testing.T, keys string) {
	t.Helper()
	if _, err := x.master.WriteString(keys); err != nil {
		t.Fatalf("typing %q: %v", keys, err)
	}
}

// Expect waits until text is shown after what the last Expect found.
func (x *Terminal) Expect(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		x.mu.Lock()
		shown := x.screen.String()[x.seen:]
		i := strings.Index(shown, text)
		if i >= 0 {
			x.seen += i + len(text)
		}
		changed, ended := x.changed, x.ended
		x.mu.Unlock()
		if i >= 0 {
			return
		}
		if ended {
			t.Fatalf("the terminal ended; %q was not shown; shown: %q", text, shown)
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q was not shown; shown: %q", text, shown)
		}
	}
}

// Shown returns all that was shown.
func (x *Terminal) Shown() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}
