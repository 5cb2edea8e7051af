package shell

import (
	"os"
	"time"
)

const (
	// readSize is how much is read at a time: what a pipe holds.
	readSize = 64 << 10
	// maxDrain bounds what is still read of a pipe that stays open after the
	// attempt's end: the largest pipe that a process may ask for.
	maxDrain = 1 << 20
)

func aLongTimeAgo() time.Time { return time.Unix(1, 0) }

func closeAll(lists ...[]*os.File) {
	for _, files := range lists {
		for _, f := range files {
			if f != nil {
				_ = f.Close()
			}
		}
	}
}
