package server

import (
	"math"

	"golang.org/x/sys/unix"
)

// keepFiles has no program that is started from here on inherit a file that
// this process was started with: whoever starts a server may have left sockets
// or secrets open in it. Files that Go opened are kept already. An old kernel
// (before 5.11) does not know how.
func keepFiles() {
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
}
