package api_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// answering answers on a socket with one handler after another, one a request.
func answering(t *testing.T, handlers ...http.HandlerFunc) *api.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		handlers[min(n, len(handlers))-1](w, r)
	})}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	c := &api.Client{Socket: socket, Source: "ask", Session: "s"}
	t.Cleanup(c.Close)
	return c
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func stopping(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"code":"unavailable","detail":"not accepted: the server is stopping"}`))
}

func accepts(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`{"action":"run","accepted":{"run":"000001","how":"repeated"}}`))
}

func TestAskThatMayHaveBeenAcceptedIsNotSaidToBeRefused(t *testing.T) {
	got, err := answering(t, cut, stopping, stopping, accepts).Ask(t.Context(), "k", "x")
	if err != nil || got.Accepted == nil || got.Accepted.Run != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAskThatWasRefusedIsRefused(t *testing.T) {
	_, err := answering(t, stopping).Ask(t.Context(), "k", "x")
	if bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Error(err)
	}
}

func TestWhatTheServerSaysOfAFaultIsKept(t *testing.T) {
	_, err := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("<html>"))
	}).Server(context.Background())
	if bellhop.CodeOf(err) != bellhop.Internal {
		t.Errorf("an answer that is no problem document: %v", err)
	}
}
