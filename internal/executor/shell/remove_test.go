package shell_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bellhop-io/bellhop/internal/executor/shell"
)

// asAnybody has the rest of the test run as a user whose rights are checked,
// and returns a folder of that user's.
func asAnybody(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bellhop-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() != 0 {
		return dir
	}
	const nobody = 65534
	if err := os.Chown(dir, nobody, -1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setreuid(-1, nobody); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			t.Fatal(err)
		}
	})
	return dir
}

// TestFoldersThatCantBeRemoved: a run that leaves its own folder so that
// nothing can be removed from it neither leaves it for ever nor keeps the next
// server from starting; and what its links lead to stays as it is.
func TestFoldersThatCantBeRemoved(t *testing.T) {
	home := asAnybody(t)
	e := shell.New(shell.Options{Home: home, StoreID: "test"})
	defer e.Close()
	mine := filepath.Join(home, "mine")
	locked := filepath.Join(home, ".bellhop", "runs", "test", "000001-1-x", "locked")
	deep := filepath.Join(locked, "deep")
	for _, dir := range []string{mine, deep} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(mine, filepath.Join(deep, "link")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{mine, deep, locked} {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	if err := e.Recover(t.Context()); err != nil {
		t.Errorf("the next server does not start: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(home, ".bellhop", "runs", "test")); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	info, err := os.Stat(mine)
	if err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("what a link led to was changed: %v, %v", info.Mode(), err)
	}
}
