package transcript

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// PublishEvery is how often watchers are told of news, at most.
	PublishEvery = 250 * time.Millisecond
	// MaxNews is the most lines that they are told at a time.
	MaxNews = 200
	// retryAfter is how long a store that could not be read is left alone.
	retryAfter = time.Second
)

// Update is what has come of a run's output. All watchers get the same one and
// may not change it.
type Update struct {
	Window // its Lines are the last that are new, at most MaxNews, up to Total

	once    sync.Once
	encoded []byte
}

// Encode is what encode makes of it, which is asked once, whoever comes first.
func (u *Update) Encode(encode func(*Update) []byte) []byte {
	u.once.Do(func() { u.encoded = encode(u) })
	return u.encoded
}

// follower reads one run's output as it comes, for all who watch it.
type follower struct {
	id     bellhop.RunID
	x      *index
	cancel context.CancelFunc
	over   chan struct{}
	watch  int // guarded by Reader.mu

	news chan struct{} // holds one

	ring  []Line // new lines; guarded by x.mu
	epoch int    // of ring

	mu      sync.Mutex
	latest  *Update
	count   int // of updates
	err     error
	changed chan struct{} // is closed when something is new
}

// Watch is somebody who watches a run.
type Watch struct {
	r    *Reader
	f    *follower
	seen int
	once sync.Once
}

// Follow begins to watch a run. However many do, its output is read once. The
// Watch must be closed.
func (r *Reader) Follow(id bellhop.RunID) *Watch {
	x := r.get(id, true)
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.follows[id]
	if f == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f = &follower{id: id, x: x, cancel: cancel, over: make(chan struct{}), news: make(chan struct{}, 1), changed: make(chan struct{})}
		r.follows[id] = f
		r.wait.Go(func() { r.follow(ctx, f) })
		r.wait.Go(func() { r.publish(ctx, f) })
	} else {
		x.pins--
	}
	f.watch++
	return &Watch{r: r, f: f}
}

// Close ends the watch. It may be called twice.
func (w *Watch) Close() {
	w.once.Do(func() {
		w.r.mu.Lock()
		defer w.r.mu.Unlock()
		if w.f.watch--; w.f.watch > 0 {
			return
		}
		w.f.cancel()
		w.f.x.pins--
		if w.r.follows[w.f.id] == w.f {
			delete(w.r.follows, w.f.id)
		}
	})
}

// Next waits for what this watch has not seen. Whoever is slow gets the newest
// and none of those between. After an update that is Done there is none. It
// returns nil when quiet, which may be nil, receives first.
func (w *Watch) Next(ctx context.Context, quiet <-chan time.Time) (*Update, error) {
	for {
		w.f.mu.Lock()
		u, n, err, changed := w.f.latest, w.f.count, w.f.err, w.f.changed
		w.f.mu.Unlock()
		switch {
		case n != w.seen:
			w.seen = n
			return u, nil
		case err != nil:
			return nil, err
		}
		select {
		case <-changed:
		case <-quiet:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends all watches, and waits until nothing is read for them any more.
func (r *Reader) Close() {
	r.mu.Lock()
	for _, f := range r.follows {
		f.cancel()
	}
	r.mu.Unlock()
	r.wait.Wait()
}

// follow reads until the run has ended or nobody watches.
func (r *Reader) follow(ctx context.Context, f *follower) {
	defer close(f.over)
	for {
		err := r.followOnce(ctx, f)
		switch {
		case ctx.Err() != nil:
			f.fail(ctx.Err())
			return
		case err == nil:
			return
		case errors.Is(err, errBehind):
			continue
		case bellhop.CodeOf(err) != bellhop.Unavailable:
			f.fail(err)
			return
		}
		timer, stop := r.opt.Clock.NewTimer(retryAfter)
		select {
		case <-timer:
		case <-ctx.Done():
		}
		stop()
	}
}

func (r *Reader) followOnce(ctx context.Context, f *follower) error {
	if err := r.update(ctx, f.id, f.x); err != nil { // what is there already is no news
		return err
	}
	f.x.mu.Lock()
	f.x.note = f.note
	f.x.known.passes += 2
	f.x.mu.Unlock()
	f.wake()
	if err := f.x.read(ctx, f.id, true, r.opt.Read, f.wake); err != nil {
		return err
	}
	if err := f.x.lock(ctx); err != nil {
		return err
	}
	defer f.x.unlock()
	err := r.finish(ctx, f.id, f.x)
	f.wake()
	r.weigh(f.id, f.x)
	return err
}

// note keeps a new line; f.x.mu is held.
func (f *follower) note(l *rawLine, n int) {
	if f.epoch != f.x.known.epoch {
		f.epoch, f.ring = f.x.known.epoch, f.ring[:0]
	}
	if len(f.ring) == 2*MaxNews {
		f.ring = append(f.ring[:0], f.ring[MaxNews:]...)
	}
	f.ring = append(f.ring, l.as(n))
}

func (f *follower) wake() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	close(f.changed)
	f.changed = make(chan struct{})
}

// publish tells the watchers, now and then.
func (r *Reader) publish(ctx context.Context, f *follower) {
	for over := false; !over; {
		select {
		case <-f.news:
		case <-f.over:
			over = true
		case <-ctx.Done():
			return
		}
		u := f.take()
		if !over || u.Done {
			f.mu.Lock()
			f.latest = u
			f.count++
			close(f.changed)
			f.changed = make(chan struct{})
			f.mu.Unlock()
		}
		if u.Done {
			return
		}
		timer, stop := r.opt.Clock.NewTimer(PublishEvery)
		select {
		case <-timer:
		case <-f.over: // the last update need not wait
		case <-ctx.Done():
		}
		stop()
	}
}

// take makes an update of what is new.
func (f *follower) take() *Update {
	f.x.mu.Lock()
	defer f.x.mu.Unlock()
	k := &f.x.known
	u := &Update{Window: Window{Total: k.lines, Done: k.done, Epoch: k.epoch}}
	if f.epoch == k.epoch {
		u.Lines = slices.Clone(f.ring[max(len(f.ring)-MaxNews, 0):])
	}
	f.epoch, f.ring = k.epoch, f.ring[:0]
	if !k.done {
		open := f.x.split.opened(k.lines)
		u.Lines = append(u.Lines, open...)
		u.Total += len(open)
	}
	return u
}
