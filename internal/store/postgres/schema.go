package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// mainSchema is where everything is, so that a database may hold other things.
const mainSchema = "bellhop"

// oldest is the oldest Postgres that will do, as server_version_num has it.
const oldest = 150000

const (
	sqlServer     = `SELECT current_setting('server_version_num')::int, current_setting('synchronous_commit'), current_setting('fsync')`
	sqlHasSchema  = `SELECT to_regnamespace($1) IS NOT NULL`
	sqlMakeSchema = `CREATE SCHEMA IF NOT EXISTS `
	sqlNewID      = `INSERT INTO meta (name, value) VALUES ('id', $1) ON CONFLICT DO NOTHING`
	sqlStoreID    = `SELECT value FROM meta WHERE name = 'id'`
	sqlMigrateOn  = `SELECT pg_advisory_lock($1::int, 0)`
	sqlMigrateOff = `SELECT pg_advisory_unlock($1::int, 0)`
)

// prepare looks at the database, brings its schema up to date and returns the
// store's id. Of several servers that start at once, one does it and the
// others wait.
func (d *db) prepare(ctx context.Context) (id string, err error) {
	config := d.config.ConnConfig.Copy()
	config.RuntimeParams["lock_timeout"] = "0" // as long as another one migrates
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var version int
	var commit, fsync string
	if err := conn.QueryRow(ctx, sqlServer).Scan(&version, &commit, &fsync); err != nil {
		return "", err
	}
	if err := d.checkServer(version); err != nil {
		return "", err
	}
	if commit == "off" { // or what is told as written could be lost
		d.config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	}
	if fsync == "off" {
		d.log.Warn("the database runs with fsync off: it may lose everything when its machine stops", "store", d.name)
	}
	if _, err := conn.Exec(ctx, sqlMigrateOn, lockClassMigrate); err != nil {
		return "", err
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), sqlMigrateOff, lockClassMigrate) }()
	var there bool
	if err := conn.QueryRow(ctx, sqlHasSchema, d.schema).Scan(&there); err != nil {
		return "", err
	}
	if !there {
		if _, err := conn.Exec(ctx, sqlMakeSchema+d.schema); err != nil {
			return "", err
		}
	}
	if err := d.migrate(ctx, config); err != nil {
		return "", err
	}
	if _, err := conn.Exec(ctx, sqlNewID, rand.Text()); err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, sqlStoreID).Scan(&id)
	return id, err
}

func (d *db) checkServer(version int) error {
	if version < oldest {
		return bellhop.Errorf(bellhop.Invalid, "store %s is Postgres %d; Bellhop needs 15 or later: update the database", d.name, version/10000)
	}
	return nil
}

func (d *db) migrate(ctx context.Context, config *pgx.ConnConfig) (err error) {
	pool := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, pool.Close()) }()
	p, err := provider(pool)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return bellhop.Errorf(bellhop.Invalid, "store %s was written by a newer Bellhop: the database's schema is %d, this binary knows %d; use a newer bellhop", d.name, have, want)
	}
	if have == want {
		return nil
	}
	d.log.Info("the store is brought up to date", "store", d.name, "from", have, "to", want)
	_, err = p.Up(ctx)
	return err
}

func provider(pool *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, pool, dir, goose.WithDisableGlobalRegistry(true))
}

// nameOf names a database for people.
func nameOf(c *pgx.ConnConfig) string {
	host := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	if strings.HasPrefix(c.Host, "/") {
		return "postgres:///" + c.Database + "?host=" + c.Host + "&port=" + strconv.Itoa(int(c.Port))
	}
	return (&url.URL{Scheme: "postgres", User: url.User(c.User), Host: host, Path: "/" + c.Database}).String()
}

func hasMaxConns(conn string) bool { return strings.Contains(conn, "pool_max_conns=") }

func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}
