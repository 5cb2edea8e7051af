package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func TestTheSameKeyIsTheSameInvocation(t *testing.T) {
	h := newHouse(t)
	inv := ask("example", "deploy", "a")
	inv.Key = "same"
	first := h.run(alice, inv)
	c := h.claim(1)
	h.finish(c[0], bellhop.EndSucceeded)
	second := h.run(alice, inv)
	if second.How != bellhop.Repeated || second.Run != first.Run || !second.Ended {
		t.Errorf("%+v after %+v", second, first)
	}
	_, err := h.Do(t.Context(), bellhop.Invocation{Action: bellhop.ActionRun, Service: "example", Job: "deploy", Person: alice})
	wantCode(t, err, bellhop.Invalid)
	long := ask("example", "deploy", "a")
	long.Key = strings.Repeat("x", 600)
	_, err = h.do(alice, long)
	wantCode(t, err, bellhop.Invalid)

	cancel := bellhop.Invocation{Action: bellhop.ActionCancel, Service: "example", Job: "deploy", Key: "cancel"}
	three := h.run(alice, ask("example", "deploy", "b")).Run
	one, err := h.do(alice, cancel)
	if err != nil || len(one.Cancelled) != 1 || one.Cancelled[0].Run != three {
		t.Fatalf("%+v, %v", one, err)
	}
	four := h.run(alice, ask("example", "deploy", "c")).Run
	again, err := h.do(alice, cancel)
	if err != nil || len(again.Cancelled) != 1 || again.Cancelled[0].Run != three {
		t.Errorf("the same cancellation again: %+v, %v", again, err)
	}
	if got := h.get(four).State; got != bellhop.Waiting {
		t.Errorf("the same cancellation again took out a later run: %s", got)
	}
}

func TestMergeAndDelay(t *testing.T) {
	h := newHouse(t)
	slow := ask("example", "deploy", "a")
	slow.Delay = time.Hour
	first := h.run(alice, slow)
	second := h.run(bob, slow)
	if second.How != bellhop.Merged || second.Run != first.Run || !second.Start.After(first.Start) {
		t.Fatalf("%+v after %+v, want it merged and pushed back", second, first)
	}
	if other := h.run(bob, ask("example", "deploy", "b")); other.How != bellhop.Created {
		t.Errorf("other arguments: %+v", other)
	}
	h.finish(h.claim(1)[0], bellhop.EndSucceeded)
	if got := h.claim(10); len(got) != 0 {
		t.Fatalf("claimed before its time: %+v", got)
	}
	if now := h.run(alice, ask("example", "deploy", "a")); now.How != bellhop.Merged || now.Run != first.Run {
		t.Errorf("without delay: %+v", now)
	}
	c := h.claim(10)
	if len(c) != 1 || c[0].Task.Run != first.Run || c[0].Task.Principal != "alice" {
		t.Fatalf("claimed %+v", c)
	}
	if late := h.run(bob, ask("example", "deploy", "a")); late.How != bellhop.Created || late.Behind != first.Run {
		t.Errorf("merged into a running run: %+v", late)
	}
	h.finish(c[0], bellhop.EndSucceeded)
	for _, who := range []string{"alice", "bob"} {
		rows, err := h.store.Outbox.Unread(t.Context(), "", "s-"+who, 100)
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, r := range rows {
			if r.Run == first.Run {
				told++
			}
		}
		if told == 0 {
			t.Errorf("%s is not told of the outcome", who)
		}
	}
}

func TestConcurrency(t *testing.T) {
	h := newHouse(t)
	for _, env := range []string{"a", "b", "a2"} {
		h.run(alice, ask("example", "deploy", env))
		h.run(alice, ask("example", "free", env))
		h.run(alice, ask("example", "keyed", env[:1]))
	}
	perJob := map[string]int{}
	claims := h.claim(100)
	for _, c := range claims {
		perJob[c.Task.Job.Name]++
	}
	// keyed: a, b, and a merged into the first.
	if perJob["deploy"] != 1 || perJob["free"] != 3 || perJob["keyed"] != 2 {
		t.Errorf("claimed %v", perJob)
	}
	for _, c := range claims {
		h.finish(c, bellhop.EndSucceeded)
	}
	if next := h.claim(100); len(next) != 1 || next[0].Task.Args["env"].Text != "b" {
		t.Errorf("then %+v, want deploy b: the order of asking", next)
	}
}

func TestServeOnlyOwn(t *testing.T) {
	h := newHouse(t)
	h.run(alice, ask("example", "free", "before"))
	h.ServeOnlyOwn()
	if got := h.claim(10); len(got) != 0 {
		t.Errorf("claimed somebody else's %+v", got)
	}
	own := h.run(alice, ask("example", "free", "own")).Run
	got := h.claim(10)
	if len(got) != 1 || got[0].Task.Run != own {
		t.Errorf("claimed %+v, want its own", got)
	}
}

// broken is a store whose writes fail.
type broken struct{ bellhop.Queue }

func (broken) Submit(context.Context, []bellhop.Submission) ([]bellhop.Submitted, error) {
	return nil, bellhop.Errorf(bellhop.Unavailable, "the disk is full")
}

func TestWhatIsNotWrittenIsNotAccepted(t *testing.T) {
	h := newHouse(t)
	h.store.Queue = broken{h.store.Queue}
	_, err := h.do(alice, ask("example", "deploy", "a"))
	wantCode(t, err, bellhop.Unavailable)
	if err == nil || !strings.HasPrefix(err.Error(), "not accepted: ") {
		t.Errorf("%v", err)
	}
}
