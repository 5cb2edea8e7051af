package sqlite

import (
	"errors"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/filelock"
)

// takeLock locks path.lock, at once or with a Conflict that names the holder:
// the proof that one process at a time has the store open for writing.
func takeLock(path string) (*filelock.Lock, error) {
	name := path + ".lock"
	l, err := filelock.Take(name)
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		who := ""
		if held.PID > 0 {
			who = " (" + held.Error() + ")"
		}
		return nil, bellhop.Errorf(bellhop.Conflict, "store %s is in use by another server%s; stop that one first, or name another file in `store:`", path, who)
	}
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "store %s: its lock %s can't be made or taken; look at the folder's rights, and that its file system has locks: %w", path, name, err)
	}
	return l, nil
}
