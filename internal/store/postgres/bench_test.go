package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
)

func benchJob() bellhop.Job {
	return bellhop.Job{Service: "bench", Name: "nop", Executor: "shell", Spec: []byte(`{}`)}
}

func openBench(b *testing.B) *bellhop.Store {
	b.Helper()
	s, err := postgres.Open(context.Background(), postgres.Options{URL: pgtest.Start(b, "max_connections=100").URL(b)}) // fsync is on
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
	parallel(b, 64, func(i int64) error {
		_, err := s.Queue.Submit(context.Background(), []bellhop.Submission{make(digest, i, limit)})
		return err
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}

// BenchmarkWork: a full queue is claimed in batches and finished by no-op
// workers in batches, each run with its report.
func BenchmarkWork(b *testing.B) {
	for _, limit := range []int{0, 1} {
		for _, size := range []int{16, 64, 512} {
			b.Run(fmt.Sprintf("limit=%d/batch=%d", limit, size), func(b *testing.B) { benchWork(b, limit, size) })
		}
	}
}

func benchWork(b *testing.B, limit, size int) {
	ctx := context.Background()
	s, digest := openBench(b), benchJob().Digest()
	for i := 0; i < b.N; {
		var subs []bellhop.Submission
		for ; i < b.N && len(subs) < 1000; i++ {
			subs = append(subs, benchSubmission(digest, int64(i), limit))
		}
		if _, err := s.Queue.Submit(ctx, subs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	workers := max(2, 64/size)
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
				ends := make([]bellhop.Ending, len(runs))
				for i, r := range runs {
					zero := 0
					ends[i] = bellhop.Ending{
						Ref: bellhop.LeaseRef{Run: r.Run.ID, Lease: r.Lease}, Now: now, End: bellhop.EndSucceeded, ExitStatus: &zero,
						State: bellhop.Succeeded, Report: bellhop.ReportOutcome,
						Verdict: func(bellhop.State) bellhop.Verdict { return bellhop.Success },
					}
				}
				if len(ends) > 0 {
					if _, err := s.Queue.Finish(ctx, ends); err != nil {
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}
