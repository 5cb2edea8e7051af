package sqlite

import (
	"context"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Expire ends runs that are too late to be claimed for the first time.
func (d *db) Expire(ctx context.Context, now time.Time, n int, reason string) (gone []bellhop.RunID, next time.Time, err error) {
	err = d.do(ctx, func(t *tx) error {
		gone, next = nil, time.Time{}
		for e := t.q.deadlines.top(); e != nil; e = t.q.deadlines.top() {
			if !e.lateAt(micros(now)) || len(gone) >= n {
				next = timeOf(e.deadline)
				return nil
			}
			if err := t.endWaiting(e, reason, micros(now)); err != nil {
				return err
			}
			gone = append(gone, bellhop.RunID(e.id))
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	return gone, next, nil
}
