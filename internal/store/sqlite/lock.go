package sqlite

import (
	"errors"
	"os"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/filelock"
)

// lockTries and lockPause bound how long a lock is tried for. A process that
// has let go may be held by its own child for a moment: one that was forked and
// has not run its program yet has all files still.
const (
	lockTries = 10
	lockPause = 50 * time.Millisecond
)

// takeLock locks path.lock, almost at once or with a Conflict that names the
// holder: the proof that one process at a time has the store open for writing.
func takeLock(path string) (*filelock.Lock, error) {
	name := path + ".lock"
	l, err := filelock.Take(name)
	for try := 1; try < lockTries; try++ {
		held, ok := errors.AsType[*filelock.HeldError](err)
		if !ok || held.PID > 0 && held.PID != os.Getpid() { // who has it says so: a server at work
			break
		}
		time.Sleep(lockPause)
		l, err = filelock.Take(name)
	}
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
