package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"os"

	"github.com/bellhop-io/bellhop"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as Bellhop's, for us and for file(1): "Bell".
const applicationID = 0x42656c6c

const (
	sqlTables    = `SELECT count(*) FROM sqlite_schema`
	sqlVersioned = `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`
	sqlVersion   = `SELECT max(version_id) FROM goose_db_version WHERE is_applied`
	sqlStoreID   = `SELECT value FROM meta WHERE name = 'id'`
	sqlNewID     = `INSERT INTO meta (name, value) VALUES ('id', ?) ON CONFLICT DO NOTHING`
)

// prepare checks that the file is a store, brings its schema up to date and
// returns the store's id.
func (d *db) prepare(ctx context.Context) (string, error) {
	var app, tables int64
	if err := d.write.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&app); err != nil {
		return "", err
	}
	if err := d.write.QueryRowContext(ctx, sqlTables).Scan(&tables); err != nil {
		return "", err
	}
	if app != applicationID && tables > 0 {
		return "", errForeign(d.path)
	}
	// SQLite gives its other files the mode of this one.
	if err := os.Chmod(d.path, 0o600); err != nil {
		return "", bellhop.Errorf(bellhop.Unavailable, "store %s belongs to another user, so others may be able to read it; give it to this one: %w", d.path, err)
	}
	// auto_vacuum comes first: it can only be chosen while the file is empty.
	for _, pragma := range []string{`PRAGMA auto_vacuum = incremental`, `PRAGMA journal_mode = wal`, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID)} {
		if app == applicationID && pragma != `PRAGMA journal_mode = wal` {
			continue
		}
		if _, err := d.write.ExecContext(ctx, pragma); err != nil {
			return "", err
		}
	}
	// What former lives left in the log, so that no disk is filled by a log that
	// no life lasts long enough to empty. On a full disk it stays where it is.
	if _, err := d.write.ExecContext(ctx, sqlCheckpoint); err != nil && !full(err) {
		return "", err
	}
	if err := d.migrate(ctx); err != nil {
		return "", err
	}
	if _, err := d.write.ExecContext(ctx, sqlNewID, rand.Text()); err != nil {
		return "", err
	}
	var id string
	err := d.write.QueryRowContext(ctx, sqlStoreID).Scan(&id)
	return id, err
}

func (d *db) migrate(ctx context.Context) error {
	p, err := provider(d.write)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if err := d.checkVersion(have, want); err != nil {
		return err
	}
	if have == want {
		return nil
	}
	d.log.Info("the store is brought up to date", "path", d.path, "from", have, "to", want)
	_, err = p.Up(ctx)
	return err
}

func provider(pool *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, pool, dir, goose.WithDisableGlobalRegistry(true))
}

func (d *db) checkVersion(have, want int64) error {
	if have > want {
		return bellhop.Errorf(bellhop.Invalid, "store %s was written by a newer Bellhop: its schema is version %d, and this one knows up to %d; use the newer program, or restore a backup", d.path, have, want)
	}
	return nil
}

// checkReadable is prepare for a reader: it changes nothing.
func (d *db) checkReadable(ctx context.Context) error {
	want, err := newestVersion()
	if err != nil {
		return err
	}
	return d.reads.use(ctx, func(c *conn) error {
		app, err := c.number(`PRAGMA application_id`)
		if err != nil {
			return err
		}
		tables, err := c.number(sqlTables)
		if err != nil {
			return err
		}
		if app != applicationID && tables > 0 {
			return errForeign(d.path)
		}
		have, err := c.number(sqlVersioned)
		if err == nil && have > 0 {
			have, err = c.number(sqlVersion)
		}
		if err != nil {
			return err
		}
		if have < want {
			return bellhop.Errorf(bellhop.Invalid, "store %s was written by an older Bellhop: its schema is version %d, and this one needs %d; start the server once (bellhop up)", d.path, have, want)
		}
		return d.checkVersion(have, want)
	})
}

// newestVersion returns the version that this program's migrations lead to.
func newestVersion() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return 0, err
	}
	return goose.NumericComponent(names[len(names)-1])
}

func (d *db) storeID(ctx context.Context) (string, error) {
	var id string
	err := d.reads.use(ctx, func(c *conn) error {
		return c.query(ctx, sqlStoreID, func(r row) error {
			id = r.text(0)
			return errStop
		})
	})
	return id, err
}

func errForeign(path string) error {
	return bellhop.Errorf(bellhop.Invalid, "store %s is an SQLite database of another program; name another file in `store:`", path)
}
