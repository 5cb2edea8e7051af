package server_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// again starts another server on the configuration of one that was stopped.
func again(t *testing.T, s *server.Server) *server.Server {
	t.Helper()
	loaded, faults, err := server.Load(filepath.Join(filepath.Dir(filepath.Dir(s.Socket())), "bellhop.yaml"))
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	next := server.New(server.Options{Config: loaded, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if _, err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Stop(context.Background(), 0) })
	return next
}

// A server that is stopped in good order is no reason for a client to give up:
// it waits for the next one, with its reports and with output that it follows.
func TestAClientOutlivesAServerThatIsStopped(t *testing.T) {
	s := start(t, house)
	c := client(t, s)
	lost := make(chan struct{}, 10)
	c.Lost = func() { lost <- struct{}{} }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	read, reports := make(chan bellhop.RunID, 1), make(chan error, 1)
	go func() {
		reports <- c.Reports(ctx, func(r bellhop.Report) error { read <- r.Run.ID; return nil })
	}()
	got, err := c.Ask(ctx, api.NewKey(), "example later")
	if err != nil {
		t.Fatal(err)
	}
	output := make(chan error, 1)
	go func() {
		output <- c.Output(ctx, got.Accepted.Run, true, func(bellhop.Chunk) error { return nil })
	}()
	for range 100 { // both streams are open once the other requests are answered
		if _, err := c.Status(ctx); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop(context.Background(), 0)
	select {
	case err := <-reports:
		t.Fatalf("the reports ended with the server: %v", err)
	case err := <-output:
		t.Fatalf("the output ended with the server: %v", err)
	case <-lost:
	}
	again(t, s)
	if _, err := c.Cancel(ctx, got.Accepted.Run); err != nil {
		t.Fatal(err)
	}
	select {
	case id := <-read:
		if id != got.Accepted.Run {
			t.Errorf("a report of %s", id)
		}
	case err := <-reports:
		t.Errorf("the reports ended: %v", err)
	}
	if err := <-output; err != nil {
		t.Errorf("the output ended: %v", err)
	}
}

const one = `
services:
  example:
    jobs: {hello: {run: "echo {n}", concurrency: unlimited, report: {stdout: true}}}
    commands: [{command: "hello [n]", job: hello}]
`

const two = `
services:
  example:
    jobs: {hello: {run: "echo {m} {n}", concurrency: unlimited, report: {stdout: true}}}
    commands: [{command: "hello [n]", job: hello, args: {m: more}}]
`

// What an ask is judged by is one configuration, the old or the new one.
func TestAnAskDuringAReloadMeetsOneConfiguration(t *testing.T) {
	s := start(t, one)
	c := client(t, s)
	path := filepath.Join(filepath.Dir(filepath.Dir(s.Socket())), "bellhop.yaml")
	reloaded := make(chan error, 1)
	go func() {
		for i := range 60 {
			if err := os.WriteFile(path, []byte([]string{two, one}[i%2]), 0o600); err != nil {
				reloaded <- err
				return
			}
			if _, err := s.Reload(context.Background()); err != nil {
				reloaded <- err
				return
			}
		}
		reloaded <- nil
	}()
	for done := false; !done; {
		select {
		case err := <-reloaded:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
		if _, err := c.Ask(t.Context(), api.NewKey(), "example hello x"); err != nil {
			t.Fatal(err)
		}
	}
	for {
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(st.Running)+len(st.Waiting) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	page, err := c.Runs(t.Context(), bellhop.RunSearch{}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page.Runs {
		want := "x\n"
		if len(r.Args) == 2 {
			want = "more x\n"
		}
		var got strings.Builder
		if err := c.Output(t.Context(), r.ID, false, func(ch bellhop.Chunk) error { got.Write(ch.Data); return nil }); err != nil {
			t.Fatal(err)
		}
		if r.State != bellhop.Succeeded || got.String() != want {
			t.Errorf("%s with %v %s and wrote %q, want %q", r.ID, r.Args, r.State, got.String(), want)
		}
	}
}
