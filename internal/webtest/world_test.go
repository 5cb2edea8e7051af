package webtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// binary is bellhop, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "bellhop-webtest-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		binary = filepath.Join(folder, "bellhop")
		build := exec.Command("go", "build", "-o", binary, "github.com/bellhop-io/bellhop/cmd/bellhop")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// patience bounds what is waited for.
const patience = time.Minute

// world is a server of the real binary in a folder of its own.
type world struct {
	t      *testing.T
	folder string
	url    string
	server *exec.Cmd
	said   *safe
}

// safe is a buffer that two may use.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// freePort is one that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// newWorld starts a server. The configuration is what the tests share, and more.
func newWorld(t *testing.T, more string) *world {
	t.Helper()
	w := unstarted(t, "bellhop.yaml", more)
	w.start()
	return w
}

// unstarted is a world whose server is to be started yet, with a configuration
// of testdata, and more.
func unstarted(t *testing.T, file, more string) *world {
	t.Helper()
	browsertest.Program(t)
	w := &world{t: t, folder: t.TempDir(), url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t))}
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(string(text), "WEB", strings.TrimPrefix(w.url, "http://")) + more
	config = strings.ReplaceAll(config, "ME", me(t))
	w.write("bellhop.yaml", config)
	w.write("authorized_keys", authorized(t, "bob", "carol"))
	t.Cleanup(w.stop)
	return w
}

// me is who runs the tests.
func me(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.folder, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// start starts the server, and waits until it is ready.
func (w *world) start() {
	w.t.Helper()
	w.said = &safe{}
	w.server = exec.Command(binary, "up")
	w.server.Dir = w.folder
	w.server.Stderr = w.said
	out, err := w.server.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.server.Start(); err != nil {
		w.t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(w.said, lines.Text())
			if strings.HasPrefix(lines.Text(), "ready") {
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(patience):
		w.t.Fatalf("the server did not start: %s", w.said)
	}
}

// stop ends the server in good order.
func (w *world) stop() { w.end(syscall.SIGTERM) }

func (w *world) end(sig syscall.Signal) {
	if w.server == nil {
		return
	}
	_ = w.server.Process.Signal(sig)
	_ = w.server.Wait()
	w.server = nil
}

// bellhop runs a verb, which must succeed.
func (w *world) bellhop(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, binary, args...)
	c.Dir = w.folder
	var bad bytes.Buffer
	c.Stderr = &bad
	out, err := c.Output()
	if err != nil {
		w.t.Fatalf("bellhop %s: %v\n%s%s", strings.Join(args, " "), err, out, &bad)
	}
	return strings.TrimSpace(string(out))
}

// visitor is a browser of somebody who has not logged in.
func (w *world) visitor() *browsertest.Page {
	w.t.Helper()
	p := browsertest.Start(w.t).Visitor(w.t)
	p.Go(w.url + "/login")
	return p
}

// login has a browser log in as who runs the server.
func (w *world) login(p *browsertest.Page) {
	w.t.Helper()
	p.Go(w.bellhop("login"))
	p.Click("main button.primary")
	p.Until(`document.title.startsWith("Now")`)
}

// get asks for a page without a browser, as somebody with a cookie ("" = nobody).
func (w *world) get(path, cookie string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if cookie != "" {
		req.Header.Set("Cookie", "bellhop="+cookie)
	}
	resp, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}
