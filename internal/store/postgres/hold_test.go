package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/jackc/pgx/v5"
)

// TestAHoldWaitsForClaimsUnderWay: when PutHold has returned, no claim that
// did not see the hold is still to come.
func TestAHoldWaitsForClaimsUnderWay(t *testing.T) {
	address := pgtest.URL(t)
	s := withJob(t, open(t, address, nil))
	_, err := s.Queue.Submit(ctx, []bellhop.Submission{submission("a", "k", 0)})
	must(t, err)
	conn, err := pgx.Connect(ctx, address)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(ctx) })
	_, err = conn.Exec(ctx, fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock_shared(%d, 0)", postgres.LockClassHolds)) // a claim of another server
	must(t, err)
	put := make(chan error, 1)
	go func() {
		_, err := s.Holds.PutHold(ctx, "h", bellhop.Hold{Kind: bellhop.HoldPause, Service: "bench", From: time.Now(), At: time.Now()})
		put <- err
	}()
	for waits, deadline := false, time.Now().Add(within); !waits; {
		select {
		case err := <-put:
			t.Fatalf("the hold was put while a claim was under way: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
		must(t, conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))").Scan(&waits))
		if time.Now().After(deadline) {
			t.Fatal("the hold neither waits nor is put")
		}
	}
	_, err = conn.Exec(ctx, "COMMIT")
	must(t, err)
	must(t, <-put)
	runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 9, Now: time.Now().Add(time.Minute), Lease: time.Minute})
	must(t, err)
	if len(runs) != 0 {
		t.Errorf("%d runs were claimed under a pause", len(runs))
	}
}
