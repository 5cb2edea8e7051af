package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bellhop-io/bellhop"
)

// Temporary is a store in a schema of its own.
type Temporary struct {
	Store *bellhop.Store
	// Sync says what makes a commit durable: "postgres 15.18, fsync=on,
	// synchronous_commit=on".
	Sync   string
	schema string
	o      Options
}

// OpenTemporary makes an empty store beside whatever the database holds.
// Remove takes it away.
func OpenTemporary(ctx context.Context, o Options) (*Temporary, error) {
	t := &Temporary{o: o, schema: "bellhop_" + strings.ToLower(rand.Text()[:12])}
	o.schema = t.schema
	store, err := Open(ctx, o)
	if err != nil {
		if left := t.drop(ctx); left != nil && left.Error() != err.Error() { // it need not be said twice that nothing answers
			err = errors.Join(err, left)
		}
		return nil, err
	}
	t.Store = store
	err = t.session(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT 'postgres ' || split_part(current_setting('server_version'), ' ', 1) || ', fsync=' || current_setting('fsync') || ', synchronous_commit=' ||
  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END`).Scan(&t.Sync)
	})
	if err != nil {
		return nil, errors.Join(err, t.Remove(ctx))
	}
	return t, nil
}

// Remove closes the store and takes away its schema with all that is in it.
func (t *Temporary) Remove(ctx context.Context) error {
	return errors.Join(t.Store.Admin.Close(), t.drop(ctx))
}

func (t *Temporary) drop(ctx context.Context) error {
	return t.session(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `DROP SCHEMA IF EXISTS `+t.schema+` CASCADE`)
		return err
	})
}

// session does something by a connection of its own.
func (t *Temporary) session(ctx context.Context, do func(*pgx.Conn) error) error {
	config, name, err := parse(t.o.URL)
	if err != nil {
		return err
	}
	d := &db{name: name, config: config}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return d.openError(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := do(conn); err != nil {
		return d.openError(err)
	}
	return nil
}
