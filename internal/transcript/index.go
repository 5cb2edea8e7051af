package transcript

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// everyLines and everyBytes are how far marks are from each other at most:
	// a window begins to read at one.
	everyLines = 256
	everyBytes = 256 << 10
	// maxGaps bounds how many gaps are remembered.
	maxGaps = 1024
)

var (
	errEnough = errors.New("enough was read")
	errBehind = errors.New("the index was made again")
)

// readFunc is Options.Read.
type readFunc = func(ctx context.Context, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error

// place is a chunk of output.
type place struct {
	attempt int
	seq     int64
}

func (p place) before(q place) bool {
	return p.attempt < q.attempt || p.attempt == q.attempt && p.seq < q.seq
}

// mark is where one may begin to read.
type mark struct {
	lines int   // that ended before it
	at    place // the chunk that it is in; zero = the beginning
	skip  int   // bytes of that chunk before it
	state state
}

// head is where an attempt begins, and what it says first as an error.
type head struct {
	attempt  int
	line     int // its first, from 1
	complain int // its first on stderr; 0 = none
}

// index knows where lines are. It is grown by whoever reads: one at a time.
type index struct {
	grow chan struct{} // holds one: whoever takes it may grow the index
	pins int           // who follows; guarded by Reader.mu
	used int64         // Reader.tick; guarded by Reader.mu
	held int64         // what Reader counts for it; guarded by Reader.mu

	again time.Time // when it was made again; whoever may grow it has it

	mu    sync.RWMutex
	known known
	split *splitter
	note  func(*rawLine, int) // is told of each line that ended, with its number; may be nil
}

// known is what has been read.
type known struct {
	epoch  int // depends on what is missing; 0 where nothing is
	passes int // how often something was read
	last   place
	lines  int // that ended
	bytes  int64
	since  int64 // bytes since the last mark
	done   bool  // the run has ended and all is read
	marks  []mark
	heads  []head
	gaps   map[place]bool
	size   int64 // of memory
}

func newIndex() *index {
	x := &index{grow: make(chan struct{}, 1)}
	x.grow <- struct{}{}
	x.reset()
	return x
}

// reset forgets all; x.mu is held, or nobody else has x.
func (x *index) reset() {
	x.known = known{marks: []mark{{}}, gaps: map[place]bool{}, size: 512}
	x.split = &splitter{}
	x.split.line = func(l *rawLine) {
		k := &x.known
		k.lines++
		if len(k.heads) == 0 || k.heads[len(k.heads)-1].attempt != l.attempt {
			k.heads = append(k.heads, head{attempt: l.attempt, line: k.lines})
			k.size += 32
		}
		if h := &k.heads[len(k.heads)-1]; h.complain == 0 && l.channel == bellhop.Stderr {
			h.complain = k.lines
		}
		if x.note != nil {
			x.note(l, k.lines)
		}
	}
	x.split.gap = func(n int64) {
		k := &x.known
		if len(k.gaps) < maxGaps {
			k.gaps[k.last] = true
		}
		h := fnv.New32a()
		_, _ = fmt.Fprint(h, k.epoch, k.last.attempt, k.last.seq, n)
		k.epoch = int(h.Sum32()>>1) | 1
	}
	x.split.after = func(used int) {
		k := &x.known
		if k.lines-k.marks[len(k.marks)-1].lines >= everyLines {
			x.mark(used)
		}
	}
}

// mark remembers where x is; x.mu is held.
func (x *index) mark(used int) {
	k := &x.known
	m := mark{lines: k.lines, at: k.last, skip: used, state: x.split.state()}
	k.marks = append(k.marks, m)
	k.size += m.state.size() + 64
	k.since = 0
}

// feed takes in the chunk that follows after's, unless somebody else did. It
// returns false when the index does not know of after, since it was made again.
func (x *index) feed(after place, c *bellhop.Chunk) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := &x.known
	at := place{c.Attempt, c.Seq}
	if k.last.before(after) {
		return false
	}
	if k.done || !k.last.before(at) {
		return true
	}
	k.last = at
	k.bytes += int64(len(c.Data))
	before := len(k.marks)
	x.split.feed(c, 0)
	if k.since += int64(len(c.Data)); len(k.marks) == before && k.since >= everyBytes {
		x.mark(len(c.Data))
	}
	return true
}

// read reads what came after what is known into x. It returns errBehind when
// that has to be done again.
func (x *index) read(ctx context.Context, id bellhop.RunID, follow bool, from readFunc, each func()) error {
	after := x.next()
	return from(ctx, id, after.attempt, after.seq, follow, func(c bellhop.Chunk) error {
		if !x.feed(after, &c) {
			return errBehind
		}
		after = place{c.Attempt, c.Seq}
		if each != nil {
			each()
		}
		return ctx.Err()
	})
}

// finish says that nothing more comes.
func (x *index) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.known.done {
		x.split.flush()
		x.known.done = true
	}
}

// lock waits for the right to grow x.
func (x *index) lock(ctx context.Context) error {
	select {
	case <-x.grow:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *index) unlock() { x.grow <- struct{}{} }

// next is after what chunk more is to be read.
func (x *index) next() place {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.known.last
}

// now is a copy of what is known, and of the lines that have not ended.
func (x *index) now() (known, []Line) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	k := x.known
	k.marks = k.marks[:len(k.marks):len(k.marks)]
	k.heads = slices.Clone(k.heads)
	k.gaps = maps.Clone(k.gaps)
	if k.done {
		return k, nil
	}
	return k, x.split.opened(k.lines)
}

// nearest is the last mark from which line n, counted from 1, can be read.
func (k *known) nearest(n int) int {
	return max(sort.Search(len(k.marks), func(i int) bool { return k.marks[i].lines >= n })-1, 0)
}
