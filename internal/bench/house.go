package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/executor/shell"
	"github.com/bellhop-io/bellhop/internal/runner"
	"github.com/bellhop-io/bellhop/internal/runner/watchdog"
)

// house is an engine on a place, with what the shapes share.
type house struct {
	o      Options
	place  *Place
	bus    bellhop.Bus
	engine *engine.Engine
	asked  atomic.Int64 // invocations so far
	queued int          // runs of the job nothing that wait
}

const (
	service    = "bench"
	jobNothing = "nothing" // does nothing
	jobTimed   = "timed"   // says when it starts
	jobExec    = "exec"    // runs the command
)

// newHouse activates a catalog with the jobs of the shapes.
func newHouse(ctx context.Context, o Options, place *Place) (*house, error) {
	h := &house{o: o, place: place, bus: place.Bus}
	if h.bus == nil {
		h.bus = &bus.Local{}
	}
	jobs := []bellhop.Job{job(jobNothing, "nothing", []byte(`{}`)), job(jobTimed, "nothing", []byte(`{}`))}
	if o.Exec > 0 {
		spec, err := compile(o.Argv)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job(jobExec, "shell", spec))
	}
	var key []byte
	if !o.Unaudited {
		key = make([]byte, bellhop.AuditKeySize)
		_, _ = rand.Read(key) // never fails
	}
	h.engine = engine.New(engine.Options{Store: place.Store, Bus: h.bus, Log: o.Log, AuditKey: key})
	cat := &bellhop.Catalog{Bot: "bellhop", Services: []bellhop.Service{{Name: service, Jobs: jobs}}}
	if err := h.engine.Activate(ctx, cat); err != nil {
		return nil, err
	}
	if err := h.engine.Start(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *house) close() { h.engine.Stop() }

// job is one without a limit of how many run at a time, or there would be
// nothing to measure. What it tells is the default.
func job(name, executor string, spec []byte) bellhop.Job {
	return bellhop.Job{
		Service: service, Name: name, Executor: executor, Spec: spec, OnCrash: bellhop.CrashRerun, Priority: bellhop.DefaultPriority,
		Params: []bellhop.Param{{Name: "name"}}, Report: bellhop.ReportRule{Success: true, Format: bellhop.FormatText},
	}
}

// compile checks a command as a configuration would, with its braces taken as
// they are written.
func compile(argv []string) ([]byte, error) {
	plain := make([]string, len(argv))
	for i, a := range argv {
		plain[i] = verbatim(a)
	}
	done, faults := shell.Compiler{}.Compile(bellhop.JobSource{Service: service, Argv: plain})
	if len(faults) > 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "the command after -- can't be a job: %s", faults[0].Message)
	}
	if len(done.Names) > 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "the command after -- names a parameter {%s}, and a bench has none; put it into a script file", done.Names[0])
	}
	return done.Spec, nil
}

// verbatim doubles braces that would name a parameter: {{x}} stands for {x}.
func verbatim(arg string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(arg, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(arg[open:], '}')
		if end < 0 || bellhop.CheckName("parameter", arg[open+1:open+max(end, 1)]) != nil || open > 0 && arg[open-1] == '$' {
			b.WriteString(arg[:open+1])
			arg = arg[open+1:]
			continue
		}
		b.WriteString(arg[:open] + "{" + arg[open:open+end] + "}}")
		arg = arg[open+end+1:]
	}
	return b.String() + arg
}

// ask submits one run as a chat would: with a key, an origin, and an argument
// of its own, so that a run to merge with is looked for and never found. name
// "" is one that was not there before.
func (h *house) ask(ctx context.Context, job, name string) error {
	n := h.asked.Add(1)
	if name == "" {
		name = fmt.Sprintf("bob-%d", n)
	}
	got, err := h.engine.Do(ctx, bellhop.Invocation{
		Key: fmt.Sprintf("bench:T0/C0/%012d", n), Action: bellhop.ActionRun, Service: service, Job: job, Entry: job,
		Args:   bellhop.Args{"name": bellhop.Text(name)},
		Person: bellhop.Person{Identity: "local:bench", Name: "bench", Listed: true},
		Origin: bellhop.Origin{Source: "bench", Channel: "C0", Person: "local:bench"},
	})
	if err == nil && got.Accepted.How != bellhop.Created {
		return bellhop.Errorf(bellhop.Internal, "submit %d was %s where a run was to be made", n, got.Accepted.How)
	}
	return err
}

// askMany submits n runs, from callers that have one submit each under way.
func (h *house) askMany(ctx context.Context, job string, n, callers int) (took time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range min(callers, n) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && ctx.Err() == nil; i = next.Add(1) {
				if err := h.ask(ctx, job, ""); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took = time.Since(begin)
	return took, context.Cause(ctx)
}

// counter is the engine as the runner sees it, which says when the last of a
// number of runs has ended: when that is written down, not when its work is
// done.
type counter struct {
	bellhop.Dispatcher
	left atomic.Int64
	done chan struct{}

	mu  sync.Mutex
	bad int
	why string // of the first that did not succeed
}

func (h *house) count(n int) *counter {
	c := &counter{Dispatcher: h.engine, done: make(chan struct{})}
	c.left.Store(int64(n))
	return c
}

// Finish ends an attempt.
func (c *counter) Finish(ctx context.Context, ref bellhop.LeaseRef, out bellhop.Outcome, last *bellhop.OutputBatch) error {
	err := c.Dispatcher.Finish(ctx, ref, out, last)
	if err != nil {
		return err
	}
	if out.End == bellhop.EndInterrupted {
		return nil // it waits again
	}
	if out.End != bellhop.EndSucceeded {
		c.mu.Lock()
		c.bad++
		if c.why == "" {
			c.why = out.Error
		}
		c.mu.Unlock()
	}
	if c.left.Add(-1) == 0 {
		close(c.done)
	}
	return nil
}

// drain has a runner work until the counted runs have ended.
func (h *house) drain(ctx context.Context, c *counter, slots int, executors map[string]bellhop.Executor, guard runner.Guard) (took time.Duration, err error) {
	r := runner.New(runner.Options{
		Name: "bench", Dispatcher: c, Executors: executors, Bus: h.bus, Slots: slots, Guard: guard, Log: h.o.Log,
	})
	begin := time.Now()
	if err := r.Start(ctx); err != nil {
		return 0, err
	}
	defer stopNow(r)
	select {
	case <-c.done:
		took = time.Since(begin)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bad > 0 {
		return 0, bellhop.Errorf(bellhop.Conflict, "%d runs did not succeed, so their rate says nothing; the first: %s", c.bad, c.why)
	}
	return took, nil
}

// stopNow interrupts what a runner still works.
func stopNow(r *runner.Runner) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Stop(ctx)
}

// processes returns what starts and guards commands, as a server has it, in a
// folder of its own. The watchdog tells killed of what it ended.
func (h *house) processes(killed func(bellhop.RunID, int64)) (ex *shell.Executor, dog *watchdog.Watchdog, end func(), err error) {
	home, err := os.MkdirTemp("", "bellhop-bench-")
	if err != nil {
		return nil, nil, nil, bellhop.Errorf(bellhop.Unavailable, "no folder for the commands: %w", err)
	}
	ex = shell.New(shell.Options{Home: home, StoreID: h.place.Store.ID, Log: h.o.Log})
	dog, err = watchdog.Start(watchdog.Options{
		Command: h.o.Watchdog, StoreID: h.place.Store.ID, Instance: ex.Instance(), Log: h.o.Log, Killed: killed,
	})
	end = func() {
		if dog != nil {
			dog.Stop()
		}
		ex.Close()
		_ = os.RemoveAll(home)
	}
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	return ex, dog, end, nil
}
