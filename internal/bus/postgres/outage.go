package postgres

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// tellEvery is how often at the most it is logged that there is no connection.
const tellEvery = time.Minute

// outages logs when the bus loses its connections, that they are still lost,
// and when all are back: one line each, however often it tries. A bus that
// loses them again within a minute is silent about it until that has passed.
type outages struct {
	mu    sync.Mutex
	lost  map[string]bool // by what the connection is for
	since time.Time
	last  time.Time // a line was logged
	told  bool      // that they are lost
}

// down notes that a connection was lost, or could not be made.
func (b *Bus) down(doing string, err error) {
	o := &b.outages
	o.mu.Lock()
	defer o.mu.Unlock()
	now := b.o.Clock.Now()
	if len(o.lost) == 0 {
		o.since, o.told = now, false
		if o.lost == nil {
			o.lost = map[string]bool{}
		}
	}
	o.lost[doing] = true
	if !o.last.IsZero() && now.Sub(o.last) < tellEvery {
		return
	}
	msg, args := "the bus has no connection to the database; until it has, other servers find out by looking", []any{"doing", doing}
	if o.told {
		msg, args = "the bus still has no connection to the database", append(args, "for", now.Sub(o.since).Round(time.Second))
	}
	o.told, o.last = true, now
	b.o.Log.Warn(msg, append(args, "err", oneLine(err))...)
}

// up notes that a connection works.
func (b *Bus) up(doing string) {
	o := &b.outages
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.lost[doing] {
		return
	}
	delete(o.lost, doing)
	if len(o.lost) == 0 && o.told {
		b.o.Log.Info("the bus is connected to the database again", "after", b.o.Clock.Now().Sub(o.since).Round(time.Millisecond))
	}
}

// oneLine is an error for the log: each of its lines once, behind each other.
// The driver tells of every address that it tried, and of some twice.
func oneLine(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
