package web_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/web"
)

// TestASlowReaderIsCutOff: what streams to a client that does not read ends, and
// its place is free again; one that reads slowly, and goes on, gets all.
func TestASlowReaderIsCutOff(t *testing.T) {
	const much = 64 << 20 // more than the network holds for anybody
	ended := make(chan error, 2)
	s := web.New(web.Options{Listen: "127.0.0.1:0", Limits: web.Limits{Stall: 300 * time.Millisecond, Connections: 1}})
	s.Handle("GET /much", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 1<<20)
		for range much / len(piece) {
			if _, err := w.Write(piece); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(t.Context()) })
	open(t, s, "GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the answer still waits for its reader")
	}
	// Its place, the only one, is given to the next.
	for deadline := time.Now().Add(10 * time.Second); ; {
		c := open(t, s, "GET /much HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			continue // it is not free yet
		}
		var n int64
		for range 10 { // in steps that are shorter than a stall, and longer in all
			k, err := io.CopyN(io.Discard, resp.Body, 4<<20)
			if n += k; err != nil {
				t.Fatal(err)
			}
			time.Sleep(60 * time.Millisecond)
		}
		k, err := io.Copy(io.Discard, resp.Body)
		if n += k; err != nil || n != much {
			t.Errorf("a slow reader got %d bytes, %v", n, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("its answer ended with %v", err)
		}
		return
	}
}
