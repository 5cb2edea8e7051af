package bellhop

import (
	"context"
	"strings"
	"time"
)

// Stored is a value with its version, which only grows, also when the value
// was removed in between.
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
	// Delete removes a value. version as in Put, but that what is not there is
	// no error, whatever the version.
	Delete(ctx context.Context, namespace, key string, version int64, now time.Time) error
	// List returns up to n values whose key begins with prefix and comes after
	// another, by key (byte by byte).
	List(ctx context.Context, namespace, prefix, after string, n int, now time.Time) ([]Stored, error)
	// ForgetValues deletes up to n values that have expired, in small changes,
	// and reports whether there are more.
	ForgetValues(ctx context.Context, now time.Time, n int) (more bool, err error)
}

const (
	maxValueName = 200
	maxValueSize = 1 << 20
)

// CheckValue returns what is wrong with the size of a value or its names, as
// an Invalid error.
func CheckValue(namespace, key string, value []byte) error {
	switch {
	case len(namespace) > maxValueName || len(key) > maxValueName:
		return Errorf(Invalid, "value %.40q in %.40q has a longer name than %d bytes; shorten it", key, namespace, maxValueName)
	case len(value) > maxValueSize:
		return Errorf(Invalid, "value %.40q in %.40q has %d bytes; at most %d are kept", key, namespace, len(value), maxValueSize)
	}
	return nil
}

// ValuesAfter is beyond all keys that begin with prefix.
func ValuesAfter(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return strings.Repeat("\xff", maxValueName+1)
	}
	b[len(b)-1]++
	return string(b)
}
