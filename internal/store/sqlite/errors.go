package sqlite

import (
	"errors"

	"github.com/bellhop-io/bellhop"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// errBadRow says that a row can't be read back.
func errBadRow(what string) error {
	return bellhop.Errorf(bellhop.Internal, "the store is damaged: %s can't be read; restore a backup", what)
}

func errClosed() error {
	return bellhop.Errorf(bellhop.Unavailable, "the store is closed; try again once the server is up")
}

func errReadOnly() error {
	return bellhop.Errorf(bellhop.Unavailable, "the store is open for reading only; start the server (bellhop up) for this")
}

// wrap gives an error of SQLite the code that its kind calls for. Errors that
// have a code, and those of a context, keep theirs.
func (d *db) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*bellhop.Error](err); ok {
		return err
	}
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return bellhop.Errorf(bellhop.Internal, "store %s: %s failed: %w", d.path, doing, err)
	}
	if full(err) {
		return bellhop.Errorf(bellhop.Unavailable, "store %s: %s failed because the disk is full; free some room: %w", d.path, doing, err)
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return bellhop.Errorf(bellhop.Unavailable, "store %s: %s failed because its file can't be used; look at the disk and the folder's rights: %w", d.path, doing, err)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_INTERRUPT, lib.SQLITE_NOMEM:
		return bellhop.Errorf(bellhop.Unavailable, "store %s: %s did not get its turn; try again: %w", d.path, doing, err)
	case lib.SQLITE_NOTADB:
		return bellhop.Errorf(bellhop.Invalid, "store %s is not an SQLite database; name another file in `store:` or restore a backup: %w", d.path, err)
	case lib.SQLITE_CORRUPT:
		return bellhop.Errorf(bellhop.Internal, "store %s is damaged; stop the server and restore a backup: %w", d.path, err)
	}
	return bellhop.Errorf(bellhop.Internal, "store %s: %s failed: %w", d.path, doing, err)
}

// full reports whether an error says that there is no room on the disk: that
// of a file, or that of the index of the log, which has its own number.
func full(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	return ok && (e.Code()&0xff == lib.SQLITE_FULL || e.Code() == lib.SQLITE_IOERR_SHMSIZE)
}
