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
