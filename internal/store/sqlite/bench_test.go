package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

func benchJob() bellhop.Job {
	return bellhop.Job{Service: "bench", Name: "nop", Executor: "shell", Spec: []byte(`{}`)}
}

func openBench(b *testing.B) *bellhop.Store {
	b.Helper()
	return openBenchAt(b, filepath.Join(b.TempDir(), "bench.db"))
}

func openBenchAt(b *testing.B, path string) *bellhop.Store {
	b.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Admin.Close() })
	job := benchJob()
	if err := s.Definitions.PutDefinitions(context.Background(), []bellhop.Definition{{Digest: job.Digest(), Job: job}}); err != nil {
		b.Fatal(err)
	}
	return s
}

// benchSubmission is one run with arguments of its own, so that a merge is
// looked for and never found.
func benchSubmission(digest string, i int64, limit int) bellhop.Submission {
	now := time.Now()
	return bellhop.Submission{
		Now: now,
		Run: bellhop.RunSpec{
			Service: "bench", Job: "nop", Digest: digest, Args: bellhop.Args{"n": bellhop.Text(fmt.Sprint(i))},
			Start: now, MergeKey: fmt.Sprint(digest, i), ConcurrencyKey: fmt.Sprint("nop-", i%97), Concurrency: limit,
		},
		Ask: bellhop.Ask{
			Principal: "alice", Identity: "ssh:alice", Key: fmt.Sprintf("bench:%012d", i), At: now,
			Origin: bellhop.Origin{Source: "bench", Channel: "c", Person: "ssh:alice"},
		},
	}
}

// parallel runs fn n times on the given number of goroutines.
func parallel(b *testing.B, callers int, fn func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	errs := make(chan error, callers)
	for range callers {
		go func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					errs <- nil
					return
				}
				if err := fn(i); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
}

// cpu returns how much of the processors' time this process has taken, which
// tells more than the clock on a machine that does other things too.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perRun reports what one run has cost since the timer was reset.
func perRun(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e3, "cpu-us/run")
}

// benchAudited is benchSubmission with the record of its decision.
func benchAudited(digest string, i int64, limit int) bellhop.Submission {
	s := benchSubmission(digest, i, limit)
	s.Audit = &bellhop.AuditRecord{
		At: s.Now, Action: "run", Principal: "alice", Identity: "ssh:alice", Source: "bench", Channel: "c", Service: "bench", Job: "nop",
		Args: s.Run.Args, Allowed: true, Rule: "services.bench.access[0] (bellhop.yaml:12)",
	}
	return s
}

// BenchmarkSubmit: 64 callers, each with one submission at a time.
func BenchmarkSubmit(b *testing.B) {
	for _, limit := range []int{0, 1} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) { benchSubmit(b, limit, benchSubmission) })
		b.Run(fmt.Sprintf("limit=%d,audit", limit), func(b *testing.B) { benchSubmit(b, limit, benchAudited) })
	}
}

func benchSubmit(b *testing.B, limit int, make func(string, int64, int) bellhop.Submission) {
	b.Helper()
	s, digest := openBench(b), benchJob().Digest()
	if err := s.Audit.Begin(context.Background(), "bench", []byte("0123456789abcdef0123456789abcdef"), time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	parallel(b, 64, func(i int64) error {
		_, err := s.Queue.Submit(context.Background(), []bellhop.Submission{make(digest, i, limit)})
		return err
	})
	perRun(b, before)
}

// BenchmarkWork: a full queue is claimed in batches and finished by no-op
// workers in batches, each run with its report.
func BenchmarkWork(b *testing.B) {
	for _, limit := range []int{0, 1} {
		for _, size := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("limit=%d/batch=%d", limit, size), func(b *testing.B) { benchWork(b, limit, size) })
		}
	}
}

// fillBench submits b.N runs.
func fillBench(b *testing.B, s *bellhop.Store, digest string, limit int) {
	b.Helper()
	for i := 0; i < b.N; {
		var subs []bellhop.Submission
		for ; i < b.N && len(subs) < 1000; i++ {
			subs = append(subs, benchSubmission(digest, int64(i), limit))
		}
		if _, err := s.Queue.Submit(ctx, subs); err != nil {
			b.Fatal(err)
		}
	}
}

// noOps are the ends of runs that had nothing to do.
func noOps(runs []bellhop.ClaimedRun, now time.Time) []bellhop.Ending {
	ends := make([]bellhop.Ending, len(runs))
	for i, r := range runs {
		zero := 0
		ends[i] = bellhop.Ending{
			Ref: bellhop.LeaseRef{Run: r.Run.ID, Lease: r.Lease}, Now: now, End: bellhop.EndSucceeded, ExitStatus: &zero,
			State: bellhop.Succeeded, Report: bellhop.ReportOutcome,
			Verdict: func(bellhop.State) bellhop.Verdict { return bellhop.Success },
		}
	}
	return ends
}

func benchWork(b *testing.B, limit, size int) {
	ctx := context.Background()
	s, digest := openBench(b), benchJob().Digest()
	fillBench(b, s, digest, limit)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	workers := max(4, 64/size)
	var left atomic.Int64
	left.Store(int64(b.N))
	errs := make(chan error, workers)
	for range workers {
		go func() {
			for left.Load() > 0 {
				now := time.Now()
				runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{Runner: "r", N: size, Now: now, Lease: time.Minute})
				if err != nil {
					errs <- err
					return
				}
				if len(runs) > 0 {
					if _, err := s.Queue.Finish(ctx, noOps(runs, now)); err != nil {
						errs <- err
						return
					}
				}
				left.Add(int64(-len(runs)))
			}
			errs <- nil
		}()
	}
	for range workers {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	perRun(b, before)
}

// BenchmarkHistory works on a store that has run many runs already.
func BenchmarkHistory(b *testing.B) {
	for _, history := range []int{0, 1_000_000} {
		b.Run(fmt.Sprint(history), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "bench.db")
			s, digest := openBenchAt(b, path), benchJob().Digest()
			if _, err := s.Queue.Submit(ctx, []bellhop.Submission{benchSubmission(digest, -1, 0)}); err != nil {
				b.Fatal(err)
			}
			if err := s.Admin.Close(); err != nil {
				b.Fatal(err)
			}
			execSQL(b, path, fmt.Sprintf(`DELETE FROM queue; WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n LIMIT %d)
  INSERT INTO run SELECT i, job, definition, created + i, NULL, NULL, 0, principal, NULL, ask, args FROM n, run WHERE id = 1 AND %[1]d > 0`, history))
			execSQL(b, path, `INSERT INTO ended SELECT id, 4, 1, 0, 1, 1, 1, 0, 0, 0, created, 0, created, created, 'r', NULL, NULL, NULL FROM run`)
			execSQL(b, path, `INSERT INTO report SELECT id << 24, 0, 1, 2, 2, 0, created, created, created, principal, NULL, NULL, NULL, NULL FROM run`)
			execSQL(b, path, `INSERT INTO key SELECT 'history:' || printf('%012d', id), id, created, NULL FROM run WHERE id > 1`)
			s = openBenchAt(b, path)
			fillBench(b, s, digest, 0)
			b.ResetTimer()
			benchClaims(b, s, 16)
		})
	}
}

// benchClaims claims and ends all runs, and reports what a claim takes.
func benchClaims(b *testing.B, s *bellhop.Store, size int) {
	b.Helper()
	var took time.Duration
	claims := 0
	for left := b.N; left > 0; claims++ {
		now := time.Now()
		runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{Runner: "r", N: size, Now: now, Lease: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		took += time.Since(now)
		left -= len(runs)
		if _, err := s.Queue.Finish(ctx, noOps(runs, now)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(took.Microseconds())/float64(claims), "us/claim")
}

// BenchmarkClaimWhileForgetting reports the waits of claims while old runs,
// each with a little output, are deleted as fast as can be.
func BenchmarkClaimWhileForgetting(b *testing.B) {
	s, digest := openBench(b), benchJob().Digest()
	const old = 20_000
	var ids []bellhop.RunID
	for len(ids) < old {
		var subs []bellhop.Submission
		for i := range 500 {
			subs = append(subs, benchSubmission(digest, int64(-1-len(ids)-i), 0))
		}
		if _, err := s.Queue.Submit(ctx, subs); err != nil {
			b.Fatal(err)
		}
		runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{N: 500, Now: time.Now(), Lease: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		ends := noOps(runs, time.Now())
		for i := range ends {
			ids = append(ids, ends[i].Ref.Run)
			ends[i].Output = &bellhop.OutputBatch{Chunks: []bellhop.Chunk{{Seq: 1, Channel: bellhop.Stdout, Data: make([]byte, 2000)}}}
		}
		if _, err := s.Queue.Finish(ctx, ends); err != nil {
			b.Fatal(err)
		}
	}
	fillBench(b, s, digest, 0)
	forgotten := make(chan time.Duration, 1)
	go func() {
		start := time.Now()
		if _, err := s.Retention.Forget(ctx, ids, nil); err != nil {
			b.Error(err)
		}
		forgotten <- time.Since(start)
	}()
	b.ResetTimer()
	var waits []time.Duration
	for range b.N {
		now := time.Now()
		runs, _, err := s.Queue.Claim(ctx, bellhop.ClaimRequest{Runner: "r", N: 1, Now: now, Lease: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		waits = append(waits, time.Since(now))
		if _, err := s.Queue.Finish(ctx, noOps(runs, now)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(old/(<-forgotten).Seconds(), "forgotten/s")
}
