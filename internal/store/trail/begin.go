package trail

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

// Began reports whether a chain whose last page that is, is what Audit.Begin
// makes with these arguments, and no more.
func Began(name string, id int64, data, key []byte, now time.Time) bool {
	recs := Decode(name, id, data)
	first := &recs[0]
	return len(recs) == 1 && first.Seq == 1 && first.Action == bellhop.AuditStart && first.At.UnixMicro() == now.UnixMicro() && first.Sum(key, first.Prev) == first.Hash
}

// ErrThere says that a chain can't be begun.
func ErrThere(name string) error {
	return bellhop.Errorf(bellhop.Conflict, "audit chain %s is there already; each life of a server begins one of its own", name)
}
