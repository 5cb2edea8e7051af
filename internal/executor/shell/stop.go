package shell

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/proc"
)

const (
	// heldOpen is how long an output may stay open after the group's end
	// before somebody is looked for who holds it.
	heldOpen = 100 * time.Millisecond
	// lastWait bounds the waiting for processes that were killed. It is only
	// reached by those that the kernel holds, or that this user may not kill.
	lastWait = 5 * time.Second
)

// follow waits for the process, stops it when ctx ends, and returns when
// nothing is left of it.
func (a *attempt) follow(ctx context.Context, p *process) bellhop.Outcome {
	s := &stopping{a: a, p: p, exited: make(chan struct{}), done: make(chan struct{})}
	unhook := context.AfterFunc(ctx, s.run)
	state, err := p.os.Wait()
	cause, wasStopped := bellhop.StopEnd(ctx)
	close(s.exited)
	if unhook() {
		wasStopped = false // ctx ended after the process, if at all
	} else {
		<-s.done
	}
	left := a.endGroup(p.group.ID, s.asked)
	if left || wasStopped {
		a.endEscaped()
	}
	a.finishOutput(p)
	a.e.sweeper.ended(a.mark)
	switch {
	case wasStopped:
		return stopped(cause, state)
	case err != nil:
		return bellhop.Outcome{End: bellhop.EndFailed, Error: "the end of the process could not be learnt: " + err.Error()}
	}
	return ended(state)
}

// stopping asks a process group to end, and kills it when it does not.
type stopping struct {
	a      *attempt
	p      *process
	exited chan struct{} // the first process has ended
	done   chan struct{} // run has returned
	asked  time.Time     // when it was asked; zero = never
}

func (s *stopping) run() {
	defer close(s.done)
	select {
	case <-s.exited: // its number may be another's by now
		return
	default:
	}
	s.asked = s.a.e.opt.Clock.Now()
	ask(s.p.group.ID)
	timer, stop := s.a.e.opt.Clock.NewTimer(s.a.e.opt.KillAfter)
	defer stop()
	select {
	case <-s.exited:
	case <-timer:
		_ = syscall.Kill(-s.p.group.ID, syscall.SIGKILL)
	}
}

// ask sends SIGTERM to a group, and has its stopped members hear of it.
func ask(group int) {
	_ = syscall.Kill(-group, syscall.SIGTERM)
	_ = syscall.Kill(-group, syscall.SIGCONT)
}

// endGroup ends what the first process left of its group: what was not asked
// to end before is asked first. It reports whether there was anything.
func (a *attempt) endGroup(group int, asked time.Time) (left bool) {
	if gone(group) {
		return false
	}
	if asked.IsZero() {
		asked = a.e.opt.Clock.Now()
		ask(group)
	}
	if a.awaitGone(group, asked.Add(a.e.opt.KillAfter)) {
		return true
	}
	_ = syscall.Kill(-group, syscall.SIGKILL)
	if !a.awaitGone(group, a.e.opt.Clock.Now().Add(lastWait)) {
		a.e.opt.Log.Error("processes did not end on SIGKILL", "run", a.task.Run, "group", group)
	}
	return true
}

// gone reports whether a group has no members, dead ones that nobody has waited
// for yet included.
func gone(group int) bool {
	return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH)
}

// awaitGone waits for the end of a group's last living member, until then at
// the latest.
func (a *attempt) awaitGone(group int, until time.Time) bool {
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if gone(group) {
			return true
		}
		// Where process 1 waits for nobody, the dead stay members.
		if pause >= 8*time.Millisecond {
			if alive, err := (proc.Group{ID: group}).Members(); err == nil && len(alive) == 0 {
				return true
			}
		}
		left := until.Sub(a.e.opt.Clock.Now())
		if left <= 0 {
			return false
		}
		a.pause(min(pause, left))
	}
}

func (a *attempt) pause(d time.Duration) {
	timer, stop := a.e.opt.Clock.NewTimer(d)
	defer stop()
	<-timer
}

// endEscaped ends processes of the attempt that left its group.
func (a *attempt) endEscaped() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	n, err := proc.KillAll(ctx, a.mark)
	if n > 0 {
		a.e.opt.Log.Info("ended processes that had left their run's group", "run", a.task.Run, "processes", n)
	}
	if err != nil {
		a.e.opt.Log.Error("processes that had left their run's group", "run", a.task.Run, "error", err)
	}
}

// finishOutput waits for the end of both outputs. Who holds one open is ended;
// what can't be found can't hold the attempt up.
func (a *attempt) finishOutput(p *process) {
	if p.drainedWithin(a, heldOpen) {
		return
	}
	a.endEscaped()
	if p.drainedWithin(a, heldOpen) {
		return
	}
	p.output.abandon()
	<-p.output.drained
}

func (p *process) drainedWithin(a *attempt, d time.Duration) bool {
	timer, stop := a.e.opt.Clock.NewTimer(d)
	defer stop()
	select {
	case <-p.output.drained:
		return true
	case <-timer:
		return false
	}
}
