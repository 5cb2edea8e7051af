package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// conn is one connection with its prepared statements. It is used by one
// goroutine at a time, inside sql.Conn.Raw: database/sql opens, pins and
// closes the connection, and is left out of the way of each statement, where
// its bookkeeping would cost as much as SQLite's work.
type conn struct {
	raw   driver.Conn
	stmts map[string]statement // by text; texts are constants, so few
	args  []driver.NamedValue
	row   []driver.Value
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func newConn(raw any) (*conn, error) {
	c, ok := raw.(driver.Conn)
	if !ok {
		return nil, errors.New("the SQLite driver's connection is not a driver.Conn")
	}
	return &conn{raw: c, stmts: map[string]statement{}}, nil
}

// prepare keeps statements. A bare parameter after LIMIT would have SQLite
// prepare the statement anew whenever it is bound: hence LIMIT ? + 0.
func (c *conn) prepare(query string) (statement, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	prepared, err := c.raw.Prepare(query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(statement)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver's statement lacks ExecContext or QueryContext"), prepared.Close())
	}
	c.stmts[query] = s
	return s, nil
}

// bind makes the driver's form of args in a buffer that lives until the next
// call.
func (c *conn) bind(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs one statement to its end and returns how many rows it changed.
// Arguments are int64, string, []byte or nil. It is not interrupted.
func (c *conn) exec(query string, args ...driver.Value) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// errStop ends a query early without being an error of it.
var errStop = errors.New("no more rows wanted")

// query calls each for each row. The row is good until each returns; texts and
// blobs in it may be kept. each runs no statement on c. When ctx ends, so does
// the query.
func (c *conn) query(ctx context.Context, query string, each func(row row) error, args ...driver.Value) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, c.bind(args))
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	if n := len(rows.Columns()); n > cap(c.row) {
		c.row = make([]driver.Value, n)
	} else {
		c.row = c.row[:n]
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := rows.Next(c.row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := each(c.row); errors.Is(err, errStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// number returns the first column of the first row, 0 when there is none.
func (c *conn) number(query string, args ...driver.Value) (int64, error) {
	var n int64
	err := c.query(context.Background(), query, func(r row) error {
		n = r.int(0)
		return errStop
	}, args...)
	return n, err
}

// text returns the first column of the first row, "" when there is none.
func (c *conn) text(query string, args ...driver.Value) (s string, err error) {
	err = c.query(context.Background(), query, func(r row) error {
		s = r.text(0)
		return errStop
	}, args...)
	return s, err
}

// snapshot runs fn so that all of its queries see one state of the store.
func (c *conn) snapshot(fn func() error) error {
	if _, err := c.exec("BEGIN"); err != nil {
		return err
	}
	err := fn()
	_, e := c.exec("ROLLBACK")
	return errors.Join(err, e)
}

// close lets go of the statements. The connection is database/sql's to close.
func (c *conn) close() error {
	var err error
	for _, s := range c.stmts {
		err = errors.Join(err, s.Close())
	}
	c.stmts = nil
	return err
}

// row reads the columns of a row; NULL reads as the zero value.
type row []driver.Value

func (r row) int(i int) int64 {
	n, _ := r[i].(int64)
	return n
}

func (r row) text(i int) string {
	s, _ := r[i].(string)
	return s
}

func (r row) blob(i int) []byte {
	b, _ := r[i].([]byte)
	return b
}

func (r row) null(i int) bool { return r[i] == nil }
