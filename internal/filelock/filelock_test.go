//go:build unix

package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bellhop-io/bellhop/internal/filelock"
)

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.lock")
	first, err := filelock.Take(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = filelock.Take(path)
	if held, ok := errors.AsType[*filelock.HeldError](err); !ok || held.PID != os.Getpid() {
		t.Fatalf("the second lock: %v, want one that names process %d", err, os.Getpid())
	}
	first.Release()
	first.Release()
	second, err := filelock.Take(path)
	if err != nil {
		t.Fatalf("after it was let go: %v", err)
	}
	second.Release()
	if _, err := filelock.Take(filepath.Join(t.TempDir(), "no", "x.lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}
