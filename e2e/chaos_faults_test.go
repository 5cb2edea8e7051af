package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// rigJobs are those that a round asks for, one after the other.
var rigJobs = []string{"one", "pair", "keyed", "pair", "free", "one", "keyed", "pair"}

// round asks for runs, has the trouble come, and returns when it is over.
func (c *rig) round(name, faults string, trouble func()) {
	c.t.Helper()
	c.up(0, faults)
	before := c.ends()
	for i := range 12 {
		c.ask(0, rigJobs[i%len(rigJobs)], c.random.IntN(250))
	}
	trouble()
	c.t.Logf("%s: %d asks, %d ended so far", name, len(c.asks), c.ends()-before)
}

// ends counts the executions that came to their end, so far.
func (c *rig) ends() int { return strings.Count("\n"+c.servers[0].read(c.journal), "\nend ") }

// signs is how much the journal holds.
func (c *rig) signs() int { return len(c.servers[0].read(c.journal)) }

// idle reports whether everything that was asked for has ended, as far as the
// journal tells.
func (c *rig) idle() bool { return len(c.pending()) == 0 && c.ends() >= len(c.asks) }

// moment lets a random time pass.
func (c *rig) moment(most time.Duration) { time.Sleep(time.Duration(c.random.Int64N(int64(most)))) }

// sqliteStore opens the store of a rig that has no other.
func (c *rig) sqliteStore() (*bellhop.Store, error) {
	return sqlite.OpenReadOnly(c.t.Context(), sqlite.Options{Path: c.servers[0].path("bellhop.db")})
}

// rigRounds is how often each trouble comes: once in the short form.
func rigRounds(t *testing.T) int { return max(1, number(t, "BELLHOP_CHAOS", 4)/5) }

// rigSeed is the seed of what is left to chance. What is seen depends on the
// machine's timing as well, so the same seed is the same troubles and no more.
func rigSeed(t *testing.T) int {
	return number(t, "BELLHOP_SEED", int(time.Now().UnixNano()&0x7fffffff))
}

// TestChaosKilledAtPoints kills the server at each named point in turn.
func TestChaosKilledAtPoints(t *testing.T) {
	t.Parallel()
	c := newRig(t, rigSeed(t), 1, "")
	hits := 0
	for range rigRounds(t) {
		for _, p := range []struct {
			point string
			most  int
		}{
			{"commit.before", 40}, {"commit.after", 40}, {"submit.before", 9}, {"submit.after", 9}, {"claim.after", 9},
			{"extend.after", 3}, {"finish.before", 6}, {"finish.after", 6}, {"settle.before", 3}, {"settle.after", 3}, {"lost.after", 2},
		} {
			faults := fmt.Sprintf("%s=kill@%d", p.point, 1+c.random.IntN(p.most))
			c.round(faults, faults, func() {
				s := c.servers[0]
				s.until("the fault comes, or everything ends: "+faults, func() bool { return s.proc.ended() || c.idle() })
				if s.proc.ended() {
					hits++
				}
				s.proc.kill9()
			})
		}
	}
	if hits < 5 {
		t.Errorf("only %d faults came; the points are not where this test thinks", hits)
	}
	c.settle(c.sqliteStore)
}

// TestChaosStopped stops servers and watchdogs, which is worse than killing
// them: they go on later and do not know.
func TestChaosStopped(t *testing.T) {
	t.Parallel()
	c := newRig(t, rigSeed(t), 1, "")
	c.refusals = true // an ask that a stopped server does not hear gives up after a while
	s := c.servers[0]
	works := func(from int) { s.until("a run begins", func() bool { return c.signs() > from }) }
	for range rigRounds(t) {
		for _, point := range []string{"commit.before", "commit.after", "finish.before", "claim.after", "extend.before"} {
			faults := fmt.Sprintf("%s=stop@%d", point, 5+c.random.IntN(10))
			c.round(faults, faults, func() {
				pid := s.proc.cmd.Process.Pid
				s.until("the fault comes, or everything ends: "+faults, func() bool { return stopped(pid) || c.idle() })
				s.resume()
			})
			s.proc.kill9()
		}
		from := c.signs()
		c.round("the server is stopped", "", func() {
			works(from)
			c.moment(100 * time.Millisecond)
			s.proc.signal(syscall.SIGSTOP)
			s.resume()
		})
		s.proc.kill9()
		from = c.signs()
		c.round("the watchdog is killed, twice", "", func() {
			for range 2 {
				works(from)
				if pid := s.watchdog(); pid != 0 {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
				c.moment(200 * time.Millisecond)
			}
		})
		s.proc.kill9()
		from = c.signs()
		dog := 0
		c.round("the watchdog is stopped, and the server killed", "", func() {
			works(from)
			if dog = s.watchdog(); dog != 0 {
				_ = syscall.Kill(dog, syscall.SIGSTOP)
			}
			c.moment(50 * time.Millisecond)
			s.proc.kill9()
		})
		from = c.signs()
		c.round("the server is stopped, and has no watchdog", "", func() {
			if dog != 0 {
				_ = syscall.Kill(dog, syscall.SIGCONT)
			}
			works(from)
			if pid := s.watchdog(); pid != 0 {
				s.proc.signal(syscall.SIGSTOP)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			c.moment(4 * time.Second)
			s.proc.signal(syscall.SIGCONT)
		})
		s.proc.kill9()
	}
	c.settle(c.sqliteStore)
}

// TestChaosErrorsAndClocks has the store fail before and after it has done what
// it was asked to, while the clock is stepped to and fro.
func TestChaosErrorsAndClocks(t *testing.T) {
	t.Parallel()
	c := newRig(t, rigSeed(t), 1, "")
	c.refusals = true // whoever meets a fault four times in a row is refused
	steps := func() {
		for range 12 {
			c.step(time.Duration(c.random.IntN(30*60)-15*60) * time.Second)
			c.moment(300 * time.Millisecond)
		}
	}
	const errors = "submit.before=error%15,submit.after=error%25,finish.before=error%15,finish.after=error%30,claim.before=error%10,claim.after=error%3," +
		"extend.before=error%20,output.after=error%20,output.before=error%10,settle.before=error%10,settle.after=error%20,due.after=error%5,lost.after=error%10"
	for range rigRounds(t) {
		c.round("errors", errors, steps)
		c.servers[0].proc.kill9()
		c.round("steps of the clock", "", steps)
		c.servers[0].proc.kill9()
	}
	c.settle(c.sqliteStore)
}

// TestChaosDiskFull has the disk run full, again and again, with servers that
// die on a full one as well.
func TestChaosDiskFull(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t, "mounting a small file system")
	need(t, "mount", "apt-get install mount")
	dir := t.TempDir()
	if out, err := newPlace(t).command("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", dir).CombinedOutput(); err != nil {
		lack(t, "mounting is not allowed here: "+strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() { // after the servers, which are closed before it
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	c := newRig(t, rigSeed(t), 1, "sqlite:"+dir+"/bellhop.db")
	c.refusals = true
	for n := range 3 * rigRounds(t) {
		c.round(fmt.Sprintf("a full disk, %d", n), "", func() {
			c.moment(150 * time.Millisecond)
			_ = os.WriteFile(dir+"/filler", make([]byte, 13<<20), 0o600) // as far as it goes
			for range 4 {
				c.ask(0, rigJobs[c.random.IntN(len(rigJobs))], c.random.IntN(250))
			}
			c.moment(time.Second)
			if n%2 == 0 { // the next one begins on a full disk, or can't
				c.servers[0].proc.kill9()
				c.begin(0, "")
				c.moment(500 * time.Millisecond)
			}
			if err := os.Remove(dir + "/filler"); err != nil {
				t.Error(err)
			}
			c.moment(300 * time.Millisecond)
			c.servers[0].proc.kill9()
		})
	}
	c.settle(func() (*bellhop.Store, error) {
		return sqlite.OpenReadOnly(t.Context(), sqlite.Options{Path: dir + "/bellhop.db"})
	})
}
