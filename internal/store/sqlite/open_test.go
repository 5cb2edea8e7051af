package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
	"github.com/bellhop-io/bellhop/internal/store/storetest"
)

var ctx = context.Background()

// refused opens path and returns the error, which has the code and says all of
// the words.
func refused(t *testing.T, path string, code bellhop.Code, words ...string) {
	t.Helper()
	s, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err == nil {
		_ = s.Admin.Close()
		t.Fatalf("%s was opened", path)
	}
	if bellhop.CodeOf(err) != code {
		t.Fatalf("code %q, want %q: %v (%v)", bellhop.CodeOf(err), code, err, errors.Unwrap(err))
	}
	for _, w := range append(words, path) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has several lines", err)
	}
}

// hello is a submission of the suite's job under a key.
func hello(key string) bellhop.Submission {
	return bellhop.Submission{
		Now: time.Now(),
		Run: bellhop.RunSpec{Service: "example", Job: "hello", Digest: storetest.Job().Digest(), Start: time.Now()},
		Ask: bellhop.Ask{Principal: "alice", Identity: "ssh:alice", Key: key},
	}
}

// withJob opens a store that knows the suite's job.
func withJob(t testing.TB, path string) *bellhop.Store {
	t.Helper()
	s := open(t, path, nil)
	must(t, s.Definitions.PutDefinitions(ctx, []bellhop.Definition{{Digest: storetest.Job().Digest(), Job: storetest.Job()}}))
	return s
}

func submit(t testing.TB, s *bellhop.Store, key string) bellhop.RunID {
	t.Helper()
	out, err := s.Queue.Submit(ctx, []bellhop.Submission{hello(key)})
	must(t, err)
	return out[0].Run
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (%v)", err, errors.Unwrap(err))
	}
}

// execSQL changes a closed store behind its back.
func execSQL(t testing.TB, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.Exec(query)
	must(t, errors.Join(err, db.Close()))
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }

	must(t, os.WriteFile(path("text"), bytes.Repeat([]byte("not a database\n"), 500), 0o644))
	refused(t, path("text"), bellhop.Invalid, "not an SQLite database")
	if info, _ := os.Stat(path("text")); info.Mode().Perm() != 0o644 {
		t.Errorf("mode of a foreign file was changed to %v", info.Mode())
	}

	execSQL(t, path("foreign"), `CREATE TABLE theirs (x)`)
	refused(t, path("foreign"), bellhop.Invalid, "another program")

	refused(t, dir, bellhop.Invalid, "is a folder")
	refused(t, path("no/such/store.db"), bellhop.NotFound, "folder "+path("no/such"), "does not exist")

	newer := path("newer")
	must(t, open(t, newer, nil).Admin.Close())
	execSQL(t, newer, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, 1)`)
	refused(t, newer, bellhop.Invalid, "newer Bellhop", "version 4711", "up to 4")
	if _, err := sqlite.OpenReadOnly(ctx, sqlite.Options{Path: newer}); bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), "4711") {
		t.Errorf("for reading: %v", err)
	}

	s, err := sqlite.Open(ctx, sqlite.Options{})
	if s != nil || bellhop.CodeOf(err) != bellhop.Invalid {
		t.Errorf("without a path: %v", err)
	}
}

func TestADamagedFileIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := withJob(t, path)
	submit(t, s, "k")
	must(t, s.Admin.Close())
	b, err := os.ReadFile(path)
	must(t, err)
	for i := 4096; i < len(b); i++ { // all but the first page
		b[i] = 0x55
	}
	must(t, os.WriteFile(path, b, 0o600))
	refused(t, path, bellhop.Internal, "damaged", "backup")
}

func TestASecondServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	s := open(t, path, nil)
	link := filepath.Join(dir, "link.db")
	must(t, os.Symlink(path, link))
	wd, err := os.Getwd()
	must(t, err)
	relative, err := filepath.Rel(wd, path)
	must(t, err)
	for name, p := range map[string]string{"same": path, "link": link, "relative": relative} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlite.Open(ctx, sqlite.Options{Path: p})
			if bellhop.CodeOf(err) != bellhop.Conflict || !regexp.MustCompile(`in use by another server \(process \d+\); stop`).MatchString(err.Error()) {
				t.Fatalf("error is %v", err)
			}
		})
	}
	must(t, s.Admin.Ping(ctx))
	must(t, s.Admin.Close())
	must(t, open(t, link, nil).Admin.Close())
}

// TestTheLockDiesWithItsProcess kills a process that holds a store, and opens
// the store at once.
func TestTheLockDiesWithItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldForAnother$")
	cmd.Env = append(os.Environ(), "BELLHOP_TEST_HOLD="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	buf := make([]byte, 5)
	_, err = out.Read(buf)
	must(t, err)
	refused(t, path, bellhop.Conflict, "process")
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	s := open(t, path, nil)
	run, err := s.Records.Run(ctx, 1)
	must(t, err)
	if run.State != bellhop.Waiting {
		t.Errorf("state %s", run.State)
	}
}

// TestHoldForAnother is the process of TestTheLockDiesWithItsProcess.
func TestHoldForAnother(t *testing.T) {
	path := os.Getenv("BELLHOP_TEST_HOLD")
	if path == "" {
		return // run as itself, it has nothing to show
	}
	submit(t, withJob(t, path), "k")
	_, _ = os.Stdout.WriteString("ready")
	time.Sleep(time.Minute)
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store #1?%41.db")
	s := withJob(t, path)
	submit(t, s, "k")
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", info.Name(), info.Mode())
		}
	}
	must(t, s.Admin.Close())
	must(t, os.Chmod(path, 0o644))
	open(t, path, nil)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("a file that others could read was left so: %v", info.Mode())
	}
}

// TestSettings asks the file and SQLite what the promises rest on.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, nil)
	if n, err := sqlite.Setting(s, "synchronous"); n != 2 || err != nil {
		t.Errorf("synchronous is %d (%v), want 2: a commit would not wait for the disk", n, err)
	}
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	for query, want := range map[string]string{
		`PRAGMA journal_mode`: "wal", `PRAGMA auto_vacuum`: "2", `PRAGMA application_id`: "1113943148",
		`SELECT sqlite_version() >= '3.51.3'`: "1", // earlier ones can damage a WAL that is reset
	} {
		var got string
		must(t, db.QueryRow(query).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", query, got, want)
		}
	}
}

// TestLibcIsTheDriversOwn: modernc.org/sqlite works with exactly the libc that
// its go.mod names.
func TestLibcIsTheDriversOwn(t *testing.T) {
	list := func(args ...string) string {
		out, err := exec.Command("go", append([]string{"list", "-m", "-f"}, args...)...).Output()
		must(t, err)
		return strings.TrimSpace(string(out))
	}
	gomod, err := os.ReadFile(list("{{.GoMod}}", "modernc.org/sqlite"))
	must(t, err)
	want := regexp.MustCompile(`modernc.org/libc (\S+)`).FindSubmatch(gomod)
	if got := list("{{.Version}}", "modernc.org/libc"); want == nil || got != string(want[1]) {
		t.Errorf("modernc.org/libc is %s in go.mod; modernc.org/sqlite asks for %s", got, want)
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	if _, err := sqlite.OpenReadOnly(ctx, sqlite.Options{Path: path}); bellhop.CodeOf(err) != bellhop.NotFound {
		t.Fatalf("without a file: %v", err)
	}
	s := withJob(t, path)
	submit(t, s, "k")
	check := func(t *testing.T) {
		ro, err := sqlite.OpenReadOnly(ctx, sqlite.Options{Path: path})
		must(t, err)
		defer func() { must(t, ro.Admin.Close()) }()
		if ro.ID != s.ID {
			t.Errorf("id %q, want %q", ro.ID, s.ID)
		}
		run, err := ro.Records.Run(ctx, 1)
		must(t, err)
		if run.AskedBy != "alice" {
			t.Errorf("run %+v", run)
		}
		_, waiting, _, err := ro.Records.Active(ctx, 1)
		must(t, err)
		if len(waiting) != 1 {
			t.Errorf("waiting: %v", waiting)
		}
		_, err = ro.Definitions.Definition(ctx, storetest.Job().Digest())
		must(t, err)
		_, err = ro.Outputs.Output(ctx, 1, 0, 0, 10)
		must(t, err)
		_, err = ro.Outbox.Unread(ctx, "alice", "", 10)
		must(t, err)
		must(t, ro.Admin.Ping(ctx))
		for name, err := range map[string]error{
			"Submit": second(ro.Queue.Submit(ctx, []bellhop.Submission{hello("x")})),
			"Cancel": second(ro.Queue.Cancel(ctx, bellhop.Cancellation{Run: 1, All: true})),
			"Lost":   second(ro.Queue.Lost(ctx)),
			"Settle": ro.Outbox.Settle(ctx, nil),
		} {
			if bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), "reading only") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	t.Run("while a server runs", check)
	must(t, s.Admin.Close())
	t.Run("without a server", check)
}

func second[T any](_ T, err error) error { return err }

func TestBackup(t *testing.T) {
	dir := t.TempDir()
	s := withJob(t, filepath.Join(dir, "store.db"))
	submit(t, s, "k")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // in use meanwhile
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				submit(t, s, "more:"+string(rune('a'+i%26))+time.Now().String())
			}
		}
	}()
	path := filepath.Join(dir, "copy.db")
	must(t, s.Admin.Backup(ctx, path))
	close(stop)
	<-done
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	copied := open(t, path, nil)
	if copied.ID != s.ID {
		t.Errorf("id %q, want %q", copied.ID, s.ID)
	}
	_, err := copied.Records.Run(ctx, 1)
	must(t, err)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	gone := filepath.Join(dir, "gone.db")
	if err := s.Admin.Backup(ended, gone); bellhop.CodeOf(err) != bellhop.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("a backup that nobody waits for: %v", err)
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left of it: %v", err)
	}
}

// TestLockNamesNobodyAfterAClose: a number that stays behind may be another
// process's by the time that somebody kills it.
func TestLockNamesNobodyAfterAClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bellhop.db")
	for range 2 { // the file that stays is locked again
		s := open(t, path, nil)
		if b, err := os.ReadFile(path + ".lock"); err != nil || strings.TrimSpace(string(b)) != strconv.Itoa(os.Getpid()) {
			t.Errorf("while it is open: %q, %v", b, err)
		}
		refused(t, path, bellhop.Conflict, "process "+strconv.Itoa(os.Getpid()))
		must(t, s.Admin.Close())
		if b, err := os.ReadFile(path + ".lock"); err != nil || len(b) > 0 {
			t.Errorf("after a close: %q, %v", b, err)
		}
	}
}
