package sqlite

import (
	"context"
	"fmt"
	"math/bits"
	"os"

	"github.com/bellhop-io/bellhop"
	"golang.org/x/sys/unix"
)

// SQLite writes to a log first, and a checkpoint moves pages from there to the
// file, which grows by those that are new. A log that had taken all that is
// free could therefore not be emptied any more: the store would be stuck on a
// disk that it has filled itself. So the log is emptied before it takes more
// than its share, and what is new is not accepted unless there is room left
// for the file to grow, and some for what runs to end.
const (
	pageSize = 4096 // of SQLite's files
	maxLog   = 4000 // pages after which the log is emptied where there is room
	minLog   = 64   // and on the smallest disk
	logShare = 4    // the log takes one part in so many of what is free
	keptLog  = 64 << 20
	spare    = 1 << 20     // bytes that asks leave free
	allFree  = 1 << 60     // bytes on a disk that does not tell
	roomy    = keptLog * 2 // bytes; with more, and no long log, there is nothing to count
)

// room is what the writer knows of the space on its disk.
type room struct {
	log     int64 // pages after which the log is emptied; 0: not set yet
	tight   bool  // there is so little that the rest counts
	left    int64 // bytes that were free, less those by which the file is to grow; when tight
	pages   int64 // of the store at that time; when tight
	refused bool  // asks were, for want of room
}

// freeBytes returns what this process may still write to the disk of a file.
func freeBytes(path string) int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil || s.Blocks == 0 {
		return allFree
	}
	blocks := s.Bavail
	if os.Geteuid() == 0 {
		blocks = s.Bfree // with what is kept for root
	}
	return int64(min(blocks, 1<<40)) * int64(s.Bsize) // some say that they are endless
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// logLimit returns after how many pages the log is emptied where so many bytes
// are free, the log's included: a power of two or maxLog, so that it seldom
// changes.
func logLimit(free int64) int64 {
	pages := free / logShare / pageSize
	if pages >= maxLog {
		return maxLog
	}
	if pages <= minLog {
		return minLog
	}
	return 1 << (bits.Len64(uint64(pages)) - 1)
}

// logSettings are the pragmas for a limit. A roomy disk keeps the log's file
// as it is, since a file that does not grow is synced faster.
func logSettings(pages int64) (names [2]string, values [2]int64) {
	kept := pages * pageSize
	if pages == maxLog {
		kept = keptLog
	}
	return [2]string{"wal_autocheckpoint", "journal_size_limit"}, [2]int64{pages, kept}
}

// writeSettings are writePragmas and those for the disk of the file.
func writeSettings(path string) string {
	settings := writePragmas
	names, values := logSettings(logLimit(freeBytes(path) + fileSize(path+"-wal")))
	for i, name := range names {
		settings += fmt.Sprintf("&_pragma=%s(%d)", name, values[i])
	}
	return settings
}

const sqlPages = `PRAGMA page_count`

// look sees how much room there is, before a transaction.
func (t *tx) look() error {
	r := &t.room
	free, log := freeBytes(t.db.path), fileSize(t.db.path+"-wal")
	if err := t.limitLog(logLimit(free + log)); err != nil {
		return err
	}
	r.tight = free < roomy || log > keptLog
	if r.tight {
		var err error
		if r.pages, err = t.c.number(sqlPages); err != nil {
			return err
		}
		r.left = free - (r.pages*pageSize - fileSize(t.db.path))
	}
	if r.refused && (!r.tight || r.left >= spare) {
		r.refused = false
		t.db.log.Info("there is room on the store's disk again", "path", t.db.path)
	}
	return nil
}

func (t *tx) limitLog(pages int64) error {
	if pages == t.room.log {
		return nil
	}
	names, values := logSettings(pages)
	for i, name := range names {
		if err := t.c.query(context.Background(), fmt.Sprintf("PRAGMA %s = %d", name, values[i]), func(row) error { return nil }); err != nil {
			return err
		}
	}
	t.room.log = pages
	return nil
}

// checkRoom refuses what is new when the disk could not hold it twice, in the
// log and in the file, and leave some room for what runs to end.
func (t *tx) checkRoom() error {
	r := &t.room
	if !r.tight {
		return nil
	}
	pages, err := t.number(sqlPages)
	if err != nil {
		return err
	}
	left := r.left - 2*pageSize*(pages-r.pages)
	if left >= spare {
		return nil
	}
	if !r.refused {
		r.refused = true
		t.db.log.Warn("nothing new is accepted until there is more room on the store's disk", "path", t.db.path, "left", max(left, 0), "needed", spare)
	}
	return bellhop.Errorf(bellhop.Unavailable, "store %s: nothing new is accepted because the disk is full (%d KiB of the last %d are left, which are for what runs to end); free some room",
		t.db.path, max(left, 0)>>10, spare>>10)
}
