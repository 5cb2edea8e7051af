package postgres

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// maxTries bounds how often a transaction that lost against another one is
	// made again.
	maxTries = 20
	// maxCuts bounds how often one whose connection was cut before its end is:
	// after a restart of the database the pool may hold several dead ones.
	maxCuts = 4
	// writeTime bounds a transaction, waiting for locks included.
	writeTime = 30 * time.Second
	// resolveTime bounds how long the fate of a transaction is asked for.
	resolveTime = 15 * time.Second
)

const (
	sqlBegin    = `begin isolation level read committed read write`
	sqlCommit   = `commit`
	sqlSnapshot = `begin isolation level repeatable read read only`
	// Known as soon as something was written or locked.
	sqlXID      = `SELECT pg_current_xact_id_if_assigned()::text`
	sqlForceXID = `SELECT pg_current_xact_id()::text`
	// A number that a later life has not given out yet would be an error.
	sqlFate    = `SELECT CASE WHEN l.name = $2 THEN pg_xact_status($1::text::xid8) END, l.name FROM (SELECT (SELECT name FROM life)) l (name)`
	sqlNewLife = `INSERT INTO life (name) VALUES ($1) ON CONFLICT DO NOTHING`
	sqlLife    = `SELECT name FROM life`
)

// tx is a transaction. Statements are queued and go out together, in one round
// trip, when something needs their answers; the last of them go out with the
// commit.
//
// A transaction may be made several times, so what it finds out is set afresh
// each time. And the answers of the last statements may be lost though the
// commit was made: nothing but hints may be learned from those.
type tx struct {
	ctx     context.Context
	conn    *pgxpool.Conn
	batch   pgx.Batch
	xid     *string  // of the transaction, once that is known
	last    bool     // the commit is under way
	aborted bool     // the commit was answered, but as a rollback
	audit   *audit   // that this transaction has the end of
	wrote   auditEnd // the end as it is when this is committed
}

// do queues a statement.
func (t *tx) do(sql string, args ...any) { t.batch.Queue(sql, args...) }

// each queues a query; fn is called for each row of the answer.
func (t *tx) each(sql string, fn func(pgx.Rows) error, args ...any) {
	t.batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := fn(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// flush sends what was queued and reads the answers.
func (t *tx) flush() error {
	if !t.last && t.xid == nil {
		t.batch.Queue(sqlXID).QueryRow(func(r pgx.Row) error { return r.Scan(&t.xid) })
	}
	b := t.batch
	t.batch = pgx.Batch{}
	return t.conn.SendBatch(t.ctx, &b).Close()
}

// forceXID has the transaction's number known from the next flush on.
func (t *tx) forceXID() {
	t.batch.Queue(sqlForceXID).QueryRow(func(r pgx.Row) error { return r.Scan(&t.xid) })
}

// commit sends the last statements and the commit.
func (t *tx) commit() error {
	t.batch.Queue(sqlCommit).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			t.aborted = true
			return errRace
		}
		return nil
	})
	t.last = true
	return t.flush()
}

// write runs fn inside a transaction and commits it; again when it lost
// against another one, or when its connection was cut and it is known not to
// have been committed. Once begun it is completed, whatever becomes of ctx.
func (d *db) write(ctx context.Context, doing string, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return errDropped(err)
	}
	if d.closed.Load() {
		return errClosed()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	cuts := 0
	for try := 1; ; try++ {
		err := d.attempt(ctx, fn)
		switch {
		case err == nil:
			d.outages.success(true)
			return nil
		case errors.Is(err, errUnreachable), ctx.Err() != nil:
			return d.wrap(doing, err)
		case again(err) && try < maxTries:
			// The others are let go first, each for another time.
			pause, stop := d.clock.NewTimer(time.Duration(rand.Int64N(int64(try) * int64(2*time.Millisecond))))
			select {
			case <-pause:
			case <-ctx.Done():
			}
			stop()
		case cut(err) && cuts < maxCuts && !errors.Is(err, errFate):
			cuts++
			d.pool.Reset() // the others are dead as well, or will be
		default:
			return d.wrap(doing, err)
		}
	}
}

var (
	// errUnreachable: no connection was to be had.
	errUnreachable = errors.New("no connection to the database")
	// errFate: it is not known whether the transaction was committed.
	errFate = errors.New("the connection was cut while committing")
)

// attempt makes one transaction. After an error nothing of it was written, or
// it may be made again all the same; unless the error is errFate.
func (d *db) attempt(ctx context.Context, fn func(*tx) error) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return errors.Join(errUnreachable, err)
	}
	defer conn.Release()  // closes it when it is not idle
	life := d.life.Load() // from before the transaction
	t := &tx{ctx: ctx, conn: conn}
	t.do(sqlBegin)
	if err = fn(t); err == nil {
		err = t.commit()
	}
	t.letAudit(err == nil)
	if err == nil {
		return nil
	}
	if !conn.Conn().IsClosed() {
		if _, e := conn.Exec(ctx, "rollback"); e != nil {
			_ = conn.Conn().Close(ctx)
		}
	}
	if !t.last || t.aborted || !cut(err) {
		return err
	}
	// The commit may have been made. Without a number, whatever is in the last
	// statements comes to the same when it is made twice: keys see to it, or it
	// only says how things are.
	if t.xid == nil {
		return err
	}
	conn.Release() // or all connections might be held by those who wait for another one
	switch d.fate(ctx, *t.xid, life) {
	case "committed":
		return nil
	case "aborted":
		return err
	}
	return errors.Join(errFate, err)
}

// fate finds out what became of a transaction whose commit was not answered:
// committed, aborted, or "" when nobody can be asked, or the database has
// crashed since that life of it: then it may have given the number to another
// transaction.
func (d *db) fate(ctx context.Context, xid string, life *string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTime)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		var status, now *string
		err := d.pool.QueryRow(ctx, sqlFate, xid, life).Scan(&status, &now)
		if err == nil && (life == nil || now == nil || *now != *life) {
			if err := d.findLife(ctx); err != nil {
				d.log.Warn("looking whether the database has crashed", "error", err)
			}
			return ""
		}
		if err == nil && status != nil && *status != "in progress" {
			return *status
		}
		if err == nil && status == nil || d.closed.Load() {
			return ""
		}
		wait, stop := bellhop.SystemClock{}.NewTimer(pause)
		select {
		case <-wait:
			stop()
		case <-ctx.Done():
			stop()
			return ""
		}
	}
}

// findLife notes which life of the database this is.
func (d *db) findLife(ctx context.Context) error {
	var name string
	for cuts := 0; ; cuts++ {
		_, err := d.pool.Exec(ctx, sqlNewLife, crand.Text())
		if err == nil {
			err = d.pool.QueryRow(ctx, sqlLife).Scan(&name)
		}
		if err == nil {
			d.life.Store(&name)
			return nil
		}
		if !cut(err) || cuts == maxCuts || ctx.Err() != nil {
			return err
		}
		d.pool.Reset() // it may hold several that a crash has cut
	}
}

// read runs one query, a second time when its connection turns out to be
// dead; fn is called for each row, and begin before each time.
func (d *db) read(ctx context.Context, what, sql string, begin func(), fn func(pgx.Rows) error, args ...any) error {
	if d.closed.Load() {
		return errClosed()
	}
	for cuts := 0; ; cuts++ {
		begin()
		err := d.query(ctx, sql, fn, args...)
		if err == nil {
			d.outages.success(false)
			return nil
		}
		if !cut(err) || cuts == maxCuts || ctx.Err() != nil || errors.Is(err, errUnreachable) {
			return d.wrap("reading "+what, err)
		}
		d.pool.Reset()
	}
}

func (d *db) query(ctx context.Context, sql string, fn func(pgx.Rows) error, args ...any) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return errors.Join(errUnreachable, err)
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// snapshot runs several queries on the store as it is at one moment.
func (d *db) snapshot(ctx context.Context, what string, fn func(*tx) error) error {
	if d.closed.Load() {
		return errClosed()
	}
	for cuts := 0; ; cuts++ {
		err := func() error {
			conn, err := d.pool.Acquire(ctx)
			if err != nil {
				return errors.Join(errUnreachable, err)
			}
			defer conn.Release()
			t := &tx{ctx: ctx, conn: conn, last: true} // last: nobody asks for its fate
			t.do(sqlSnapshot)
			if err := fn(t); err != nil {
				return err
			}
			t.do(sqlCommit)
			return t.flush()
		}()
		if err == nil {
			d.outages.success(false)
			return nil
		}
		if !cut(err) || cuts == maxCuts || ctx.Err() != nil || errors.Is(err, errUnreachable) {
			return d.wrap("reading "+what, err)
		}
		d.pool.Reset()
	}
}
