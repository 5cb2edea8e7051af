package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

// logs is what was logged, from any goroutine.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestWrongURLs: each fault names the thing and the remedy, and never the
// password.
func TestWrongURLs(t *testing.T) {
	server := pgtest.Start(t, "fsync=off")
	good := server.URL(t)
	pgtest.Exec(t, good, `CREATE ROLE guest LOGIN PASSWORD 'hunter2'; CREATE ROLE barred LOGIN PASSWORD 'hunter2'`)
	pgtest.Exec(t, good, `DO $$ BEGIN
  EXECUTE format('COPY (VALUES (''local all bellhop trust''), (''local all barred reject''), (''local all all scram-sha-256'')) TO %L', current_setting('hba_file'));
END $$`)
	server.Stop()
	server.Start(t)
	as := func(user, password string) string {
		return strings.Replace(good, "bellhop@", user+":"+password+"@", 1)
	}
	for name, c := range map[string]struct {
		url  string
		code bellhop.Code
		want []string
	}{
		"not a URL":        {"postgres://u:hunter2@host:port/db", bellhop.Invalid, []string{"postgres://USER:PASSWORD@HOST:PORT/DATABASE"}},
		"% in a password":  {"postgres://u:hunter2%zz@host/db", bellhop.Invalid, []string{"%40 for @"}},
		"unknown host":     {"postgres://u:hunter2@nowhere.invalid/db", bellhop.Unavailable, []string{`"nowhere.invalid" is not known`, "`store:`"}},
		"nothing there":    {"postgres://u:hunter2@127.0.0.1:1/db", bellhop.Unavailable, []string{"127.0.0.1:1/db", "nothing answers", "start the database"}},
		"no such socket":   {"postgres://u:hunter2@/db?host=/nowhere", bellhop.Unavailable, []string{"/nowhere", "nothing answers"}},
		"wrong password":   {as("guest", "hunter2hunter2"), bellhop.Invalid, []string{`password of user "guest"`, "correct it"}},
		"no password":      {as("guest", ""), bellhop.Invalid, []string{`password of user "guest"`}},
		"barred":           {as("barred", "hunter2"), bellhop.Invalid, []string{`does not let user "barred" in`, "pg_hba.conf"}},
		"no such database": {strings.Replace(as("bellhop", "hunter2"), "/bellhop_", "/other_", 1), bellhop.Invalid, []string{`no database "other_`, "createdb"}},
		"no TLS":           {"postgres://u:hunter2@" + plain(t) + "/db?sslmode=require", bellhop.Invalid, []string{"speaks no TLS", "ssl = on", "sslmode=disable"}},
		"no such setting":  {good + "&sslmod=disable", bellhop.Invalid, []string{`knows no setting "sslmod"`, "correct it"}},
		"a wrong setting":  {good + "&work_mem=lots", bellhop.Invalid, []string{`another value for the setting "work_mem"`}},
		"no right":         {as("guest", "hunter2"), bellhop.Invalid, []string{`user "guest" may not make tables`, "GRANT CREATE ON DATABASE"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log logs
			_, err := postgres.Open(t.Context(), postgres.Options{URL: c.url, Log: log.logger()})
			if bellhop.CodeOf(err) != c.code {
				t.Fatalf("error is %v (%s), want code %s", err, bellhop.CodeOf(err), c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %q, want %q in it", err, want)
				}
			}
			if e := err.(*bellhop.Error); strings.Contains(fmt.Sprint(e, e.Err, log.String()), "hunter2") {
				t.Errorf("the password shows: %v; %v; %s", e, e.Err, log.String())
			}
		})
	}
}

// plain is the address of a server that speaks no TLS.
func plain(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var done sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		done.Wait()
	})
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, 8)) // SSLRequest
			_, _ = c.Write([]byte("N"))
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

func TestAnOldServerIsRefused(t *testing.T) {
	err := postgres.CheckServer(140011)
	if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), "is Postgres 14; Bellhop needs 15 or later") {
		t.Errorf("error is %v", err)
	}
	if err := postgres.CheckServer(150000); err != nil {
		t.Errorf("15.0: %v", err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	url := pgtest.URL(t)
	open(t, url, nil)
	pgtest.Exec(t, url, "INSERT INTO bellhop.goose_db_version (version_id, is_applied) VALUES (99, true)")
	_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if bellhop.CodeOf(err) != bellhop.Invalid || !regexp.MustCompile(`the database's schema is 99, this binary knows \d+; use a newer bellhop`).MatchString(err.Error()) {
		t.Errorf("error is %v", err)
	}
}

func TestServersThatStartAtOnceShareOneStore(t *testing.T) {
	url := pgtest.URL(t)
	var mu sync.Mutex
	ids := map[string]int{}
	var wg, ready sync.WaitGroup
	const servers = 10
	ready.Add(servers)
	for range servers {
		wg.Go(func() {
			ready.Done()
			ready.Wait()
			s, err := postgres.Open(context.Background(), postgres.Options{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Admin.Close() }()
			mu.Lock()
			defer mu.Unlock()
			ids[s.ID]++
			if !s.Shared {
				t.Error("the store does not say that it is shared")
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("stores are %v, want one", ids)
	}
}

func TestBackupNamesTheRemedy(t *testing.T) {
	url := pgtest.URL(t)
	s := open(t, url, nil)
	path := filepath.Join(t.TempDir(), "copy")
	err := s.Admin.Backup(t.Context(), path)
	if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("there is something at the path: %v", err)
	}
}
