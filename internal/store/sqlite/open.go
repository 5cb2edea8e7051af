// Package sqlite is the store on one SQLite file, for one server.
//
// One goroutine writes, and many callers share each of its commits
// (writer.go); readers have connections of their own. A lock beside the file
// keeps a second server out, and so proves, when it is taken, that the former
// server is dead (lock.go). What one server needs to know at every moment
// therefore lives in its memory: the order of what waits (queue.go), leases
// (leases.go), which reports are pending (outbox.go).
//
// Attempts are counted by leases: the number of a run's lease is that of its
// attempt in Attempt.N, OutboxRow.Attempt and Chunk.Attempt. (Run.Attempt is
// less where attempts did not count.)
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/filelock"
	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// Options say what to open.
type Options struct {
	Path  string        // of the file; its folder must exist
	Clock bellhop.Clock // nil = bellhop.SystemClock
	Log   *slog.Logger  // nil = none
}

// WithDefaults returns a copy with the defaults filled in.
func (o Options) WithDefaults() Options {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// db is every port of the store.
type db struct {
	path    string // absolute, links resolved
	log     *slog.Logger
	lock    *filelock.Lock // nil when read-only
	writer  *writer        // nil when read-only
	leases  *leases
	outbox  *outbox
	depth   depth
	cluster *cluster
	chain   atomic.Pointer[chain] // of the audit that this process writes; nil before Begin
	write   *sql.DB               // nil when read-only
	reads   *readers
	once    sync.Once
	err     error // of closing
}

// Open opens the store at o.Path for reading and writing, makes it when the
// file does not exist or is empty, and brings an older one up to date. It
// fails with Conflict when another process has it open, with Invalid when the
// file is something else or was written by a newer Bellhop, and with
// Unavailable when it can't be read or written.
func Open(ctx context.Context, o Options) (_ *bellhop.Store, err error) {
	o = o.WithDefaults()
	path, err := makeFile(o.Path)
	if err != nil {
		return nil, err
	}
	d := &db{path: path, log: o.Log, leases: newLeases(o.Clock), outbox: newOutbox(), cluster: newCluster(o.Clock)}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	if d.lock, err = takeLock(path); err != nil {
		return nil, err
	}
	if d.write, err = openPool(path, writeSettings(path)); err != nil {
		return nil, d.wrap("opening", err)
	}
	id, err := d.prepare(ctx)
	if err != nil {
		return nil, d.wrap("opening", err)
	}
	if d.reads, err = openReaders(ctx, path); err != nil {
		return nil, d.wrap("opening", err)
	}
	if err := d.recallOutbox(ctx); err != nil {
		return nil, d.wrap("opening", err)
	}
	if err := d.startWriter(ctx); err != nil {
		return nil, d.wrap("opening", err)
	}
	return d.store(id), nil
}

// OpenReadOnly opens a store that exists for reading, whether or not a server
// has it open: Definitions.Definition, Records, Outputs.Output and Tail,
// Outbox.Unread, Holds.Holds, Values.Get and List, Secrets.Secret and Secrets,
// Audit.Records and Heads, Retention.Old and OutputSize, Cluster.Activated and
// Alive (nobody) work, Ping tells whether it can be read; everything else is
// Unavailable. It fails with NotFound when there is no file, otherwise
// as Open does; also with Invalid when an older Bellhop wrote it.
func OpenReadOnly(ctx context.Context, o Options) (_ *bellhop.Store, err error) {
	o = o.WithDefaults()
	path, err := findFile(o.Path)
	if err != nil {
		return nil, err
	}
	d := &db{path: path, log: o.Log, leases: newLeases(o.Clock), outbox: newOutbox(), cluster: newCluster(o.Clock)}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	if d.reads, err = openReaders(ctx, path); err != nil {
		return nil, d.wrap("opening", err)
	}
	if err := d.checkReadable(ctx); err != nil {
		return nil, d.wrap("opening", err)
	}
	id, err := d.storeID(ctx)
	if err != nil {
		return nil, d.wrap("opening", err)
	}
	return d.store(id), nil
}

func (d *db) store(id string) *bellhop.Store {
	return &bellhop.Store{ID: id, Definitions: d, Queue: d, Records: d, Outputs: d, Outbox: d, Holds: d, Approvals: d, Values: d, Secrets: d, Audit: d, Retention: d, Cluster: d, Admin: d}
}

// do runs an operation through the writer.
func (d *db) do(ctx context.Context, run func(*tx) error) error {
	if d.writer == nil {
		return errReadOnly()
	}
	return d.writer.do(ctx, run)
}

// makeFile makes the file unless it exists, and returns its path without
// links, so that every way to it meets one lock.
func makeFile(path string) (string, error) {
	if path == "" {
		return "", bellhop.Errorf(bellhop.Invalid, "the store has no file; name one in `store: sqlite:FILE`")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fileError(path, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", fileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return "", bellhop.Errorf(bellhop.Invalid, "store %s is not a regular file; name another one in `store:`", path)
	}
	return resolve(path)
}

func findFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fileError(path, err)
	}
	if info.IsDir() {
		return "", bellhop.Errorf(bellhop.Invalid, "store %s is a folder; name a file in `store:`", path)
	}
	return resolve(path)
}

func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", fileError(path, err)
	}
	return abs, nil
}

// fileError words why a file can't be opened.
func fileError(path string, err error) error {
	if info, e := os.Stat(path); e == nil && info.IsDir() {
		return bellhop.Errorf(bellhop.Invalid, "store %s is a folder; name a file in `store:`", path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		folder := filepath.Dir(path)
		if _, e := os.Stat(folder); e != nil {
			return bellhop.Errorf(bellhop.NotFound, "store %s: the folder %s does not exist; make it, or name another file in `store:`", path, folder)
		}
		return bellhop.Errorf(bellhop.NotFound, "store %s does not exist yet; start the server once (bellhop up)", path)
	case errors.Is(err, fs.ErrPermission):
		return bellhop.Errorf(bellhop.Unavailable, "store %s may not be opened by this user; look at the rights of the file and its folder: %w", path, err)
	}
	return bellhop.Errorf(bellhop.Unavailable, "store %s can't be opened: %w", path, err)
}

// Settings of each connection that writes; those of the log are in room.go.
// Those that change the file are in prepare, after it has looked whose file it
// is.
const writePragmas = "_pragma=busy_timeout(10000)&_pragma=synchronous(full)&_pragma=temp_store(memory)&_pragma=cache_size(-32768)"

// Settings of each connection that reads.
const readPragmas = "mode=ro&_pragma=busy_timeout(10000)&_pragma=query_only(1)&_pragma=temp_store(memory)"

// openPool opens a pool of one connection.
func openPool(path, settings string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Path: path}
	pool, err := sql.Open("sqlite", fmt.Sprintf("file://%s?%s&_dqs=0&_error_rc=1", u.EscapedPath(), settings))
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return pool, nil
}
