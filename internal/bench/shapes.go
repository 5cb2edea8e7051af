package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/runner"
)

// fillers is how many callers fill a queue where that is not what is measured.
const fillers = 256

// executor is a function that carries a run out.
type executor func(ctx context.Context, task bellhop.Task) bellhop.Outcome

// Execute calls it.
func (e executor) Execute(ctx context.Context, task bellhop.Task, _ bellhop.Sink) bellhop.Outcome {
	return e(ctx, task)
}

// doNothing is the work of the shapes that measure everything else.
func doNothing(context.Context, bellhop.Task) bellhop.Outcome {
	return bellhop.Outcome{End: bellhop.EndSucceeded}
}

// submits measures single submits of many callers, each answered when its run
// is durable.
func (h *house) submits(ctx context.Context) error {
	n := h.o.Submit
	if n == 0 {
		return nil
	}
	h.tell("submit: %d runs from %d callers", n, h.o.Callers)
	took, err := h.askMany(ctx, jobNothing, n, h.o.Callers)
	if err != nil {
		return err
	}
	h.queued += n
	return h.print(Line{Shape: "submit", N: n, Rate: perSecond(n, took), Note: fmt.Sprintf("%d callers, one run a call", h.o.Callers)})
}

// works measures how fast a queue that was filled before is worked, from the
// runner's start to the last end that is durable.
func (h *house) works(ctx context.Context) error {
	if h.o.Work == 0 {
		return nil
	}
	if missing := h.o.Work - h.queued; missing > 0 {
		h.tell("work: filling the queue with %d runs", missing)
		if _, err := h.askMany(ctx, jobNothing, missing, fillers); err != nil {
			return err
		}
	}
	n := max(h.o.Work, h.queued)
	h.tell("work: %d runs in %d slots", n, h.o.Slots)
	took, err := h.drain(ctx, h.count(n), h.o.Slots, map[string]bellhop.Executor{"nothing": executor(doNothing)}, nil)
	if err != nil {
		return err
	}
	h.queued = 0
	return h.print(Line{Shape: "work", N: n, Rate: perSecond(n, took), Note: fmt.Sprintf("%d slots, every end durable, with its report in the outbox", h.o.Slots)})
}

// latencies measures, at a steady rate, how long after a submit began its run
// starts.
func (h *house) latencies(ctx context.Context) error {
	if h.o.Rate == 0 {
		return nil
	}
	if err := h.empty(ctx); err != nil {
		return err
	}
	n := int(h.o.For.Seconds() * float64(h.o.Rate))
	h.tell("latency: %d submits a second for %s", h.o.Rate, h.o.For)
	begun, started := make([]time.Time, n), make([]time.Time, n)
	timed := executor(func(ctx context.Context, task bellhop.Task) bellhop.Outcome {
		now := time.Now()
		if i, err := strconv.Atoi(task.Args["name"].String()); err == nil && i < n {
			started[i] = now // each has its place; the end of the last one is waited for
		}
		return doNothing(ctx, task)
	})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		tick := time.NewTicker(time.Second / time.Duration(h.o.Rate))
		defer tick.Stop()
		for i := range n {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			begun[i] = time.Now()
			if err := h.ask(ctx, jobTimed, strconv.Itoa(i)); err != nil {
				cancel(err)
				return
			}
		}
	}()
	took, err := h.drain(ctx, h.count(n), h.o.Slots, map[string]bellhop.Executor{"nothing": timed}, nil)
	cancel(nil)
	<-asked
	if err != nil {
		return err
	}
	waits := make([]time.Duration, n)
	for i := range waits {
		waits[i] = started[i].Sub(begun[i])
	}
	l := Line{Shape: "latency", N: n, Rate: perSecond(n, took), Note: "from before the submit to the start of the work"}
	l.spread(waits)
	return h.print(l)
}

// empty has what still waits worked, outside of what is measured.
func (h *house) empty(ctx context.Context) error {
	if h.queued == 0 {
		return nil
	}
	h.tell("working %d runs that were submitted before", h.queued)
	_, err := h.drain(ctx, h.count(h.queued), fillers, map[string]bellhop.Executor{"nothing": executor(doNothing)}, nil)
	h.queued = 0
	return err
}

// execs measures runs of a command that were submitted before, by the shell
// executor with its watchdog, what they print stored with their end.
func (h *house) execs(ctx context.Context) error {
	n := h.o.Exec
	if n == 0 {
		return nil
	}
	if err := h.empty(ctx); err != nil {
		return err
	}
	h.tell("exec: %d runs, %d at a time", n, h.o.Parallel)
	ex, dog, end, err := h.processes(func(bellhop.RunID, int64) {})
	if err != nil {
		return err
	}
	defer end()
	if _, err := h.askMany(ctx, jobExec, n, fillers); err != nil {
		return err
	}
	var guard runner.Guard = dog
	took, err := h.drain(ctx, h.count(n), h.o.Parallel, map[string]bellhop.Executor{"shell": ex}, guard)
	if err != nil {
		return err
	}
	return h.print(Line{Shape: "exec", N: n, Rate: perSecond(n, took), Note: fmt.Sprintf("%d at a time, output kept, watchdog beside it", h.o.Parallel)})
}
