package api_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// busy is a server on which something happens all the time.
type busy struct{ api.Front }

func (busy) each(ctx context.Context, fn func() error) error {
	for {
		if err := fn(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (b busy) Watch(ctx context.Context, _ bellhop.Person, _ bellhop.RunID, fn func([]*bellhop.Run) error) error {
	return b.each(ctx, func() error { return fn([]*bellhop.Run{{ID: 1}}) })
}

func (b busy) Output(ctx context.Context, _ bellhop.Person, _ bellhop.RunID, _ int, _ int64, _ bool, fn func(bellhop.Chunk) error) error {
	return b.each(ctx, func() error {
		return fn(bellhop.Chunk{Seq: 1, Attempt: 1, Channel: bellhop.Stdout, Data: []byte("x\n")})
	})
}

// TestStreamsEndWithTheirToken, also while there is something to tell all the
// time. One whose principal asks too often is not cut for that.
func TestStreamsEndWithTheirToken(t *testing.T) {
	for path, accept := range map[string]string{"/v1/watch": "", "/v1/runs/000001/output?follow=true": "text/event-stream", "/v1/runs/000002/output?follow=true": ""} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var fault atomic.Pointer[error]
			h := api.NewPublic(busy{}, func(*http.Request) (bellhop.Person, error) {
				if err := fault.Load(); err != nil {
					return bellhop.Person{}, *err
				}
				return bellhop.Person{Identity: "api:ci"}, nil
			}, nil, slog.New(slog.DiscardHandler))
			s := httptest.NewServer(h)
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "GET", s.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			in := bufio.NewScanner(resp.Body)
			often := error(&web.Problem{Status: 429, Code: bellhop.Unavailable, Detail: "too often"})
			fault.Store(&often)
			for begin := time.Now(); time.Since(begin) < 1500*time.Millisecond; {
				if !in.Scan() {
					t.Fatalf("it was cut since its principal asks too often: %v", in.Err())
				}
			}
			gone := error(&web.Problem{Status: 401, Code: bellhop.NotAllowed, Detail: "the token was removed"})
			fault.Store(&gone)
			var last []string
			for begin := time.Now(); in.Scan(); {
				if last = append(last, in.Text()); time.Since(begin) > 3*time.Second {
					t.Fatal("it goes on")
				}
			}
			if errors.Is(in.Err(), context.DeadlineExceeded) {
				t.Fatal("it is still open")
			}
			if text := strings.Join(last, "\n"); strings.Contains(resp.Header.Get("Content-Type"), "event") && !strings.Contains(text, "the token was removed") {
				t.Errorf("it ends with %s", text[max(0, len(text)-200):])
			}
		})
	}
}

// TestOneCantKeepOthersFromWatching.
func TestOneCantKeepOthersFromWatching(t *testing.T) {
	h := api.NewPublic(busy{}, func(r *http.Request) (bellhop.Person, error) {
		return bellhop.Person{Identity: "api:" + r.Header.Get("Who"), As: r.Header.Get("As")}, nil
	}, nil, slog.New(slog.DiscardHandler))
	s := httptest.NewServer(h)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := func(who, as string) int {
		r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/v1/watch", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Who", who)
		r.Header.Set("As", as)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp.StatusCode
	}
	codes := map[int]int{}
	for i := range 220 {
		codes[watch("greedy", "")]++
		codes[watch(strings.Repeat("x", i+1), "alice")]++
	}
	if codes[200] != 400 || codes[503] != 40 {
		t.Errorf("two that want 220 each: %v", codes)
	}
	if code := watch("modest", ""); code != 200 {
		t.Errorf("another: %d", code)
	}
}
