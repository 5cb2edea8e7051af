package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/cli"
)

// run runs one command line and returns what it printed.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var files [3]*os.File
	for i, name := range []string{"in", "out", "err"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	status = cli.Run(args, cli.Stdio{In: files[0], Out: files[1], Err: files[2]})
	out, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	told, err := os.ReadFile(filepath.Join(dir, "err"))
	if err != nil {
		t.Fatal(err)
	}
	return status, string(out), string(told)
}

// content lists the files of a folder with their sizes.
func content(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = info.Size()
	}
	return all
}

func TestBenchLeavesTheFolderAsItWas(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BENCH_DIR", dir)
	for _, path := range []string{filepath.Join(dir, "new.db"), empty} {
		store := "sqlite:${BENCH_DIR}/" + filepath.Base(path) // as a password would be
		status, out, told := run(t, "bench", "--store", store, "--submit", "50", "--callers", "4", "--work", "50", "--slots", "8")
		if status != 0 {
			t.Fatalf("exit %d: %s", status, told)
		}
		for line := range strings.Lines(out) {
			var l struct {
				Peer, Note string
				N          int
				Rate       json.Number `json:"rate_per_s"`
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Peer != "bellhop" || l.N != 50 || !strings.HasPrefix(l.Note, "sqlite, WAL, synchronous=FULL; ") {
				t.Errorf("%v: %s", err, line)
			}
			if _, decimals, _ := strings.Cut(string(l.Rate), "."); len(decimals) > 1 {
				t.Errorf("the rate is %s, want one decimal", l.Rate)
			}
		}
		if got := content(t, dir); len(got) != 1 || got["empty.db"] != 0 {
			t.Errorf("after measuring in %s the folder holds %v, want the empty file alone", filepath.Base(path), got)
		}
	}
}

func TestBenchTouchesNothingOfOthers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"full.db", "other.db-wal", "third.db.lock"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link.db")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := content(t, dir)
	for _, name := range []string{"full.db", "other.db", "third.db", "link.db", "folder.db"} {
		status, out, told := run(t, "bench", "--store", "sqlite:"+filepath.Join(dir, name), "--submit", "1")
		if status != 5 || out != "" || !strings.Contains(told, "is there already") {
			t.Errorf("%s: exit %d, %s%s", name, status, out, told)
		}
	}
	after := content(t, dir)
	for name, size := range before {
		if after[name] != size {
			t.Errorf("%s had %d bytes and has %d", name, size, after[name])
		}
	}
	if len(after) != len(before) {
		t.Errorf("the folder holds %v, and held %v", after, before)
	}
}

func TestBenchSaysWhatIsWrong(t *testing.T) {
	fine := "sqlite:" + filepath.Join(t.TempDir(), "bench.db")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no store":        {[]string{"--submit", "1"}, "--store is missing"},
		"unknown store":   {[]string{"--store", "mysql://me:secret@there/db"}, `"mysql" is not a store that is known`},
		"no file":         {[]string{"--store", "sqlite:"}, "names no file"},
		"in memory":       {[]string{"--store", "sqlite::memory:"}, "names no file"},
		"no variable":     {[]string{"--store", "${BELLHOP_NO_SUCH}/x"}, "the environment variable BELLHOP_NO_SUCH is not set"},
		"half a variable": {[]string{"--store", "${BELLHOP_NO_SUCH"}, "write ${NAME}"},
		"no folder":       {[]string{"--store", "sqlite:" + filepath.Join(t.TempDir(), "none", "bench.db"), "--submit", "1"}, "does not exist; make it"},
		"not a number":    {[]string{"--store", fine, "--submit", "many"}, `--submit is "many"; it takes a whole number from 1 up`},
		"nought":          {[]string{"--store", fine, "--work", "0"}, `--work is "0"`},
		"too large":       {[]string{"--store", fine, "--history", "99999999999"}, "--history is"},
		"not a duration":  {[]string{"--store", fine, "--latency", "5", "--for", "long"}, "--for: "},
		"no time":         {[]string{"--store", fine, "--latency", "5", "--for", "0s"}, "--for is 0s"},
		"no command":      {[]string{"--store", fine, "--exec", "5"}, "needs a command after --"},
		"command alone":   {[]string{"--store", fine, "--submit", "1", "--", "true"}, "has no --exec N"},
		"without dashes":  {[]string{"--store", fine, "--exec", "1", "true"}, "a command to run stands after --"},
		"without program": {[]string{"--store", fine, "--exec", "1", "--", ""}, "can't be a job"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, told := run(t, append([]string{"bench"}, tt.args...)...)
			if status != 2 || out != "" || !strings.Contains(told, tt.want) {
				t.Errorf("exit %d, want 2 and %q; told: %s%s", status, tt.want, out, told)
			}
			if strings.Contains(told, "secret") {
				t.Error("a password is told")
			}
		})
	}
}
