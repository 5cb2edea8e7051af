package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/runner/watchdog"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// TestMain is the watchdog when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "watchdog" {
		if err := watchdog.Main(os.Stdin, os.Stdout); err != nil {
			os.Exit(70)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const echo = `
services:
  example:
    jobs:
      hello: {run: [bash, -c, echo hello], concurrency: unlimited, report: {stdout: true}}
      hello_to: {run: "echo hello {n}", concurrency: unlimited, report: {stdout: true}}
    commands:
      - {command: hello, job: hello}
      - {command: "hello [n]", job: hello_to}
`

// start starts a server on a configuration in a folder of its own.
func start(tb testing.TB, text string) *server.Server {
	tb.Helper()
	folder := tb.TempDir()
	path := filepath.Join(folder, "bellhop.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	giveKey(tb, folder)
	loaded, faults, err := server.Load(path)
	if err != nil || len(faults) > 0 {
		tb.Fatal(faults, err)
	}
	s := server.New(server.Options{Config: loaded, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if _, err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Stop(context.Background(), 0) })
	return s
}

// giveKey gives a configuration's folder the master key that all have here:
// several may share a store.
func giveKey(tb testing.TB, folder string) {
	tb.Helper()
	file := filepath.Join(folder, ".bellhop", "key")
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Repeat("ab", 32)), 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func client(tb testing.TB, s *server.Server) *api.Client {
	c := &api.Client{Socket: s.Socket(), Source: "ask", Session: api.NewKey()}
	tb.Cleanup(c.Close)
	return c
}

// TestWhatAnAskShowedIsRead asks and leaves as soon as it has the outcome, as
// `bellhop ask` does.
func TestWhatAnAskShowedIsRead(t *testing.T) {
	s := start(t, echo)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				c := client(t, s)
				var out, err strings.Builder
				if status := chat.New(c, chat.Options{Out: &out, Err: &err, Exit: chat.AskExit()}).Once(t.Context(), "example hello"); status != 0 || out.String() != "hello\n" {
					t.Errorf("%d %q %q", status, out.String(), err.String())
				}
			}
		})
	}
	wg.Wait()
	if err := client(t, s).Unread(t.Context(), func(r bellhop.Report) error {
		t.Errorf("%s is not read", r.Run.ID)
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// BenchmarkEcho is runs of `echo hello` per second, from asks over the control
// socket to outcomes in the store, output kept. Compare with
// `go run . exec -parallel 16 -- bash -c 'echo hello'` of shared/peers.
func BenchmarkEcho(b *testing.B) {
	s := start(b, echo)
	const callers = 16
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range callers {
		c := client(b, s)
		wg.Go(func() {
			for n := i; n < b.N; n += callers {
				if _, err := c.Ask(b.Context(), api.NewKey(), fmt.Sprintf("example hello %d", n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	c := client(b, s)
	for {
		st, err := c.Status(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if len(st.Running)+len(st.Waiting) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}

// BenchmarkAsk is the round trip of one ask at a time: asked, written down,
// run (`echo hello`), reported, read.
func BenchmarkAsk(b *testing.B) {
	s := start(b, echo)
	c := client(b, s)
	read := make(chan bellhop.RunID, 1)
	go func() {
		_ = c.Reports(b.Context(), func(r bellhop.Report) error { read <- r.Run.ID; return nil })
	}()
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := c.Ask(b.Context(), api.NewKey(), "example hello"); err != nil {
			b.Fatal(err)
		}
		<-read
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
