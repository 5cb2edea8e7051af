package sqlite

import (
	"database/sql/driver"
	"strings"
)

// batch gathers rows that are written by one statement: SQLite's work for a
// statement costs as much as for the row. Callers whose operations share a
// transaction share these statements too.
type batch struct {
	texts [3]string // for batchSizes
	width int       // arguments of a row
	args  []driver.Value
}

// batchSizes are the numbers of rows that there are statements for.
var batchSizes = [...]int{32, 8, 1}

// maxBatch is how many rows are gathered at most.
const maxBatch = 256

// newBatch makes one of a statement's beginning, what stands for each row, and
// its end.
func newBatch(head, each, tail string) *batch {
	b := &batch{width: strings.Count(each, "?")}
	for i, n := range batchSizes {
		b.texts[i] = head + strings.Repeat(each+", ", n-1) + each + tail
	}
	return b
}

func (b *batch) add(args ...driver.Value) { b.args = append(b.args, args...) }

func (b *batch) rows() int { return len(b.args) / b.width }

func (b *batch) clear() {
	clear(b.args)
	b.args = b.args[:0]
}

// write runs the statements.
func (b *batch) write(c *conn) error {
	rest := b.args
	for i, n := range batchSizes {
		for size := n * b.width; len(rest) >= size; rest = rest[size:] {
			if _, err := c.exec(b.texts[i], rest[:size]...); err != nil {
				return err
			}
		}
	}
	b.clear()
	return nil
}

// batches are the rows that are still to be written in a transaction. They are
// in the file before any other statement looks at their tables.
type batches struct {
	queue, run, ended, report *batch // to be inserted
	dequeue                   *batch // to be taken out of the queue
	claims                    *batch // to run, all for one runner since one time
	runner                    string
	started                   int64
}

const (
	sqlInsertQueue  = `INSERT INTO queue (run_id, lane, start, ckey, priority, deadline, bound, merge, alike) VALUES `
	eachQueue       = `(?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlInsertRun    = `INSERT INTO run (id, job, definition, created, retry_of, after, principal, session, ask, args) VALUES `
	eachRun         = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlInsertReport = `INSERT INTO report (id, ask, attempt, kind, created, due, principal, session, told) VALUES `
	eachReport      = `(?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlInsertEnded  = `INSERT INTO ended (run_id, state, verdict, previous, attempt, lease, how, exit_status, priority, output,
  start, deadline, started, finished, runner, error, result, warnings) VALUES `
	eachEnded = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	// By PRIMARY KEY.
	sqlDequeue = `DELETE FROM queue WHERE run_id IN (`
	// By PRIMARY KEY. Handle and reason are of the attempt before.
	sqlClaims = `UPDATE queue SET running = 1, lease = lease + 1, attempt = attempt + 1, handle = NULL, reason = NULL, started = ?, runner = ? WHERE run_id IN (`
)

func newBatches() batches {
	return batches{
		queue: newBatch(sqlInsertQueue, eachQueue, ``), run: newBatch(sqlInsertRun, eachRun, ``),
		ended: newBatch(sqlInsertEnded, eachEnded, ``), report: newBatch(sqlInsertReport, eachReport, ``),
		dequeue: newBatch(sqlDequeue, `?`, `)`), claims: newBatch(sqlClaims, `?`, `)`),
	}
}

// all are the batches in the order in which one run goes through them.
func (b *batches) all() [6]*batch {
	return [...]*batch{b.queue, b.run, b.claims, b.dequeue, b.ended, b.report}
}

func (b *batches) clear() {
	for _, one := range b.all() {
		one.clear()
	}
}

// addClaim gathers runs that one runner begins at one time.
func (t *tx) addClaim(id, started int64, runner string) error {
	if t.claims.rows() > 0 && (t.runner != runner || t.started != started) {
		if err := t.flush(); err != nil {
			return err
		}
	}
	t.runner, t.started = runner, started
	t.claims.add(id)
	return t.flushFull(t.claims)
}

// flushFull flushes when a batch has grown large.
func (t *tx) flushFull(b *batch) error {
	if b.rows() < maxBatch {
		return nil
	}
	return t.flush()
}

// flush writes what was gathered.
func (t *tx) flush() error {
	for _, b := range t.all() {
		if len(b.args) == 0 {
			continue
		}
		var err error
		if b == t.claims {
			err = t.writeClaims()
		} else {
			err = b.write(t.c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeClaims is batch.write with what the rows have in common.
func (t *tx) writeClaims() error {
	b := t.claims
	rest := b.args
	args := make([]driver.Value, 0, 2+batchSizes[0])
	for i, n := range batchSizes {
		for ; len(rest) >= n; rest = rest[n:] {
			args = append(append(args[:0], t.started, textOrNull(t.runner)), rest[:n]...)
			if _, err := t.c.exec(b.texts[i], args...); err != nil {
				return err
			}
		}
	}
	b.clear()
	return nil
}
