package sqlite

import (
	"context"
	"slices"

	"github.com/bellhop-io/bellhop"
)

const (
	// By PRIMARY KEY.
	sqlHolds = `SELECT 1 FROM queue WHERE run_id = ? AND phase = 2 AND lease = ?`
	// By PRIMARY KEY (run_id, attempt, seq), all of them.
	sqlAppend = `INSERT INTO output (run_id, attempt, seq, channel, place, at, data) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	sqlDrop   = `DELETE FROM output WHERE run_id = ? AND attempt = ? AND seq = ?`
	sqlOutput = `SELECT attempt, seq, channel, place, at, data FROM output WHERE run_id = ? AND (attempt, seq) > (?, ?) ORDER BY attempt, seq`
	sqlTail   = `SELECT attempt, seq, channel, place, at, data FROM output WHERE run_id = ? AND attempt = ? AND channel = ? ORDER BY seq DESC`
)

// AppendOutput stores batches. What it stores is filed under the lease's
// attempt: OutputBatch.Attempt starts again where an attempt did not count,
// and would mix the output of two.
func (d *db) AppendOutput(ctx context.Context, batches []bellhop.OutputBatch) (errs []error, err error) {
	errs = make([]error, len(batches))
	err = d.do(ctx, func(t *tx) (err error) {
		for i := range batches {
			if errs[i], err = t.appendOutput(&batches[i]); err != nil {
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

func (t *tx) appendOutput(b *bellhop.OutputBatch) (refused, err error) {
	id := int64(b.Ref.Run)
	holds, err := t.number(sqlHolds, id, b.Ref.Lease)
	if err != nil {
		return nil, err
	}
	if holds == 0 {
		return bellhop.ErrLeaseLost, nil
	}
	for i := range b.Chunks {
		c := &b.Chunks[i]
		data := c.Data
		if data == nil {
			data = []byte{}
		}
		if _, err := t.exec(sqlAppend, id, b.Ref.Lease, c.Seq, int64(c.Channel), c.Offset, micros(c.At), data); err != nil {
			return nil, err
		}
	}
	for _, seq := range b.Drop {
		if _, err := t.exec(sqlDrop, id, b.Ref.Lease, seq); err != nil {
			return nil, err
		}
	}
	return nil, nil
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
