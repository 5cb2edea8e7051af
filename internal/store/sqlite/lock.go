//go:build unix

package sqlite

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/bellhop-io/bellhop"
)

// lock is the proof that one process at a time has the store open for writing.
// The kernel lets go of it when the process dies, however it dies.
type lock struct{ file *os.File }

// takeLock locks path.lock, at once or with a Conflict that names the holder.
// The file stays when the lock is let go: removing it would let two processes
// lock two files of one name.
func takeLock(path string) (*lock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "store %s: its lock %s can't be made; look at the folder's rights: %w", path, name, err)
	}
	err = flock(f)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close()
		pid, err := strconv.Atoi(strings.TrimSpace(string(holder)))
		if err != nil {
			return nil, bellhop.Errorf(bellhop.Conflict, "store %s is in use by another server; stop that one first, or name another file in `store:`", path)
		}
		return nil, bellhop.Errorf(bellhop.Conflict, "store %s is in use by another server (process %d); stop that one first, or name another file in `store:`", path, pid)
	case err != nil:
		_ = f.Close()
		return nil, bellhop.Errorf(bellhop.Unavailable, "store %s: its lock can't be taken; is the folder on a file system without locks? %w", path, err)
	}
	// Who holds it is told for people; the lock itself does not depend on it.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &lock{file: f}, nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// release lets go, and takes the holder's number out first: by the time that
// somebody kills it, it may be another process's. It may be called twice.
func (l *lock) release() {
	if l != nil {
		_ = l.file.Truncate(0)
		_ = l.file.Close()
	}
}
