package chat

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

// lookEvery is how often the records are looked at of the runs whose outcome is
// waited for. A run is told from its record after two looks, which leaves its
// report that long to come.
const lookEvery = 10 * time.Second

// watch tells the outcomes of runs whose reports don't come: another connection
// of the person has read them, or took them for its own while a server or the
// store was away.
func (c *Conversation) watch(ctx context.Context) {
	for {
		timer, stop := c.opt.Clock.NewTimer(lookEvery)
		select {
		case <-timer:
		case <-ctx.Done():
			stop()
			return
		}
		late := false
		for _, o := range c.awaited() {
			late = c.look(ctx, o) || late
		}
		if late {
			c.listenAgain()
		}
	}
}

// awaited returns the runs that were asked for here and are not told yet.
func (c *Conversation) awaited() []*ownRun {
	c.asking.Lock() // an answer that is under way comes before what it names
	defer c.asking.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	var own []*ownRun
	for _, id := range c.last {
		own = append(own, c.runs[id])
	}
	return own
}

// look looks at a run's record and reports whether its report is late. When it
// was so at the last look too, the record has to do.
func (c *Conversation) look(ctx context.Context, o *ownRun) (late bool) {
	a, err := c.desk.Ask(ctx, c.opt.NewKey(), "why "+o.id.String())
	gone := bellhop.CodeOf(err) == bellhop.NotFound
	if !gone && (err != nil || a.Why == nil || !a.Why.State.Terminal()) {
		o.late = false
		return false
	}
	if !o.late {
		o.late = true
		return true
	}
	if gone {
		c.settle(o.id, c.refuse(err))
		return false
	}
	if o.live != nil {
		select {
		case <-o.live:
		default: // output is still on its way
			return true
		}
	}
	// What can't be told now is told at the next look.
	_ = c.outcome(ctx, o, recorded(*a.Why, o.rule))
	return false
}

// recorded is the report that a run's record makes.
func recorded(r bellhop.Run, rule bellhop.ReportRule) bellhop.Report {
	rep := bellhop.Report{Kind: bellhop.ReportOutcome, Run: r, Rule: rule}
	if r.Attempt > 0 {
		rep.Attempt = bellhop.Attempt{N: r.Attempt, ExitStatus: r.ExitStatus, Reason: r.Error}
	}
	return rep
}

// listenAgain has reports asked for anew: what was put aside for this
// connection while it could not be told comes then.
func (c *Conversation) listenAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.relisten != nil {
		c.relisten()
	}
}
