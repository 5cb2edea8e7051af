package proc_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func markOf(t *testing.T) proc.Mark {
	return proc.Mark{Store: fmt.Sprintf("proc-%d-%s", os.Getpid(), t.Name()), Run: "000001", Lease: "7"}
}

// start runs a script in a group of its own, and returns when it says "ready".
func start(t *testing.T, m proc.Mark, script string) (*exec.Cmd, proc.Group) {
	t.Helper()
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(m.Environ(), "PATH="+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_, _ = proc.KillAll(context.Background(), m) // daemons
	})
	g, err := proc.GroupOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the script said %q (%v)", line, err)
	}
	return cmd, g
}

func find(t *testing.T, m proc.Mark) []proc.Process {
	t.Helper()
	found, err := proc.Find(m)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func members(t *testing.T, g proc.Group) []proc.Process {
	t.Helper()
	m, err := g.Members()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	m := markOf(t)
	_, g := start(t, m, `sleep 3600 & (setsid setsid sleep 3600 >&- &); env -i sleep 3600 & echo ready; wait`)
	eventually(t, "three are found: shell, child and daemon", func() bool { return len(find(t, m)) == 3 })
	for _, p := range find(t, proc.Mark{Store: m.Store}) {
		if p.Mark != m || p.Start < g.Start || p.Dead() {
			t.Errorf("found %+v", p)
		}
	}
	for name, other := range map[string]proc.Mark{
		"another store": {Store: m.Store + "x"}, "another run": {Store: m.Store, Run: "000002"},
		"another lease": {Store: m.Store, Run: m.Run, Lease: "8"}, "another life": {Store: m.Store, Instance: "two"},
	} {
		if found := find(t, other); len(found) > 0 {
			t.Errorf("%s: found %v", name, found)
		}
	}
	if _, err := proc.Find(proc.Mark{Run: "000001"}); err == nil {
		t.Error("processes of no store in particular were looked for")
	}
}

func TestKillAll(t *testing.T) {
	t.Parallel()
	m, other := markOf(t), markOf(t)
	other.Run = "000002"
	_, g := start(t, other, `echo ready; sleep 3600; :`)
	start(t, m, `trap '' TERM; sleep 3600 & echo ready; while :; do setsid sleep 3600 & sleep 0.01; done`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	n, err := proc.KillAll(ctx, m)
	if err != nil || n < 2 {
		t.Errorf("ended %d processes: %v", n, err)
	}
	if found := find(t, m); len(found) > 0 {
		t.Errorf("left: %v", found)
	}
	if len(members(t, g)) == 0 {
		t.Error("another run was ended too")
	}
}

func TestKillAllEndsWithItsContext(t *testing.T) {
	t.Parallel()
	m := markOf(t)
	start(t, m, `echo ready; sleep 3600; :`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := proc.KillAll(ctx, m); err == nil {
		t.Error("nothing was said of what may be left")
	}
}

func TestKillOfAReusedNumber(t *testing.T) {
	t.Parallel()
	m := markOf(t)
	cmd, _ := start(t, m, `echo ready; sleep 3600; :`)
	p, err := proc.Read(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	p.Start--
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	// A signal would have been there before another one to the same process.
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGTERM {
		t.Errorf("the process was ended by %v (%v)", ws.Signal(), err)
	}
}

func TestGroupKill(t *testing.T) {
	t.Parallel()
	const family = `sleep 3600 & echo ready; sleep 3600; :`
	mine := func(m proc.Mark) func(proc.Process) bool {
		return func(p proc.Process) bool { return m.Matches(p.Mark) }
	}
	for _, tc := range []struct {
		name    string
		outlive bool // the group's first process is gone
		change  func(*proc.Group, *proc.Mark)
		killed  bool
	}{
		{"whole", false, func(*proc.Group, *proc.Mark) {}, true},
		{"without its first process", true, func(*proc.Group, *proc.Mark) {}, true},
		{"of another time", false, func(g *proc.Group, _ *proc.Mark) { g.Start++ }, false},
		{"a stranger's, without its first process", true, func(_ *proc.Group, m *proc.Mark) { m.Store += "x" }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := markOf(t)
			cmd, g := start(t, m, family)
			if tc.outlive {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_, _ = cmd.Process.Wait()
			}
			known := g
			tc.change(&known, &m)
			killed, err := known.Kill(mine(m))
			if err != nil || killed != tc.killed {
				t.Fatalf("killed %v (%v), want %v", killed, err, tc.killed)
			}
			if !tc.killed {
				if len(members(t, g)) == 0 {
					t.Error("the group is gone")
				}
				return
			}
			eventually(t, "the group is gone", func() bool { return len(members(t, g)) == 0 })
		})
	}
	gone := proc.Group{ID: 1 << 30, Start: 1}
	if killed, err := gone.Kill(mine(proc.Mark{})); killed || err != nil {
		t.Errorf("a group that is not there: %v, %v", killed, err)
	}
}

// TestTicks: the clock of start times agrees with proc(5), which executors rely
// on after having looked once.
func TestTicks(t *testing.T) {
	t.Parallel()
	for range 20 {
		before := proc.Ticks()
		cmd := exec.Command("true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := proc.Ticks()
		p, err := proc.Read(cmd.Process.Pid)
		_ = cmd.Wait()
		if err != nil || p.Start < before || p.Start > after {
			t.Errorf("started at %d (%v), between %d and %d", p.Start, err, before, after)
		}
	}
}

func TestFindSparesAncestors(t *testing.T) {
	if os.Getenv("PROC_TEST_ANCESTOR") != "" {
		m := proc.Mark{Store: os.Getenv(proc.EnvStore)}
		if n, err := proc.KillAll(context.Background(), m); err != nil || n != 1 {
			fmt.Println("ended", n, err)
		}
		return
	}
	t.Parallel()
	m := markOf(t)
	cmd := exec.Command("bash", "-c", `sleep 3600 >/dev/null 2>&1 & "$0" -test.run=TestFindSparesAncestors -test.count=1 && echo survived`, os.Args[0])
	cmd.Env = append(m.Environ(), "PATH="+os.Getenv("PATH"), "PROC_TEST_ANCESTOR=1")
	out, err := cmd.Output() // not what the shell says of its child that was killed
	if err != nil || string(out) != "PASS\nsurvived\n" {
		t.Errorf("the shell said %q: %v", out, err)
	}
}
