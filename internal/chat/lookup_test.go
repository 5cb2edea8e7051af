package chat_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/chattest"
)

// eager is a clock whose timers are all due at once.
type eager struct{ bellhop.SystemClock }

func (c eager) NewTimer(time.Duration) (<-chan time.Time, func()) { return c.SystemClock.NewTimer(0) }

func impatient(o *chat.Options) { o.Clock = eager{} }

// deaf is a desk whose reports never come: others have read them.
type deaf struct{ *chattest.Desk }

func (d deaf) Reports(ctx context.Context, _ func(bellhop.Report) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestARunWhoseReportNeverComesIsToldFromItsRecord(t *testing.T) {
	blocks := chattest.TextRule()
	blocks.Format = bellhop.FormatBlocks
	log := "to read its log: bellhop logs 000001\n"
	for name, c := range map[string]struct {
		plan   chattest.Plan
		status int
		out    string
	}{
		"succeeded, live":     {chattest.Plan{Rule: chattest.TextRule(), Output: []chattest.Piece{chattest.Out("Hello\n")}}, 0, "Hello\n"},
		"succeeded, not live": {chattest.Plan{Rule: blocks, Output: []chattest.Piece{chattest.Out("[]\n")}}, 0, "[]\n"},
		"succeeded, in words": {chattest.Plan{Rule: bellhop.ReportRule{Success: true}}, 0, "example hello succeeded (000001)\n"},
		"failed":              {chattest.Plan{State: bellhop.Failed, Status: 3}, 1, "example hello failed: exit status 3 (000001)\n" + log},
		"timed out":           {chattest.Plan{State: bellhop.TimedOut, Error: "it ran longer than 1 s"}, 1, "example hello timed out: it ran longer than 1 s (000001)\n" + log},
	} {
		t.Run(name, func(t *testing.T) {
			d := deaf{chattest.NewDesk()}
			d.OnRun("x", c.plan)
			x := converse(d, impatient)
			x.want(t, x.Once(t.Context(), "x"), c.status, c.out, receipt)
		})
	}
	t.Run("at a prompt", func(t *testing.T) {
		d := deaf{chattest.NewDesk()}
		d.OnRun("x", chattest.Plan{Rule: bellhop.ReportRule{Success: true}})
		in, screen := newPipe(), &buffer{}
		p := chat.NewPrompt(rw{in, screen}, d, chat.Options{Exit: chat.AskExit(), Clock: eager{}})
		done := make(chan error)
		go func() { done <- p.Run(t.Context()) }()
		in.send("x\r")
		shows(t, screen, "example hello succeeded (000001)")
		in.send("\x04")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A run that nobody remembers is waited for no longer.
func TestARunThatIsForgottenIsNotWaitedFor(t *testing.T) {
	d := deaf{chattest.NewDesk()}
	d.OnRun("x", chattest.Plan{Hold: true})
	go func() {
		d.WaitAsked(1)
		d.Forget(1)
	}()
	x := converse(d, impatient)
	x.want(t, x.Once(t.Context(), "x"), 2, "", receipt+"there is no run 000001\n")
}

// looks counts the looks at records.
type looks struct {
	*chattest.Desk
	n atomic.Int32
}

func (d *looks) Ask(ctx context.Context, key, text string) (bellhop.Answer, error) {
	if strings.HasPrefix(text, "why ") && d.n.Add(1) == 5 {
		d.Finish(1)
	}
	return d.Desk.Ask(ctx, key, text)
}

// However often its record is looked at, a run's outcome is told once, and not
// before it has ended.
func TestARunThatGoesOnIsWaitedFor(t *testing.T) {
	d := &looks{Desk: chattest.NewDesk()}
	d.OnRun("x", chattest.Plan{Rule: bellhop.ReportRule{Success: true}, Hold: true})
	x := converse(d, impatient)
	x.want(t, x.Once(t.Context(), "x"), 0, "example hello succeeded (000001)\n", receipt)
	if n := d.n.Load(); n < 5 {
		t.Errorf("its record was looked at %d times", n)
	}
}

// putAside tells reports only to who asks for them a second time, as when a
// connection was thought to be gone.
type putAside struct {
	*chattest.Desk
	asked  atomic.Int32
	begun  chan struct{} // closed when reports were asked for
	looked atomic.Bool
}

func (d *putAside) Reports(ctx context.Context, fn func(bellhop.Report) error) error {
	if d.asked.Add(1) > 1 {
		return d.Desk.Reports(ctx, fn)
	}
	close(d.begun)
	<-ctx.Done()
	return ctx.Err()
}

func (d *putAside) Ask(ctx context.Context, key, text string) (bellhop.Answer, error) {
	if strings.HasPrefix(text, "why ") {
		d.looked.Store(true)
	}
	return d.Desk.Ask(ctx, key, text)
}

// A report that is late is asked for again, so that it counts as read.
func TestALateReportIsAskedForAgain(t *testing.T) {
	d := &putAside{Desk: chattest.NewDesk(), begun: make(chan struct{})}
	d.OnRun("x", chattest.Plan{Rule: bellhop.ReportRule{Success: true}})
	x := converse(d, func(o *chat.Options) { o.Clock = oneLook{d: d} })
	x.want(t, x.Once(t.Context(), "x"), 0, "example hello succeeded (000001)\n", receipt)
	if len(d.Read()) != 1 {
		t.Error("the report was not read")
	}
}

// oneLook is a clock by which the first look comes when reports were asked for,
// and the second one when the report was read.
type oneLook struct {
	bellhop.SystemClock
	d *putAside
}

func (c oneLook) NewTimer(time.Duration) (<-chan time.Time, func()) {
	<-c.d.begun
	if c.d.looked.Load() {
		c.d.WaitRead(1)
	}
	return c.SystemClock.NewTimer(0)
}
