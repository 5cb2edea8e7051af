package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

func TestWhatMissesItsDeadlineIsGivenUpAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Engine = engine.New(engine.Options{Store: h.store, Bus: &bus.Local{}, Lease: time.Hour})
		cat := catalog()
		cat.Services[0].Jobs[0].Deadline = 90*time.Second + 300*time.Millisecond
		if err := h.Activate(t.Context(), cat); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer h.Stop()
		began := h.run(alice, ask("example", "deploy", "a")).Run
		c := h.claim(1)[0]
		missed := h.run(alice, ask("example", "deploy", "b")).Run // behind the other
		late := ask("example", "deploy", "c")
		late.Delay = time.Minute
		delayed := h.run(alice, late).Run
		time.Sleep(90 * time.Second)
		if r := h.get(missed); r.State != bellhop.Waiting {
			t.Errorf("before its deadline it is %s: %s", r.State, r.Error)
		}
		time.Sleep(400 * time.Millisecond) // not a whole poll later
		if r := h.get(missed); r.State != bellhop.Cancelled || r.Verdict != bellhop.Aborted || !strings.Contains(r.Error, "deadline") {
			t.Errorf("after its deadline it is %s, %s: %q", r.State, r.Verdict, r.Error)
		}
		rows, err := h.store.Outbox.Unread(t.Context(), "", "s-alice", 10)
		if err != nil || len(rows) != 1 || rows[0].Run != missed {
			t.Errorf("alice is told %+v, %v", rows, err)
		}
		if r := h.get(delayed); r.State != bellhop.Waiting {
			t.Errorf("one whose time came later is %s", r.State)
		}
		if r := h.get(began); r.State != bellhop.Running {
			t.Errorf("one that began in time is %s", r.State)
		}
		h.finish(c, bellhop.EndInterrupted)
		time.Sleep(time.Minute)
		if r := h.get(began); r.State != bellhop.Waiting {
			t.Errorf("one that began in time and waits again is %s", r.State)
		}
		if r := h.get(delayed); r.State != bellhop.Cancelled {
			t.Errorf("one whose time came later is %s in the end", r.State)
		}
	})
}

func TestOutputThatIsNotKeptAnyMore(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	c := h.claim(1)[0]
	out := &bellhop.OutputBatch{Ref: ref(c), Attempt: 1, Chunks: []bellhop.Chunk{{Seq: 1, Attempt: 1, Channel: bellhop.Stdout, Data: []byte("x")}}}
	if err := h.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndSucceeded}, out); err != nil {
		t.Fatal(err)
	}
	read := func() (n int, err error) {
		err = h.ReadOutput(t.Context(), alice, id, 0, 0, true, func(bellhop.Chunk) error { n++; return nil })
		return n, err
	}
	if n, err := read(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := h.store.Retention.Forget(t.Context(), nil, []bellhop.RunID{id}); err != nil {
		t.Fatal(err)
	}
	if n, err := read(); n != 0 || bellhop.CodeOf(err) != bellhop.NotFound || !strings.Contains(err.Error(), "keep:") {
		t.Errorf("%d pieces, %v", n, err)
	}
}

// TestAdoptingIsNotActivating: it is judged by, and is not the newest.
func TestAdoptingIsNotActivating(t *testing.T) {
	h := newHouse(t)
	before, err := h.store.Cluster.Activated(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cat := catalog()
	cat.Digest = "another"
	cat.Services[0].Name = "adopted"
	for i := range cat.Services[0].Jobs {
		cat.Services[0].Jobs[i].Service = "adopted"
	}
	if err := h.Adopt(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	if after, err := h.store.Cluster.Activated(t.Context()); err != nil || after != before {
		t.Errorf("the newest is %+v, was %+v, %v", after, before, err)
	}
	if got := h.run(alice, ask("adopted", "deploy", "a")); got.Run == 0 {
		t.Error("it is not judged by")
	}
}
