package engine

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

// Window, OpenHold, PauseAfter and Fill are the pure parts of the rules.
func Window(from, until string, now time.Time) (time.Time, time.Time, error) {
	return window(from, until, now)
}

func OpenHold(holds []bellhop.Hold, run bellhop.RunSpec, begun, at time.Time) (*bellhop.Hold, int) {
	return openHold(holds, &run, begun, at)
}

func WaitOf(r bellhop.Run, holds []bellhop.Hold, now time.Time) *bellhop.Wait {
	return waitOf(&r, holds, now)
}

func PauseAfter(r bellhop.Retries, failures int) time.Duration { return pauseAfter(r, failures) }

func Fill(template string, args bellhop.Args) string { return fill(template, args) }

// HoldChanges bounds what has changed and is held for those who watch, in bytes.
func (e *Engine) HoldChanges(most int) { e.lookouts.most = most }

// Feed is a feed that has read chunks; what it returns is what it has after a
// chunk, and up to which the store has to be read before.
func Feed(chunks []bellhop.Chunk) func(seq int64) (after []bellhop.Chunk, until int64) {
	f := &feed{}
	f.hold(together(place{}, chunks))
	return func(seq int64) (after []bellhop.Chunk, until int64) {
		at := place{1, seq}
		if seq == 0 {
			at = place{}
		}
		got, _ := f.after(at)
		for _, p := range got.pieces {
			after = append(after, p.chunk)
		}
		return after, got.until.seq
	}
}
