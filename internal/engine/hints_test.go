package engine_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// Without hints everything would still happen, a look later each: so each of
// them is held to account here.
func TestHints(t *testing.T) {
	var h *house
	var id bellhop.RunID
	var c bellhop.Claim
	chunk := func() []bellhop.OutputBatch {
		return []bellhop.OutputBatch{{Ref: ref(c), Chunks: []bellhop.Chunk{{Seq: 1, Channel: bellhop.Stdout, Data: []byte("x")}}}}
	}
	accept := func() { id = h.run(alice, ask("example", "stubborn", "a")).Run }
	begin := func() { accept(); c = h.claim(1)[0] }
	pause := func() { h.holds(alice, built(bellhop.ActionPause, "example", "")) }
	run := "run"
	tests := []struct {
		name   string
		before func()
		act    func()
		want   []string
	}{
		{"an ask", func() {}, accept, []string{bellhop.TopicQueue}},
		{"a claim", accept, func() { c = h.claim(1)[0] }, []string{run}},
		{"output", begin, func() {
			if err := h.Output(t.Context(), chunk()); err != nil {
				t.Fatal(err)
			}
		}, []string{run}},
		{"an outcome", begin, func() { h.finish(c, bellhop.EndSucceeded) }, []string{bellhop.TopicQueue, bellhop.TopicOutbox, run}},
		{"a failure before a retry", begin, func() { h.finish(c, bellhop.EndFailed) }, []string{bellhop.TopicQueue, bellhop.TopicOutbox, run}},
		{"an interruption", begin, func() { h.finish(c, bellhop.EndInterrupted) }, []string{bellhop.TopicQueue, run}},
		{"a cancellation", begin, func() {
			if _, err := h.do(bob, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id}); err != nil {
				t.Fatal(err)
			}
		}, []string{bellhop.TopicQueue, bellhop.TopicCancel, bellhop.TopicOutbox, run}},
		{"a pause", accept, pause, nil},
		{"a pause that ends", func() { accept(); pause() }, func() { h.holds(alice, built(bellhop.ActionResume, "example", "")) }, []string{bellhop.TopicQueue}},
		{"no pause that ends", accept, func() { h.holds(alice, built(bellhop.ActionResume, "example", "")) }, nil},
		{"a deadline", func() { h.run(alice, ask("example", "urgent", "b")) }, func() {
			h.store.Queue = inAnHour{h.store.Queue}
			if _, err := h.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, []string{bellhop.TopicQueue, bellhop.TopicOutbox, run}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h = newHouse(t)
			cat := catalog()
			cat.Services[0].Jobs = append(cat.Services[0].Jobs, job("example", "urgent", func(j *bellhop.Job) { j.Deadline = time.Minute }))
			if err := h.Activate(t.Context(), cat); err != nil {
				t.Fatal(err)
			}
			tt.before()
			heard := map[string]<-chan struct{}{}
			for _, topic := range []string{bellhop.TopicQueue, bellhop.TopicCancel, bellhop.TopicOutbox} {
				news, end := h.bus.Subscribe(topic)
				defer end()
				heard[topic] = news
			}
			news, end := h.bus.Subscribe(bellhop.TopicRun(max(id, 1)))
			defer end()
			heard[run] = news
			tt.act()
			for topic, news := range heard {
				select {
				case <-news:
					if !slices.Contains(tt.want, topic) {
						t.Errorf("%s is woken for nothing", topic)
					}
				default:
					if slices.Contains(tt.want, topic) {
						t.Errorf("%s is not woken", topic)
					}
				}
			}
			id = 0
		})
	}
}

func TestLostLeasesAreLookedForEveryThird(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Engine = engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}, Lease: time.Minute})
		if err := h.Activate(t.Context(), catalog()); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer h.Stop()
		id := h.run(alice, ask("example", "deploy", "a")).Run
		h.claim(1)
		time.Sleep(59 * time.Second)
		if r := h.get(id); r.State != bellhop.Running {
			t.Errorf("before its lease has run out it is %s", r.State)
		}
		time.Sleep(22 * time.Second)
		if r := h.get(id); r.State != bellhop.Waiting {
			t.Errorf("a third of a lease after its lease has run out it is %s", r.State)
		}
	})
}

// Who asked for a run sees it and may withdraw from it, even when the service
// has been closed to them meanwhile; the run stays for others.
func TestWhoAskedBeforeTheServiceWasRestricted(t *testing.T) {
	h := newHouse(t)
	slow := ask("example", "deploy", "a")
	slow.Delay = time.Hour
	id := h.run(guest, slow).Run
	if merged := h.run(alice, slow); merged.Run != id {
		t.Fatal(merged)
	}
	closed := catalog()
	closed.Services[0].Restricted = true
	if err := h.Activate(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	runs, err := h.Runs(t.Context(), guest, bellhop.RunFilter{})
	if err != nil || len(runs) != 1 || runs[0].Args == nil {
		t.Errorf("the guest's own run is shown as %+v, %v", runs, err)
	}
	got, err := h.do(guest, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
	if err != nil || got.Cancelled[0].Effect != bellhop.CancelWithdrawn {
		t.Errorf("%+v, %v; want the guest's ask alone withdrawn", got, err)
	}
	if r := h.get(id); r.State != bellhop.Waiting {
		t.Errorf("alice's run is %s", r.State)
	}
}

// claims notes which runs are asked for.
type claims struct {
	bellhop.Queue
	only []bellhop.RunID
}

func (q *claims) Claim(ctx context.Context, req bellhop.ClaimRequest) ([]bellhop.ClaimedRun, time.Time, error) {
	q.only = req.Only
	return q.Queue.Claim(ctx, req)
}

// What serves only its own forgets runs that have ended, so that it does not
// look for ever more of them.
func TestOwnRunsThatEndedAreForgotten(t *testing.T) {
	h := newHouse(t)
	q := &claims{Queue: h.store.Queue}
	h.store.Queue = q
	h.ServeOnlyOwn()
	h.run(alice, ask("example", "free", "a"))
	unwanted := h.run(alice, ask("example", "free", "b")).Run
	last := h.run(alice, ask("example", "free", "c")).Run
	h.finish(h.claim(1)[0], bellhop.EndSucceeded)
	if _, err := h.do(alice, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: unwanted}); err != nil {
		t.Fatal(err)
	}
	h.claim(1)
	if len(q.only) != 1 || q.only[0] != last {
		t.Errorf("looks for %v, want %s alone", q.only, last)
	}
}

// inAnHour is a queue that has an hour more go by before it looks for deadlines.
type inAnHour struct{ bellhop.Queue }

func (q inAnHour) Expire(ctx context.Context, now time.Time, n int, reason string) ([]bellhop.RunID, time.Time, error) {
	return q.Queue.Expire(ctx, now.Add(time.Hour), n, reason)
}
