package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

// TestChaosPostgres has two servers share a database: either is killed, at
// named points and at any moment, or stopped for longer than its leases; the
// database crashes and comes back; connections are cut; and calls fail after
// they were carried out.
func TestChaosPostgres(t *testing.T) {
	t.Parallel()
	if processes() == nil {
		t.Skip("the processes of runs can be listed on Linux only")
	}
	db := pgtest.Start(t)
	direct := db.URL(t)
	proxy := newCutter(t, db.Socket())
	through, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	query := through.Query()
	query.Set("host", filepath.Dir(proxy.path))
	through.RawQuery = query.Encode()
	c := newRig(t, rigSeed(t), 2, through.String())
	c.refusals = true
	works := func(from int) { c.servers[0].until("a run begins", func() bool { return c.signs() > from }) }
	for range rigRounds(t) {
		for _, point := range []string{"submit.after", "claim.after", "finish.before", "finish.after", "settle.before"} {
			i := c.random.IntN(2)
			faults := fmt.Sprintf("%s=kill@%d", point, 1+c.random.IntN(4))
			c.both(faults, i, faults, func() {
				s := c.servers[i]
				s.until("the fault comes, or everything ends: "+faults, func() bool { return s.proc.ended() || c.idle() })
				s.proc.kill9()
			})
		}
		from := c.signs()
		c.both("a server is stopped", 0, "", func() {
			works(from)
			s := c.servers[c.random.IntN(2)]
			s.proc.signal(syscall.SIGSTOP)
			s.resume()
		})
		from = c.signs()
		c.both("the database crashes", 0, "", func() {
			works(from)
			db.Crash()
			c.moment(300 * time.Millisecond)
			if c.random.IntN(2) == 0 {
				c.servers[1].proc.kill9()
			}
			db.Start(t)
		})
		from = c.signs()
		c.both("connections are cut", 0, "", func() {
			works(from)
			for range 10 {
				proxy.cut()
				c.moment(150 * time.Millisecond)
			}
		})
		c.both("errors", 1, "submit.after=error%20,finish.after=error%20,claim.after=error%3,extend.after=error%20,settle.after=error%20,output.after=error%20", func() {
			c.step(7 * time.Minute)
			c.moment(time.Second)
			c.step(-7 * time.Minute)
			c.moment(time.Second)
			c.servers[1].proc.kill9()
		})
	}
	c.settle(func() (*bellhop.Store, error) {
		return postgres.Open(t.Context(), postgres.Options{URL: direct})
	})
}

// both is a round with two servers, of which the i-th has faults. Who lives on
// from the last round goes on.
func (c *rig) both(name string, i int, faults string, trouble func()) {
	c.t.Helper()
	for n, s := range c.servers {
		switch {
		case n == i && faults != "" && s.proc != nil && !s.proc.ended():
			s.proc.kill9()
			c.up(n, faults)
		case n == i && faults != "":
			c.up(n, faults)
		case s.proc == nil || s.proc.ended():
			c.up(n, "")
		}
	}
	before := c.ends()
	for n := range 12 {
		c.ask(n%2, rigJobs[n%len(rigJobs)], c.random.IntN(250))
	}
	trouble()
	c.t.Logf("%s: %d asks, %d ended so far", name, len(c.asks), c.ends()-before)
}

// cutter stands between the servers and the database, on a socket of its own,
// and cuts connections.
type cutter struct {
	path, to string
	ln       net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	dir, err := os.MkdirTemp("", "bellhop-cut-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{path: filepath.Join(dir, filepath.Base(to)), to: to, conns: make(map[net.Conn]bool)}
	if c.ln, err = net.Listen("unix", c.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.ln.Close()
		c.cut()
		c.work.Wait()
		os.RemoveAll(dir)
	})
	c.work.Go(c.serve)
	return c
}

func (c *cutter) serve() {
	for {
		from, err := c.ln.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("unix", c.to)
		if err != nil {
			from.Close()
			continue
		}
		c.mu.Lock()
		c.conns[from], c.conns[to] = true, true
		c.mu.Unlock()
		c.work.Go(func() { c.carry(from, to) })
		c.work.Go(func() { c.carry(to, from) })
	}
}

// carry copies what comes until either end is closed, and closes both.
func (c *cutter) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range []net.Conn{to, from} {
		conn.Close()
		delete(c.conns, conn)
	}
}

// cut closes every connection.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
}
