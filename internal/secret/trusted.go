package secret

import (
	"io/fs"
	"os"
	"syscall"
)

// trusted reports whether a file belongs to this user, or to root. Root may use
// anybody's, as it may do anything.
func trusted(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Getuid() || os.Getuid() == 0)
}
