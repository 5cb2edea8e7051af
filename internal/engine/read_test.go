package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func TestReadOutputFollowsToTheEnd(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	c := h.claim(1)[0]
	chunk := func(seq, offset int64, s string) *bellhop.OutputBatch {
		return &bellhop.OutputBatch{Ref: ref(c), Attempt: 1, Chunks: []bellhop.Chunk{{Seq: seq, Attempt: 1, Channel: bellhop.Stdout, Offset: offset, Data: []byte(s)}}}
	}
	if err := h.Output(t.Context(), []bellhop.OutputBatch{*chunk(1, 0, "one\n")}); err != nil {
		t.Fatal(err)
	}
	first, done := make(chan struct{}), make(chan string)
	go func() {
		var all strings.Builder
		err := h.ReadOutput(t.Context(), alice, id, 0, 0, true, func(ch bellhop.Chunk) error {
			if all.Len() == 0 {
				close(first)
			}
			all.Write(ch.Data)
			return nil
		})
		if err != nil {
			all.WriteString(err.Error())
		}
		done <- all.String()
	}()
	<-first
	if err := h.Finish(t.Context(), ref(c), bellhop.Outcome{End: bellhop.EndSucceeded}, chunk(2, 4, "two\n")); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != "one\ntwo\n" {
		t.Errorf("followed %q", got)
	}
}

// What waits is listed in the order in which it goes.
func TestStatusListsWhoGoesFirst(t *testing.T) {
	h := newHouse(t)
	nine := 9
	add := func(job, env string, change func(*bellhop.Invocation)) bellhop.RunID {
		inv := ask("example", job, env)
		if change != nil {
			change(&inv)
		}
		return h.run(alice, inv).Run
	}
	h.holds(alice, built(bellhop.ActionPause, "example", "stubborn"))
	h.holds(alice, suppress("example", "once", "", "2h"))
	paused := add("stubborn", "a", func(i *bellhop.Invocation) { i.Priority = &nine })
	suppressed := add("once", "a", func(i *bellhop.Invocation) { i.Priority = &nine })
	delayed := add("free", "a", func(i *bellhop.Invocation) { i.Delay, i.Priority = time.Hour, &nine })
	first := add("free", "b", nil)
	second := add("free", "c", nil)
	urgent := add("free", "d", func(i *bellhop.Invocation) { i.Priority = &nine })
	s, err := h.Status(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	var got []bellhop.RunID
	for _, r := range s.Waiting {
		got = append(got, r.ID)
	}
	if want := []bellhop.RunID{urgent, first, second, delayed, suppressed, paused}; !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}
