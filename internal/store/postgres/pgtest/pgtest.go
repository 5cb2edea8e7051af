// Package pgtest gives tests a Postgres of their own: one for a test process,
// started when it is first needed and gone with the process, however that
// ends. With BELLHOP_TEST_POSTGRES it uses the server at that URL instead.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTime bounds how long a server may take to start: it is a safety net for
// machines that do a lot of other things.
const startTime = 2 * time.Minute

// Server is a Postgres server on a Unix socket.
type Server struct {
	programs string // folder
	folder   string
	settings []string
	owner    *syscall.Credential // nil: whoever runs the test

	mu   sync.Mutex
	cmd  *exec.Cmd
	hold io.WriteCloser // the server ends when it is closed
}

var shared = sync.OnceValues(func() (*Server, error) {
	return newServer("fsync=off", "synchronous_commit=on", "full_page_writes=off", "max_connections=400")
})

// URL makes an empty database and returns its URL. It is dropped when the test
// ends. Where there is no Postgres the test is skipped, or fails when
// BELLHOP_TEST_REQUIRE is all.
func URL(t testing.TB) string {
	t.Helper()
	if given := os.Getenv("BELLHOP_TEST_POSTGRES"); given != "" {
		return database(t, given)
	}
	s, err := shared()
	if err != nil {
		missing(t, err)
	}
	return s.URL(t)
}

// A database that others are copies of.
var (
	model   string
	modelMu sync.Mutex
)

// Prepared is as URL, but the database is a copy of one that prepare was
// called for, once in a test process: so migrations need not be made for each
// test. Every call must be given the same prepare.
func Prepared(t testing.TB, prepare func(url string)) string {
	t.Helper()
	if os.Getenv("BELLHOP_TEST_POSTGRES") != "" { // nothing may be left there
		url := URL(t)
		prepare(url)
		return url
	}
	s, err := shared()
	if err != nil {
		missing(t, err)
	}
	modelMu.Lock() // also for copies: a model has one at a time
	defer modelMu.Unlock()
	if model == "" {
		name := "model_" + strings.ToLower(rand.Text()[:16])
		must(t, run(s.admin(), "CREATE DATABASE "+name))
		prepare(at(t, s.admin(), name))
		model = name
	}
	return database(t, s.admin(), "TEMPLATE "+model)
}

// Start starts a server for this test alone, with settings such as "fsync=on".
// It stops when the test ends.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := newServer(settings...)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(func() { s.end("") })
	return s
}

func missing(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errMissing) && os.Getenv("BELLHOP_TEST_REQUIRE") != "all" {
		t.Skip(err)
	}
	t.Fatal(err)
}

// URL makes an empty database on this server.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	return database(t, s.admin())
}

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.folder, ".s.PGSQL.5432") }

func (s *Server) admin() string {
	return "postgres://bellhop@/postgres?host=" + url.QueryEscape(s.folder) + "&port=5432"
}

// database makes one, and returns its URL.
func database(t testing.TB, admin string, like ...string) string {
	t.Helper()
	name := "bellhop_" + strings.ToLower(rand.Text()[:16])
	must(t, run(admin, strings.Join(append([]string{"CREATE DATABASE", name}, like...), " ")))
	t.Cleanup(func() {
		// A server that the test has stopped takes its databases along.
		_ = run(admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	return at(t, admin, name)
}

// at is the URL of another database of the same server.
func at(t testing.TB, admin, name string) string {
	t.Helper()
	u, err := url.Parse(admin)
	must(t, err)
	u.Path = "/" + name
	return u.String()
}

// Exec runs a statement in the database at a URL.
func Exec(t testing.TB, url, sql string) {
	t.Helper()
	must(t, run(url, sql))
}

func run(url, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errMissing = errors.New("Postgres is not installed; on Debian: apt-get install postgresql, or name a server in BELLHOP_TEST_POSTGRES")

// find returns the folder of initdb and postgres: where PATH leads, or where
// Debian puts them.
func find() (string, error) {
	var folders []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			folders = append(folders, filepath.Dir(p))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for i := len(debian) - 1; i >= 0; i-- {
		folders = append(folders, debian[i])
	}
	for _, folder := range folders {
		_, noInit := os.Stat(filepath.Join(folder, "initdb"))
		_, noServer := os.Stat(filepath.Join(folder, "postgres"))
		if noInit == nil && noServer == nil {
			return folder, nil
		}
	}
	return "", errMissing
}

// ordinary returns the user that Postgres runs as when the test is root, which
// Postgres refuses.
func ordinary() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("the test is root, which Postgres refuses, and there is no user postgres or nobody to run it as")
}

func newServer(settings ...string) (s *Server, err error) {
	s = &Server{settings: settings}
	if s.programs, err = find(); err != nil {
		return nil, err
	}
	if s.owner, err = ordinary(); err != nil {
		return nil, err
	}
	// Not where TMPDIR says: the path of a socket must be short.
	if s.folder, err = os.MkdirTemp("/tmp", "bellhop-pg-"); err != nil {
		return nil, err
	}
	if s.owner != nil {
		if err := os.Chown(s.folder, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return nil, err
		}
	}
	initdb := exec.Command(filepath.Join(s.programs, "initdb"), "-D", filepath.Join(s.folder, "data"), "-U", "bellhop", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = &syscall.SysProcAttr{Credential: s.owner}, s.folder
	if out, err := initdb.CombinedOutput(); err != nil {
		_ = os.RemoveAll(s.folder)
		return nil, fmt.Errorf("initdb failed: %w\n%s", err, out)
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
}

// script runs the server until a line says by which signal it is to end, or
// until the test process is gone: then the folder goes as well.
const script = `dir=$1; shift
"$@" >>"$dir/log" 2>&1 </dev/null & pid=$!
read signal
kill -"${signal:-QUIT}" $pid
wait $pid
[ -n "$signal" ] || rm -rf "$dir"`

func (s *Server) begin() error {
	args := []string{"-c", script, "sh", s.folder, filepath.Join(s.programs, "postgres"), "-D", filepath.Join(s.folder, "data"), "-k", s.folder, "-c", "listen_addresses="}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}, s.folder
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd, s.hold = cmd, hold
	s.mu.Unlock()
	for deadline := time.Now().Add(startTime); ; {
		err := run(s.admin(), "SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
			s.end("")
			return fmt.Errorf("Postgres did not start: %w\n%s", err, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// end stops the server by a signal; "" is for good.
func (s *Server) end(signal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		if signal == "" {
			_ = os.RemoveAll(s.folder)
		}
		return
	}
	if signal != "" {
		_, _ = io.WriteString(s.hold, signal+"\n")
	}
	_ = s.hold.Close()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Stop stops the server in good order.
func (s *Server) Stop() { s.end("INT") }

// Crash stops it as a crash does: nothing is tidied up.
func (s *Server) Crash() { s.end("QUIT") }

// Start starts it again.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	must(t, s.begin())
}
