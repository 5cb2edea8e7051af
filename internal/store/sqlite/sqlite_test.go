package sqlite_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string, clock bellhop.Clock) *bellhop.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, Clock: clock})
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := s.Admin.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	var paths sync.Map // of stores
	storetest.Run(t, storetest.Driver{
		Open: func(t *testing.T, clock bellhop.Clock) *bellhop.Store {
			path := filepath.Join(t.TempDir(), "store.db")
			s := open(t, path, clock)
			paths.Store(s, path)
			return s
		},
		Reopen: func(t *testing.T, s *bellhop.Store, clock bellhop.Clock) *bellhop.Store {
			if err := s.Admin.Close(); err != nil {
				t.Fatal(err)
			}
			path, _ := paths.Load(s)
			again := open(t, path.(string), clock)
			paths.Store(again, path)
			return again
		},
	})
}
