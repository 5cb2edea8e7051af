// Package shell runs a job's script or argv as a process of this machine, in a
// process group of its own, and leaves nothing of it behind.
//
// A process gets an environment that is built, not inherited; see environ.go.
// Its two outputs are read through pipes as they come. Whatever is left of its
// group when its first process has ended is ended too. A process that left the
// group is found by its environment: at once when the attempt was stopped, when
// members of the group were left, or when it holds the output open; otherwise
// by a sweep some moments later, since looking through every process for each
// run would cost more than many a run does.
package shell

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/proc"
)

// DefaultKillAfter is how long a process that was asked to end may take.
const DefaultKillAfter = 5 * time.Second

// Options are what an Executor is made of. Home and StoreID are needed.
type Options struct {
	Home    string // the configuration's folder, absolute
	StoreID string // Store.ID: processes carry it
	// Instance tells the processes of this life of the server from those of an
	// earlier one with the same store. "" = random.
	Instance  string
	KillAfter time.Duration // between SIGTERM and SIGKILL; 0 = DefaultKillAfter
	// SweepAfter is how long after a run's end processes that left its group
	// unnoticed are looked for. 0 = 1 s.
	SweepAfter time.Duration
	Log        *slog.Logger      // nil = discarded
	Clock      bellhop.Clock     // nil = the machine's
	Transport  http.RoundTripper // fetches script_url; nil = http.DefaultTransport's settings
}

// Executor implements bellhop.Executor. Its methods may be used at once.
type Executor struct {
	opt     Options
	base    environment
	fetcher *fetcher
	sweeper *sweeper
	buffers sync.Pool    // *[]byte of readSize
	ticks   atomic.Int32 // ticksUnknown, ticksGood or ticksBad
}

// New returns an Executor. Close it when it is no longer used.
func New(o Options) *Executor {
	if o.Instance == "" {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		o.Instance = hex.EncodeToString(b[:])
	}
	o.KillAfter = cmp.Or(o.KillAfter, DefaultKillAfter)
	o.SweepAfter = cmp.Or(o.SweepAfter, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	e := &Executor{opt: o, base: baseEnvironment(o)}
	e.fetcher = newFetcher(filepath.Join(o.Home, ".bellhop", "scripts"), o.Transport, o.Clock)
	e.sweeper = newSweeper(o)
	e.buffers.New = func() any { b := make([]byte, readSize); return &b }
	return e
}

// Instance returns what the processes of this Executor carry as
// BELLHOP_INSTANCE; the watchdog beside it is told the same.
func (e *Executor) Instance() string { return e.opt.Instance }

// Recover ends what an earlier life of the server left: every process that
// carries the store's id, and the folders of runs. It is called before the
// first Execute, by whoever holds the store.
func (e *Executor) Recover(ctx context.Context) error {
	n, err := proc.KillAll(ctx, proc.Mark{Store: e.opt.StoreID})
	if n > 0 {
		e.opt.Log.Warn("ended processes that an earlier server left", "processes", n)
	}
	if err != nil {
		return err
	}
	if err := removeAll(e.runs()); err != nil { // a nuisance, and no reason not to start
		e.opt.Log.Warn("folders of runs that an earlier server left could not be removed", "folder", e.runs(), "error", err)
	}
	return nil
}

// Close looks a last time for processes that left their groups, and waits for
// what goes on in the background. It may be called twice; no Execute may be
// under way.
func (e *Executor) Close() {
	e.sweeper.close()
	e.fetcher.close()
}

// runs is where runs have folders of their own. Each store has one, since two
// configurations may lie in one folder.
func (e *Executor) runs() string { return filepath.Join(e.opt.Home, ".bellhop", "runs", e.opt.StoreID) }

// attempt is one Execute.
type attempt struct {
	e        *Executor
	task     bellhop.Task
	spec     spec
	sink     bellhop.Sink
	mark     proc.Mark
	folder   string // of the run's own; "" until something needs it
	warnings []string
}

// Execute implements bellhop.Executor.
func (e *Executor) Execute(ctx context.Context, task bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
	if cause, ok := bellhop.StopEnd(ctx); ok {
		return bellhop.Outcome{End: cause.End, Error: cause.Reason}
	}
	a := &attempt{e: e, task: task, sink: sink, mark: proc.Mark{
		Store: e.opt.StoreID, Instance: e.opt.Instance, Run: task.Run.String(), Lease: strconv.FormatInt(task.Lease, 10),
	}}
	defer a.removeFolder()
	out := a.execute(ctx)
	out.Warnings = a.warnings
	return out
}

func (a *attempt) execute(ctx context.Context) bellhop.Outcome {
	if err := json.Unmarshal(a.task.Job.Spec, &a.spec); err != nil {
		return notStarted(fmt.Errorf("the definition of %s %s can't be read (%w); load the configuration again", a.task.Job.Service, a.task.Job.Name, err))
	}
	cmd, err := a.prepare(ctx)
	if err != nil {
		if cause, ok := bellhop.StopEnd(ctx); ok {
			return bellhop.Outcome{End: cause.End, Error: cause.Reason}
		}
		return notStarted(err)
	}
	p, err := a.start(cmd)
	if err != nil {
		return notStarted(err)
	}
	a.sink.Handle(p.group.Handle())
	return a.follow(ctx, p)
}

// ownFolder returns the run's own folder, made when it is first needed.
func (a *attempt) ownFolder() (string, error) {
	if a.folder != "" {
		return a.folder, nil
	}
	if err := os.MkdirAll(a.e.runs(), 0o700); err != nil {
		return "", fmt.Errorf("the run's own folder could not be made: %w", err)
	}
	dir, err := os.MkdirTemp(a.e.runs(), a.mark.Run+"-"+a.mark.Lease+"-")
	if err != nil {
		return "", fmt.Errorf("the run's own folder could not be made: %w", err)
	}
	a.folder = dir
	return dir, nil
}

func (a *attempt) removeFolder() {
	if a.folder == "" {
		return
	}
	if err := removeAll(a.folder); err != nil {
		a.e.opt.Log.Warn("a run's own folder could not be removed", "run", a.task.Run, "error", err)
	}
}
