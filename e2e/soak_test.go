package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/fault"
	"github.com/bellhop-io/bellhop/internal/reporter"
	"github.com/bellhop-io/bellhop/internal/runner"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// TestSoak works many runs while 40 days seem to pass, of which 7 are kept,
// through the engine, the runner, the reporter and the store as the server has
// them, and holds what there is of memory, files and goroutines at the end
// against what there was after 10 days, when things were as they will stay.
//
// BELLHOP_SOAK is the number of runs (10000).
func TestSoak(t *testing.T) {
	runs := number(t, "BELLHOP_SOAK", 10_000)
	s := newSoak(t)
	begin := time.Now()
	s.work(runs / 4)
	early := s.measure()
	took := time.Since(begin)
	s.work(runs - runs/4)
	late := s.measure()
	took = time.Since(begin) - took
	t.Logf("after %7d runs: %s", runs/4, early)
	t.Logf("after %7d runs: %s", runs, late)
	t.Logf("%.0f runs/s in the later part, with all that goes on beside it", float64(runs-runs/4)/took.Seconds())
	if n := s.told.Load(); n != int64(runs) {
		t.Errorf("%d outcomes were told of %d runs", n, runs)
	}
	for _, m := range []struct {
		what              string
		early, late, room int64
	}{
		{"runs that are kept", early.kept, late.kept, int64(runs) / 20},
		{"bytes of the Go heap", early.heap, late.heap, 16 << 20},
		{"bytes of resident memory", early.resident, late.resident, 64 << 20},
		{"open files", early.files, late.files, 8},
		{"goroutines", early.goroutines, late.goroutines, 8},
		{"bytes of the store", early.store, late.store, 2 << 20},
		{"bytes of the store's log", 0, late.log, 128 << 20},
	} {
		if m.late > m.early+m.early/2+m.room {
			t.Errorf("%s grew from %d to %d", m.what, m.early, m.late)
		}
	}
	s.stop()
}

// soakDays is how long everything seems to take.
const soakDays = 40

// soak is the parts of a server around a store, with jobs that do nothing.
type soak struct {
	t        *testing.T
	path     string
	clock    *soakClock
	store    *bellhop.Store
	engine   *engine.Engine
	runner   *runner.Runner
	reporter *reporter.Reporter
	asked    atomic.Int64
	told     atomic.Int64
	total    int
	base     int // goroutines before
}

// soakClock is the machine's clock, which somebody steps forward all the time:
// leases don't mind.
type soakClock struct {
	bellhop.SystemClock
	by atomic.Int64
}

func (c *soakClock) Now() time.Time { return fault.Step(time.Now(), time.Duration(c.by.Load())) }

// to steps the clock forward, never back.
func (c *soakClock) to(by int64) {
	for old := c.by.Load(); old < by && !c.by.CompareAndSwap(old, by); old = c.by.Load() {
	}
}

// nothing is an executor that does nothing.
type nothing struct{}

func (nothing) Execute(context.Context, bellhop.Task, bellhop.Sink) bellhop.Outcome {
	return bellhop.Outcome{End: bellhop.EndSucceeded}
}

// Deliver is told of outcomes.
func (s *soak) Deliver(context.Context, bellhop.Report) (string, error) {
	s.told.Add(1)
	return "", nil
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	ctx := t.Context()
	s := &soak{t: t, path: filepath.Join(t.TempDir(), "soak.db"), clock: &soakClock{}, total: number(t, "BELLHOP_SOAK", 10_000), base: runtime.NumGoroutine()}
	var err error
	if s.store, err = sqlite.Open(ctx, sqlite.Options{Path: s.path, Clock: s.clock}); err != nil {
		t.Fatal(err)
	}
	local := &bus.Local{}
	s.engine = engine.New(engine.Options{Store: s.store, Bus: local, Clock: s.clock, Sweep: time.Second})
	job := bellhop.Job{
		Service: "soak", Name: "nothing", Executor: "nothing", Spec: []byte(`{}`), OnCrash: bellhop.CrashRerun, Priority: bellhop.DefaultPriority,
		Params: []bellhop.Param{{Name: "name"}}, Report: bellhop.ReportRule{Success: true, Format: bellhop.FormatText},
	}
	cat := &bellhop.Catalog{Bot: "bellhop", Services: []bellhop.Service{{Name: "soak", Jobs: []bellhop.Job{job}}}, Keep: bellhop.Keep{Runs: bellhop.KeyAge, Output: bellhop.KeyAge}}
	if err := s.engine.Activate(ctx, cat); err != nil {
		t.Fatal(err)
	}
	if err := s.engine.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.reporter = reporter.New(reporter.Options{Store: s.store, Bus: local, Clock: s.clock, Destinations: map[string]bellhop.Destination{"soak": s}})
	if err := s.reporter.Start(ctx); err != nil {
		t.Fatal(err)
	}
	s.runner = runner.New(runner.Options{Name: "soak", Dispatcher: s.engine, Bus: local, Clock: s.clock, Slots: 64, Executors: map[string]bellhop.Executor{"nothing": nothing{}}})
	if err := s.runner.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *soak) stop() {
	s.runner.Stop(context.Background())
	s.reporter.Stop()
	s.engine.Stop()
	if err := s.store.Admin.Close(); err != nil {
		s.t.Error(err)
	}
}

// work has n runs asked for, by 32 at a time, and returns when all have ended
// and were told.
func (s *soak) work(n int) {
	s.t.Helper()
	until := s.asked.Load() + int64(n)
	var callers sync.WaitGroup
	for range 32 {
		callers.Go(func() {
			for i := s.asked.Add(1); i <= until; i = s.asked.Add(1) {
				// Time goes on with the work, however fast that is.
				s.clock.to(i * (int64(soakDays*24*time.Hour) / int64(s.total)))
				for s.told.Load() < i-int64(s.total/40) { // what waits is not to grow without bound
					time.Sleep(time.Millisecond)
				}
				_, err := s.engine.Do(context.Background(), bellhop.Invocation{
					Key: fmt.Sprintf("soak:%d", i), Action: bellhop.ActionRun, Service: "soak", Job: "nothing", Entry: "nothing",
					Args:   bellhop.Args{"name": bellhop.Text(strconv.FormatInt(i, 10))},
					Person: bellhop.Person{Identity: "local:soak", Name: "soak", Listed: true},
					Origin: bellhop.Origin{Source: "soak", Channel: strconv.FormatInt(i%200, 10), Person: "local:soak"},
				})
				if err != nil {
					s.t.Errorf("ask %d: %v", i, err)
					return
				}
			}
		})
	}
	callers.Wait()
	s.asked.Store(until) // each caller has counted one too many
	deadline := time.Now().Add(3 * patience)
	for s.told.Load() < until {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d outcomes were told", s.told.Load(), until)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// figures are what must not grow.
type figures struct{ kept, heap, resident, files, goroutines, store, log int64 }

func (f figures) String() string {
	return fmt.Sprintf("%d runs kept, heap %.1f MB, resident %.1f MB, %d files, %d goroutines, store %.1f MB, log %.1f MB",
		f.kept, mega(f.heap), mega(f.resident), f.files, f.goroutines, mega(f.store), mega(f.log))
}

func mega(n int64) float64 { return float64(n) / (1 << 20) }

// measure looks once all is forgotten that is old.
func (s *soak) measure() (f figures) {
	s.t.Helper()
	ctx := s.t.Context()
	if err := s.engine.Sweep(ctx); err != nil {
		s.t.Fatal(err)
	}
	for more, err := true, error(nil); more; {
		if more, err = s.store.Retention.Shrink(ctx); err != nil {
			s.t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", "file:"+s.path+"?mode=ro")
	if err != nil {
		s.t.Fatal(err)
	}
	var pages, size int64
	if err := db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		s.t.Fatal(err)
	}
	if err := db.QueryRow("PRAGMA page_size").Scan(&size); err != nil {
		s.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		s.t.Fatal(err)
	}
	f.store = pages * size
	if info, err := os.Stat(s.path + "-wal"); err == nil {
		f.log = info.Size()
	}
	for after := bellhop.RunID(0); ; {
		old, last, err := s.store.Retention.Old(ctx, after, 5000)
		if err != nil {
			s.t.Fatal(err)
		}
		f.kept += int64(len(old))
		if after = last; last == 0 {
			break
		}
	}
	waitUntil(func() bool { return runtime.NumGoroutine() < s.base+40 }, nil) // timers and deliveries that are ending
	f.goroutines = int64(runtime.NumGoroutine())
	debug.FreeOSMemory()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	f.heap = int64(mem.HeapAlloc)
	f.resident = residentMemory()
	open, _ := os.ReadDir("/proc/self/fd")
	f.files = int64(len(open))
	return f
}

// residentMemory is that of this process in bytes, 0 where it is not known.
func residentMemory() int64 { return residentOf("self") }

func residentOf(process string) int64 {
	b, err := os.ReadFile("/proc/" + process + "/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(f[1], 10, 64)
	return n * int64(os.Getpagesize())
}
