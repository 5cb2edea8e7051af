package slack

import (
	"context"
	"sync"
)

// lanes run functions, those of one name one after the other.
type lanes struct {
	mu     sync.Mutex
	queues map[string][]func()
	work   sync.WaitGroup
	closed bool
}

// add runs fn after what was added under the name before. It reports false
// when the lanes are closed.
func (l *lanes) add(name string, fn func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.queues == nil {
		l.queues = make(map[string][]func())
	}
	queue, running := l.queues[name]
	l.queues[name] = append(queue, fn)
	if !running {
		l.work.Go(func() { l.drain(name) })
	}
	return true
}

func (l *lanes) drain(name string) {
	for {
		l.mu.Lock()
		queue := l.queues[name]
		if len(queue) == 0 {
			delete(l.queues, name)
			l.mu.Unlock()
			return
		}
		l.queues[name] = queue[1:]
		l.mu.Unlock()
		queue[0]()
	}
}

// close takes nothing more, and returns when all is done or ctx ends.
func (l *lanes) close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() { l.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
