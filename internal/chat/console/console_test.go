package console_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
	"github.com/bellhop-io/bellhop/internal/chat/console"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.signal_recv"), goleak.IgnoreTopFunction("os/signal.loop"))
}

func TestConformance(t *testing.T) {
	chattest.Run(t, chattest.Front{Lines: lines, Prompt: prompt, Exit: chat.AskExit()})
}

// file makes an open file with content; reading begins at its start.
func file(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return f
}

func content(t *testing.T, f *os.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func lines(t *testing.T, d *chattest.Desk, input string) (string, string, int) {
	out, errs := file(t, ""), file(t, "")
	status := console.Run(t.Context(), d, console.Options{In: file(t, input), Out: out, Err: errs, Command: "bellhop ", Exit: chat.AskExit()})
	return content(t, out), content(t, errs), status
}

func prompt(t *testing.T, d *chattest.Desk, x *chattest.Terminal) func() {
	done := make(chan int, 1)
	go func() {
		done <- console.Run(context.Background(), d, console.Options{In: x.Slave, Out: x.Slave, Err: x.Slave, NoColor: true, Exit: chat.AskExit()})
	}()
	return func() {
		t.Helper()
		if status := <-done; status != 0 {
			t.Errorf("exit status %d", status)
		}
		if x.Raw(t) {
			t.Error("the terminal was left in raw mode")
		}
	}
}

func TestResize(t *testing.T) {
	d, x := chattest.NewDesk(), chattest.OpenTerminal(t, 20, 24)
	wait := prompt(t, d, x)
	x.Expect(t, "> ")
	if !x.Raw(t) {
		t.Error("the terminal is not in raw mode at the prompt")
	}
	x.Type(t, strings.Repeat("x", 30)+"\x15")
	x.Type(t, "\x04")
	wait()
}

func TestEndOfContextRestoresTheTerminal(t *testing.T) {
	d, x := chattest.NewDesk(), chattest.OpenTerminal(t, 80, 24)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() {
		done <- console.Run(ctx, d, console.Options{In: x.Slave, Out: x.Slave, Err: x.Slave, Exit: chat.AskExit()})
	}()
	x.Expect(t, "> ")
	cancel()
	if status := <-done; status != chat.AskExit().Interrupted {
		t.Errorf("exit status %d", status)
	}
	if x.Raw(t) {
		t.Error("the terminal was left in raw mode")
	}
	x.Type(t, "\r") // lets the Read that stayed behind go
}
