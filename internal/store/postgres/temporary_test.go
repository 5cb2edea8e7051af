package postgres_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

// TestATemporaryStoreLeavesNothing: beside a store, and after itself.
func TestATemporaryStoreLeavesNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	for range 2 { // the second time would find what the first one left
		tmp, err := postgres.OpenTemporary(t.Context(), postgres.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(tmp.Sync, "synchronous_commit=on") {
			t.Errorf("the mode is %q", tmp.Sync)
		}
		runs, err := tmp.Store.Records.Runs(t.Context(), bellhop.RunFilter{})
		if err != nil || len(runs) > 0 {
			t.Errorf("it holds %v, %v", runs, err)
		}
		if err := tmp.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.Exec(t, url, `DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname LIKE 'bellhop%'); END $$`)
}

// TestATemporaryStoreThatCantBeOpenedIsTold: once, as any other.
func TestATemporaryStoreThatCantBeOpenedIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url, want string
		code      bellhop.Code
	}{
		"nothing there": {"postgres://u:hunter2@127.0.0.1:1/db", "store postgres://u@127.0.0.1:1/db: nothing answers there; start the database, or correct host and port in `store:`", bellhop.Unavailable},
		"not a URL":     {"postgres://u:hunter2@host:port/db", "the URL of the store can't be read; ", bellhop.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.OpenTemporary(t.Context(), postgres.Options{URL: c.url})
			if bellhop.CodeOf(err) != c.code || strings.Count(err.Error(), c.want) != 1 || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v (%s), want %s with %q once", err, bellhop.CodeOf(err), c.code, c.want)
			}
		})
	}
}
