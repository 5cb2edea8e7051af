package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// front is a server that does what a test says.
type front struct {
	api.Front
	desk   chat.Desk
	output func(attempt int, seq int64, fn func(bellhop.Chunk) error) error
}

func (f front) Desk(bellhop.Person, string, string) chat.Desk { return f.desk }

func (f front) Output(_ context.Context, _ bellhop.Person, _ bellhop.RunID, attempt int, seq int64, _ bool, fn func(bellhop.Chunk) error) error {
	return f.output(attempt, seq, fn)
}

// stuck is a desk that answers nobody.
type stuck struct {
	chat.Desk
	asked chan struct{}
}

func (s stuck) Ask(ctx context.Context, _, _ string) (bellhop.Answer, error) {
	close(s.asked)
	<-ctx.Done()
	return bellhop.Answer{}, ctx.Err()
}

func serve(t *testing.T, f api.Front, base context.Context) *httptest.Server {
	t.Helper()
	somebody := func(*http.Request) (bellhop.Person, error) {
		return bellhop.Person{Identity: "local:alice", Listed: true}, nil
	}
	handler := api.NewHandler(f, somebody, slog.New(slog.DiscardHandler))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(base, cancel)()
		handler.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(s.Close)
	return s
}

// A server that stops before it has answered must not seem to have agreed.
func TestARequestThatIsNotAnsweredIsCutOff(t *testing.T) {
	base, stop := context.WithCancel(t.Context())
	asked := make(chan struct{})
	s := serve(t, front{desk: stuck{asked: asked}}, base)
	go func() { <-asked; stop() }()
	resp, err := http.Post(s.URL+"/v1/runs", "application/json", strings.NewReader(`{"text":"x"}`))
	if err == nil {
		defer resp.Body.Close()
		t.Errorf("the client was told %s", resp.Status)
	}
}

func TestPlainOutputThatBreaksOffIsCutShort(t *testing.T) {
	s := serve(t, front{output: func(_ int, _ int64, fn func(bellhop.Chunk) error) error {
		if err := fn(bellhop.Chunk{Channel: bellhop.Stdout, Data: []byte("half")}); err != nil {
			return err
		}
		return errors.New("the store went away")
	}}, t.Context())
	resp, err := http.Get(s.URL + "/v1/runs/000001/output")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if string(got) != "half" || err == nil {
		t.Errorf("read %q, %v; want the half and an error, since the rest is missing", got, err)
	}
}

// A client that is cut off goes on where it was, and sees each piece once.
func TestOutputGoesOnAfterACut(t *testing.T) {
	const pieces = 7
	f := front{output: func(_ int, seq int64, fn func(bellhop.Chunk) error) error {
		for n := seq + 1; n <= pieces; n++ {
			if err := fn(bellhop.Chunk{Attempt: 1, Seq: n, Channel: bellhop.Stdout, Offset: n - 1, Data: []byte(strconv.FormatInt(n, 10))}); err != nil {
				return err
			}
			if n == seq+3 {
				panic(http.ErrAbortHandler)
			}
		}
		return nil
	}}
	somebody := func(*http.Request) (bellhop.Person, error) { return bellhop.Person{Identity: "local:alice"}, nil }
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: api.NewHandler(f, somebody, slog.New(slog.DiscardHandler))}}
	s.Start()
	defer s.Close()
	c := &api.Client{Socket: socket, Source: "ask", Session: api.NewKey()}
	defer c.Close()
	var got strings.Builder
	if err := c.Output(t.Context(), 1, true, func(ch bellhop.Chunk) error { got.Write(ch.Data); return nil }); err != nil {
		t.Fatal(err)
	}
	if got.String() != "1234567" {
		t.Errorf("read %q in pieces, want each once", got.String())
	}
}
