//go:build linux

package watchdog_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/proc"
	"github.com/bellhop-io/bellhop/internal/runner/watchdog"
	"go.uber.org/goleak"
)

// TestMain lets the test binary be the other processes too: the watchdog, and a
// runner that can be killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "watchdog":
		if err := watchdog.Main(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) > 4 && os.Args[1] == "runner":
		runner(os.Args[2], os.Args[3], os.Args[4])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// runner is a process that runs a script under a watchdog, as a server would.
// It tells the watchdog's number, then what the script says, then whether the
// attempt was reported as killed.
func runner(store, lease, script string) {
	length, err := time.ParseDuration(lease)
	must(err)
	killed := make(chan struct{})
	w, err := watchdog.Start(watchdog.Options{StoreID: store, Instance: "one", Killed: func(bellhop.RunID, int64) { close(killed) }})
	must(err)
	until := time.Now().Add(length)
	cmd, g, err := start(proc.Mark{Store: store, Instance: "one", Run: bellhop.RunID(1).String(), Lease: "7"}, script, os.Stdout)
	must(err)
	w.Guard(1, 7, g.Handle(), until)
	fmt.Println("guarded")
	_ = cmd.Wait()
	w.Extend(1, 7, time.Now().Add(length))
	w.Release(1, 7)
	select {
	case <-killed:
		fmt.Println("crashed")
	default:
		fmt.Println("ended")
	}
	w.Stop()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// start runs a script in a group of its own, as the shell executor does.
func start(m proc.Mark, script string, out io.Writer) (*exec.Cmd, proc.Group, error) {
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(m.Environ(), "PATH="+os.Getenv("PATH"))
	cmd.Stdout = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, proc.Group{}, err
	}
	g, err := proc.GroupOf(cmd.Process.Pid)
	return cmd, g, err
}

// family starts a child that ignores SIGTERM, one that has no environment, and
// a daemon that left group and session.
const family = `trap '' TERM
bash -c 'trap "" TERM; while :; do sleep 1; done' &
env -i sleep 3600 &
setsid bash -c 'sleep 3600 & sleep 3600; :' >/dev/null 2>&1 </dev/null &
sleep 0.2
echo ready
while :; do sleep 1; done`

func storeOf(t *testing.T) string {
	return fmt.Sprintf("watchdog-%d-%s", os.Getpid(), t.Name())
}

// left lists what is alive of a store, and of the groups given.
func left(t *testing.T, store string, groups ...int) (all []proc.Process) {
	t.Helper()
	all, err := proc.Find(proc.Mark{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		members, err := proc.Group{ID: g}.Members()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, members...)
	}
	return all
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// startRunner starts this binary as a runner, and returns it once its script is
// ready, with the group of the script.
func startRunner(t *testing.T, store, lease, script string) (*exec.Cmd, *bufio.Reader, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "runner", store, lease, script)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _, _ = cmd.Process.Wait() })
	lines := bufio.NewReader(out)
	for said := ""; !strings.Contains(said, "ready\n") || !strings.Contains(said, "guarded\n"); {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the runner said %q: %v", said, err)
		}
		said += line
	}
	found := left(t, store)
	for _, p := range found {
		if p.Parent == cmd.Process.Pid {
			return cmd, lines, p.PID
		}
	}
	t.Fatalf("the script is not among %v", found)
	return nil, nil, 0
}

func TestKilledRunnerLeavesNothing(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	cmd, _, group := startRunner(t, store, "1h", family)
	if n := len(left(t, store, group)); n < 5 {
		t.Fatalf("only %d processes were started", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is left of the runner", func() bool { return len(left(t, store, group)) == 0 })
}

func TestStoppedRunnerLosesItsRunBeforeTheLease(t *testing.T) {
	t.Parallel()
	store := storeOf(t)
	begin := time.Now()
	cmd, lines, group := startRunner(t, store, "8s", family)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if len(left(t, store, group)) == 0 {
		t.Fatal("nothing runs while the lease lasts")
	}
	eventually(t, "nothing runs while the runner is stopped", func() bool { return len(left(t, store, group)) == 0 })
	if took := time.Since(begin); took < 5*time.Second || took > 8*time.Second {
		t.Errorf("the run was ended after %v; want after 6 s, and within the lease of 8 s", took)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	said, _ := lines.ReadString('\n')
	if said != "crashed\n" {
		t.Errorf("the runner recorded %q, want a crash", said)
	}
}

// told records what Killed is told.
type told struct {
	mu   sync.Mutex
	runs []bellhop.RunID
}

func (k *told) killed(run bellhop.RunID, _ int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs = append(k.runs, run)
}

func (k *told) list() []bellhop.RunID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]bellhop.RunID(nil), k.runs...)
}

func newWatchdog(t *testing.T, killed *told) *watchdog.Watchdog {
	t.Helper()
	w, err := watchdog.Start(watchdog.Options{StoreID: storeOf(t), Killed: killed.killed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// sleeper starts a script that sleeps, in its own group.
func sleeper(t *testing.T, run bellhop.RunID) proc.Group {
	t.Helper()
	cmd, g, err := start(proc.Mark{Store: storeOf(t), Run: run.String(), Lease: "1"}, "sleep 3600 & sleep 3600; :", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-g.ID, syscall.SIGKILL); _ = cmd.Wait() })
	return g
}

func alive(t *testing.T, g proc.Group) bool {
	t.Helper()
	members, err := g.Members()
	if err != nil {
		t.Fatal(err)
	}
	return len(members) > 0
}

func TestExtendingKeepsAnAttempt(t *testing.T) {
	t.Parallel()
	var killed told
	w := newWatchdog(t, &killed)
	kept := sleeper(t, 1)
	lost := sleeper(t, 2)
	const lease = time.Second
	w.Guard(1, 1, kept.Handle(), time.Now().Add(lease))
	w.Guard(2, 1, lost.Handle(), time.Now().Add(lease))
	eventually(t, "the attempt that is not extended is ended", func() bool {
		w.Extend(1, 1, time.Now().Add(lease))
		return !alive(t, lost)
	})
	if !alive(t, kept) {
		t.Error("the attempt that was extended was ended")
	}
	eventually(t, "the lost attempt is told of", func() bool { return len(killed.list()) == 1 })
	w.Release(1, 1)
	w.Release(2, 1)
	if got := killed.list(); len(got) != 1 || got[0] != 2 {
		t.Errorf("told of %v, want 2 once", got)
	}
}

// TestSettleTellsOfWhatWasEnded: once Settle has returned, an attempt whose time
// came was told of.
func TestSettleTellsOfWhatWasEnded(t *testing.T) {
	t.Parallel()
	var killed told
	w := newWatchdog(t, &killed)
	g := sleeper(t, 7)
	w.Guard(7, 1, g.Handle(), time.Now().Add(200*time.Millisecond))
	eventually(t, "it is ended", func() bool { return !alive(t, g) })
	w.Settle()
	if got := killed.list(); len(got) != 1 || got[0] != 7 {
		t.Errorf("told of %v, want 7", got)
	}
	w.Stop()
	w.Settle() // of one that is gone, nothing is to be waited for
}

func TestReleasedAttemptIsLeftAlone(t *testing.T) {
	t.Parallel()
	var killed told
	w := newWatchdog(t, &killed)
	free := sleeper(t, 1)
	other := sleeper(t, 3)
	w.Guard(1, 1, free.Handle(), time.Now().Add(time.Second))
	w.Release(1, 1)
	w.Guard(3, 1, other.Handle(), time.Now().Add(1500*time.Millisecond))
	eventually(t, "a later one is ended", func() bool { return !alive(t, other) })
	eventually(t, "and told of", func() bool { return len(killed.list()) == 1 })
	w.Stop()
	w.Stop()
	if got := killed.list(); len(got) != 1 || got[0] != 3 {
		t.Errorf("told of %v, want 3 alone", got)
	}
	if !alive(t, free) {
		t.Error("the attempt that was released was ended")
	}
}

// TestReusedNumberIsLeftAlone guards a handle whose number belongs to a group
// that began at another time.
func TestReusedNumberIsLeftAlone(t *testing.T) {
	t.Parallel()
	var killed told
	w := newWatchdog(t, &killed)
	stranger := sleeper(t, 4)
	stale := proc.Group{ID: stranger.ID, Start: stranger.Start - 1}
	w.Guard(9, 1, stale.Handle(), time.Now().Add(200*time.Millisecond))
	eventually(t, "the stale attempt is told of", func() bool { return len(killed.list()) == 1 })
	w.Stop() // what it had to end is ended when it has gone
	if !alive(t, stranger) {
		t.Error("a group was ended for the number of another")
	}
}

// children finds the watchdogs that this process has started.
func children(t *testing.T) map[int]bool {
	t.Helper()
	names, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatalf("the watchdog can't be found: %v", err)
	}
	found := map[int]bool{}
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue
		}
		p, err := proc.Read(pid)
		line, _ := os.ReadFile("/proc/" + name.Name() + "/cmdline")
		if err == nil && p.Parent == os.Getpid() && p.Session == pid && strings.Contains(string(line), "watchdog") {
			found[pid] = true
		}
	}
	return found
}

// TestLostWatchdogIsReplaced is not parallel: it looks for the one watchdog
// that it started.
func TestLostWatchdogIsReplaced(t *testing.T) {
	for _, tc := range []struct {
		name   string
		signal syscall.Signal
	}{
		{"killed", syscall.SIGKILL},
		{"stopped", syscall.SIGSTOP},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := children(t)
			var killed told
			w := newWatchdog(t, &killed)
			g := sleeper(t, 1)
			safe := sleeper(t, 2)
			var first int
			for pid := range children(t) {
				if !before[pid] {
					first = pid
				}
			}
			w.Guard(1, 1, g.Handle(), time.Now().Add(4*time.Second))
			if err := syscall.Kill(first, tc.signal); err != nil {
				t.Fatal(err)
			}
			// A stopped one takes lines until its pipe is full.
			eventually(t, "the watchdog is replaced", func() bool {
				for range 100 {
					w.Guard(2, 1, safe.Handle(), time.Now().Add(time.Hour))
				}
				now := children(t)
				return !now[first] && len(now) > len(before)
			})
			eventually(t, "the new one knows what the old one did", func() bool { return !alive(t, g) })
			if !alive(t, safe) {
				t.Error("the new one ended what is leased for an hour")
			}
		})
	}
}

func TestGoodbyeEndsNothing(t *testing.T) {
	t.Parallel()
	var killed told
	w := newWatchdog(t, &killed)
	g := sleeper(t, 1)
	w.Guard(1, 1, g.Handle(), time.Now().Add(time.Hour))
	w.Stop()
	if !alive(t, g) {
		t.Error("a watchdog that was sent away ended a run")
	}
}

func TestSignalsDoNotEndIt(t *testing.T) {
	before := children(t)
	var killed told
	w := newWatchdog(t, &killed)
	g := sleeper(t, 1)
	w.Guard(1, 1, g.Handle(), time.Now().Add(2*time.Second)) // by its end, it listens
	for pid := range children(t) {
		if before[pid] {
			continue
		}
		eventually(t, "it ignores signals", func() bool {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			for line := range strings.Lines(string(status)) {
				if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok {
					bits, _ := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
					return bits&(1<<(syscall.SIGTERM-1)) != 0 && bits&(1<<(syscall.SIGHUP-1)) != 0
				}
			}
			return false
		})
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "it does its work", func() bool { return !alive(t, g) && len(killed.list()) == 1 })
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := watchdog.Start(watchdog.Options{Command: []string{"/no/such/program"}, StoreID: "x"})
	if bellhop.CodeOf(err) != bellhop.Internal || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("Start said %v", err)
	}
}
