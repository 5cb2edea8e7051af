package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/fault"
)

// maxGroup bounds how many operations share a commit.
const maxGroup = 256

// op is one operation that waits for the writer.
type op struct {
	run   func(*tx) error
	state atomic.Int32 // opQueued -> opTaken or opDropped
	done  chan error   // has room for the answer
}

const (
	opQueued = iota
	opTaken
	opDropped
)

// writer owns the one connection that writes. It takes all that is queued,
// runs it inside one transaction, commits once, and then answers: many callers
// share one fsync.
//
// Operations may run twice: when one of a group fails, the group is rolled
// back and each runs alone, so that only the guilty one fails. So an operation
// has no effect but on the connection, and sets its results afresh each time;
// what is to be done in memory is left to tx.after.
type writer struct {
	db   *db
	wake chan struct{}
	done chan struct{} // closed when the loop has ended
	last int           // operations of the last group; the loop's alone

	mu     sync.Mutex
	queue  []*op
	closed bool
}

func newWriter(d *db) *writer {
	return &writer{db: d, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// do queues an operation and returns once it is durable or has failed. When
// ctx ends before the operation is taken, it is dropped; once taken, it is
// completed.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return errDropped(err)
	}
	o := &op{run: run, done: make(chan error, 1)}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed()
	}
	w.queue = append(w.queue, o)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		if o.state.CompareAndSwap(opQueued, opDropped) {
			return errDropped(ctx.Err())
		}
		return <-o.done
	}
}

func errDropped(cause error) error {
	return bellhop.Errorf(bellhop.Unavailable, "the request was given up before it was written: %w", cause)
}

// close refuses new operations, and waits until the queued ones are done.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.done
}

// gather lets those who were just answered ask again, so that more of them
// share the next commit: without it, the first one back would have a commit of
// its own. It yields while more come, and never waits.
func (w *writer) gather() {
	for before := -1; ; runtime.Gosched() {
		w.mu.Lock()
		n := len(w.queue)
		w.mu.Unlock()
		if n >= w.last || n <= before {
			return
		}
		before = n
	}
}

// take returns the next operations, nil when the writer is closed and nothing
// is left.
func (w *writer) take() []*op {
	if w.last > 1 {
		w.gather()
	}
	for {
		w.mu.Lock()
		n, closed := min(len(w.queue), maxGroup), w.closed
		group := make([]*op, 0, n)
		for _, o := range w.queue[:n] {
			if o.state.CompareAndSwap(opQueued, opTaken) {
				group = append(group, o)
			}
		}
		rest := copy(w.queue, w.queue[n:])
		clear(w.queue[rest:])
		w.queue = w.queue[:rest]
		w.mu.Unlock()
		if len(group) > 0 {
			w.last = len(group)
			return group
		}
		if n > 0 {
			continue
		}
		if closed {
			return nil
		}
		<-w.wake
	}
}

// errWedged says that the connection is of no more use: a transaction could
// not be rolled back.
var errWedged = errors.New("the connection is stuck in a transaction")

// loop works until the writer is closed. It returns errWedged when it needs a
// new connection; every operation it took is answered.
func (w *writer) loop(t *tx) error {
	for {
		group := w.take()
		if group == nil {
			return nil
		}
		if err := w.work(t, group); err != nil {
			return err
		}
	}
}

// work runs a group in one transaction; if that fails, each alone.
func (w *writer) work(t *tx, group []*op) error {
	err := t.look()
	if err == nil {
		err = t.transact(group)
	}
	if full(err) {
		t.emptyLog()
	}
	if len(group) == 1 || err == nil {
		for _, o := range group {
			o.done <- w.db.wrap("writing", err)
		}
		return wedged(err)
	}
	var stuck error
	for _, o := range group {
		err := stuck
		if err == nil {
			err = t.transact([]*op{o})
			stuck = wedged(err)
		}
		o.done <- w.db.wrap("writing", err)
	}
	return stuck
}

// sqlCheckpoint moves what is in the log to where it belongs, as far as no
// reader needs it there, and waits for nobody.
const sqlCheckpoint = `PRAGMA wal_checkpoint(PASSIVE)`

// emptyLog lets what is written next take the place of what is in the log: on
// a full disk that is where room is.
func (t *tx) emptyLog() {
	err := t.c.query(context.Background(), sqlCheckpoint, func(row) error { return nil })
	if err != nil && !full(err) {
		t.db.log.Warn("the store's log could not be emptied", "path", t.db.path, "error", err)
	}
}

func wedged(err error) error {
	if errors.Is(err, errWedged) {
		return errWedged
	}
	return nil
}

// tx is what an operation is given: the connection inside a transaction, and
// what the writer remembers of the store.
type tx struct {
	c       *conn
	db      *db
	acts    []func()
	q       *queue
	reports []pending // that were written
	room    room
	batches
	memory
}

// after has fn called once the transaction is durable, before anybody is
// answered.
func (t *tx) after(fn func()) { t.acts = append(t.acts, fn) }

// transact runs operations inside one transaction. After an error, nothing of
// it is left, neither in the file nor in memory.
func (t *tx) transact(group []*op) (err error) {
	clear(t.acts)
	t.acts = t.acts[:0]
	t.batches.clear()
	clear(t.reports)
	t.reports = t.reports[:0]
	t.q.begin()
	if _, err := t.c.exec("BEGIN IMMEDIATE"); err != nil {
		return t.undo(err)
	}
	if err := t.recall(); err != nil {
		return t.undo(err)
	}
	for _, o := range group {
		if err := o.run(t); err != nil {
			return t.undo(err)
		}
	}
	fault.At(fault.CommitBefore)
	if err := t.settle(); err != nil {
		return t.undo(err)
	}
	if _, err := t.c.exec("COMMIT"); err != nil {
		return t.undo(err)
	}
	fault.At(fault.CommitAfter)
	t.db.depth.note(t.q)
	if len(t.reports) > 0 {
		t.db.outbox.add(t.reports)
	}
	for _, act := range t.acts {
		act()
	}
	return nil
}

// undo makes sure that no transaction is open.
func (t *tx) undo(cause error) error {
	t.forget()
	t.q.undo()
	_, err := t.c.exec("ROLLBACK")
	// After some errors (a full disk) SQLite has rolled back by itself.
	if err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		return errors.Join(cause, errWedged, err)
	}
	return cause
}

// exec, query, number and text are conn's, for operations: what was gathered
// is written before. Statements about names and keys go to conn directly.
func (t *tx) exec(query string, args ...driver.Value) (int64, error) {
	if err := t.flush(); err != nil {
		return 0, err
	}
	return t.c.exec(query, args...)
}

func (t *tx) query(query string, each func(row) error, args ...driver.Value) error {
	if err := t.flush(); err != nil {
		return err
	}
	return t.c.query(context.Background(), query, each, args...)
}

func (t *tx) number(query string, args ...driver.Value) (int64, error) {
	if err := t.flush(); err != nil {
		return 0, err
	}
	return t.c.number(query, args...)
}

func (t *tx) text(query string, args ...driver.Value) (string, error) {
	if err := t.flush(); err != nil {
		return "", err
	}
	return t.c.text(query, args...)
}

// refuse answers all that is queued and all that comes with an error.
func (w *writer) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, o := range w.queue {
		if o.state.CompareAndSwap(opQueued, opTaken) {
			o.done <- err
		}
	}
	w.queue = nil
}
