//go:build unix

// Package filelock proves that one process at a time has something: a file
// that is locked, by the kernel's own means, for as long as the process lives.
package filelock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Lock is a locked file. The kernel lets go of it when the process dies,
// however it dies.
type Lock struct{ file *os.File }

// HeldError says that another process has the lock.
type HeldError struct {
	PID int // of the holder; 0 = not known
}

// Error names the holder.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d", e.PID)
}

// Take locks the file at path, which is made if it is not there, at once or
// with a HeldError. The file stays when the lock is let go: removing it would
// let two processes lock two files of one name.
func Take(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = flock(f)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close()
		pid, _ := strconv.Atoi(strings.TrimSpace(string(holder)))
		return nil, &HeldError{PID: max(pid, 0)}
	case err != nil:
		_ = f.Close()
		return nil, err
	}
	// Who holds it is told for people; the lock itself does not depend on it.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &Lock{file: f}, nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Release lets go, and takes the holder's number out first: by the time that
// somebody kills it, it may be another process's. It may be called twice, and
// on nil.
func (l *Lock) Release() {
	if l != nil {
		_ = l.file.Truncate(0)
		_ = l.file.Close()
	}
}
