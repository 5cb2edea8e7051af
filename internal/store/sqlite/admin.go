package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bellhop-io/bellhop"
)

// startWriter opens the connection that writes and starts its goroutine.
func (d *db) startWriter(ctx context.Context) error {
	d.writer = newWriter(d)
	ready := make(chan error, 1)
	go func() {
		defer close(d.writer.done)
		err := d.writeUntilClosed(ready)
		if err != nil {
			d.log.Error("the store can't be written any more", "path", d.path, "err", err)
			d.writer.refuse(d.wrap("writing", err))
		}
	}()
	select {
	case err := <-ready:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeUntilClosed runs the writer on a connection, and on a new one whenever
// that one is of no more use. It says on ready how the first one opened.
func (d *db) writeUntilClosed(ready chan<- error) error {
	for {
		pinned, err := d.write.Conn(context.Background())
		if err != nil {
			tell(ready, err)
			return err
		}
		var c *conn
		err = pinned.Raw(func(raw any) (err error) {
			if c, err = newConn(raw); err != nil {
				return err
			}
			t := &tx{c: c, db: d, batches: newBatches()}
			t.forget()
			if err := t.recallQueue(); err != nil {
				tell(ready, err)
				return errors.Join(err, c.close())
			}
			tell(ready, nil)
			return errors.Join(d.writer.loop(t), c.close())
		})
		if errors.Is(err, errWedged) {
			d.log.Error("a transaction could not be undone; the store's connection is opened anew", "path", d.path, "err", err)
			d.write.SetMaxIdleConns(0) // so that closing it closes the file
			_ = pinned.Close()
			continue
		}
		return errors.Join(err, pinned.Close())
	}
}

// tell says how the first connection opened; nobody asks after later ones.
func tell(ready chan<- error, err error) {
	select {
	case ready <- err:
	default:
	}
}

// Close waits for what is under way and closes the store.
func (d *db) Close() error {
	d.once.Do(func() {
		if d.writer != nil {
			d.writer.close()
		}
		if d.reads != nil {
			d.err = d.reads.close()
		}
		// The last connection that closes moves the log into the file.
		if d.write != nil {
			d.err = errors.Join(d.err, d.write.Close())
		}
		d.lock.Release()
	})
	return d.err
}

const sqlPing = `INSERT INTO meta (name, value) VALUES ('ping', '1') ON CONFLICT (name) DO UPDATE SET value = CAST(1 + value AS TEXT)`

// Ping writes and reads.
func (d *db) Ping(ctx context.Context) error {
	err := d.read(ctx, "the store", func(c *conn) error {
		_, err := c.number(sqlTables)
		return err
	})
	if err != nil || d.writer == nil {
		return err
	}
	return d.do(ctx, func(t *tx) error {
		_, err := t.exec(sqlPing)
		return err
	})
}

// Backup copies the store as it is at one moment. Nothing is left of a copy
// that failed.
func (d *db) Backup(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return backupError(path, err)
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	if path, err = filepath.Abs(path); err != nil { // SQLite would take a name like file:x for an address
		return backupError(path, err)
	}
	pool, err := openPool(d.path, "_pragma=busy_timeout(10000)")
	if err != nil {
		return d.wrap("the backup", err)
	}
	_, err = pool.ExecContext(ctx, `VACUUM INTO ?`, path)
	if e := pool.Close(); err == nil {
		err = e
	}
	if err != nil {
		return d.wrap("the backup", given(ctx, err))
	}
	if err := syncAll(f, path); err != nil {
		return backupError(path, err)
	}
	return nil
}

// syncAll makes the copy and its name durable; SQLite leaves that to us.
func syncAll(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func backupError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return bellhop.Errorf(bellhop.Conflict, "backup %s exists already; name a file that does not", path)
	case errors.Is(err, fs.ErrNotExist):
		return bellhop.Errorf(bellhop.NotFound, "backup %s: the folder %s does not exist; make it first", path, filepath.Dir(path))
	}
	return bellhop.Errorf(bellhop.Unavailable, "backup %s can't be written: %w", path, err)
}
