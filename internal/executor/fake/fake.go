// Package fake carries jobs out by plays: what is written, how long it takes,
// how it ends. Nothing is started. It stands in for other executors where
// configurations and front ends are tried out.
package fake

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Play is what one attempt does. The zero Play succeeds at once.
type Play struct {
	Steps []Step
	Exit  int
	// Missing, unless "", is why it can't be started; nothing else happens then.
	Missing string
	// Bye is written to stdout when it is stopped before its end.
	Bye string
}

// Step is one thing that a Play does: it takes its time, then writes.
type Step struct {
	Takes   time.Duration
	Channel bellhop.Channel // 0 = Stdout
	// Text may name arguments: {env}. One that the run does not have stays.
	Text string
}

// Options are what an Executor is made of.
type Options struct {
	Clock bellhop.Clock // nil = the machine's
	// Else carries out the jobs that have no plays; nil = they are not started.
	Else bellhop.Executor
}

// Executor implements bellhop.Executor.
type Executor struct {
	opt Options

	mu      sync.Mutex
	plays   map[name][]Play             // what comes next first; the last one stays
	asleep  map[bellhop.RunID]time.Time // until when
	refused []string
}

var _ bellhop.Executor = (*Executor)(nil)

type name struct{ service, job string }

// New returns an Executor without plays.
func New(o Options) *Executor {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	return &Executor{opt: o, plays: map[name][]Play{}, asleep: map[bellhop.RunID]time.Time{}}
}

// Set gives a job its plays, one for each attempt that begins from now on; the
// last one is repeated. None = the zero Play.
func (e *Executor) Set(service, job string, plays ...Play) {
	if len(plays) == 0 {
		plays = []Play{{}}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plays[name{service, job}] = slices.Clone(plays)
}

// Asleep reports whether a run is in the midst of a Step that takes time, and
// until when.
func (e *Executor) Asleep(run bellhop.RunID) (until time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	until, ok = e.asleep[run]
	return until, ok
}

// Refused names the jobs ("deploys deploy") that were to be carried out, and
// had neither a play nor another executor.
func (e *Executor) Refused() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.refused)
}

// Execute implements bellhop.Executor.
func (e *Executor) Execute(ctx context.Context, task bellhop.Task, sink bellhop.Sink) bellhop.Outcome {
	if cause, ok := bellhop.StopEnd(ctx); ok {
		return bellhop.Outcome{End: cause.End, Error: cause.Reason}
	}
	play, ok := e.next(task.Job.Service, task.Job.Name)
	switch {
	case !ok && e.opt.Else != nil:
		return e.opt.Else.Execute(ctx, task, sink)
	case !ok:
		return e.refuse(task.Job)
	case play.Missing != "":
		return bellhop.Outcome{End: bellhop.EndNotStarted, Error: fill(play.Missing, task.Args)}
	}
	sink.Handle("fake:" + task.Run.String())
	for _, s := range play.Steps {
		if !e.sleep(ctx, task.Run, s.Takes) {
			cause, _ := bellhop.StopEnd(ctx)
			if play.Bye != "" {
				sink.Write(bellhop.Stdout, []byte(fill(play.Bye, task.Args)))
			}
			return bellhop.Outcome{End: cause.End, Error: cause.Reason}
		}
		if s.Text != "" {
			sink.Write(cmp.Or(s.Channel, bellhop.Stdout), []byte(fill(s.Text, task.Args)))
		}
	}
	return ended(play.Exit)
}

func ended(status int) bellhop.Outcome {
	if status == 0 {
		return bellhop.Outcome{End: bellhop.EndSucceeded, ExitStatus: &status}
	}
	return bellhop.Outcome{End: bellhop.EndFailed, ExitStatus: &status, Error: fmt.Sprintf("exit status %d", status)}
}

func (e *Executor) next(service, job string) (Play, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := name{service, job}
	plays := e.plays[n]
	if len(plays) == 0 {
		return Play{}, false
	}
	if len(plays) > 1 {
		e.plays[n] = plays[1:]
	}
	return plays[0], true
}

func (e *Executor) refuse(j bellhop.Job) bellhop.Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	full := j.Service + " " + j.Name
	if !slices.Contains(e.refused, full) {
		e.refused = append(e.refused, full)
	}
	return bellhop.Outcome{End: bellhop.EndNotStarted, Error: "it is not fake, so it was not started"}
}

// sleep waits, and reports whether ctx goes on.
func (e *Executor) sleep(ctx context.Context, run bellhop.RunID, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer, stop := e.opt.Clock.NewTimer(d)
	defer stop()
	e.note(run, e.opt.Clock.Now().Add(d))
	defer e.note(run, time.Time{})
	select {
	case <-timer:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// note notes until when a run sleeps; zero = it does not.
func (e *Executor) note(run bellhop.RunID, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if until.IsZero() {
		delete(e.asleep, run)
	} else {
		e.asleep[run] = until
	}
}

var argument = regexp.MustCompile(`\{[a-z][a-z0-9_-]*\}`)

// Names returns the arguments that texts name.
func Names(texts ...string) (names []string) {
	for _, text := range texts {
		for _, n := range argument.FindAllString(text, -1) {
			names = append(names, n[1:len(n)-1])
		}
	}
	return names
}

func fill(text string, args bellhop.Args) string {
	return argument.ReplaceAllStringFunc(text, func(n string) string {
		if v, ok := args[n[1:len(n)-1]]; ok {
			return v.String()
		}
		return n
	})
}
