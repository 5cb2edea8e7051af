package runner

import (
	"context"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/mask"
)

const (
	// flushAfter is how long output is gathered before it is stored, so that a
	// chatty process costs one commit for many lines and a short one none.
	flushAfter = 20 * time.Millisecond
	// maxChunk is the largest chunk, in bytes.
	maxChunk = 64 << 10
	// maxPending is how much output may wait to be stored before the process
	// is held back, in bytes.
	maxPending = 1 << 20
)

// output masks an attempt's secrets, gathers its output into chunks, stores them
// as they come, and keeps the head and the tail of each channel within the cap.
type output struct {
	r *Runner
	a *attempt

	mu       sync.Mutex
	room     *sync.Cond
	pending  []bellhop.Chunk
	bytes    int // in pending
	drop     []int64
	seq      int64
	channels [3]channel // by bellhop.Channel
	masks    [3]*mask.Stream
	flushing bool // a flusher runs
	closed   bool
	closing  chan struct{} // closed with it
	flushed  sync.WaitGroup
}

// channel is how much of a channel has come and what of its tail is kept.
type channel struct {
	offset int64
	tail   []span
	kept   int64 // bytes in tail
}

// span is a chunk of the tail.
type span struct {
	seq  int64
	size int64
}

func newOutput(r *Runner, a *attempt) *output {
	o := &output{r: r, a: a, closing: make(chan struct{})}
	for i := range o.masks {
		o.masks[i] = a.mask.Stream()
	}
	o.room = sync.NewCond(&o.mu)
	return o
}

// write gathers p. It blocks while too much waits to be stored.
func (o *output) write(c bellhop.Channel, p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p = o.masks[c].Write(p)
	now := o.r.Clock.Now()
	for len(p) > 0 {
		for o.bytes >= maxPending {
			o.room.Wait()
		}
		n := o.add(c, p, now)
		p = p[n:]
		if !o.flushing && !o.closed {
			o.flushing = true
			o.flushed.Go(o.flush)
		}
	}
}

// unmask takes in what turned out to be the beginning of no secret; o.mu is
// held.
func (o *output) unmask(now time.Time) {
	for c, m := range o.masks {
		for rest := m.Flush(); len(rest) > 0; {
			rest = rest[o.add(bellhop.Channel(c), rest, now):]
		}
	}
}

// add puts the beginning of p into a chunk and returns how much.
func (o *output) add(c bellhop.Channel, p []byte, now time.Time) int {
	ch := &o.channels[c]
	half := o.cap() / 2
	inTail := ch.offset >= half
	most := maxChunk
	if inTail { // small ones, so that little more than half the cap is kept
		most = int(min(maxChunk, max(half/4, 64)))
	}
	n := min(len(p), most)
	if !inTail {
		n = min(n, int(half-ch.offset))
	}
	if last := len(o.pending) - 1; last >= 0 && o.extends(last, c, inTail, half, most) {
		l := &o.pending[last]
		n = min(n, most-len(l.Data))
		l.Data = append(l.Data, p[:n]...)
		if inTail {
			ch.tail[len(ch.tail)-1].size += int64(n)
		}
	} else {
		o.seq++
		o.pending = append(o.pending, bellhop.Chunk{
			Seq: o.seq, Attempt: o.a.task.Attempt, Channel: c, Offset: ch.offset, At: now, Data: append([]byte(nil), p[:n]...),
		})
		if inTail {
			ch.tail = append(ch.tail, span{seq: o.seq, size: int64(n)})
		}
	}
	ch.offset += int64(n)
	o.bytes += n
	if inTail {
		ch.kept += int64(n)
		o.trim(ch, half)
	}
	return n
}

// extends reports whether more of channel c belongs into the last pending chunk.
func (o *output) extends(last int, c bellhop.Channel, inTail bool, half int64, most int) bool {
	l := o.pending[last]
	return l.Channel == c && len(l.Data) < most && (l.Offset >= half) == inTail
}

// trim forgets the oldest chunks of a tail that grew beyond half the cap, the
// one being written excepted.
func (o *output) trim(ch *channel, half int64) {
	for len(ch.tail) > 1 && ch.kept-ch.tail[0].size >= half {
		old := ch.tail[0]
		ch.tail = ch.tail[1:]
		ch.kept -= old.size
		if !o.forget(old.seq) {
			o.drop = append(o.drop, old.seq)
		}
	}
}

// forget takes a chunk out of those that are not stored yet.
func (o *output) forget(seq int64) bool {
	for i := range o.pending {
		if o.pending[i].Seq == seq {
			o.bytes -= len(o.pending[i].Data)
			o.pending = append(o.pending[:i], o.pending[i+1:]...)
			o.room.Broadcast()
			return true
		}
	}
	return false
}

func (o *output) cap() int64 {
	if n := o.a.task.Job.MaxOutput; n > 0 {
		return n
	}
	return bellhop.DefaultMaxOutput
}

// take empties what waits to be stored; nil when there is nothing.
func (o *output) take() *bellhop.OutputBatch {
	if len(o.pending) == 0 && len(o.drop) == 0 {
		return nil
	}
	b := &bellhop.OutputBatch{Ref: o.a.ref(), Attempt: o.a.task.Attempt, Chunks: o.pending, Drop: o.drop}
	o.pending, o.drop, o.bytes = nil, nil, 0
	o.room.Broadcast()
	return b
}

// flush stores what has been gathered, until there is nothing more.
func (o *output) flush() {
	for {
		timer, stop := o.r.Clock.NewTimer(flushAfter)
		select {
		case <-timer:
		case <-o.closing: // the rest goes with the ending
		}
		stop()
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			return
		}
		batch := o.take()
		if batch == nil {
			o.flushing = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		o.store(*batch)
	}
}

// store writes a batch, again and again until it is written or the lease lost.
func (o *output) store(b bellhop.OutputBatch) {
	for {
		err := o.r.Dispatcher.Output(context.Background(), []bellhop.OutputBatch{b})
		if err == nil {
			return
		}
		if bellhop.CodeOf(err) != bellhop.Unavailable {
			o.r.Log.Warn("output was not stored", "run", o.a.task.Run, "error", err)
			return
		}
		timer, stop := o.r.Clock.NewTimer(errorPause)
		select {
		case <-timer:
		case <-o.r.leave:
			stop()
			return
		}
		stop()
	}
}

// close waits for what is being stored and returns what is left.
func (o *output) close() *bellhop.OutputBatch {
	o.mu.Lock()
	o.unmask(o.r.Clock.Now())
	o.closed = true
	close(o.closing)
	o.mu.Unlock()
	o.flushed.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.take()
}
