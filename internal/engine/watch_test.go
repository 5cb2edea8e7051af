package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// watching has somebody watch, and returns what they are told, as "ID STATE".
func (h *house) watching(p bellhop.Person, after bellhop.RunID) (told <-chan bellhop.Run, end func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	all, done := make(chan bellhop.Run, 1000), make(chan error, 1)
	go func() {
		done <- h.Watch(ctx, p, after, func(runs []*bellhop.Run) error {
			for _, r := range runs {
				all <- *r
			}
			return nil
		})
	}()
	return all, func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			h.t.Error(err)
		}
	}
}

func (h *house) told(from <-chan bellhop.Run, id bellhop.RunID, state bellhop.State) bellhop.Run {
	h.t.Helper()
	select {
	case r := <-from:
		if r.ID != id || r.State != state {
			h.t.Fatalf("told of %s %s, want %s %s", r.ID, r.State, id, state)
		}
		return r
	case <-time.After(20 * time.Second):
		h.t.Fatalf("not told of %s %s", id, state)
	}
	return bellhop.Run{}
}

func TestWatch(t *testing.T) {
	h := newHouse(t)
	ended := h.run(alice, ask("example", "free", "old"))
	h.finish(h.claim(1)[0], bellhop.EndSucceeded)
	waits := h.run(alice, ask("example", "deploy", "a"))
	told, end := h.watching(bob, 0)
	defer end()
	if r := h.told(told, waits.Run, bellhop.Waiting); r.Wait == nil || r.Args["env"].Text != "a" {
		t.Errorf("%+v", r)
	}
	c := h.claim(1)[0]
	h.told(told, waits.Run, bellhop.Running)
	next := h.run(alice, ask("example", "deploy", "b"))
	h.told(told, next.Run, bellhop.Waiting)
	h.finish(c, bellhop.EndFailed)
	if r := h.told(told, waits.Run, bellhop.Failed); r.Error != "because" {
		t.Errorf("%+v", r)
	}
	if _, err := h.do(alice, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: next.Run}); err != nil {
		t.Fatal(err)
	}
	h.told(told, next.Run, bellhop.Cancelled)

	// Whoever comes back is told of what was made behind a run, once, as it is.
	again, endAgain := h.watching(bob, ended.Run)
	defer endAgain()
	h.told(again, waits.Run, bellhop.Failed)
	h.told(again, next.Run, bellhop.Cancelled)
	fresh := h.run(alice, ask("example", "free", "c"))
	h.told(again, fresh.Run, bellhop.Waiting)
	h.told(told, fresh.Run, bellhop.Waiting)
}

// TestWatchShowsWhatOneMaySee: a guest is told of what is restricted by its
// name alone, and whoever is confined of nothing else.
func TestWatchShowsWhatOneMaySee(t *testing.T) {
	h := newHouse(t)
	told, end := h.watching(guest, 0)
	defer end()
	confined := alice
	confined.Scope = "example"
	few, endFew := h.watching(confined, 0)
	defer endFew()
	hidden := h.run(alice, ask("secret", "deploy", "password"))
	if r := h.told(told, hidden.Run, bellhop.Waiting); len(r.Args) > 0 || r.Job != "deploy" {
		t.Errorf("a guest is told %+v", r)
	}
	open := h.run(alice, ask("example", "free", "x"))
	h.told(few, open.Run, bellhop.Waiting)
}

// TestWatchMany: more than a page, made and ended between two looks.
func TestWatchMany(t *testing.T) {
	h := newHouse(t)
	first := h.run(alice, ask("example", "free", "first"))
	for i := range 250 {
		h.run(alice, ask("example", "free", fmt.Sprint(i)))
	}
	for _, c := range h.claim(120) {
		h.finish(c, bellhop.EndSucceeded)
	}
	told, end := h.watching(bob, first.Run)
	defer end()
	seen := map[bellhop.RunID]bool{}
	for len(seen) < 250 {
		select {
		case r := <-told:
			if seen[r.ID] {
				t.Fatalf("%s is told twice", r.ID)
			}
			seen[r.ID] = true
		case <-time.After(20 * time.Second):
			t.Fatalf("told of %d", len(seen))
		}
	}
}
