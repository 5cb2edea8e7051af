package brokertest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds what is waited for: it is a safety net for machines that do
// a lot of other things.
const patience = 2 * time.Minute

// Server is a broker that a test has for itself. It ends with the test's
// process, however that ends.
type Server struct {
	Folder string // that it may write to, short enough for a socket
	argv   []string
	env    []string
	ready  func() error

	mu   sync.Mutex
	cmd  *exec.Cmd
	hold io.WriteCloser
}

// Program is the path of a broker's program. Without it the test is skipped, or
// fails when BELLHOP_TEST_REQUIRE is all.
func Program(t testing.TB, install string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	text := fmt.Sprintf("%s is not installed; on Debian: apt-get install %s", names[0], install)
	if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
		t.Fatal(text)
	}
	t.Skip(text)
	return ""
}

// FreePort is a TCP port of this machine that nobody has just now, nor will by
// chance while a server that is killed does not have it: it is below those that
// outgoing connections are given.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 12_000 + rand.IntN(20_000)
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Folder is one for a server, which goes with the test.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bellhop-broker-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Launch starts a server by its argv, with more variables of the environment,
// and waits until ready is nil. It is stopped when the test ends.
func Launch(t testing.TB, folder string, argv, env []string, ready func() error) *Server {
	t.Helper()
	s := &Server{Folder: folder, argv: argv, env: env, ready: ready}
	t.Cleanup(s.Kill)
	s.Start(t)
	return s
}

// script runs a server until its stdin ends, and then ends all that it started.
const script = `cd "$1" && shift && { "$@"; echo "ended with $?" >ended; } >>log 2>&1 </dev/null &
read gone
kill -9 0`

// Start starts it again, and waits until it is ready.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", s.Folder}, s.argv...)...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	hold, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.cmd, s.hold = cmd, hold
	s.mu.Unlock()
	err = errors.New("not asked")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = s.ready(); err == nil {
			return
		}
		if text, gone := os.ReadFile(filepath.Join(s.Folder, "ended")); gone == nil {
			err = errors.New("it " + strings.TrimSpace(string(text)))
			break
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.Folder, "log"))
	t.Fatalf("%s did not start: %v\n%s", s.argv[0], err, log)
}

// Kill ends it as a crash does. It may be called twice.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.hold.Close()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Proxy stands between a client and a server, and can cut all connections.
type Proxy struct {
	ln     net.Listener
	target string

	mu    sync.Mutex
	conns map[net.Conn]bool
	ended bool
	wait  sync.WaitGroup
}

// NewProxy is one to host:port, which ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ln: ln, target: target, conns: map[net.Conn]bool{}}
	p.wait.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		_ = ln.Close()
		p.Cut()
		p.wait.Wait()
	})
	return p
}

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

func (p *Proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		if p.ended {
			p.mu.Unlock()
			_, _ = in.Close(), out.Close()
			return
		}
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			p.wait.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_, _ = pair[0].Close(), pair[1].Close()
			})
		}
	}
}

// Cut ends all connections that there are.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// through is an address that leads through a proxy.
func (p *Proxy) through(url string) string { return strings.Replace(url, p.target, p.Addr(), 1) }
