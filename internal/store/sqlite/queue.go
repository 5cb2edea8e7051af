package sqlite

import (
	"github.com/bellhop-io/bellhop"
)

// phase is where an entry stands. What the file knows of it is whether it
// runs, or waits for an approval; the rest follows from the time, the limits
// and the holds.
type phase uint8

const (
	phaseFuture  phase = iota // waits for its start
	phaseReady                // is looked at by the next claim
	phaseBlocked              // kept back by the limit of its key
	phaseHeld                 // kept back by a hold
	phaseLate                 // too late to be claimed: waits to be expired
	phaseAsked                // held until it is approved: in the file, in held
	phaseRunning
)

// hash is the beginning of a SHA-256 of a merge or alike key.
type hash [16]byte

// entry is a run that waits or runs, as its row in queue says.
type entry struct {
	id, lane       int64
	start          int64
	deadline       int64 // 0: none
	bound          int64 // merging makes start no later than this; 0: not bounded
	key            int64 // lane.bound when it is limited, 0 when not
	asks           int64
	lease, attempt int64
	started        int64
	expires        int64 // of the approval that it waits for; 0: never
	output         int64 // bytes of output that are kept; -1: not known
	runner         string
	merge, alike   hash // the zero hash: none
	priority       uint8
	phase          phase
	handled        bool // a handle or a cancellation may be in its row
	approved       bool // it needs or needed an approval: it is in held, and may have reports
	hold           int64
	facts          *facts // what a claim tells; nil: is read from the file

	linked      bool
	mark        uint64 // of the transaction that saved it last
	place       [slots]int32
	nextAlike   *entry
	formerAlike *entry
}

// facts are what of a run does not change while it waits or runs.
type facts struct {
	run       bellhop.Run // ID, Service, Job, Digest, Args, AskedBy, Origin, Created, RetryOf, After
	ask       bellhop.Ask // 0
	principal int64       // of ask 0
	large     bool        // too large to be kept
}

// maxFacts and maxFactSize bound what is kept in memory for claims to come.
const (
	maxFacts    = 16384
	maxFactSize = 2048
)

// claimable: it was never claimed, and still may be merged into or be too late.
func (e *entry) untouched() bool { return e.lease == 0 }

// waits: it is in the order of claims, or will be without anybody's word.
func (e *entry) waits() bool { return e.phase != phaseRunning && e.phase != phaseAsked }

// before is the order of claims.
func before(a, b *entry) bool {
	switch {
	case a.priority != b.priority:
		return a.priority > b.priority
	case a.start != b.start:
		return a.start < b.start
	}
	return a.id < b.id
}

func startsBefore(a, b *entry) bool {
	return a.start < b.start || a.start == b.start && a.id < b.id
}

func deadlineBefore(a, b *entry) bool {
	return a.deadline < b.deadline || a.deadline == b.deadline && a.id < b.id
}

// group is the runs of one limited concurrency key.
type group struct {
	running map[int64]*entry
	ready   int
	asked   int   // that wait for an approval: they keep the group, and count for nothing
	limit   int64 // how many may run: what was submitted last says so
	starts  heap  // all that wait, by start, but those
	blocked heap  // in the order of claims
}

// queue is all that waits or runs, in memory: the writer's alone. It changes
// with the file, within a transaction, and is taken back with it.
type queue struct {
	byID      map[int64]*entry
	merge     map[hash]*entry
	alike     map[hash]*alikes
	groups    map[int64]*group
	future    heap
	ready     heap
	late      heap
	held      map[int64]*heap // by hold
	deadlines heap            // of those that were never claimed
	asked     heap            // those that wait for an approval, by when it expires
	running   int             // how many run
	lateAt    int64           // the latest time by which one was found to be late
	facts     int             // how many there are

	serial  uint64 // of the transaction
	journal []saved
	limits  map[int64]int64 // of groups whose limit changed, or that are gone: what it was before
}

// alikes are the entries of one alike key, as a list.
type alikes struct{ first, last *entry }

// saved is what an entry was before the transaction.
type saved struct {
	e   *entry
	was entry
}

func newQueue() *queue {
	return &queue{
		limits: map[int64]int64{}, byID: map[int64]*entry{}, merge: map[hash]*entry{}, alike: map[hash]*alikes{}, groups: map[int64]*group{}, held: map[int64]*heap{},
		future:    heap{slot: slotPhase, before: startsBefore},
		ready:     heap{slot: slotPhase, before: before},
		late:      heap{slot: slotPhase, before: before},
		deadlines: heap{slot: slotDeadline, before: deadlineBefore},
		asked:     heap{slot: slotPhase, before: expiresBefore},
	}
}

// begin starts a transaction.
func (q *queue) begin() {
	q.serial++
	clear(q.journal)
	q.journal = q.journal[:0]
	clear(q.limits)
}

// undo takes back what the transaction changed.
func (q *queue) undo() {
	for _, s := range q.journal {
		if s.e.linked {
			q.unlink(s.e)
		}
	}
	for _, s := range q.journal {
		mark := s.e.mark
		*s.e = s.was
		s.e.mark, s.e.linked, s.e.place, s.e.nextAlike, s.e.formerAlike = mark, false, [slots]int32{}, nil, nil
	}
	for _, s := range q.journal {
		if s.was.linked {
			q.link(s.e)
		}
	}
	for key, limit := range q.limits {
		if g := q.groups[key]; g != nil {
			g.limit = limit
		}
	}
	for _, s := range q.journal {
		q.dropGroup(s.e.key)
	}
	q.begin()
}

// touch saves an entry before it is changed.
func (q *queue) touch(e *entry) {
	if e.mark != q.serial {
		e.mark = q.serial
		q.journal = append(q.journal, saved{e, *e})
	}
}

// add takes an entry in.
func (q *queue) add(e *entry) {
	q.touch(e)
	q.link(e)
}

// remove lets an entry go.
func (q *queue) remove(e *entry) {
	q.touch(e)
	q.unlink(e)
	q.release(e.key)
	q.dropGroup(e.key)
}

// change applies fn, which may change anything but the id.
func (q *queue) change(e *entry, fn func()) {
	q.touch(e)
	q.unlink(e)
	fn()
	q.link(e)
	q.release(e.key)
}

// move brings an entry that waits into another phase of waiting.
func (q *queue) move(e *entry, to phase, hold int64) {
	q.touch(e)
	q.leave(e)
	e.phase, e.hold = to, hold
	q.enter(e)
	q.release(e.key)
}

// begins makes a waiting entry run.
func (q *queue) begins(e *entry) {
	q.touch(e)
	q.leave(e)
	q.unlinkUntouched(e)
	if e.key != 0 {
		q.groups[e.key].starts.remove(e)
	}
	e.phase, e.hold = phaseRunning, 0
	q.enter(e)
	q.release(e.key)
}

// setFacts keeps what a claim tells, when there is room, or lets go of it.
func (q *queue) setFacts(e *entry, f *facts) {
	if f != nil && (f.large || q.facts >= maxFacts) {
		f = nil
	}
	if e.facts != nil {
		q.facts--
	}
	if e.facts = f; f != nil {
		q.facts++
	}
}

func (q *queue) link(e *entry) {
	e.linked = true
	q.byID[e.id] = e
	if e.facts != nil {
		q.facts++
	}
	if e.untouched() {
		if e.merge != (hash{}) {
			q.merge[e.merge] = e
		}
		if e.deadline != 0 {
			q.deadlines.push(e)
		}
	}
	if e.alike != (hash{}) {
		q.linkAlike(e)
	}
	if e.key != 0 && e.waits() {
		q.group(e.key).starts.push(e)
	}
	q.enter(e)
}

func (q *queue) unlink(e *entry) {
	q.leave(e)
	if e.key != 0 && e.waits() {
		q.groups[e.key].starts.remove(e)
	}
	if e.alike != (hash{}) {
		q.unlinkAlike(e)
	}
	q.unlinkUntouched(e)
	if e.facts != nil {
		q.facts--
	}
	delete(q.byID, e.id)
	e.linked = false
}

// unlinkUntouched takes an entry out of what holds those never claimed.
func (q *queue) unlinkUntouched(e *entry) {
	if e.merge != (hash{}) && q.merge[e.merge] == e {
		delete(q.merge, e.merge)
	}
	if e.place[slotDeadline] != 0 {
		q.deadlines.remove(e)
	}
}

func (q *queue) linkAlike(e *entry) {
	l := q.alike[e.alike]
	if l == nil {
		l = &alikes{}
		q.alike[e.alike] = l
	}
	e.formerAlike, e.nextAlike = l.last, nil
	if l.last == nil {
		l.first = e
	} else {
		l.last.nextAlike = e
	}
	l.last = e
}

func (q *queue) unlinkAlike(e *entry) {
	l := q.alike[e.alike]
	if e.formerAlike == nil {
		l.first = e.nextAlike
	} else {
		e.formerAlike.nextAlike = e.nextAlike
	}
	if e.nextAlike == nil {
		l.last = e.formerAlike
	} else {
		e.nextAlike.formerAlike = e.formerAlike
	}
	e.formerAlike, e.nextAlike = nil, nil
	if l.first == nil {
		delete(q.alike, e.alike)
	}
}

// enter puts an entry where its phase says.
func (q *queue) enter(e *entry) {
	switch e.phase {
	case phaseRunning:
		q.running++
		if e.key != 0 {
			q.group(e.key).running[e.id] = e
		}
		return
	case phaseReady:
		if e.key != 0 {
			q.group(e.key).ready++
		}
	case phaseAsked:
		if e.key != 0 {
			q.group(e.key).asked++
		}
	}
	q.phaseHeap(e).push(e)
}

// leave is the reverse of enter.
func (q *queue) leave(e *entry) {
	switch e.phase {
	case phaseRunning:
		q.running--
		if e.key != 0 {
			delete(q.groups[e.key].running, e.id)
		}
		return
	case phaseReady:
		if e.key != 0 {
			q.groups[e.key].ready--
		}
	case phaseAsked:
		if e.key != 0 {
			q.groups[e.key].asked--
		}
	}
	h := q.phaseHeap(e)
	h.remove(e)
	if e.phase == phaseHeld && h.len() == 0 {
		delete(q.held, e.hold)
	}
}

// phaseHeap returns the heap of an entry's phase, which is not phaseRunning.
func (q *queue) phaseHeap(e *entry) *heap {
	switch e.phase {
	case phaseFuture:
		return &q.future
	case phaseReady:
		return &q.ready
	case phaseLate:
		return &q.late
	case phaseAsked:
		return &q.asked
	case phaseHeld:
		h := q.held[e.hold]
		if h == nil {
			h = &heap{slot: slotPhase, before: before}
			q.held[e.hold] = h
		}
		return h
	default:
		return &q.group(e.key).blocked
	}
}

func (q *queue) group(key int64) *group {
	g := q.groups[key]
	if g == nil {
		g = &group{running: map[int64]*entry{}, starts: heap{slot: slotStart, before: startsBefore}, blocked: heap{slot: slotPhase, before: before}}
		q.groups[key] = g
	}
	return g
}

// setLimit says how many runs of a key may run.
func (q *queue) setLimit(key, limit int64) {
	g := q.group(key)
	if g.limit == limit {
		return
	}
	q.saveLimit(key, g)
	g.limit = limit
	q.release(key)
}

func (q *queue) saveLimit(key int64, g *group) {
	if _, ok := q.limits[key]; !ok {
		q.limits[key] = g.limit
	}
}

func (q *queue) dropGroup(key int64) {
	if g := q.groups[key]; g != nil && g.starts.len() == 0 && len(g.running) == 0 && g.asked == 0 {
		q.saveLimit(key, g)
		delete(q.groups, key)
	}
}

// release lets those that a limit keeps back be looked at again, as many as
// there is room for. What leaves the running or ready ones calls it.
func (q *queue) release(key int64) {
	if key == 0 {
		return
	}
	g := q.groups[key]
	if g == nil {
		return
	}
	for e := g.blocked.top(); e != nil && int64(len(g.running)+g.ready) < g.limit; e = g.blocked.top() {
		q.touch(e)
		q.leave(e)
		e.phase = phaseReady
		q.enter(e)
	}
}

// room says whether the limit of an entry's key lets it run.
func (q *queue) room(e *entry) bool {
	g := q.groups[e.key]
	return e.key == 0 || int64(len(g.running)) < g.limit
}

// behind returns a run of an entry's limited key that goes before it: one that
// runs, else the first by start, unless that gives way to it.
func (q *queue) behind(e *entry) bellhop.RunID {
	if e.key == 0 || !e.waits() {
		return 0
	}
	g := q.groups[e.key]
	first := int64(0)
	for id := range g.running {
		if first == 0 || id < first {
			first = id
		}
	}
	if first == 0 {
		if t := g.starts.top(); t != e && startsBefore(t, e) && t.priority >= e.priority {
			first = t.id
		}
	}
	return bellhop.RunID(first)
}

// promote brings back into the order of claims what time alone kept from it.
func (q *queue) promote(now int64, open func(hold int64) bool) {
	for e := q.future.top(); e != nil && e.start <= now; e = q.future.top() {
		q.move(e, phaseReady, 0)
	}
	for id, h := range q.held {
		if open(id) {
			continue
		}
		q.wake(h)
	}
	if now < q.lateAt { // the clock went back
		q.wake(&q.late)
		q.lateAt = 0
	}
}

// wake makes all entries of a heap ready.
func (q *queue) wake(h *heap) {
	for e := h.top(); e != nil; e = h.top() {
		q.move(e, phaseReady, 0)
	}
}
