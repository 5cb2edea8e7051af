package postgres

import (
	"context"
	"os"
	"path/filepath"

	"github.com/bellhop-io/bellhop"
)

const sqlPing = `INSERT INTO meta (name, value) VALUES ('ping', '1') ON CONFLICT (name) DO UPDATE SET value = (1 + meta.value::bigint)::text`

// Ping writes.
func (d *db) Ping(ctx context.Context) error {
	return d.write(ctx, "looking whether the store works", func(t *tx) error {
		t.do(sqlPing)
		return nil
	})
}

// Backup is the database's own business. What is wrong with the path is said
// first.
func (d *db) Backup(_ context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return bellhop.Errorf(bellhop.Conflict, "backup %s exists already; name a file that does not", path)
	}
	if folder := filepath.Dir(path); !isFolder(folder) {
		return bellhop.Errorf(bellhop.NotFound, "backup %s: the folder %s does not exist; make it first", path, folder)
	}
	return bellhop.Errorf(bellhop.Invalid, "a store on Postgres is backed up by Postgres; run: pg_dump --schema=%s --format=custom --file=%s %s", d.schema, path, d.name)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Close waits for what is under way and closes the store.
func (d *db) Close() error {
	d.once.Do(func() {
		if d.submits != nil {
			d.submits.close()
			d.finishes.close()
			d.outputs.close()
			d.records.close()
		}
		d.closed.Store(true)
		if d.pool != nil {
			d.pool.Close()
		}
	})
	return nil
}
