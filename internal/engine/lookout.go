package engine

import (
	"cmp"
	"container/list"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// watchGap is between two looks at least, watchPoll at most: hints may be
	// lost, and of other servers' runs there are few. A look that took long is
	// followed by a gap of watchRest times as much, so that looking takes a
	// fifth of one processor at most.
	watchGap  = 100 * time.Millisecond
	watchPoll = time.Second
	watchRest = 4

	watchActive = 1000   // waiting runs that a look reads at most
	watchPage   = 100    // new runs that are read at a time
	watchNew    = 1000   // new runs that a look tells of at most
	watchAlone  = 200    // runs that a look reads one by one at most
	watchKnown  = 10_000 // runs that are remembered at most

	// What has changed is held for those who read slowly: so many runs, and so
	// many bytes of them. What the last look has found is held in any case.
	watchHeld  = 4096
	watchBytes = 16 << 20
)

// lookouts has those who watch share one lookout, which is there as long as
// somebody watches.
type lookouts struct {
	mu   sync.Mutex
	now  *lookout // nil while nobody watches
	most int      // bytes of what has changed that are held; 0 = watchBytes
}

// lookout looks at the store for all who watch: what it costs does not depend
// on how many there are. It keeps each run once, as it was when it changed
// last, in the order of changes; whoever watches only knows up to which change
// they were told. So one who reads slowly is told less often, and costs nothing.
type lookout struct {
	e     *Engine
	most  int // in held, bytes
	end   context.CancelFunc
	done  chan struct{} // closed when it looks no more
	hurry chan struct{} // somebody waits for a look

	watching int // how many do; lookouts.mu is held

	mu     sync.Mutex
	news   chan struct{} // closed when a look has ended, and replaced
	wanted uint64        // looks that were waited for
	err    error         // why it looks no more
	last   *overview     // of the last look that somebody waited for
	seq    uint64        // of the last change
	lost   uint64        // of the last change that is not held any more
	held   list.List     // of *sighting, by seq
	bytes  int           // in held

	// Of its loop alone.
	begun bool
	after bellhop.RunID
	known map[bellhop.RunID]*known
}

// overview is what a look has found for those who begin to watch.
type overview struct {
	covers uint64        // the looks wanted before it began
	seq    uint64        // of the last change that it knows of
	active []*sighting   // by id
	newest []bellhop.Run // of all, newest first; a page
}

// sighting is a run as it was at a look. It is shared and never changes.
type sighting struct {
	run        bellhop.Run  // what is decided by
	full, bare *bellhop.Run // for those who may see all of it, and for others
	print      print
	seq        uint64
	size       int // bytes, roughly
}

// known is what a run was when it was looked at last.
type known struct {
	print print
	held  *list.Element // nil = not held any more
}

// print is what of a run is told when it changes.
type print struct {
	state     bellhop.State
	attempt   int
	verdict   bellhop.Verdict
	start     int64
	votes     int
	forgotten bool
}

func printOf(r *bellhop.Run) print {
	p := print{state: r.State, attempt: r.Attempt, verdict: r.Verdict, start: r.Start.UnixMicro(), forgotten: r.OutputForgotten}
	if r.Approval != nil {
		p.votes = len(r.Approval.Votes)
	}
	return p
}

func (p print) over() bool { return p.state.Terminal() }

// lookout returns the one that all share, until leave is called.
func (e *Engine) lookout() (l *lookout, leave func()) {
	s := &e.lookouts
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil || s.now.failed() != nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.now = &lookout{
			e: e, most: cmp.Or(s.most, watchBytes), end: cancel, done: make(chan struct{}), hurry: make(chan struct{}, 1), news: make(chan struct{}),
			known: make(map[bellhop.RunID]*known),
		}
		go s.now.loop(ctx)
	}
	l = s.now
	l.watching++
	return l, func() {
		s.mu.Lock()
		l.watching--
		last := l.watching == 0
		if last && s.now == l {
			s.now = nil
		}
		s.mu.Unlock()
		if last {
			l.end()
			<-l.done
		}
	}
}

func (l *lookout) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// loop looks whenever something may have changed. It ends for good when the
// store fails: who watches is told, and comes back.
func (l *lookout) loop(ctx context.Context) {
	defer close(l.done)
	defer l.end()
	queue, endQueue := l.e.bus.Subscribe(bellhop.TopicQueue)
	defer endQueue()
	begun, endBegun := l.e.bus.Subscribe(bellhop.TopicBegun)
	defer endBegun()
	for {
		began := l.e.clock.Now()
		err := l.look(ctx)
		gap := min(max(watchGap, watchRest*l.e.clock.Now().Sub(began)), watchPoll)
		if err == nil {
			err = l.e.rest(ctx, gap)
		}
		if err == nil {
			err = l.e.rest(ctx, watchPoll-gap, queue, begun, l.hurry)
		}
		if err != nil {
			l.mu.Lock()
			l.err = err
			close(l.news)
			l.mu.Unlock()
			return
		}
	}
}

// rest waits for a time, or until one of up to three hints comes.
func (e *Engine) rest(ctx context.Context, d time.Duration, hints ...<-chan struct{}) error {
	over, stop := e.clock.NewTimer(d)
	defer stop()
	var by [3]<-chan struct{}
	copy(by[:], hints)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-by[0]:
	case <-by[1]:
	case <-by[2]:
	case <-over:
	}
	return nil
}

// look finds what has changed since the last one.
func (l *lookout) look(ctx context.Context) error {
	l.mu.Lock()
	wanted, waited := l.wanted, l.last == nil || l.last.covers < l.wanted
	l.mu.Unlock()
	records := l.e.store.Records
	if !l.begun {
		newest, err := records.Runs(ctx, bellhop.RunFilter{Limit: 1})
		if err != nil {
			return err
		}
		if l.begun = true; len(newest) > 0 {
			l.after = newest[0].ID
		}
	}
	running, waiting, _, err := records.Active(ctx, watchActive)
	if err != nil {
		return err
	}
	active := slices.Concat(running, waiting)
	newest, err := records.Runs(ctx, bellhop.RunFilter{Limit: watchPage})
	if err != nil {
		return err
	}
	now := make(map[bellhop.RunID]bellhop.Run, len(active))
	for _, r := range active {
		now[r.ID] = r
	}
	for _, r := range newest { // those that have ended are not looked up one by one
		if was := l.known[r.ID]; was != nil && !was.print.over() {
			now[r.ID] = r
		}
	}
	if err := l.made(ctx, newest, now); err != nil {
		return err
	}
	if err := l.left(ctx, now); err != nil {
		return err
	}
	var changed []bellhop.Run
	for id, r := range now {
		if was := l.known[id]; was == nil || was.print != printOf(&r) {
			changed = append(changed, r)
		}
	}
	found, err := l.e.sight(ctx, changed)
	if err != nil {
		return err
	}
	var o *overview
	if waited {
		o = &overview{covers: wanted, newest: newest}
		for i := range active {
			active[i] = now[active[i].ID] // it may have ended since
		}
		if o.active, err = l.e.sight(ctx, active); err != nil {
			return err
		}
	}
	l.tell(found, o)
	return nil
}

// sight makes runs what is told of them, by id.
func (e *Engine) sight(ctx context.Context, runs []bellhop.Run) ([]*sighting, error) {
	slices.SortFunc(runs, func(a, b bellhop.Run) int { return cmp.Compare(a.ID, b.ID) })
	if err := e.explain(ctx, runs); err != nil {
		return nil, err
	}
	found := make([]*sighting, len(runs))
	for i := range runs {
		s := &sighting{run: runs[i], print: printOf(&runs[i])}
		full, bare := s.run, bareRun(s.run)
		if e.mask != nil {
			full, bare = full.Masked(e.mask), bare.Masked(e.mask)
		}
		s.full, s.bare, s.size = &full, &bare, sizeOf(&s.run)
		found[i] = s
	}
	return found, nil
}

// sizeOf is about how many bytes a sighting of a run takes.
func sizeOf(r *bellhop.Run) int {
	n := 2000 + len(r.Error) + len(r.Result)
	for name, v := range r.Args {
		n += 100 + len(name) + len(v.Text)
		for _, w := range v.List {
			n += 20 + len(w)
		}
	}
	for _, w := range r.Warnings {
		n += len(w)
	}
	return 2 * n // it may be masked in part
}

// tell has everybody who watches know what a look has found.
func (l *lookout) tell(found []*sighting, o *overview) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.seq
	for _, s := range found {
		l.seq++
		s.seq = l.seq
		was := l.known[s.run.ID]
		if was == nil {
			was = &known{}
			l.known[s.run.ID] = was
		}
		if was.held != nil {
			l.drop(was.held)
		}
		was.print, was.held = s.print, l.held.PushBack(s)
		l.bytes += s.size
	}
	for l.held.Len() > watchHeld || l.bytes > l.most {
		oldest := l.held.Front()
		s := oldest.Value.(*sighting)
		if s.seq > before {
			break
		}
		l.lost = s.seq
		l.drop(oldest)
		if was := l.known[s.run.ID]; was != nil && was.held == oldest {
			was.held = nil
		}
	}
	l.forget()
	if o != nil {
		o.seq = l.seq
		l.last = o
	}
	if o != nil || len(found) > 0 {
		close(l.news)
		l.news = make(chan struct{})
	}
}

func (l *lookout) drop(el *list.Element) {
	l.bytes -= l.held.Remove(el).(*sighting).size
}

// made notes runs that are new, page being the newest of all. It reads on behind what is known: on a shared
// store a run may come to be seen after one with a higher number.
func (l *lookout) made(ctx context.Context, page []bellhop.Run, now map[bellhop.RunID]bellhop.Run) (err error) {
	for n := watchPage; ; n += watchPage {
		fresh := 0
		for _, r := range page {
			if l.known[r.ID] == nil && r.ID > l.after {
				now[r.ID] = r
				fresh++
			}
		}
		if fresh == 0 || len(page) < watchPage || n >= watchNew {
			return nil
		}
		if page, err = l.e.store.Records.Runs(ctx, bellhop.RunFilter{Limit: watchPage, Before: page[len(page)-1].ID}); err != nil {
			return err
		}
	}
}

// left notes runs that were active and may have ended since.
func (l *lookout) left(ctx context.Context, now map[bellhop.RunID]bellhop.Run) error {
	n := 0
	for id, was := range l.known {
		if _, seen := now[id]; seen || was.print.over() {
			continue
		}
		if n++; n > watchAlone { // the next look begins somewhere else
			return nil
		}
		run, err := l.e.store.Records.Run(ctx, id)
		if bellhop.CodeOf(err) == bellhop.NotFound {
			delete(l.known, id)
			continue
		}
		if err != nil {
			return err
		}
		now[id] = run
	}
	return nil
}

// forget bounds what is remembered: the oldest that have ended go first, and
// are behind what is looked at from then on.
func (l *lookout) forget() {
	if len(l.known) <= watchKnown {
		return
	}
	ids := slices.SortedFunc(maps.Keys(l.known), func(a, b bellhop.RunID) int {
		if x, y := l.known[a].print.over(), l.known[b].print.over(); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	for _, id := range ids[:len(ids)-watchKnown/2] {
		if l.known[id].print.over() {
			l.after = max(l.after, id)
		}
		delete(l.known, id)
	}
}

// begin waits for a look that begins after it was called. seq is of the last
// change before.
func (l *lookout) begin(ctx context.Context) (o *overview, seq uint64, err error) {
	l.mu.Lock()
	l.wanted++
	n := l.wanted
	seq = l.seq
	l.mu.Unlock()
	select {
	case l.hurry <- struct{}{}:
	default:
	}
	for {
		l.mu.Lock()
		o, err, news := l.last, l.err, l.news
		l.mu.Unlock()
		switch {
		case err != nil:
			return nil, seq, err
		case o != nil && o.covers >= n:
			return o, seq, nil
		}
		select {
		case <-ctx.Done():
			return nil, seq, ctx.Err()
		case <-news:
		}
	}
}

// watchTake is how many changes somebody is told at a time at most: as much as
// one who reads slowly keeps.
const watchTake = 256

// since returns what has changed after a change, in order, and what is closed when there is more.
func (l *lookout) since(seq uint64) (found []*sighting, news <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return nil, nil, l.err
	case seq < l.lost:
		return nil, nil, bellhop.ErrBehind
	}
	el := l.held.Back()
	for el != nil && el.Value.(*sighting).seq > seq {
		el = el.Prev()
	}
	if el == nil {
		el = l.held.Front()
	} else {
		el = el.Next()
	}
	for ; el != nil && len(found) < watchTake; el = el.Next() {
		found = append(found, el.Value.(*sighting))
	}
	return found, l.news, nil
}
