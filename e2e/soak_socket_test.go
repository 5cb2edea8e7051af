package e2e_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const soakConfig = `
keep: {runs: 7d, output: 7d}
runner: {slots: 8}
services:
  soak:
    dir: .
    jobs: {nothing: {run: "printf x >>done", concurrency: unlimited, params: {tag: {}}, report: {stdout: true}}}
    commands: [{command: "nothing [tag]", job: nothing}]
`

// TestSoakSocket has the program itself work many runs, each a process, that
// are asked for over its control socket, while 40 days seem to pass, of which 7
// are kept. What is old is forgotten when a life of the server begins, and every
// hour. So the store is looked at when the second life has begun, after 10 days,
// and when the third one has, after 40; what the server and its watchdog have of
// memory and files, early and late in the second; and the goroutines at the end
// of the first and of the second, which did three times the work.
//
// A quarter of BELLHOP_SOAK is the number of runs (1500).
func TestSoakSocket(t *testing.T) {
	t.Parallel()
	if processes() == nil {
		t.Skip("the files and the memory of another process can be seen on Linux only")
	}
	runs := number(t, "BELLHOP_SOAK", 6_000) / 4
	s := &socketSoak{rigServer: &rigServer{place: newPlace(t)}, t: t, total: runs}
	s.build()
	s.write("bellhop.yaml", soakConfig)
	s.write("done", "")
	s.up()
	s.work(runs / 4)
	fewer := s.goroutines()
	s.up()
	early := s.kept()
	s.work(runs * 4 / 10)
	early.process(s)
	s.work(runs)
	var late figures
	late.process(s)
	more := s.goroutines()
	s.up()
	kept := s.kept()
	late.kept, late.store, late.log = kept.kept, kept.store, kept.log
	early.goroutines, late.goroutines = fewer, more
	t.Logf("of %d runs, early: %s", runs, early)
	t.Logf("of %d runs,  late: %s", runs, late)
	for _, m := range []struct {
		what              string
		early, late, room int64
	}{
		{"runs that are kept", early.kept, late.kept, int64(runs) / 20},
		{"bytes of resident memory", early.resident, late.resident, 48 << 20},
		{"open files", early.files, late.files, 8},
		{"goroutines", early.goroutines, late.goroutines, 8},
		{"bytes of the store", early.store, late.store, 1 << 20},
		{"bytes of the store's log", 0, late.log, 128 << 20},
	} {
		if m.late > m.early+m.early/4+m.room {
			t.Errorf("%s grew from %d to %d", m.what, m.early, m.late)
		}
	}
}

// socketSoak is a server in its lives.
type socketSoak struct {
	*rigServer
	t     *testing.T
	total int
	asked atomic.Int64
	days  int
}

// build builds the program without the race detector, which has a memory of its
// own, and with a clock that can be stepped.
func (s *socketSoak) build() {
	s.t.Helper()
	dir := filepath.Join(s.dir, "program")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-tags", "chaos", "-o", filepath.Join(dir, "bellhop"), "../cmd/bellhop")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("go build: %v\n%s", err, out)
	}
	s.env = append(slicesWithout(s.env, "PATH"), "PATH="+s.path("bin")+":"+dir+":"+os.Getenv("PATH"), "BELLHOP_FAULT_CLOCK="+s.path("clock"))
}

func (s *socketSoak) up() {
	s.t.Helper()
	s.lives++
	s.proc = s.serve(fmt.Sprintf("up%d", s.lives))
}

// step lets another day seem to pass.
func (s *socketSoak) step() {
	s.t.Helper()
	s.days++
	text := (time.Duration(s.days) * 24 * time.Hour).String()
	if err := os.WriteFile(s.path("clock.new"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.path("clock.new"), s.path("clock")); err != nil { // never half of it
		s.t.Fatal(err)
	}
}

// ended is how many runs have done their work.
func (s *socketSoak) ended() int64 {
	info, err := os.Stat(s.path("done"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// work has runs asked for until there were n in all, by 4 at a time, and
// returns when nothing happens any more.
func (s *socketSoak) work(n int) {
	s.t.Helper()
	var callers sync.WaitGroup
	var days sync.Mutex
	for range 4 {
		callers.Go(func() {
			client := s.socket()
			defer client.CloseIdleConnections()
			for i := s.asked.Add(1); i <= int64(n); i = s.asked.Add(1) {
				days.Lock()
				for s.days < int(i)*soakDays/s.total {
					s.step()
				}
				days.Unlock()
				tag := fmt.Sprintf("t%d", i)
				if _, err := submit(client, tag, "soak nothing "+tag); err != nil {
					s.t.Errorf("ask %d: %v", i, err)
					return
				}
				s.slowly("what waits gets less", func() bool { return s.ended() > i-100 })
			}
		})
	}
	callers.Wait()
	s.asked.Store(int64(n)) // each caller has counted one too many
	s.slowly("every run ends", func() bool { return s.ended() >= int64(n) || s.t.Failed() })
	if s.t.Failed() {
		s.t.FailNow()
	}
	s.slowly("nothing happens any more", func() bool { return strings.Contains(s.must("bellhop", "status"), "Nothing is happening") })
	if got := s.ended(); got != int64(n) {
		s.t.Fatalf("%d runs ran %d times", n, got)
	}
}

// slowly waits for what takes minutes on a busy machine; what is old is looked
// for once a minute.
func (s *socketSoak) slowly(what string, cond func() bool) {
	s.t.Helper()
	for range 10 {
		if waitUntil(cond, s.proc.done) {
			return
		}
	}
	s.t.Errorf("%s does not come true:\n%s", what, s.proc.stderr())
}

// kept looks at the store once all is forgotten that is old.
func (s *socketSoak) kept() (f figures) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.path("bellhop.db")+"?mode=ro")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	ask := func(query string) (n int64) {
		if err := db.QueryRow(query).Scan(&n); err != nil {
			s.t.Errorf("%s: %v", query, err)
		}
		return n
	}
	// Of 40 days 7 are kept, and the one that goes on.
	s.slowly("what is old is forgotten, and its space given back", func() bool {
		f.kept = ask("SELECT count(*) FROM run")
		return f.kept <= int64(s.total*9/soakDays) && ask("PRAGMA freelist_count") < 64
	})
	f.store = ask("PRAGMA page_count") * ask("PRAGMA page_size")
	if info, err := os.Stat(s.path("bellhop.db-wal")); err == nil {
		f.log = info.Size()
	}
	return f
}

// process looks at the processes of the server's present life.
func (f *figures) process(s *socketSoak) {
	s.t.Helper()
	for _, pid := range []int{s.proc.cmd.Process.Pid, s.watchdog()} {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			s.t.Fatal(err)
		}
		f.files += int64(len(open))
		f.resident += residentOf(fmt.Sprint(pid))
	}
}

// goroutines ends the server so that it tells of them.
func (s *socketSoak) goroutines() int64 {
	s.t.Helper()
	s.proc.signal(syscall.SIGQUIT)
	s.proc.wait()
	n := strings.Count(s.proc.stderr(), "\ngoroutine ")
	if n < 3 {
		s.t.Errorf("the server tells of %d goroutines:\n%s", n, s.proc.stderr())
	}
	return int64(n)
}
