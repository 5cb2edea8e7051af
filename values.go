package bellhop

import (
	"context"
	"time"
)

// Stored is a value with its version, which only grows.
type Stored struct {
	Key     string
	Value   []byte
	Version int64     // from 1
	Expires time.Time // zero = never
}

// Values keeps small values of parts that need no table of their own: cursors,
// references, questions. Namespaces and keys are up to 200 bytes, values up to
// 1 MiB; what is larger is Invalid. What has expired by now is as if it were
// not there.
type Values interface {
	// Get returns a value, or NotFound.
	Get(ctx context.Context, namespace, key string, now time.Time) (Stored, error)
	// Put writes a value and returns its new version. With version 0 the key
	// must not be there, with -1 whatever is there is replaced; else the
	// present version must be that one. Otherwise it is a Conflict. ttl 0 =
	// for ever.
	Put(ctx context.Context, namespace, key string, value []byte, version int64, ttl time.Duration, now time.Time) (int64, error)
	// Delete removes a value, whether or not it is there. version as in Put.
	Delete(ctx context.Context, namespace, key string, version int64, now time.Time) error
	// List returns up to n values whose key begins with prefix and comes after
	// another, by key.
	List(ctx context.Context, namespace, prefix, after string, n int, now time.Time) ([]Stored, error)
	// ForgetValues deletes up to n values that have expired, and reports
	// whether there are more.
	ForgetValues(ctx context.Context, now time.Time, n int) (more bool, err error)
}
