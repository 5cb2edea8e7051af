package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// slow is a server whose runs end when they are let go, after much output.
type slow struct {
	api.Front
	waiting atomic.Int64
	full    chan struct{} // closed when as many wait as may
	most    int64
	end     chan struct{}
	output  []byte
}

func (*slow) Bind(_ context.Context, _ bellhop.Person, _, _ string, args bellhop.Args) (bellhop.Args, error) {
	return args, nil
}

func (*slow) Do(context.Context, bellhop.Person, string, string, string, bellhop.Invocation) (bellhop.Answer, error) {
	return bellhop.Answer{Action: bellhop.ActionRun, Accepted: &bellhop.Accepted{Run: 1}}, nil
}

func (s *slow) Run(context.Context, bellhop.Person, bellhop.RunID) (bellhop.Run, error) {
	select {
	case <-s.end:
		return bellhop.Run{ID: 1, State: bellhop.Succeeded}, nil
	default:
		return bellhop.Run{ID: 1, State: bellhop.Running}, nil
	}
}

func (s *slow) Output(ctx context.Context, _ bellhop.Person, _ bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
	if follow {
		if s.waiting.Add(1) == s.most {
			close(s.full)
		}
		select {
		case <-s.end:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if attempt == math.MaxInt32 && seq == math.MaxInt64 { // none of it is asked for
		return nil
	}
	return fn(bellhop.Chunk{Seq: 1, Attempt: 1, Channel: bellhop.Stdout, Data: s.output})
}

// TestWhoWaitsHoldsLittle: however much is written meanwhile, a request that
// waits for the end of its run has none of it in memory; and beyond so many that
// wait, others are answered at once.
func TestWhoWaitsHoldsLittle(t *testing.T) {
	const most = 1000
	s := &slow{full: make(chan struct{}), most: most, end: make(chan struct{}), output: []byte(strings.Repeat("x", 64<<10))}
	h := api.NewPublic(s, func(*http.Request) (bellhop.Person, error) { return bellhop.Person{Identity: "api:ci"}, nil }, nil, slog.New(slog.DiscardHandler))
	ask := func(i int) int {
		r := httptest.NewRequest("POST", "/v1/example/slow?wait=5m", strings.NewReader("{}"))
		r.Header.Set("Idempotency-Key", fmt.Sprint(i))
		w := httptest.NewRecorder()
		w.Body = nil // what was answered is not what it holds
		h.ServeHTTP(w, r)
		return w.Code
	}
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := held()
	var all sync.WaitGroup
	var ended atomic.Int64
	for i := range most {
		all.Go(func() {
			if ask(i) == http.StatusOK {
				ended.Add(1)
			}
		})
	}
	<-s.full
	if each := (held() - before) / most; each > 48<<10 {
		t.Errorf("each request that waits holds %d bytes", each)
	}
	more := make(chan int, 10)
	for i := range 10 {
		go func() { more <- ask(most + i) }()
	}
	for range 10 {
		select {
		case code := <-more:
			if code != http.StatusAccepted {
				t.Errorf("one more than may wait is answered %d", code)
			}
		case <-time.After(10 * time.Second):
			t.Error("one more than may wait waits")
		}
	}
	close(s.end)
	all.Wait()
	if ended.Load() != most {
		t.Errorf("%d of those that waited have their result", ended.Load())
	}
	if code := ask(9999); code != http.StatusOK {
		t.Errorf("when there is room again: %d", code)
	}
}
