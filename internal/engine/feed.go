package engine

import (
	"context"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// outputPage is how many bytes of output are read at a time.
	outputPage = 256 << 10
	// outputPoll is how often output is looked for without a hint: by another
	// server's runs there is none. Where there is no other server, a hint is never
	// missed for long.
	outputPoll   = 250 * time.Millisecond
	outputSeldom = 2 * time.Second

	// After output has come, more of it is waited for outputEach for each who
	// follows, outputGap at most: what many are told, they are told in larger
	// pieces.
	outputEach = 500 * time.Microsecond
	outputGap  = 100 * time.Millisecond
	// outputChunk is the largest piece of output, in bytes, as in bellhop.Chunk.
	outputChunk = 64 << 10
	// feedHeld is how much of a run's output is held for those who follow, and
	// feedTake how much one of them takes at a time at most, in bytes.
	feedHeld = 256 << 10
	feedTake = 64 << 10
)

// place is in a run's output: behind that chunk.
type place struct {
	attempt int
	seq     int64
}

func placeOf(c *bellhop.Chunk) place { return place{c.Attempt, c.Seq} }

func (p place) before(q place) bool {
	return p.attempt < q.attempt || p.attempt == q.attempt && p.seq < q.seq
}

// feeds are those of runs that somebody follows.
type feeds struct {
	mu sync.Mutex
	by map[bellhop.RunID]*feed
}

// feed reads the output of a run for all who follow it, and holds the end of
// it. Who reads so slowly that what they want is not held reads the store.
type feed struct {
	e    *Engine
	run  bellhop.RunID
	end  context.CancelFunc
	done chan struct{} // closed when it reads no more

	mu        sync.Mutex
	followers int
	news      chan struct{} // closed when there is more, and replaced
	lost      place         // what is up to here is not held
	held      []piece       // what follows, without gaps but those of the store
	bytes     int           // in held
	over      bool          // there will be no more
	forgotten bool          // and none is kept
	err       error         // why it reads no more
}

// piece is output that came together.
type piece struct {
	from  place // behind which it begins
	chunk bellhop.Chunk
}

// feed returns a run's feed, until leave is called. Unless there is one, it
// begins at a place.
func (e *Engine) feed(run bellhop.RunID, at place) (f *feed, leave func()) {
	s := &e.feeds
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.by[run]
	if f == nil || f.failed() {
		ctx, cancel := context.WithCancel(context.Background())
		f = &feed{e: e, run: run, end: cancel, done: make(chan struct{}), news: make(chan struct{}), lost: at}
		if s.by == nil {
			s.by = make(map[bellhop.RunID]*feed)
		}
		s.by[run] = f
		go f.loop(ctx, at)
	}
	f.follow(1)
	return f, func() {
		s.mu.Lock()
		last := f.follow(-1) == 0
		if last && s.by[run] == f {
			delete(s.by, run)
		}
		s.mu.Unlock()
		if last {
			f.end()
			<-f.done
		}
	}
}

func (f *feed) follow(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers += n
	return f.followers
}

func (f *feed) failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err != nil
}

// loop reads what comes until the run has ended.
func (f *feed) loop(ctx context.Context, at place) {
	defer close(f.done)
	news, end := f.e.bus.Subscribe(bellhop.TopicRun(f.run))
	defer end()
	every := outputPoll
	if !f.e.store.Shared {
		every = outputSeldom
	}
	for {
		over, came, err := f.read(ctx, &at)
		if over {
			return
		}
		if err == nil && came {
			err = f.e.rest(ctx, min(time.Duration(f.follow(0))*outputEach, outputGap))
		}
		if err == nil {
			err = f.e.rest(ctx, every, news)
		}
		if err != nil {
			f.tell(func() { f.err = err })
			return
		}
	}
}

// read reads all that has come behind a place.
func (f *feed) read(ctx context.Context, at *place) (over, came bool, err error) {
	run, err := f.e.store.Records.Run(ctx, f.run) // before the output: what ended has all of it stored
	if err != nil {
		return false, false, err
	}
	for {
		chunks, err := f.e.store.Outputs.Output(ctx, f.run, at.attempt, at.seq, outputPage)
		if err != nil {
			return false, came, err
		}
		if len(chunks) == 0 {
			break
		}
		came = true
		pieces := together(*at, chunks)
		*at = placeOf(&chunks[len(chunks)-1])
		f.tell(func() { f.hold(pieces) })
	}
	if over = run.State.Terminal(); over {
		f.tell(func() { f.over, f.forgotten = true, run.OutputForgotten })
	}
	return over, came, nil
}

// tell changes a feed, and has those who follow look at it.
func (f *feed) tell(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.news)
	f.news = make(chan struct{})
}

// together makes one of chunks that follow each other in their channel.
func together(at place, chunks []bellhop.Chunk) (pieces []piece) {
	own := false // the last piece's data is its own
	for i := range chunks {
		c := &chunks[i]
		if n := len(pieces); n > 0 {
			last := &pieces[n-1].chunk
			if last.Attempt == c.Attempt && last.Channel == c.Channel && last.Offset+int64(len(last.Data)) == c.Offset && len(last.Data)+len(c.Data) <= outputChunk {
				if !own { // the store's are not written to
					last.Data, own = append(make([]byte, 0, len(last.Data)+len(c.Data)), last.Data...), true
				}
				last.Data, last.Seq = append(last.Data, c.Data...), c.Seq
				at = placeOf(c)
				continue
			}
		}
		pieces, own = append(pieces, piece{at, *c}), false
		at = placeOf(c)
	}
	return pieces
}

// hold holds pieces in place of the oldest; f.mu is held.
func (f *feed) hold(pieces []piece) {
	for _, p := range pieces {
		f.bytes += len(p.chunk.Data)
	}
	f.held = append(f.held, pieces...)
	n := 0
	for ; f.bytes > feedHeld && n < len(f.held)-1; n++ {
		f.bytes -= len(f.held[n].chunk.Data)
		f.lost = placeOf(&f.held[n].chunk)
	}
	if n > 0 {
		f.held = append([]piece(nil), f.held[n:]...)
	}
}

// followed is what a feed has for one place.
type followed struct {
	pieces []piece
	// until is up to where the store has to be read first, when that is not held.
	until     place
	over      bool // there will be no more
	forgotten bool
	news      <-chan struct{} // closed when there is more
}

// after returns what comes after a place.
func (f *feed) after(at place) (got followed, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	got = followed{news: f.news, over: f.over, forgotten: f.forgotten}
	if at.before(f.lost) {
		got.until = f.lost
		return got, nil
	}
	n := 0
	for i := range f.held {
		p := &f.held[i]
		switch {
		case !at.before(placeOf(&p.chunk)):
		case n == 0 && p.from.before(at): // in the middle of it
			got.until = placeOf(&p.chunk)
			return got, nil
		case n > 0 && n+len(p.chunk.Data) > feedTake:
			return got, nil
		default:
			n += len(p.chunk.Data)
			got.pieces = append(got.pieces, *p)
		}
	}
	if len(got.pieces) == 0 {
		return got, f.err
	}
	return got, nil
}

// followOutput calls fn with what comes after a place until the run has ended.
// known: that is where something was read from the store, and no client's word.
func (e *Engine) followOutput(ctx context.Context, run bellhop.RunID, at place, known bool, fn func(bellhop.Chunk) error) error {
	var begin place // of the feed, which is for all
	if !known && at != (place{}) {
		chunks, err := e.store.Outputs.Output(ctx, run, at.attempt, at.seq-1, 1)
		if err != nil {
			return err
		}
		known = len(chunks) > 0 && placeOf(&chunks[0]) == at
	}
	if known {
		begin = at
	}
	f, leave := e.feed(run, begin)
	defer leave()
	for {
		got, err := f.after(at)
		switch {
		case err != nil:
			return err
		case at.before(got.until):
			if err := e.stored(ctx, run, &at, got.until, fn); err != nil {
				return err
			}
			if at.before(got.until) { // it is not kept any more
				at = got.until
			}
			continue
		case len(got.pieces) > 0:
			for _, p := range got.pieces {
				if err := fn(p.chunk); err != nil {
					return err
				}
				at = placeOf(&p.chunk)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		case got.over && got.forgotten && at == place{}:
			return errForgotten(run)
		case got.over:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-got.news:
		}
	}
}

// stored calls fn with what is stored behind a place, until another if that is
// not zero, and moves it.
func (e *Engine) stored(ctx context.Context, run bellhop.RunID, at *place, until place, fn func(bellhop.Chunk) error) error {
	for {
		chunks, err := e.store.Outputs.Output(ctx, run, at.attempt, at.seq, outputPage)
		if err != nil || len(chunks) == 0 {
			return err
		}
		for i := range chunks {
			if until != (place{}) && until.before(placeOf(&chunks[i])) {
				return nil
			}
			if err := fn(chunks[i]); err != nil {
				return err
			}
			*at = placeOf(&chunks[i])
		}
		if !at.before(until) && until != (place{}) {
			return nil
		}
	}
}
