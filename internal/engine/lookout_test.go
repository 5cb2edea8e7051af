package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// readings counts what is read of a store.
type readings struct {
	bellhop.Records
	bellhop.Outputs
	looks, pages, outputs atomic.Int64
}

func (h *house) counted() *readings {
	c := &readings{Records: h.store.Records, Outputs: h.store.Outputs}
	h.store.Records, h.store.Outputs = c, c
	return c
}

func (c *readings) Active(ctx context.Context, n int) (running, waiting []bellhop.Run, more bool, err error) {
	c.looks.Add(1)
	return c.Records.Active(ctx, n)
}

func (c *readings) Runs(ctx context.Context, f bellhop.RunFilter) ([]bellhop.Run, error) {
	c.pages.Add(1)
	return c.Records.Runs(ctx, f)
}

func (c *readings) Output(ctx context.Context, id bellhop.RunID, attempt int, seq int64, limit int) ([]bellhop.Chunk, error) {
	c.outputs.Add(1)
	return c.Outputs.Output(ctx, id, attempt, seq, limit)
}

// TestWatchersLookTogether: what is read of the store does not depend on how
// many watch.
func TestWatchersLookTogether(t *testing.T) {
	h := newHouse(t)
	before := h.run(alice, ask("example", "free", "before"))
	c := h.counted()
	const many = 60
	var all []<-chan bellhop.Run
	for range many {
		told, end := h.watching(bob, before.Run-1)
		defer end()
		all = append(all, told)
	}
	for _, told := range all {
		h.told(told, before.Run, bellhop.Waiting)
	}
	for i := range 3 {
		r := h.run(alice, ask("example", "free", fmt.Sprint(i)))
		for _, told := range all {
			h.told(told, r.Run, bellhop.Waiting)
		}
	}
	looks := c.looks.Load()
	if pages := c.pages.Load(); pages > looks+2 {
		t.Errorf("%d watch, %d looks read %d pages of runs", many, looks, pages)
	}
}

// blocked watches with a function that does not return until it is let go.
func (h *house) blocked(p bellhop.Person) (letGo func(), end func() ([]bellhop.Run, error)) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	gate, begun := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var told []bellhop.Run
	done := make(chan error, 1)
	first := h.run(alice, ask("example", "free", "first"))
	once := sync.OnceFunc(func() { close(begun) })
	go func() {
		done <- h.Watch(ctx, p, first.Run-1, func(runs []*bellhop.Run) error {
			once()
			<-gate
			mu.Lock()
			defer mu.Unlock()
			for _, r := range runs {
				told = append(told, *r)
			}
			return nil
		})
	}()
	<-begun
	return sync.OnceFunc(func() { close(gate) }), func() ([]bellhop.Run, error) {
		var err error
		select {
		case err = <-done:
		case <-time.After(20 * time.Second):
			cancel()
			err = <-done
		}
		cancel()
		mu.Lock()
		defer mu.Unlock()
		return told, err
	}
}

// TestWhoReadsSlowlyIsToldTheLast: what has changed several times meanwhile is
// told once, as it is.
func TestWhoReadsSlowlyIsToldTheLast(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fast, endFast := h.watching(bob, 0)
	defer endFast()
	gate, inside := make(chan struct{}), make(chan struct{}, 100)
	slow, done := make(chan bellhop.Run, 100), make(chan error, 1)
	go func() {
		done <- h.Watch(ctx, bob, 0, func(runs []*bellhop.Run) error {
			inside <- struct{}{}
			<-gate
			for _, r := range runs {
				slow <- *r
			}
			return nil
		})
	}()
	first := h.run(alice, ask("example", "deploy", "a"))
	h.told(fast, first.Run, bellhop.Waiting)
	<-inside
	c := h.claim(1)[0]
	h.told(fast, first.Run, bellhop.Running)
	second := h.run(alice, ask("example", "deploy", "b"))
	h.told(fast, second.Run, bellhop.Waiting)
	h.finish(c, bellhop.EndSucceeded)
	h.told(fast, first.Run, bellhop.Succeeded)
	close(gate)
	h.told(slow, first.Run, bellhop.Waiting)
	h.told(slow, second.Run, bellhop.Waiting)
	h.told(slow, first.Run, bellhop.Succeeded)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestWhoReadsTooSlowlyIsCutOff, while others go on: nothing is held for them
// without bound.
func TestWhoReadsTooSlowlyIsCutOff(t *testing.T) {
	h := newHouse(t)
	h.HoldChanges(10_000)
	letGo, end := h.blocked(bob)
	defer letGo()
	fast, endFast := h.watching(bob, 1)
	defer endFast()
	h.told(fast, 1, bellhop.Waiting)
	for i := range 6 {
		r := h.run(alice, ask("example", "free", fmt.Sprint(i)))
		h.told(fast, r.Run, bellhop.Waiting)
	}
	letGo()
	if told, err := end(); !errors.Is(err, bellhop.ErrBehind) {
		t.Errorf("it ends with %v after %d runs", err, len(told))
	}
	again, endAgain := h.watching(bob, 1)
	defer endAgain()
	for id := bellhop.RunID(1); id <= 7; id++ {
		h.told(again, id, bellhop.Waiting)
	}
}

// TestWatchersAreJudgedByTheRulesOfNow, and by the arguments where rules look at
// those.
func TestWatchersAreJudgedByTheRulesOfNow(t *testing.T) {
	h := newHouse(t)
	told, end := h.watching(guest, 0)
	defer end()
	shows := func(env string, want bool) {
		t.Helper()
		r := h.run(alice, ask("example", "free", env))
		if got := h.told(told, r.Run, bellhop.Waiting); (got.Args != nil) != want {
			t.Errorf("free %s: a guest is shown %v", env, got.Args)
		}
	}
	rules := func(change func(*bellhop.Service)) {
		t.Helper()
		cat := catalog()
		change(&cat.Services[0])
		if err := h.Activate(t.Context(), cat); err != nil {
			t.Fatal(err)
		}
	}
	shows("a", true)
	rules(func(s *bellhop.Service) { s.Restricted = true })
	shows("a", false)
	rules(func(*bellhop.Service) {})
	shows("a", true)
	when := []bellhop.Rule{{When: map[string][]string{"env": {"b"}}}, {People: []string{"alice"}}}
	for _, change := range []func(*bellhop.Service){
		func(s *bellhop.Service) { s.Allow = when },
		func(s *bellhop.Service) { s.Jobs[1].Allow = when },
		func(s *bellhop.Service) {
			s.Entries = []bellhop.Entry{
				{Name: "e", Pattern: "free b", Job: "free", Args: bellhop.Args{"env": bellhop.Text("b")}},
				{Name: "f", Pattern: "free [env]", Job: "free", Allow: when[1:]},
			}
		},
	} {
		rules(change)
		shows("b", true)
		shows("a", false)
		shows("b", true)
	}
}

// writer writes output of a run that runs, and remembers it.
type writer struct {
	h   *house
	ref bellhop.LeaseRef
	seq int64
	all bytes.Buffer
}

func (w *writer) write(pieces ...string) {
	w.h.t.Helper()
	b := bellhop.OutputBatch{Ref: w.ref, Attempt: 1}
	for _, s := range pieces {
		w.seq++
		b.Chunks = append(b.Chunks, bellhop.Chunk{Seq: w.seq, Attempt: 1, Channel: bellhop.Stdout, Offset: int64(w.all.Len()), Data: []byte(s)})
		w.all.WriteString(s)
	}
	if err := w.h.Output(w.h.t.Context(), []bellhop.OutputBatch{b}); err != nil {
		w.h.t.Fatal(err)
	}
}

// TestFollowersReadTogether: each gets all of the output in order from where
// they begin, those who read slowly too, and whoever names a place that there is
// not takes nothing from others.
func TestFollowersReadTogether(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	claim := h.claim(1)[0]
	w := &writer{h: h, ref: ref(claim)}
	w.write("0123456789", "abcdef", "ABC")
	type follower struct {
		attempt int
		seq     int64
		skip    int // bytes that they have
		slow    bool
	}
	followers := []follower{{99, 0, -1, false}}
	for range 40 {
		followers = append(followers, follower{0, 0, 0, false}, follower{1, 1, 10, false}, follower{1, 3, 19, false})
	}
	followers = append(followers, follower{0, 0, 0, true}, follower{1, 2, 16, true})
	c := h.counted()
	gate := make(chan struct{})
	got, errs := make([]bytes.Buffer, len(followers)), make([]error, len(followers))
	var all, begun sync.WaitGroup
	for i, f := range followers {
		begun.Add(1)
		all.Go(func() {
			once := sync.OnceFunc(begun.Done)
			if f.skip < 0 || f.skip == 19 { // nothing to read so far
				once()
			}
			errs[i] = h.ReadOutput(t.Context(), alice, id, f.attempt, f.seq, true, func(ch bellhop.Chunk) error {
				once()
				if f.slow {
					<-gate
				}
				if f.skip >= 0 && ch.Offset != int64(f.skip+got[i].Len()) {
					return fmt.Errorf("told of %d bytes at %d after %d", len(ch.Data), ch.Offset, f.skip+got[i].Len())
				}
				got[i].Write(ch.Data)
				return nil
			})
		})
		if i == 0 { // the first of all
			for c.outputs.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}
	begun.Wait()
	for i := range 40 {
		w.write(strings.Repeat(fmt.Sprint(i%10), 9000), "\n", strings.Repeat("-", 4000))
	}
	if err := h.Finish(t.Context(), w.ref, bellhop.Outcome{End: bellhop.EndSucceeded}, nil); err != nil {
		t.Fatal(err)
	}
	close(gate)
	all.Wait()
	for i, f := range followers {
		want := ""
		if f.skip >= 0 {
			want = w.all.String()[f.skip:]
		}
		if errs[i] != nil || got[i].String() != want {
			t.Errorf("%+v is told %d of %d bytes, %v", f, got[i].Len(), len(want), errs[i])
		}
	}
	if n := c.outputs.Load(); n > int64(5*len(followers)) { // each by itself reads it some 20 times more
		t.Errorf("%d follow, and output is read %d times", len(followers), n)
	}
}

// TestFollowersOfNothing: a run that ends without a word.
func TestFollowersOfNothing(t *testing.T) {
	h := newHouse(t)
	id := h.run(alice, ask("example", "deploy", "a")).Run
	claim := h.claim(1)[0]
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			err := h.ReadOutput(t.Context(), alice, id, 0, 0, true, func(bellhop.Chunk) error { return errors.New("there is some") })
			if err != nil {
				t.Error(err)
			}
		})
	}
	h.finish(claim, bellhop.EndSucceeded)
	all.Wait()
}

// TestFeed: chunks that follow each other are one piece; whoever has a part of
// one reads the rest from the store.
func TestFeed(t *testing.T) {
	var chunks []bellhop.Chunk
	add := func(ch bellhop.Channel, offset int64, data string) {
		chunks = append(chunks, bellhop.Chunk{Seq: int64(len(chunks) + 1), Attempt: 1, Channel: ch, Offset: offset, Data: []byte(data)})
	}
	add(bellhop.Stdout, 0, "a")
	add(bellhop.Stdout, 1, "b")
	add(bellhop.Stdout, 2, "c")
	add(bellhop.Stderr, 0, "x")
	add(bellhop.Stdout, 3, "d")
	add(bellhop.Stdout, 9, "e") // something is not kept
	after := engine.Feed(chunks)
	for seq, want := range map[int64]string{0: "3:0:abc 4:0:x 5:3:d 6:9:e", 3: "4:0:x 5:3:d 6:9:e", 5: "6:9:e", 6: "", 1: "until 3", 2: "until 3"} {
		got, until := after(seq)
		var words []string
		for _, c := range got {
			words = append(words, fmt.Sprintf("%d:%d:%s", c.Seq, c.Offset, c.Data))
		}
		if until != 0 {
			words = append(words, fmt.Sprint("until ", until))
		}
		if text := strings.Join(words, " "); text != want {
			t.Errorf("after %d: %q, want %q", seq, text, want)
		}
	}
	if string(chunks[0].Data) != "a" {
		t.Errorf("the store's own chunk is %q now", chunks[0].Data)
	}
}
