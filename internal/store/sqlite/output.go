package sqlite

import (
	"context"
	"slices"

	"github.com/bellhop-io/bellhop"
)

const (
	// By PRIMARY KEY (run_id, attempt, seq), all of them.
	sqlAppend     = `INSERT INTO output (run_id, attempt, seq, channel, place, at, data) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	sqlDrop       = `DELETE FROM output WHERE run_id = ? AND attempt = ? AND seq = ? RETURNING length(data)`
	sqlOutput     = `SELECT attempt, seq, channel, place, at, data FROM output WHERE run_id = ? AND (attempt, seq) > (?, ?) ORDER BY attempt, seq`
	sqlTail       = `SELECT attempt, seq, channel, place, at, data FROM output WHERE run_id = ? AND attempt = ? AND channel = ? ORDER BY seq DESC`
	sqlOutputSize = `SELECT coalesce(sum(length(data)), 0) FROM output WHERE run_id = ?`
)

// AppendOutput stores batches. What it stores is filed under the lease's
// attempt: OutputBatch.Attempt starts again where an attempt did not count,
// and would mix the output of two.
func (d *db) AppendOutput(ctx context.Context, batches []bellhop.OutputBatch) (errs []error, err error) {
	errs = make([]error, len(batches))
	err = d.do(ctx, func(t *tx) (err error) {
		for i := range batches {
			errs[i] = nil
			e := t.holding(batches[i].Ref)
			if e == nil {
				errs[i] = bellhop.ErrLeaseLost
			} else if err := t.appendOutput(e, &batches[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return errs, nil
}

func (t *tx) appendOutput(e *entry, b *bellhop.OutputBatch) error {
	if err := t.countOutput(e); err != nil {
		return err
	}
	for i := range b.Chunks {
		c := &b.Chunks[i]
		data := c.Data
		if data == nil {
			data = []byte{}
		}
		n, err := t.exec(sqlAppend, e.id, e.lease, c.Seq, int64(c.Channel), c.Offset, micros(c.At), data)
		if err != nil {
			return err
		}
		e.output += n * int64(len(data))
	}
	for _, seq := range b.Drop {
		n, err := t.number(sqlDrop, e.id, e.lease, seq)
		if err != nil {
			return err
		}
		e.output -= n
	}
	return nil
}

// countOutput makes an entry know how much output it has, and saves it from
// the transaction. It is read once after the store was opened.
func (t *tx) countOutput(e *entry) (err error) {
	t.q.touch(e)
	if e.output < 0 {
		e.output, err = t.number(sqlOutputSize, e.id)
	}
	return err
}

// Output returns chunks after the given attempt and seq.
func (d *db) Output(ctx context.Context, id bellhop.RunID, afterAttempt int, afterSeq int64, limit int) (chunks []bellhop.Chunk, err error) {
	err = d.read(ctx, "output", func(c *conn) error {
		return c.query(ctx, sqlOutput, upTo(limit, &chunks), int64(id), int64(afterAttempt), afterSeq)
	})
	return chunks, err
}

// Tail returns the last chunks of one channel of one attempt.
func (d *db) Tail(ctx context.Context, id bellhop.RunID, attempt int, ch bellhop.Channel, limit int) (chunks []bellhop.Chunk, err error) {
	err = d.read(ctx, "output", func(c *conn) error {
		return c.query(ctx, sqlTail, upTo(limit, &chunks), int64(id), int64(attempt), int64(ch))
	})
	slices.Reverse(chunks)
	return chunks, err
}

// upTo returns a row function that gathers chunks until they have limit bytes.
func upTo(limit int, out *[]bellhop.Chunk) func(row) error {
	size := 0
	return func(r row) error {
		*out = append(*out, bellhop.Chunk{
			Attempt: int(r.int(0)), Seq: r.int(1), Channel: bellhop.Channel(r.int(2)), Offset: r.int(3), At: timeOf(r.int(4)), Data: r.blob(5),
		})
		if size += len(r.blob(5)); size >= limit {
			return errStop
		}
		return nil
	}
}
