package postgres

import (
	"context"
	"slices"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	// By PRIMARY KEY. Locked against the end of the lease, not against its
	// being extended; in order.
	sqlHolds = `SELECT run_id, lease FROM running WHERE run_id = ANY ($1::bigint[]) ORDER BY run_id FOR KEY SHARE`
	// By PRIMARY KEY (run_id, attempt, seq).
	outputColumns = `SELECT attempt, seq, channel, place, at, data FROM output WHERE run_id = $1`
	sqlOutput     = outputColumns + ` AND (attempt, seq) > ($2, $3) ORDER BY attempt, seq LIMIT $4`
	sqlTail       = outputColumns + ` AND attempt = $2 AND channel = $3 AND seq < $4 ORDER BY attempt DESC, seq DESC LIMIT $5`
)

// appending is one call of AppendOutput.
type appending struct {
	batches []bellhop.OutputBatch
	errs    []error
}

// AppendOutput stores batches. What it stores is filed under the lease's
// attempt: OutputBatch.Attempt starts again where an attempt did not count,
// and would mix the output of two.
func (d *db) AppendOutput(ctx context.Context, batches []bellhop.OutputBatch) ([]error, error) {
	a := &appending{batches: batches, errs: make([]error, len(batches))}
	if len(batches) == 0 {
		return a.errs, nil
	}
	if err := d.outputs.do(ctx, a); err != nil {
		return nil, err
	}
	return a.errs, nil
}

// appendAll stores the batches of several calls.
func (d *db) appendAll(ctx context.Context, calls []*appending) error {
	return d.write(ctx, "storing output", func(t *tx) error {
		var ids []int64
		for _, a := range calls {
			for _, b := range a.batches {
				ids = append(ids, int64(b.Ref.Run))
			}
		}
		slices.Sort(ids)
		leases := map[bellhop.RunID]int64{}
		t.each(sqlHolds, func(r pgx.Rows) error {
			var id bellhop.RunID
			var lease int64
			err := r.Scan(&id, &lease)
			leases[id] = lease
			return err
		}, slices.Compact(ids))
		if err := t.flush(); err != nil {
			return err
		}
		for _, a := range calls {
			for i := range a.batches {
				b := &a.batches[i]
				if lease, ok := leases[b.Ref.Run]; !ok || lease != b.Ref.Lease {
					a.errs[i] = bellhop.ErrLeaseLost
					continue
				}
				a.errs[i] = nil
				// One batch after the other: a later one may drop what an earlier one brings.
				(&writing{outputs: a.batches[i : i+1]}).writeOutput(t)
			}
		}
		return nil
	})
}

func scanChunk(r pgx.Rows, c *bellhop.Chunk) error {
	var at int64
	var channel int16
	err := r.Scan(&c.Attempt, &c.Seq, &channel, &c.Offset, &at, &c.Data)
	c.Channel, c.At = bellhop.Channel(channel), timeOf(at)
	return err
}

// pageChunks is how many chunks are read at a time.
const pageChunks = 64

// Output returns chunks after the given attempt and seq.
func (d *db) Output(ctx context.Context, id bellhop.RunID, afterAttempt int, afterSeq int64, limit int) (chunks []bellhop.Chunk, err error) {
	size := 0
	for {
		var page []bellhop.Chunk
		err := d.read(ctx, "output", sqlOutput, func() { page = nil }, func(r pgx.Rows) error {
			var c bellhop.Chunk
			err := scanChunk(r, &c)
			page = append(page, c)
			return err
		}, int64(id), afterAttempt, afterSeq, pageChunks)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			chunks = append(chunks, c)
			afterAttempt, afterSeq = c.Attempt, c.Seq
			if size += len(c.Data); size >= limit {
				return chunks, nil
			}
		}
		if len(page) < pageChunks {
			return chunks, nil
		}
	}
}

// Tail returns the last chunks of one channel of one attempt.
func (d *db) Tail(ctx context.Context, id bellhop.RunID, attempt int, ch bellhop.Channel, limit int) (chunks []bellhop.Chunk, err error) {
	size, before := 0, int64(1)<<62
	for {
		var page []bellhop.Chunk
		err := d.read(ctx, "output", sqlTail, func() { page = nil }, func(r pgx.Rows) error {
			var c bellhop.Chunk
			err := scanChunk(r, &c)
			page = append(page, c)
			return err
		}, int64(id), attempt, int16(ch), before, pageChunks)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			chunks = append(chunks, c)
			before = c.Seq
			if size += len(c.Data); size >= limit {
				break
			}
		}
		if len(page) < pageChunks || size >= limit {
			slices.Reverse(chunks)
			return chunks, nil
		}
	}
}
