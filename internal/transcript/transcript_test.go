package transcript_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/transcript"
)

const (
	stdout = bellhop.Stdout
	stderr = bellhop.Stderr
)

func window(t *testing.T, r *transcript.Reader, from, n int) *transcript.Window {
	t.Helper()
	w, err := r.Window(t.Context(), run, from, n)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestLines(t *testing.T) {
	type piece struct {
		attempt int
		ch      bellhop.Channel
		data    string
	}
	long := strings.Repeat("é", transcript.MaxText)
	for _, tc := range []struct {
		name   string
		pieces []piece
		ended  bool
		want   []string
	}{
		{"nothing", nil, true, []string{}},
		{"one", []piece{{1, stdout, "a\n"}}, true, []string{"1.1.stdout:a"}},
		{"an empty line", []piece{{1, stdout, "\n\na\n"}}, true, []string{"1.1.stdout:", "2.1.stdout:", "3.1.stdout:a"}},
		{"no newline at the end", []piece{{1, stdout, "a\nb"}}, true, []string{"1.1.stdout:a", "2.1.stdout:b"}},
		{"one that goes on", []piece{{1, stdout, "a\nb"}}, false, []string{"1.1.stdout:a", "2.1.stdout:b…"}},
		{"over chunks", []piece{{1, stdout, "a"}, {1, stdout, "b"}, {1, stdout, "\n"}}, true, []string{"1.1.stdout:ab"}},
		{"Windows", []piece{{1, stdout, "a\r\nb\r"}, {1, stdout, "\nc\r\r\n"}}, true, []string{"1.1.stdout:a", "2.1.stdout:b", "3.1.stdout:c"}},
		{"a progress bar", []piece{{1, stdout, "1%\r2%"}, {1, stdout, "\r"}, {1, stdout, "3%\r"}}, false, []string{"1.1.stdout:3%…"}},
		{"a progress bar that ends", []piece{{1, stdout, "1%\r2%\r"}, {1, stdout, "3%\ndone\n"}}, true, []string{"1.1.stdout:3%", "2.1.stdout:done"}},
		{"two channels", []piece{{1, stdout, "a\nb"}, {1, stderr, "x\ny"}, {1, stdout, "c\n"}, {1, stderr, "z"}}, true,
			[]string{"1.1.stdout:a", "2.1.stderr:x", "3.1.stdout:bc", "4.1.stderr:yz"}},
		{"both unended", []piece{{1, stderr, "first"}, {1, stdout, "second"}}, true, []string{"1.1.stderr:first", "2.1.stdout:second"}},
		{"attempts", []piece{{1, stdout, "a\nb"}, {2, stdout, "c\n"}}, true, []string{"1.1.stdout:a", "2.1.stdout:b", "3.2.stdout:c"}},
		{"not UTF-8", []piece{{1, stdout, "a\xffb\n"}, {1, stdout, "\xe2\x82"}, {1, stdout, "\xac\n"}}, true, []string{"1.1.stdout:a\uFFFDb", "2.1.stdout:€"}},
		{"long", []piece{{1, stdout, "x" + long + "\n"}}, true,
			[]string{"1.1.stdout:x" + long[:transcript.MaxText-2] + fmt.Sprintf(" (of %d)", 1+len(long))}},
		{"markup and zeros", []piece{{1, stdout, "<script>\x00\n"}}, true, []string{"1.1.stdout:<script>\x00"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newTape()
			for _, c := range tc.pieces {
				p.write(c.attempt, c.ch, c.data)
			}
			if tc.ended {
				p.end()
			}
			w := window(t, p.reader(t, nil), 1, 100)
			if got := plain(w.Lines); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if w.Total != len(tc.want) || w.Done != tc.ended {
				t.Errorf("total %d, done %v", w.Total, w.Done)
			}
		})
	}
}

// check compares windows with the model.
func check(t *testing.T, r *transcript.Reader, p *tape, rnd *rand.Rand, windows int) {
	t.Helper()
	want := model(p.chunks, p.ended)
	for range windows {
		from, n := 1+rnd.IntN(len(want)+2), 1+rnd.IntN(400)
		w := window(t, r, from, n)
		if w.Total != len(want) {
			t.Fatalf("there are %d lines, want %d", w.Total, len(want))
		}
		var part []string
		if from <= len(want) {
			part = want[from-1 : min(from-1+n, len(want))]
		}
		if got := plain(w.Lines); !slices.Equal(got, part) {
			t.Fatalf("lines from %d, %d of them: got %d, want %d\n%s\n%s", from, n, len(got), len(part), differ(got, part), differ(part, got))
		}
	}
}

func differ(a, b []string) string {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return a[i]
		}
	}
	return "nothing"
}

func TestWindowsOfAnything(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			p := newTape()
			r := p.reader(t, nil)
			for attempt := range 4 {
				p.cut(rnd, attempt+1, scrap(rnd, 60_000))
				check(t, r, p, rnd, 5) // an index that grows
			}
			p.end()
			check(t, r, p, rnd, 20)
			check(t, p.reader(t, nil), p, rnd, 20) // and one that is made at once
		})
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\rc\n\xff\r"), uint64(1))
	f.Add([]byte("\x1b[31mred\r\r\n\n\x00"), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		p := newTape()
		for range 3 {
			if i := rnd.IntN(len(data) + 1); i <= transcript.MaxText {
				p.cut(rnd, 1+rnd.IntN(2)+len(p.chunks), data[:i])
				data = data[i:]
			}
		}
		if rnd.IntN(2) == 0 {
			p.ended = true
		}
		check(t, p.reader(t, nil), p, rnd, 4)
	})
}

func TestAWindowReadsLittle(t *testing.T) {
	p := newTape()
	for i := range 3000 {
		p.write(1, stdout, strings.Repeat(fmt.Sprintf("line %d\n", i), 20))
	}
	p.write(1, stdout, strings.Repeat("x", 60_000)) // and one line of 6 MB
	for range 100 {
		p.write(1, stdout, strings.Repeat("y", 60_000))
	}
	p.write(1, stdout, "\nlast\n")
	p.end()
	r := p.reader(t, nil)
	window(t, r, 1, 1)
	for _, from := range []int{1, 30_000, 60_000, 60_001, 60_002} {
		p.reads = 0
		w := window(t, r, from, 1)
		if len(w.Lines) != 1 || p.reads > 60 {
			t.Errorf("line %d: %d chunks were read for %d lines", from, p.reads, len(w.Lines))
		}
	}
	if w := window(t, r, 0, 1); plain(w.Lines)[0] != "60002.1.stdout:last" {
		t.Errorf("the last line is %q", plain(w.Lines))
	}
	if w := window(t, r, 60_001, 1); w.Lines[0].Size != 101*60_000 {
		t.Errorf("the long line has %d bytes", w.Lines[0].Size)
	}
}

func TestAWindowOfLongLines(t *testing.T) {
	p := newTape()
	for i := range 3000 {
		p.write(1, stdout, fmt.Sprintf("%d ", i)+strings.Repeat("x", 3000)+"\n")
	}
	w := window(t, p.reader(t, nil), 100, 1000)
	if len(w.Lines) != 1000 {
		t.Fatalf("got %d lines", len(w.Lines))
	}
	for i, l := range w.Lines {
		if l.N != 100+i || !strings.HasPrefix(l.Text, fmt.Sprintf("%d ", l.N-1)) {
			t.Fatalf("place %d has line %d: %.20s", i, l.N, l.Text)
		}
	}
}

func TestGap(t *testing.T) {
	p := newTape()
	for i := range 1000 {
		p.write(1, stdout, fmt.Sprintf("line %d\n", i))
	}
	p.write(1, stderr, "whole\n")
	p.drop(400, 600)
	p.end()
	w := window(t, p.reader(t, nil), 400, 2)
	want := []string{"400.1.stdout:line 399", "401.1.stdout:line 600 (after 1800 bytes)"}
	if got := plain(w.Lines); !slices.Equal(got, want) || w.Total != 801 {
		t.Errorf("got %q of %d", got, w.Total)
	}
}

func TestGapInALine(t *testing.T) {
	p := newTape()
	p.write(1, stdout, "begun ")
	p.write(1, stdout, "lost\nlost\nlost ")
	p.write(1, stdout, "ended\n")
	p.drop(1, 2)
	p.end()
	want := []string{"1.1.stdout:begun ", "2.1.stdout:ended (after 15 bytes)"}
	if got := plain(window(t, p.reader(t, nil), 1, 9).Lines); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestDroppedWhereAWindowBegins: the chunk is gone that an index would begin
// to read at.
func TestDroppedWhereAWindowBegins(t *testing.T) {
	p := newTape()
	for i := range 4000 {
		p.write(1, stdout, fmt.Sprintf("line %d\n", i))
	}
	r := p.reader(t, nil)
	window(t, r, 1, 1)
	p.drop(1000, 1800)
	if w := window(t, r, 1500, 1); w.Total != 3200 || plain(w.Lines)[0] != "1500.1.stdout:line 2299" {
		t.Errorf("got %q of %d", plain(w.Lines), w.Total)
	}
}

// TestDroppedWhileItRuns: what an index knows is not there any more.
func TestDroppedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTape()
		for i := range 2000 {
			p.write(1, stdout, fmt.Sprintf("line %d\n", i))
		}
		r := p.reader(t, nil)
		before := window(t, r, 1900, 1)
		p.drop(1000, 1800)
		p.write(1, stdout, "more\n")
		w := window(t, r, 1001, 2)
		want := []string{"1001.1.stdout:line 1800 (after 8000 bytes)", "1002.1.stdout:line 1801"}
		if got := plain(w.Lines); !slices.Equal(got, want) || w.Total != 1201 || w.Epoch == before.Epoch {
			t.Errorf("got %q of %d, epoch %d after %d", got, w.Total, w.Epoch, before.Epoch)
		}
		time.Sleep(2 * time.Second)
		p.drop(1000, 1010)
		p.end()
		late, fresh := window(t, r, 1100, 10), window(t, p.reader(t, nil), 1100, 10)
		if got, want := plain(late.Lines), plain(fresh.Lines); !slices.Equal(got, want) || late.Total != 1191 || late.Epoch == w.Epoch {
			t.Errorf("got %q of %d, want %q", got, late.Total, want)
		}
		if again := window(t, r, 1, 1); again.Epoch != late.Epoch {
			t.Error("the numbers of a run that has ended changed")
		}
	})
}

func TestForgotten(t *testing.T) {
	p := newTape()
	p.write(1, stdout, "a\n")
	p.end()
	r := p.reader(t, nil)
	window(t, r, 1, 1)
	p.change(func() { p.gone = true })
	if _, err := r.Window(t.Context(), run, 1, 1); bellhop.CodeOf(err) != bellhop.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestSearch(t *testing.T) {
	p := newTape()
	var want []int
	for i := range 5000 {
		text := "nothing here"
		if i%700 == 3 {
			text, want = "a \x1b[1mNee\x1b[0mDLE x", append(want, i+1)
		}
		p.write(1, bellhop.Channel(1+i%2), text+"\n")
	}
	p.write(1, stdout, "STRASSE ÄÖ\n")
	p.end()
	r := p.reader(t, nil)
	search := func(text string, from int, back bool, most int) *transcript.Hits {
		h, err := r.Search(t.Context(), run, text, from, back, most)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := search("needle", 1, false, 100); !slices.Equal(h.Lines, want) || !h.Done || h.Total != 5001 {
		t.Errorf("got %v, want %v", h, want)
	}
	back := slices.Clone(want)
	slices.Reverse(back)
	if h := search("needle", 9999, true, 100); !slices.Equal(h.Lines, back) || !h.Done {
		t.Errorf("back: got %v, want %v", h, back)
	}
	if h := search("NEEDLE", 705, false, 1); !slices.Equal(h.Lines, want[2:3]) || h.Next != want[2]+1 || h.Done {
		t.Errorf("one: got %v", h)
	}
	if h := search("needle", 704, true, 1); !slices.Equal(h.Lines, want[1:2]) || h.Next != want[1]-1 || h.Done {
		t.Errorf("one back: got %v", h)
	}
	if h := search("äö", 1, false, 1); !slices.Equal(h.Lines, []int{5001}) {
		t.Errorf("umlauts: got %v", h)
	}
	if h := search("not there", 1, false, 1); len(h.Lines) != 0 || !h.Done {
		t.Errorf("none: got %v", h)
	}
}

func TestSearchIsBounded(t *testing.T) {
	p := newTape()
	line := strings.Repeat("x", 4000) + "\n"
	for range 6000 {
		p.write(1, stdout, line)
	}
	p.write(1, stdout, "needle\n")
	p.end()
	r := p.reader(t, nil)
	for _, back := range []bool{false, true} {
		h, calls := &transcript.Hits{Next: 1}, 0
		if back {
			h.Next = 6000
		}
		for ; !h.Done && len(h.Lines) == 0; calls++ {
			var err error
			if h, err = r.Search(t.Context(), run, "needle", h.Next, back, 1); err != nil {
				t.Fatal(err)
			}
		}
		if calls != 2 || (len(h.Lines) == 1) == back {
			t.Errorf("back %v: %d calls, then %v", back, calls, h)
		}
	}
}

func TestFirstError(t *testing.T) {
	for _, tc := range []struct {
		name, out, err string
		want           int
	}{
		{"nothing", "", "", 0},
		{"nothing wrong", "a\nb\n", "", 0},
		{"a word", "fine\nError: no such file\n", "", 2},
		{"inside of a word", "terror\nerrorless\nmyerror\n", "", 0},
		{"at the end of a compound", "x\nValueError: y\n", "", 2},
		{"coloured", "x\n\x1b[31merror\x1b[0m: y\n", "", 2},
		{"a panic", "x\ny\npanic: z\n", "", 3},
		{"none of them", "0 errors\nno error\nwithout errors\n3 errors\n", "", 4},
		{"only stderr", "a\n", "progress\n", 2},
		{"a word before stderr's first", "a\n", "progress\nfatal: b\n", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newTape()
			if tc.out != "" {
				p.write(2, stdout, tc.out)
			}
			if tc.err != "" {
				p.write(2, stderr, tc.err)
			}
			p.end()
			h, err := p.reader(t, nil).FirstError(t.Context(), run, 0)
			if got := append(h.Lines, 0)[0]; err != nil || got != tc.want || !h.Done && got == 0 {
				t.Errorf("got %d of %v, want %d: %v", got, h, tc.want, err)
			}
		})
	}
	p := newTape()
	p.write(1, stdout, "error: the first time\n")
	p.write(3, stdout, "fine\n")
	p.write(3, stderr, "hm\n")
	p.end()
	if h, err := p.reader(t, nil).FirstError(t.Context(), run, 0); err != nil || !slices.Equal(h.Lines, []int{3}) {
		t.Errorf("of two attempts: got %v, %v", h, err)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTape()
		p.write(1, stdout, "old\n")
		r := p.reader(t, nil)
		var watches []*transcript.Watch
		for range 200 {
			watches = append(watches, r.Follow(run))
		}
		next := func(w *transcript.Watch) *transcript.Update {
			u, err := w.Next(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		first := next(watches[0])
		if first.Total != 1 || len(first.Lines) != 0 || first.Done {
			t.Errorf("first: %+v", first.Window)
		}
		time.Sleep(time.Second)
		begin := time.Now()
		for i := range 500 {
			p.write(1, stdout, fmt.Sprintf("line %d\n", i))
		}
		synctest.Wait()
		told, lines := 0, 0
		for u := first; u.Total < 501; told++ {
			u = next(watches[0])
			lines += len(u.Lines)
			if n := len(u.Lines); n > transcript.MaxNews || u.Lines[n-1].N != u.Total {
				t.Errorf("%d lines, the last is %d of %d", n, u.Lines[n-1].N, u.Total)
			}
		}
		if told > 2 || time.Since(begin) > transcript.PublishEvery {
			t.Errorf("told %d times in %v", told, time.Since(begin))
		}
		if u := next(watches[1]); u.Total != 501 { // who was slow gets the newest
			t.Errorf("the slow one got %d", u.Total)
		}
		go func() {
			for i := range 100 {
				time.Sleep(10 * time.Millisecond)
				p.write(1, stdout, fmt.Sprintf("slow %d\n", i))
			}
		}()
		told = 0
		for u := first; u.Total < 601; told++ {
			u = next(watches[0])
		}
		if told > 5 {
			t.Errorf("told %d times in a second", told)
		}
		next(watches[1])
		p.write(1, stderr, "50%\r60%")
		if got := plain(next(watches[1]).Lines); !slices.Equal(got, []string{"602.1.stderr:60%…"}) {
			t.Errorf("got %q", got)
		}
		p.write(1, stderr, "\rdone\n")
		if got := plain(next(watches[1]).Lines); !slices.Equal(got, []string{"602.1.stderr:done"}) {
			t.Errorf("got %q", got)
		}
		p.end()
		for i, w := range watches {
			u := next(w)
			for !u.Done {
				u = next(w)
			}
			if u.Total != 602 || u.Epoch != first.Epoch {
				t.Fatalf("watcher %d ended at %d", i, u.Total)
			}
			w.Close()
			w.Close()
		}
		if p.most != 1 {
			t.Errorf("%d read the output at a time", p.most)
		}
	})
}

func TestFollowEndsWithItsWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTape()
		r := p.reader(t, nil)
		one, two := r.Follow(run), r.Follow(run)
		one.Close()
		synctest.Wait()
		if p.follows != 1 {
			t.Errorf("%d follow while one watches", p.follows)
		}
		two.Close()
		synctest.Wait()
		if p.follows != 0 {
			t.Errorf("%d follow while nobody watches", p.follows)
		}
		three := r.Follow(run)
		p.write(1, stdout, "a\n")
		synctest.Wait()
		r.Close()
		for {
			if _, err := three.Next(t.Context(), nil); err != nil {
				break
			}
		}
		three.Close()
	})
}

func TestFollowWhenTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTape()
		away := 3
		r := p.reader(t, func(o *transcript.Options) {
			o.Ended = func(ctx context.Context, id bellhop.RunID) (bool, error) {
				if away--; away >= 0 {
					return false, bellhop.Errorf(bellhop.Unavailable, "away")
				}
				return p.Ended(ctx, id)
			}
		})
		p.write(1, stdout, "a\n")
		w := r.Follow(run)
		defer w.Close()
		if u, err := w.Next(t.Context(), nil); err != nil || u.Total != 1 {
			t.Errorf("got %v, %v", u, err)
		}
		p.change(func() { p.gone = true })
		if _, err := w.Next(t.Context(), nil); bellhop.CodeOf(err) != bellhop.NotFound {
			t.Errorf("got %v", err)
		}
	})
}

// TestDroppedUnderAFollower: a window finds that output is gone, while a
// follower goes on.
func TestDroppedUnderAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTape()
		r := p.reader(t, nil)
		w := r.Follow(run)
		defer w.Close()
		var wait sync.WaitGroup
		wait.Go(func() {
			for i := range 3000 {
				p.write(1, stdout, fmt.Sprintf("line %d\n", i))
				if i%100 == 99 {
					time.Sleep(100 * time.Millisecond)
				}
				if i%500 == 499 {
					p.drop(300, 400)
				}
			}
			p.end()
		})
		for {
			if _, err := r.Window(t.Context(), run, 290, 100); err != nil {
				t.Error(err)
			}
			u, err := w.Next(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(u.Lines); n > 0 && u.Lines[n-1].N != u.Total {
				t.Errorf("the last line is %d of %d", u.Lines[n-1].N, u.Total)
			}
			if u.Done {
				break
			}
		}
		wait.Wait()
		got, want := window(t, r, 1, 1000), window(t, p.reader(t, nil), 1, 1000)
		if a, b := plain(got.Lines), plain(want.Lines); !slices.Equal(a, b) || got.Total != want.Total {
			t.Errorf("got %d, want %d: %s, %s", got.Total, want.Total, differ(a, b), differ(b, a))
		}
	})
}

// TestFollowerWhileTheIndexIsMadeAgain: what a follower was told while the
// index was read again is in neither, and must be read.
func TestFollowerWhileTheIndexIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTape()
		armed := false
		r := p.reader(t, func(o *transcript.Options) {
			o.Read = func(ctx context.Context, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error {
				err := p.Read(ctx, id, attempt, seq, follow, fn)
				if again := armed && !follow && seq == 0; again {
					armed = false
					p.write(1, stdout, "meanwhile\n")
					synctest.Wait()
				}
				return err
			}
		})
		for i := range 2000 {
			p.write(1, stdout, fmt.Sprintf("line %d\n", i))
		}
		w := r.Follow(run)
		defer w.Close()
		synctest.Wait()
		p.drop(1000, 1800)
		armed = true
		window(t, r, 1500, 1)
		p.write(1, stdout, "after\n")
		for total := 0; total != 1202; {
			u, err := w.Next(t.Context(), time.After(time.Minute))
			if u == nil {
				t.Fatalf("nobody was told: %v", err)
			}
			total = u.Total
		}
		want := []string{"1200.1.stdout:line 1999", "1201.1.stdout:meanwhile", "1202.1.stdout:after"}
		if got := plain(window(t, r, 1200, 9).Lines); armed || !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	p := newTape()
	for range 3000 {
		p.write(1, stdout, strings.Repeat("x\n", 200))
	}
	p.end()
	r := p.reader(t, func(o *transcript.Options) { o.Memory = 1 << 20 })
	scans := func(id bellhop.RunID) int {
		p.reads = 0
		if _, err := r.Window(t.Context(), id, 1, 1); err != nil {
			t.Fatal(err)
		}
		return p.reads
	}
	scans(1)
	if n := scans(1); n > 10 {
		t.Errorf("it was read again: %d chunks", n)
	}
	for id := range bellhop.RunID(20) {
		scans(id + 2)
	}
	if n := scans(1); n < 3000 {
		t.Errorf("what was used longest ago is still known: %d chunks", n)
	}
	if n := scans(21); n > 10 {
		t.Errorf("what was used last was forgotten: %d chunks", n)
	}
}

func TestWindowIsCancelled(t *testing.T) {
	p := newTape()
	p.write(1, stdout, "a\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.reader(t, nil).Window(ctx, run, 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
