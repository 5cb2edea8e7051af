package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// TestPlans asks SQLite how it would run the hot statements.
func TestPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	open(t, path, nil)
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	for query, want := range sqlite.HotStatements() {
		args := make([]any, strings.Count(query, "?"))
		rows, err := db.Query("EXPLAIN QUERY PLAN "+query, args...)
		must(t, err)
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			must(t, rows.Scan(&id, &parent, &unused, &detail))
			// What a subquery gave may be scanned.
			if strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "(subquery") && !strings.Contains(detail, "CONSTANT ROW") {
				t.Errorf("%s\n  reads it all: %s", query, detail)
			}
			if strings.Contains(detail, "TEMP B-TREE") && !strings.HasPrefix(query, "SELECT 0 n") {
				t.Errorf("%s\n  sorts: %s", query, detail)
			}
			plan.WriteString(detail + "\n")
		}
		must(t, errors.Join(rows.Err(), rows.Close()))
		for _, w := range want {
			if !strings.Contains(plan.String(), w) {
				t.Errorf("%s\n  does not use %s:\n%s", query, w, plan.String())
			}
		}
	}
}

// TestAFailingOperationFailsAlone has many callers share commits with one whose
// operation fails half-way.
func TestAFailingOperationFailsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	execSQL(t, path, `CREATE TRIGGER bad BEFORE INSERT ON run WHEN NEW.principal = (SELECT id FROM principal WHERE name = 'mallory') BEGIN SELECT RAISE(ABORT, 'bad'); END`)
	var wg sync.WaitGroup
	const callers = 64
	for i := range callers * 4 {
		wg.Go(func() {
			sub := hello(fmt.Sprint("k", i))
			if i%callers == 7 {
				sub.Ask.Principal = "mallory"
			}
			_, err := s.Queue.Submit(ctx, []bellhop.Submission{hello(fmt.Sprint("before", i)), sub})
			if bad := i%callers == 7; bad != (bellhop.CodeOf(err) == bellhop.Internal) || !bad && err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	execSQL(t, path, `DROP TRIGGER bad`)
	runs, err := s.Records.Runs(ctx, bellhop.RunFilter{})
	must(t, err)
	if want := 2*callers*4 - 2*4; len(runs) != want {
		t.Errorf("%d runs, want %d", len(runs), want)
	}
	if runs[0].ID != bellhop.RunID(len(runs)) {
		t.Errorf("the last of %d runs is %d", len(runs), runs[0].ID)
	}
	out, err := s.Queue.Submit(ctx, []bellhop.Submission{hello("k7"), hello("before7")})
	must(t, err)
	if out[0].How != bellhop.Created || out[1].How != bellhop.Created {
		t.Errorf("something was left of what failed: %+v", out)
	}
}

// TestGivenUpCallsLeaveNothingOpen cancels calls at all moments.
func TestGivenUpCallsLeaveNothingOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	var mu sync.Mutex
	told := map[string]bool{} // by key: whether it was written, as far as the caller knows
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			c, cancel := context.WithTimeout(ctx, time.Duration(i%40)*50*time.Microsecond)
			defer cancel()
			key := fmt.Sprint("k", i)
			_, err := s.Queue.Submit(c, []bellhop.Submission{hello(key)})
			if err != nil && (bellhop.CodeOf(err) != bellhop.Unavailable || !errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("%v", err)
			}
			_, readErr := s.Records.Runs(c, bellhop.RunFilter{})
			if readErr != nil && bellhop.CodeOf(readErr) != bellhop.Unavailable {
				t.Errorf("reading: %v", readErr)
			}
			mu.Lock()
			defer mu.Unlock()
			told[key] = err == nil
		})
	}
	wg.Wait()
	execSQL(t, path, `PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK`)
	written := 0
	for key, was := range told {
		out, err := s.Queue.Submit(ctx, []bellhop.Submission{hello(key)})
		must(t, err)
		if was != (out[0].How == bellhop.Repeated) {
			t.Errorf("%s: told %v, and then it was %s", key, was, out[0].How)
		}
		if was {
			written++
		}
	}
	if written == 0 || written == len(told) {
		t.Logf("%d of %d calls were written: this run shows little", written, len(told))
	}
}

// TestWrittenIsDurable opens a copy of the files as they lie on the disk when
// a call has returned: what a machine would find that lost its process then.
func TestWrittenIsDurable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	s := withJob(t, path)
	for i := range 3 {
		id := submit(t, s, fmt.Sprint("k", i))
		image := filepath.Join(dir, fmt.Sprint("image", i))
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(path + suffix)
			must(t, err)
			must(t, os.WriteFile(image+suffix, b, 0o600))
		}
		again := open(t, image, nil)
		out, err := again.Queue.Submit(ctx, []bellhop.Submission{hello(fmt.Sprint("k", i))})
		must(t, err)
		if out[0].Run != id || out[0].How != bellhop.Repeated {
			t.Errorf("after a crash: %+v, want run %d", out[0], id)
		}
	}
}

// TestClosingAnswersEverybody closes a store in full use.
func TestClosingAnswersEverybody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := map[bellhop.RunID]bool{}
	first := make(chan struct{})
	var once sync.Once
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				out, err := s.Queue.Submit(ctx, []bellhop.Submission{hello(fmt.Sprint("k", w, "-", i))})
				if bellhop.CodeOf(err) == bellhop.Unavailable {
					return
				} else if err != nil {
					t.Errorf("%v", err)
					return
				}
				mu.Lock()
				written[out[0].Run] = true
				mu.Unlock()
				once.Do(func() { close(first) })
			}
		})
	}
	<-first
	must(t, s.Admin.Close())
	wg.Wait()
	again := open(t, path, nil)
	runs, err := again.Records.Runs(ctx, bellhop.RunFilter{})
	must(t, err)
	if len(runs) != len(written) {
		t.Errorf("%d runs are in the store, %d were confirmed", len(runs), len(written))
	}
}
