package slack_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// atOnce has a workspace in which runs end before it can be said that they are
// joined, which takes a second. What it returns waits until all is told.
func atOnce(t *testing.T, set ...func(*slack.Options)) (w *world, done func()) {
	t.Helper()
	w = start(t, slacktest.Options{}, set...)
	return w, w.atOnce(func(ev bellhop.Event) bellhop.Origin { return ev.Origin })
}

// atOnce has what came of runs told at the place that whom returns.
func (w *world) atOnce(whom func(bellhop.Event) bellhop.Origin) (done func()) {
	t := w.t
	var told sync.WaitGroup
	before := w.house.made()
	w.house.mu.Lock()
	defer w.house.mu.Unlock()
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		a := w.house.accept(ev)
		a.How = bellhop.Merged
		told.Go(func() {
			r := w.house.end(a.Run, bellhop.Succeeded, bellhop.ReportRule{Success: true}, whom(ev))
			if _, err := w.chat.Deliver(context.Background(), r); err != nil {
				t.Error(err)
			}
		})
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: a}, nil
	}
	w.Limit("reactions.add", "", 1, 1)
	return func() {
		w.until("it is asked", func() bool { return w.house.made() > before })
		told.Wait()
		w.stop(w.chat) // all that is to be said is said
	}
}

func TestTheReceiptComesBeforeTheOutcome(t *testing.T) {
	t.Parallel()
	w, done := atOnce(t)
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy")
	done()
	p := w.Posts("C1")
	if len(p) != 2 || !strings.HasPrefix(p[0].Text, "joined 00002a") || !strings.Contains(p[1].Text, "succeeded (00002a)") {
		t.Errorf("told %+v", p)
	}
	if got := w.Reactions("C1", ts); !slices.Equal(got, []string{"white_check_mark"}) {
		t.Errorf("reactions %v", got)
	}
}

func TestWhoJoinedIsToldSoBeforeTheOutcomeIsThere(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked() // by Alice
	done := w.atOnce(func(bellhop.Event) bellhop.Origin { return o })
	w.Say("U2", "C1", slacktest.Mention+" deploy")
	done()
	if p := w.Posts("C1"); len(p) != 2 || !strings.HasPrefix(p[0].Text, "joined 00002b") || !strings.Contains(p[1].Text, "succeeded (00002b)") {
		t.Errorf("told %+v", p)
	}
}

// hasty is a clock for which what waits for a receipt has waited long enough.
type hasty struct{ *clock }

func (c hasty) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	if d == 10*time.Second || d == 2*time.Second {
		d = 0
	}
	return c.clock.NewTimer(d)
}

func TestAReceiptThatComesTooLateIsLeftOut(t *testing.T) {
	t.Parallel()
	w, done := atOnce(t, func(o *slack.Options) { o.Clock = hasty{newClock()} })
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy")
	done()
	if p := w.Posts("C1"); len(p) != 1 || !strings.Contains(p[0].Text, "succeeded (00002a)") {
		t.Errorf("told %+v", p)
	}
	if got := w.Reactions("C1", ts); !slices.Equal(got, []string{"white_check_mark"}) {
		t.Errorf("reactions %v", got)
	}
}

func TestWhatSlackBringsAgainAfterItsOutcomeIsNotAcceptedAgain(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		a := w.house.accept(ev)
		a.How, a.Ended = bellhop.Repeated, true
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: a}, nil
	}
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is heard", func() bool { return w.house.made() == 1 })
	w.stop(w.chat)
	if p, r := w.Posts("C1"), w.Reactions("C1", ts); len(p) != 0 || len(r) != 0 {
		t.Errorf("told %+v, reactions %v", p, r)
	}
}
