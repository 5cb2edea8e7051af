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
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// smallDisk mounts a file system in a folder until the test ends.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatalf("a small tmpfs can't be mounted: %v; run this test as root", err)
		}
		t.Skipf("a small tmpfs can't be mounted (%v); run this test as root", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	return dir
}

// fillUp takes all that is free on a small disk.
func fillUp(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}

// TestDiskFull fills the disk, makes room again, and counts.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, "3m")
	s := withJob(t, filepath.Join(dir, "store.db"))
	t.Cleanup(func() { must(t, s.Admin.Close()) }) // before the unmounting
	ids := map[bellhop.RunID]string{}
	claimed := func() bellhop.ClaimedRun {
		ids[submit(t, s, "first")] = "first"
		runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 1, Now: hello("").Now.Add(1e9), Lease: 1e12})
		must(t, err)
		return runs[0]
	}()

	for round := range 3 {
		fillUp(t, dir)
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
		must(t, os.Remove(filepath.Join(dir, "filler")))
		ids[submit(t, s, fmt.Sprint("again", round))] = "again"
		must(t, s.Admin.Ping(ctx))
	}
	runs, err := s.Records.Runs(ctx, bellhop.RunFilter{})
	must(t, err)
	if len(runs) != len(ids) {
		t.Errorf("%d runs, %d were accepted", len(runs), len(ids))
	}
}

// TestAStoreDoesNotChokeOnItsOwnLog lets a store have a small disk for itself,
// until it accepts nothing more. What runs can end, what is old can be deleted,
// and then there is room again: neither is so when the log has all that the
// file would need to take it in.
func TestAStoreDoesNotChokeOnItsOwnLog(t *testing.T) {
	dir := smallDisk(t, "12m")
	path := filepath.Join(dir, "store.db")
	s := withJob(t, path)
	t.Cleanup(func() { must(t, s.Admin.Close()) }) // before the unmounting
	accepted := 0
	fill := func() {
		t.Helper()
		for i := 0; ; i++ {
			subs := make([]bellhop.Submission, 20)
			for j := range subs {
				subs[j] = hello(fmt.Sprintf("%d-%d", accepted, j))
				subs[j].Run.Args = bellhop.Args{"who": bellhop.Text(strings.Repeat("x", 500))}
			}
			_, err := s.Queue.Submit(ctx, subs)
			if err == nil {
				accepted += len(subs)
				continue
			}
			if bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), "free some room") {
				t.Fatal(err)
			}
			return
		}
	}
	for range 3 {
		before := accepted
		fill()
		if accepted == before {
			t.Fatalf("nothing was accepted after %d, though there is room again", accepted)
		}
		fillUp(t, dir)
		out, err := s.Queue.Submit(ctx, []bellhop.Submission{hello("0-0")})
		must(t, err)
		if out[0].How != bellhop.Repeated {
			t.Errorf("an ask that was accepted before is %s", out[0].How)
		}
		must(t, os.Remove(filepath.Join(dir, "filler")))
		var ended []bellhop.RunID
		for len(ended) < 400 { // as many as make room for another one
			claimed, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 10, Now: hello("").Now.Add(1e9), Lease: 1e12})
			must(t, err)
			ends := make([]bellhop.Ending, len(claimed))
			for i, c := range claimed {
				ref := bellhop.LeaseRef{Run: c.Run.ID, Lease: c.Lease}
				ends[i] = bellhop.Ending{Ref: ref, Now: hello("").Now.Add(2e9), End: bellhop.EndSucceeded, State: bellhop.Succeeded}
				ended = append(ended, c.Run.ID)
			}
			errs, err := s.Queue.Finish(ctx, ends)
			must(t, errors.Join(append(errs, err)...))
		}
		n, err := s.Retention.Forget(ctx, ended, nil)
		must(t, err)
		if n != len(ended) {
			t.Errorf("%d of %d were deleted", n, len(ended))
		}
		for more := true; more; {
			more, err = s.Retention.Shrink(ctx)
			must(t, err)
		}
	}
	log, err := os.Stat(path + "-wal")
	must(t, err)
	t.Logf("%d accepted, a log of %d KiB", accepted, log.Size()>>10)
	if log.Size() > 4<<20 {
		t.Errorf("the log has %d bytes of 12 MB", log.Size())
	}
}

// TestOpenOnAFullDisk finds no room even for the index of the log.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "3m")
	path := filepath.Join(dir, "store.db")
	must(t, withJob(t, path).Admin.Close())
	fillUp(t, dir)
	refused(t, path, bellhop.Unavailable, "the disk is full", "free some room")
	must(t, os.Remove(filepath.Join(dir, "filler")))
	s := open(t, path, nil)
	submit(t, s, "k")
	must(t, s.Admin.Close()) // before the unmounting
}

// TestTheLogFollowsTheDisk: the limit of the log is that of the room there is,
// from the beginning and while the store is open.
func TestTheLogFollowsTheDisk(t *testing.T) {
	for free, want := range map[int64]int64{
		0: 64, 1 << 20: 64, 2 << 20: 128, 11 << 20: 512, 40 << 20: 2048, 62 << 20: 2048, 63 << 20: 4000, 1 << 40: 4000, 1 << 60: 4000,
	} {
		if got := sqlite.LogLimit(free); got != want {
			t.Errorf("with %d bytes free: %d pages, want %d", free, got, want)
		}
	}
	dir := smallDisk(t, "12m")
	s := open(t, filepath.Join(dir, "store.db"), nil)
	defer func() { must(t, s.Admin.Close()) }() // before the unmounting
	limit := func(want int64) {
		t.Helper()
		n, err := sqlite.Setting(s, "wal_autocheckpoint")
		must(t, err)
		kept, err := sqlite.Setting(s, "journal_size_limit")
		must(t, err)
		if n != want || kept != want*4096 {
			t.Errorf("the log is emptied after %d pages and keeps %d bytes, want %d pages", n, kept, want)
		}
	}
	limit(512)
	must(t, os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 9<<20), 0o600))
	limit(128)
	must(t, os.Remove(filepath.Join(dir, "filler")))
	limit(512)
}
