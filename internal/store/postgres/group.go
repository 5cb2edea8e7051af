package postgres

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/bellhop-io/bellhop"
)

// maxGroup bounds how many rows share a transaction, unless one call alone has
// more.
const maxGroup = 512

// group gathers the operations of concurrent callers, so that many share one
// transaction and one flush of the disk.
//
// When a transaction fails for a reason that may lie in one operation, each is
// made alone, so that only the guilty one fails.
type group[T any] struct {
	work  func(ctx context.Context, ops []T) error
	size  func(T) int // rows of an operation
	ready *sync.Cond

	mu     sync.Mutex
	queue  []*call[T]
	closed bool
	wg     sync.WaitGroup
}

type call[T any] struct {
	op    T
	state atomic.Int32 // callQueued -> callTaken or callDropped
	done  chan error   // has room for the answer
}

const (
	callQueued = iota
	callTaken
	callDropped
)

// newGroup starts the given number of committers.
func newGroup[T any](committers int, size func(T) int, work func(context.Context, []T) error) *group[T] {
	g := &group[T]{work: work, size: size}
	g.ready = sync.NewCond(&g.mu)
	for range committers {
		g.wg.Go(g.loop)
	}
	return g
}

// do queues an operation and returns once it is durable or has failed. When
// ctx ends before the operation is taken, it is dropped; once taken, it is
// completed.
func (g *group[T]) do(ctx context.Context, op T) error {
	if err := ctx.Err(); err != nil {
		return errDropped(err)
	}
	c := &call[T]{op: op, done: make(chan error, 1)}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return errClosed()
	}
	g.queue = append(g.queue, c)
	g.mu.Unlock()
	g.ready.Signal()
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		if c.state.CompareAndSwap(callQueued, callDropped) {
			return errDropped(ctx.Err())
		}
		return <-c.done
	}
}

// take returns the next operations, nil when the group is closed and nothing
// is left.
func (g *group[T]) take() []*call[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		var calls []*call[T]
		n, rows := 0, 0
		for n < len(g.queue) && (n == 0 || rows < maxGroup) {
			c := g.queue[n]
			n++
			if c.state.CompareAndSwap(callQueued, callTaken) {
				calls = append(calls, c)
				rows += g.size(c.op)
			}
		}
		rest := copy(g.queue, g.queue[n:])
		clear(g.queue[rest:])
		g.queue = g.queue[:rest]
		if len(calls) > 0 {
			if rest > 0 {
				g.ready.Signal()
			}
			return calls
		}
		if n > 0 {
			continue
		}
		if g.closed {
			return nil
		}
		g.ready.Wait()
	}
}

func (g *group[T]) loop() {
	for {
		calls := g.take()
		if calls == nil {
			return
		}
		ops := make([]T, len(calls))
		for i, c := range calls {
			ops[i] = c.op
		}
		err := g.work(context.Background(), ops)
		if err == nil || len(calls) == 1 || bellhop.CodeOf(err) == bellhop.Unavailable {
			for _, c := range calls {
				c.done <- err
			}
			continue
		}
		for i, c := range calls {
			c.done <- g.work(context.Background(), ops[i:i+1])
		}
	}
}

// close refuses new operations, and waits until the queued ones are done.
func (g *group[T]) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.ready.Broadcast()
	g.wg.Wait()
}
