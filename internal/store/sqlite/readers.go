package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/bellhop-io/bellhop"
)

// maxReaders is how many calls read at once.
const maxReaders = 4

// readers are connections that can't write. Each sees all that was committed
// when its statement began.
type readers struct {
	pool *sql.DB
	free chan *reader // maxReaders of them; a nil one is yet to be opened
}

type reader struct {
	pinned *sql.Conn
	c      *conn
}

func openReaders(ctx context.Context, path string) (*readers, error) {
	pool, err := openPool(path, readPragmas)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(maxReaders)
	pool.SetMaxIdleConns(maxReaders)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	r := &readers{pool: pool, free: make(chan *reader, maxReaders)}
	for range maxReaders {
		r.free <- nil
	}
	return r, nil
}

// use runs fn with a connection of its own. It waits for one until ctx ends.
func (r *readers) use(ctx context.Context, fn func(c *conn) error) error {
	var rd *reader
	select {
	case rd = <-r.free:
	case <-ctx.Done():
		return errGivenUp(ctx.Err())
	}
	defer func() { r.free <- rd }()
	if rd == nil {
		pinned, err := r.pool.Conn(ctx)
		if errors.Is(err, sql.ErrConnDone) || isClosed(err) {
			return errClosed()
		} else if err != nil {
			return given(ctx, err)
		}
		rd = &reader{pinned: pinned}
	}
	err := rd.pinned.Raw(func(raw any) (err error) {
		if rd.c == nil {
			if rd.c, err = newConn(raw); err != nil {
				return err
			}
		}
		return fn(rd.c)
	})
	if errors.Is(err, sql.ErrConnDone) {
		return errClosed()
	}
	return given(ctx, err)
}

// isClosed knows database/sql's error of a closed pool, which has no name.
func isClosed(err error) bool { return err != nil && err.Error() == "sql: database is closed" }

// given words an error that came because ctx ended.
func given(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errGivenUp(ctx.Err())
	}
	return err
}

func errGivenUp(cause error) error {
	return bellhop.Errorf(bellhop.Unavailable, "the store was not read to the end, as nobody waits for it any more: %w", cause)
}

// close waits for those that read and closes the connections.
func (r *readers) close() error {
	var err error
	for range maxReaders {
		rd := <-r.free
		if rd == nil {
			continue
		}
		if rd.c != nil {
			err = errors.Join(err, rd.pinned.Raw(func(any) error { return rd.c.close() }))
		}
		err = errors.Join(err, rd.pinned.Close())
	}
	err = errors.Join(err, r.pool.Close())
	for range maxReaders { // for those that come later: the pool tells them
		r.free <- nil
	}
	return err
}

// read runs a reading port method and words its error.
func (d *db) read(ctx context.Context, what string, fn func(c *conn) error) error {
	return d.wrap(fmt.Sprintf("reading %s", what), d.reads.use(ctx, fn))
}
