package web_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/web"
)

func open(t *testing.T, s *web.Server, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLargeBodiesAreNotHeldWithoutEnd: nobody has had to prove anything when a
// body is read, so few large ones are at a time. Small ones get through.
func TestLargeBodiesAreNotHeldWithoutEnd(t *testing.T) {
	s := serve(t, web.Options{})
	head := "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
	hold := func() { open(t, s, head+strings.Repeat("x", 100<<10)) }
	for range 8 {
		hold()
	}
	c, url := client(t), "http://"+s.Addr().String()+"/echo"
	deadline := time.Now().Add(10 * time.Second)
	for {
		status, body := do(t, c, "POST", url, strings.Repeat("x", 100<<10))
		if status == http.StatusServiceUnavailable && strings.Contains(body, "not accepted") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d %.80q", status, body)
		}
		hold() // the request may have had the place of one that was refused for it
	}
	if status, body := do(t, c, "POST", url, "small"); status != 200 || body != "small" {
		t.Errorf("%d %q", status, body)
	}
}

// TestABodyThatSaysItIsTooLargeIsNotSent: the client that asks first is told.
func TestABodyThatSaysItIsTooLargeIsNotSent(t *testing.T) {
	s := serve(t, web.Options{})
	c := open(t, s, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10000000\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "413") {
		t.Errorf("%q, %v", line, err)
	}
}

// TestAFaultIsLogged: and the client gets no answer that it could believe.
func TestAFaultIsLogged(t *testing.T) {
	var log strings.Builder
	s := web.New(web.Options{Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	s.Handle("GET /fault/{code}", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") }))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, client(t), "GET", "http://"+s.Addr().String()+"/fault/whisper", "", "Authorization", "Bearer hush"); status != 0 {
		t.Errorf("%d %q", status, body)
	}
	s.Stop(t.Context())
	if got := log.String(); !strings.Contains(got, "fault=oh") || strings.Contains(got, "hush") || strings.Contains(got, "whisper") {
		t.Errorf("the log has %s", got)
	}
}

// TestWhoReadsNothingIsNotWaitedFor when the server stops.
func TestWhoReadsNothingIsNotWaitedFor(t *testing.T) {
	s := web.New(web.Options{Listen: "127.0.0.1:0"})
	s.Handle("GET /much", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 64<<20))
	}))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, s, "GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	s.Stop(t.Context())
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::", "::1": "::",
	} {
		if got := fmt.Sprint(web.Network(netip.MustParseAddr(in))); got != want {
			t.Errorf("%s is of %s, want %s", in, got, want)
		}
	}
}
