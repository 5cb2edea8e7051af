package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bellhop-io/bellhop"
)

// TestDiskFull fills the disk, makes room again, and counts.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatalf("a small tmpfs can't be mounted: %v; run this test as root", err)
		}
		t.Skipf("a small tmpfs can't be mounted (%v); run this test as root", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	s := withJob(t, filepath.Join(dir, "store.db"))
	t.Cleanup(func() { must(t, s.Admin.Close()) }) // before the unmounting
	ids := map[bellhop.RunID]string{}
	claimed := func() bellhop.ClaimedRun {
		ids[submit(t, s, "first")] = "first"
		runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 1, Now: hello("").Now.Add(1e9), Lease: 1e12})
		must(t, err)
		return runs[0]
	}()

	filler := filepath.Join(dir, "filler")
	for round := range 3 {
		if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("filling the disk: %v", err)
		}
		refusals := 0
		for i := 0; refusals < 5; i++ {
			key := fmt.Sprint(round, "-", i)
			out, err := s.Queue.Submit(ctx, []bellhop.Submission{hello(key)})
			if err == nil {
				ids[out[0].Run] = key
				continue
			}
			refusals++
			if bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), "free some room") {
				t.Fatalf("on a full disk: %v (%v)", err, errors.Unwrap(err))
			}
		}
		for id, key := range ids { // all that was accepted is there to be read
			if _, err := s.Records.Run(ctx, id); err != nil {
				t.Fatalf("run %d of %s: %v", id, key, err)
			}
		}
		ext, err := s.Queue.Extend(ctx, []bellhop.LeaseRef{{Run: claimed.Run.ID, Lease: claimed.Lease}}, 1e12)
		if err != nil || ext[0].Lost {
			t.Fatalf("a lease can't be extended on a full disk: %+v, %v", ext, err)
		}
		must(t, os.Remove(filler))
		ids[submit(t, s, fmt.Sprint("again", round))] = "again"
		must(t, s.Admin.Ping(ctx))
	}
	runs, err := s.Records.Runs(ctx, bellhop.RunFilter{})
	must(t, err)
	if len(runs) != len(ids) {
		t.Errorf("%d runs, %d were accepted", len(runs), len(ids))
	}
}
