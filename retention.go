package bellhop

import (
	"context"
	"time"
)

// KeyAge is how long a key is kept at least.
const KeyAge = 7 * 24 * time.Hour

// OldRun is what is known of an ended run where it is decided whether it is
// kept.
type OldRun struct {
	Run          RunID
	Service, Job string
	Finished     time.Time
	Output       int64 // bytes of output that are kept
}

// Retention deletes what is not to be kept any more. Each call is one small
// change that holds up a claim for some milliseconds at most.
type Retention interface {
	// Old looks at up to n runs with ids above after, in order, and returns
	// the ended ones. last is the id from which to go on; 0 when there are no
	// more.
	Old(ctx context.Context, after RunID, n int) (runs []OldRun, last RunID, err error)
	// Forget deletes runs, with all that belongs to them, and the output of
	// others, which keep the rest. A run that has not ended is left alone; so
	// is one of runs with a report that is still to be delivered (unread ones
	// go with it). The newest run loses its output at most: ids are never used
	// again. n is how many runs were changed.
	Forget(ctx context.Context, runs, output []RunID) (n int, err error)
	// ForgetKeys looks at up to n keys from a cursor on ("" = the beginning),
	// deletes those noted before a time, unless their run still waits or runs,
	// and returns where to go on; "" when there are no more.
	ForgetKeys(ctx context.Context, before time.Time, cursor string, n int) (next string, err error)
	// ForgetHolds deletes holds that were over before a time.
	ForgetHolds(ctx context.Context, before time.Time) error
	// OutputSize returns how many bytes of output are kept, of ended runs at
	// least.
	OutputSize(ctx context.Context) (int64, error)
	// Shrink gives a bounded part of the space of what was deleted back to the
	// machine, where the store does not do so by itself. more says that there
	// is more to give.
	Shrink(ctx context.Context) (more bool, err error)
}
