package shell_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/executortest"
	"github.com/bellhop-io/bellhop/internal/executor/shell"
	"github.com/bellhop-io/bellhop/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compiled returns a job of the service "example" made from src.
func compiled(t testing.TB, src bellhop.JobSource, params ...bellhop.Param) bellhop.Job {
	t.Helper()
	src.Service, src.Params = "example", params
	c, faults := shell.Compiler{}.Compile(src)
	if len(faults) > 0 {
		t.Fatalf("compiling %q: %v", src.Script, faults)
	}
	for _, name := range c.Names {
		if !hasParam(params, name) {
			params = append(params, bellhop.Param{Name: name, Type: bellhop.TypeString})
		}
	}
	return bellhop.Job{Service: "example", Name: "job", Executor: "shell", Spec: c.Spec, Params: params}
}

func hasParam(params []bellhop.Param, name string) bool {
	for _, p := range params {
		if p.Name == name {
			return true
		}
	}
	return false
}

func script(t testing.TB, text string, params ...bellhop.Param) bellhop.Job {
	t.Helper()
	return compiled(t, bellhop.JobSource{Script: text}, params...)
}

// house is an executor with a folder and a store id of its own.
type house struct {
	*shell.Executor
	home, store string
	leases      atomic.Int64 // given out by run
}

func newHouse(t testing.TB, change ...func(*shell.Options)) *house {
	t.Helper()
	o := shell.Options{Home: t.TempDir(), StoreID: "test-" + strings.ReplaceAll(t.Name(), "/", "-") + fmt.Sprint(os.Getpid()), KillAfter: 300 * time.Millisecond, SweepAfter: 50 * time.Millisecond}
	for _, f := range change {
		f(&o)
	}
	h := &house{Executor: shell.New(o), home: o.Home, store: o.StoreID}
	t.Cleanup(h.Close)
	return h
}

func (h *house) left(t testing.TB) []proc.Process {
	t.Helper()
	found, err := proc.Find(proc.Mark{Store: h.store})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// run executes a job as run 1, under a lease of its own, and returns its
// outcome and what it gave.
func (h *house) run(t testing.TB, ctx context.Context, job bellhop.Job, args ...string) (bellhop.Outcome, *executortest.Sink) {
	t.Helper()
	sink := executortest.NewSink()
	task := taskOf(job, args...)
	task.Lease = 100 + h.leases.Add(1)
	out := h.Execute(ctx, task, sink)
	sink.Close(t)
	return out, sink
}

// taskOf makes a task; args are names and values in turn.
func taskOf(job bellhop.Job, args ...string) bellhop.Task {
	task := bellhop.Task{Run: 1, Lease: 7, Attempt: 1, Job: job, Args: bellhop.Args{}, Principal: "alice"}
	for i := 0; i < len(args); i += 2 {
		task.Args[args[i]] = bellhop.Text(args[i+1])
	}
	return task
}

// eventually fails the test unless ok comes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.Now().Add(executortest.Wait)
	for !ok() {
		if time.Now().After(limit) {
			t.Fatalf("never came true: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// contextStoppedBy returns a context that is cancelled by alice when c closes.
func contextStoppedBy(t testing.TB, c <-chan struct{}) (context.Context, func()) {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-c:
			stop(&bellhop.StopCause{End: bellhop.EndCancelled, Reason: "cancelled by alice"})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { stop(nil); <-done }
}

const polite = `trap 'echo bye; exit 0' TERM
echo ready
while :; do sleep 0.05; done`

const stubborn = `trap '' TERM
bash -c 'trap "" TERM; while :; do sleep 1; done' &
setsid bash -c 'trap "" TERM; while :; do sleep 1; done' &
(setsid setsid bash -c 'trap "" TERM; sleep 3600' >/dev/null 2>&1 &)
echo ready
while :; do sleep 1; done`

func TestConformance(t *testing.T) {
	home := t.TempDir()
	store := fmt.Sprintf("test-conformance-%d", os.Getpid())
	text := bellhop.Param{Name: "text", Type: bellhop.TypeString}
	executortest.Run(t, executortest.Harness{
		New: func(t *testing.T) bellhop.Executor {
			return newHouse(t, func(o *shell.Options) { o.Home, o.StoreID = home, store }).Executor
		},
		Jobs: executortest.Jobs{
			Hello:    script(t, "echo hello"),
			Both:     script(t, "echo out; echo err >&2"),
			Fails:    script(t, "echo oops >&2; exit 3"),
			Missing:  compiled(t, bellhop.JobSource{Argv: []string{"no-such-program"}}),
			Echo:     script(t, "printf %s {text}", text),
			Polite:   script(t, polite),
			Stubborn: script(t, stubborn),
		},
		Left: func(run bellhop.RunID) (left []string) {
			found, _ := proc.Find(proc.Mark{Store: store, Run: run.String()})
			for _, p := range found {
				left = append(left, fmt.Sprintf("process %d of group %d, %c", p.PID, p.Group, p.State))
			}
			folders, _ := filepath.Glob(filepath.Join(home, ".bellhop", "runs", "*", run.String()+"-*"))
			return append(left, folders...)
		},
	})
}
