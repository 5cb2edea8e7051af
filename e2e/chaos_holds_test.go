package e2e_test

import (
	"net/url"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

// TestChaosHolds opens and closes windows while servers die.
func TestChaosHolds(t *testing.T) {
	t.Parallel()
	c := newRig(t, rigSeed(t), 1, "")
	c.up(0, "")
	for range 3 * rigRounds(t) {
		c.hold(0, 0, func() {
			c.servers[0].proc.kill9()
			c.up(0, "")
		})
	}
	c.settle(c.sqliteStore)
}

// TestChaosHoldsPostgres opens windows at one of two servers that share a
// database, and closes them at the other, while either dies or is stopped, the
// database crashes and connections are cut.
func TestChaosHoldsPostgres(t *testing.T) {
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
	c.up(0, "")
	c.up(1, "")
	n := 0
	round := func(name string, trouble func()) {
		t.Helper()
		c.hold(n%2, c.random.IntN(2), trouble)
		n++
		t.Logf("%s: %d asks", name, len(c.asks))
	}
	for range rigRounds(t) {
		round("a server dies", func() {
			i := (n + c.random.IntN(2)) % 2
			c.servers[i].proc.kill9()
			c.moment(5 * time.Second) // the other one may take over what it ran: its lease is 2 s
			c.up(i, "")
		})
		round("the database crashes", func() {
			db.Crash()
			c.moment(300 * time.Millisecond)
			db.Start(t)
		})
		round("connections are cut", func() {
			for range 10 {
				proxy.cut()
				c.moment(150 * time.Millisecond)
			}
		})
		round("a server is stopped", func() {
			s := c.servers[c.random.IntN(2)]
			s.proc.signal(syscall.SIGSTOP)
			c.moment(4 * time.Second)
			s.resume()
		})
		round("answers are lost", func() {
			i := c.random.IntN(2)
			c.servers[i].proc.kill9()
			c.up(i, "claim.after=error%20,finish.after=error%20,extend.after=error%20")
			c.moment(3 * time.Second)
			c.servers[i].proc.kill9()
			c.up(i, "")
		})
	}
	c.settle(func() (*bellhop.Store, error) {
		return postgres.Open(t.Context(), postgres.Options{URL: direct})
	})
}

// hold has a server told to keep runs back, another one that they may go on,
// and trouble in between; people ask before and meanwhile.
func (c *rig) hold(at, end int, trouble func()) {
	c.t.Helper()
	s, open, done := c.servers[at], "pause c still", "resume c still"
	if c.random.IntN(2) == 0 {
		open, done = "suppress c still until 2h", "unsuppress c still"
	}
	some := func(most int) {
		for i := range 8 {
			job := "still"
			if i > 5 {
				job = rigJobs[c.random.IntN(len(rigJobs))] // which goes on
			}
			c.ask(i%len(c.servers), job, 20+c.random.IntN(most))
		}
	}
	some(2000) // so that some are cut off, and are to wait for the end of the window
	c.moment(100 * time.Millisecond)
	c.command(at, open)
	q := quiet{what: open, running: make(map[bellhop.RunID]bool)}
	for _, r := range s.runs() { // what runs goes on
		if id, err := bellhop.ParseRunID(r.ID); err == nil && r.State == "running" {
			q.running[id] = true
		}
	}
	q.from = boottime()
	some(150)
	c.moment(500 * time.Millisecond)
	trouble()
	c.long("asks are accepted while a window is open", func() bool { return len(c.pending()) == 0 })
	c.moment(500 * time.Millisecond)
	q.to = boottime()
	c.quiet = append(c.quiet, q)
	c.command(end, done)
}
