package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, url string, clock bellhop.Clock) *bellhop.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), postgres.Options{URL: url, Clock: clock})
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

// migrated returns a database with the tables of a store that was never opened.
func migrated(t *testing.T) string {
	t.Helper()
	return pgtest.Prepared(t, func(url string) {
		s, err := postgres.Open(ctx, postgres.Options{URL: url})
		must(t, err)
		must(t, s.Admin.Close())
		pgtest.Exec(t, url, `DELETE FROM bellhop.meta; DELETE FROM bellhop.life`)
	})
}

// later is a clock that goes before another one. A store that servers share
// doesn't prove that a former server is dead, so one that is started again in
// the suite comes when the leases of the former have run out.
type later struct {
	bellhop.Clock
	by time.Duration
}

func (l later) Now() time.Time { return l.Clock.Now().Add(l.by) }

func TestStore(t *testing.T) {
	var mu sync.Mutex
	urls, times := map[*bellhop.Store]string{}, map[*bellhop.Store]int{}
	begin := func(t *testing.T, url string, clock bellhop.Clock, n int) *bellhop.Store {
		s := open(t, url, later{clock, time.Duration(n) * 31 * time.Second})
		mu.Lock()
		defer mu.Unlock()
		urls[s], times[s] = url, n
		return s
	}
	storetest.Run(t, storetest.Driver{
		Open: func(t *testing.T, clock bellhop.Clock) *bellhop.Store { return begin(t, migrated(t), clock, 0) },
		Reopen: func(t *testing.T, s *bellhop.Store, clock bellhop.Clock) *bellhop.Store {
			if err := s.Admin.Close(); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			url, n := urls[s], times[s]
			mu.Unlock()
			return begin(t, url, clock, n+1)
		},
		Beside: func(t *testing.T, s *bellhop.Store, clock bellhop.Clock) *bellhop.Store {
			mu.Lock()
			url, n := urls[s], times[s]
			mu.Unlock()
			return begin(t, url, clock, n)
		},
	})
}
