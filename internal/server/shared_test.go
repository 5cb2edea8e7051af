package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

// TestTwoServersShareAStore has each of two servers asked, and told, what the
// other did.
func TestTwoServersShareAStore(t *testing.T) {
	t.Setenv("BELLHOP_KEY", strings.Repeat("5a", 32)) // servers of one store have one master key
	text := "store: " + pgtest.URL(t) + "\n" + echo
	a, b := start(t, text), start(t, strings.Replace(text, "echo hello {n}", "echo good day {n}", 1))
	deskA, deskB := chat.Desk(client(t, a)), chat.Desk(client(t, b))
	told := make(chan bellhop.Report, 16)
	for _, d := range []chat.Desk{deskA, deskB} {
		go func() {
			_ = d.Reports(t.Context(), func(r bellhop.Report) error {
				told <- r
				return nil
			})
		}()
	}
	want := map[bellhop.RunID]string{}
	for i, d := range []chat.Desk{deskA, deskB, deskA, deskB} {
		name := string(rune('a' + i))
		got, err := d.Ask(t.Context(), name, "example hello "+name)
		if err != nil {
			t.Fatal(err)
		}
		want[got.Accepted.Run] = "hello " + name + "\n"
		if d == deskB { // by whose definition it was asked, that is run
			want[got.Accepted.Run] = "good day " + name + "\n"
		}
	}
	for range 4 { // whoever ran it, and by whichever connection it was asked
		r := <-told
		if r.Run.State != bellhop.Succeeded || want[r.Run.ID] == "" {
			t.Errorf("told of %+v", r.Run)
		}
		for _, d := range []chat.Desk{deskA, deskB} {
			var out strings.Builder
			if err := d.Output(t.Context(), r.Run.ID, true, func(c bellhop.Chunk) error { out.Write(c.Data); return nil }); err != nil || out.String() != want[r.Run.ID] {
				t.Errorf("its output is %q, %v", out.String(), err)
			}
		}
		delete(want, r.Run.ID)
	}

	// b was activated last, and a has another configuration.
	for name, d := range map[string]chat.Desk{"a": deskA, "b": deskB} {
		got, err := d.Ask(t.Context(), "status", "status")
		if err != nil {
			t.Fatal(err)
		}
		if other := got.Status.Config != nil; other != (name == "a") {
			t.Errorf("%s says that it has another configuration than the newest: %v", name, other)
		}
	}

	// What is paused at one server waits at the other.
	if _, err := deskA.Ask(t.Context(), "pause", "pause example hello"); err != nil {
		t.Fatal(err)
	}
	got, err := deskB.Ask(t.Context(), "held", "example hello")
	if err != nil {
		t.Fatal(err)
	}
	why, err := deskB.Ask(t.Context(), "why", "why "+got.Accepted.Run.String())
	if err != nil || why.Why == nil || why.Why.Wait == nil || why.Why.Wait.Reason != bellhop.WaitPaused {
		t.Fatalf("it waits since %+v (%v), want a pause", why.Why, err)
	}
	if _, err := deskB.Ask(t.Context(), "resume", "resume example hello"); err != nil {
		t.Fatal(err)
	}
	if r := <-told; r.Run.ID != got.Accepted.Run || r.Run.State != bellhop.Succeeded {
		t.Errorf("told of %+v", r.Run)
	}
	alive := []string{}
	got, err = deskA.Ask(t.Context(), "runs", "runs")
	for _, r := range got.Runs {
		alive = append(alive, r.ID.String())
	}
	slices.Sort(alive)
	if err != nil || len(alive) != 5 {
		t.Errorf("runs are %q, %v", alive, err)
	}

	// What nobody's connection took at one server is unread at the other, while
	// both live.
	gone, err := client(t, a).Ask(t.Context(), "gone", "example hello gone")
	if err != nil {
		t.Fatal(err)
	}
	for found := false; !found; {
		if t.Context().Err() != nil {
			t.Fatal("it is told nowhere")
		}
		err := deskB.Unread(t.Context(), func(r bellhop.Report) error {
			found = found || r.Run.ID == gone.Accepted.Run
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
