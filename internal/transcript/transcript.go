// Package transcript shows a run's output as numbered lines: windows of them,
// what is searched for, the first error, and what comes, for any number of
// watchers. Output is read from a store as chunks; an index of where lines are,
// made by reading it once, lets everything else begin near what is wanted. It
// asks nobody for rights: who may see a run is judged before.
//
// A line's number is its place among all lines that the store has, in the
// order in which they ended. Where a run has more output than is kept, what is
// dropped from its middle while it runs makes later numbers smaller. What is
// answered then has another Epoch, and what was known by number is void. Once a
// run has ended, numbers stay. They and the Epoch follow from what is stored,
// so that they are the same on every server.
package transcript

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// MaxWindow is the most lines that a window has.
	MaxWindow = 1000
	// maxScan is how much output one call searches, in bytes.
	maxScan = 16 << 20
	// rescanAfter is how long it takes at least until output that was dropped
	// is looked for again.
	rescanAfter = time.Second
)

// Options say where output comes from.
type Options struct {
	// Read calls fn with the chunks of a run's output after the given attempt
	// and seq, in order; with follow until the run has ended.
	Read readFunc
	// Ended reports whether a run has ended, after which it writes no more.
	Ended  func(ctx context.Context, id bellhop.RunID) (bool, error)
	Clock  bellhop.Clock // nil = bellhop.SystemClock
	Memory int64         // about how much indexes may have, in bytes; 0 = 64 MiB
}

// WithDefaults returns a copy with the defaults filled in.
func (o Options) WithDefaults() Options {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	o.Memory = cmp.Or(o.Memory, 64<<20)
	return o
}

// Reader reads runs' output as lines. Its methods may be called by many at a
// time. They return what Options.Read does: NotFound for output that is not
// kept any more.
type Reader struct {
	opt Options

	mu      sync.Mutex
	tick    int64
	held    int64
	indexes map[bellhop.RunID]*index
	follows map[bellhop.RunID]*follower
	wait    sync.WaitGroup
}

// New makes a reader.
func New(o Options) *Reader {
	return &Reader{opt: o.WithDefaults(), indexes: map[bellhop.RunID]*index{}, follows: map[bellhop.RunID]*follower{}}
}

// Window is some lines.
type Window struct {
	Total int  // lines that there are now, those that have not ended included
	Done  bool // the run has ended: no more will come
	Epoch int  // lines of another epoch may have other numbers
	Lines []Line
}

// get is a run's index, which is kept while others need the memory less. With
// pin it is kept until it is let go.
func (r *Reader) get(id bellhop.RunID, pin bool) *index {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.indexes[id]
	if x == nil {
		x = newIndex()
		r.indexes[id] = x
	}
	r.tick++
	x.used = r.tick
	if pin {
		x.pins++
	}
	return x
}

// weigh counts what an index has grown to, and lets go of the indexes that
// were used longest ago when all have too much.
func (r *Reader) weigh(id bellhop.RunID, x *index) {
	x.mu.RLock()
	size := x.known.size
	x.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.indexes[id] != x {
		return
	}
	r.held += size - x.held
	x.held = size
	for r.held > r.opt.Memory {
		var oldest bellhop.RunID
		var out *index
		for id, o := range r.indexes {
			if o != x && o.pins == 0 && (out == nil || o.used < out.used) {
				oldest, out = id, o
			}
		}
		if out == nil {
			return
		}
		delete(r.indexes, oldest)
		r.held -= out.held
	}
}

// update reads what has come since.
func (r *Reader) update(ctx context.Context, id bellhop.RunID, x *index) error {
	if err := x.lock(ctx); err != nil {
		return err
	}
	defer x.unlock()
	x.mu.RLock()
	done, before := x.known.done, x.known.passes
	x.mu.RUnlock()
	if done {
		return nil
	}
	ended, err := r.opt.Ended(ctx, id) // before the output: what ended has all of it stored
	if err != nil {
		return err
	}
	grown := false
	err = x.read(ctx, id, false, r.opt.Read, func() { grown = true })
	if grown || ended && before > 0 { // what was read before the end may have been dropped since
		x.mu.Lock()
		x.known.passes++
		x.mu.Unlock()
		r.weigh(id, x)
	}
	if err == nil && ended {
		return r.finish(ctx, id, x)
	}
	return err
}

// finish ends an index. One that grew while the run wrote may know of output
// that was dropped later: it is made again, so that numbers are the same for
// everybody from now on. The right to grow x is held.
func (r *Reader) finish(ctx context.Context, id bellhop.RunID, x *index) error {
	x.mu.RLock()
	passes, done := x.known.passes, x.known.done
	x.mu.RUnlock()
	if passes > 1 && !done {
		if err := r.rescan(ctx, id, x); err != nil {
			return err
		}
	}
	x.finish()
	return nil
}

// rescan makes an index again. The right to grow x is held.
func (r *Reader) rescan(ctx context.Context, id bellhop.RunID, x *index) error {
	fresh := newIndex()
	if err := fresh.read(ctx, id, false, r.opt.Read, nil); err != nil {
		return err
	}
	x.again = r.opt.Clock.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	done, passes := x.known.done, x.known.passes
	x.reset()
	x.known.epoch = fresh.known.epoch
	x.known.marks, x.known.heads, x.known.gaps = fresh.known.marks, fresh.known.heads, fresh.known.gaps
	x.known.last, x.known.lines, x.known.bytes, x.known.size = fresh.known.last, fresh.known.lines, fresh.known.bytes, fresh.known.size
	x.known.passes, x.known.since = passes, fresh.known.since
	x.split.begun = fresh.split.begun
	x.split.from(fresh.split.state())
	if done {
		x.split.flush()
		x.known.done = true
	}
	return nil
}

// Window returns up to n lines (at most MaxWindow) from number from on, which
// counts from 1; one below 1 counts from the end, so that 0 is the last line.
func (r *Reader) Window(ctx context.Context, id bellhop.RunID, from, n int) (*Window, error) {
	x := r.get(id, false)
	if err := r.update(ctx, id, x); err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		w, ok, err := r.window(ctx, id, x, from, min(max(n, 0), MaxWindow))
		if err != nil || ok || again {
			return w, err
		}
		if err := r.again(ctx, id, x); err != nil {
			return nil, err
		}
	}
}

// again makes an index again that turned out not to fit the output any more.
func (r *Reader) again(ctx context.Context, id bellhop.RunID, x *index) error {
	if err := x.lock(ctx); err != nil {
		return err
	}
	defer x.unlock()
	if !x.again.IsZero() && r.opt.Clock.Now().Sub(x.again) < rescanAfter {
		return nil // of a run that writes on, more is gone at every moment
	}
	return r.rescan(ctx, id, x)
}

// window reads lines; ok is false when output is gone that the index knew.
func (r *Reader) window(ctx context.Context, id bellhop.RunID, x *index, from, n int) (w *Window, ok bool, err error) {
	k, open := x.now()
	w = &Window{Total: k.lines + len(open), Done: k.done, Epoch: k.epoch, Lines: []Line{}}
	if from < 1 {
		from = max(w.Total+from, 1)
	}
	to := min(from+n-1, k.lines)
	if from <= to {
		ok, err = r.scan(ctx, id, &k, from, to, func(l *rawLine, i int) bool {
			w.Lines = append(w.Lines, l.as(i))
			return true
		})
		if err != nil || !ok {
			return w, ok, err
		}
	}
	for _, l := range open {
		if l.N >= from && l.N < from+n {
			w.Lines = append(w.Lines, l)
		}
	}
	return w, true, nil
}

// scan calls fn with lines from to to until fn returns false. ok is false when
// output is gone that k knew.
func (r *Reader) scan(ctx context.Context, id bellhop.RunID, k *known, from, to int, fn func(*rawLine, int) bool) (ok bool, err error) {
	var (
		m     = k.marks[k.nearest(from)]
		split splitter
		n     int
		gone  bool
		over  bool
		at    place
	)
	split.line = func(l *rawLine) {
		if n++; n == from && !over {
			from++
			over = !fn(l, n) || n == to
		}
	}
	split.gap = func(int64) { gone = gone || !k.gaps[at] && len(k.gaps) < maxGaps }
	for !over && !gone {
		split.from(m.state)
		n = m.lines
		read, first, end := 0, true, false
		err := r.opt.Read(ctx, id, m.at.attempt, max(m.at.seq-1, 0), false, func(c bellhop.Chunk) error {
			at = place{c.Attempt, c.Seq}
			if k.last.before(at) {
				end = true
				return errEnough
			}
			skip := 0
			if first && m.at != (place{}) {
				if at != m.at || len(c.Data) < m.skip {
					gone = true
					return errEnough
				}
				skip = m.skip
			}
			first = false
			split.feed(&c, skip)
			if read += len(c.Data); over || gone || read > 2*everyBytes {
				return errEnough
			}
			return ctx.Err()
		})
		switch {
		case err == nil || end: // all that there was
			if !over && !gone && k.done {
				split.flush()
			}
			return !gone && over, nil
		case !errors.Is(err, errEnough):
			return false, err
		}
		if !over && !gone { // on from the last mark before what is wanted next
			m = k.marks[k.nearest(max(from, n+1))] // lines before from are passed over
		}
	}
	return !gone, nil
}

// Forget lets go of what is known of a run.
func (r *Reader) Forget(ids ...bellhop.RunID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, x := range r.indexes {
		if x.pins == 0 && slices.Contains(ids, id) {
			delete(r.indexes, id)
			r.held -= x.held
		}
	}
}
