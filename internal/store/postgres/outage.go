package postgres

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

const (
	// tellEvery is how often at the most a database that stays away is logged.
	tellEvery = time.Minute
	// tellMost bounds how many outages are logged in such a time, for a
	// database that comes and goes.
	tellMost = 5
)

// How far a database is of no use.
const (
	up       = int32(iota)
	readOnly // it can be read, but not written
	away
)

// outages logs when the database goes away, that it still is, and when it is
// back: one line each, however many callers find out.
type outages struct {
	log   *slog.Logger
	clock bellhop.Clock
	store string
	state atomic.Int32

	mu     sync.Mutex
	since  time.Time
	failed int       // calls, since then
	told   bool      // that it is away
	last   time.Time // a line was logged
	window time.Time // outages are counted from here on
	count  int
}

// failure notes a call that failed because of an outage.
func (o *outages) failure(state int32, doing, reason string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock.Now()
	if o.state.Load() == up {
		o.since, o.failed, o.told = now, 0, false
		if now.Sub(o.window) >= tellEvery {
			o.window, o.count = now, 0
		}
		o.count++
	}
	if state > o.state.Load() {
		o.state.Store(state)
	}
	o.failed++
	switch {
	case !o.told && o.count <= tellMost:
		o.log.Warn("the store is unavailable: "+reason, "store", o.store, "doing", doing, "err", oneLine(err))
	case now.Sub(o.last) >= tellEvery:
		o.log.Warn("the store is still unavailable: "+reason, "store", o.store, "for", now.Sub(o.since).Round(time.Second), "failed", o.failed, "err", oneLine(err))
	default:
		return
	}
	o.told, o.last = true, now
}

// success notes a call that went well: a write, or a read, which says nothing
// of a database that can only be read.
func (o *outages) success(wrote bool) {
	state := o.state.Load()
	if state == up || state == readOnly && !wrote {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state.Swap(up) == up || !o.told {
		return
	}
	o.log.Info("the store is back", "store", o.store, "after", o.clock.Now().Sub(o.since).Round(time.Millisecond), "failed", o.failed)
}

// oneLine is an error for the log: each of its lines once, behind each other.
// Drivers tell of every address that they tried, and of some twice.
func oneLine(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
