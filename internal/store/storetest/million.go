package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// BenchSearches times searches in a store that has many runs: the first page
// of each, and the slowest and the number of those that follow it.
func BenchSearches(b *testing.B, s *bellhop.Store) {
	b.Helper()
	ended := []bellhop.State{bellhop.Failed}
	for _, c := range []struct {
		name string
		s    bellhop.RunSearch
	}{
		{"all", bellhop.RunSearch{}},
		{"job", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Service: "bench", Job: "even"}}},
		{"rare job", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Job: "rare"}}},
		{"failed", bellhop.RunSearch{RunFilter: bellhop.RunFilter{States: ended}}},
		{"timed out, none", bellhop.RunSearch{RunFilter: bellhop.RunFilter{States: []bellhop.State{bellhop.TimedOut}}}},
		{"waiting or failed", bellhop.RunSearch{RunFilter: bellhop.RunFilter{States: []bellhop.State{bellhop.Waiting, bellhop.Failed}}}},
		{"principal", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Principal: "alice"}}},
		{"job and principal that never meet", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Job: "even", Principal: "bob"}}},
		{"job, failed, that never meet", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Job: "odd", States: ended}}},
		{"verdict FAIL", bellhop.RunSearch{Verdicts: []bellhop.Verdict{bellhop.Fail}}},
		{"verdict REGRESSION", bellhop.RunSearch{Verdicts: []bellhop.Verdict{bellhop.Regression}}},
		{"verdict FIXED", bellhop.RunSearch{Verdicts: []bellhop.Verdict{bellhop.Fixed}}},
		{"verdict ERROR, none", bellhop.RunSearch{Verdicts: []bellhop.Verdict{bellhop.Broken}}},
		{"source, all", bellhop.RunSearch{Source: "bench"}},
		{"source, none", bellhop.RunSearch{Source: "slack"}},
		{"arg, a third", bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: "env", Prefix: "prod"}}},
		{"arg, one", bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: "n", Prefix: "500000"}}},
		{"arg, none", bellhop.RunSearch{Arg: bellhop.ArgPrefix{Name: "env", Prefix: "none"}}},
		{"arg and job, none", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Job: "even"}, Arg: bellhop.ArgPrefix{Name: "env", Prefix: "none"}}},
		{"all of them, none", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Job: "even", Principal: "alice"}, Verdicts: []bellhop.Verdict{bellhop.Success}, Source: "bench", Arg: bellhop.ArgPrefix{Name: "env", Prefix: "none"}}},
		{"the oldest days", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Until: time.Now().Add(-29 * 24 * time.Hour)}}},
		{"arg in a day, none", bellhop.RunSearch{RunFilter: bellhop.RunFilter{Since: time.Now().Add(-24 * time.Hour)}, Arg: bellhop.ArgPrefix{Prefix: "none"}}},
		{"newer", bellhop.RunSearch{After: 500_000}},
		{"newer, arg, none", bellhop.RunSearch{After: 500_000, Arg: bellhop.ArgPrefix{Name: "env", Prefix: "none"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var first, slowest time.Duration
			pages, runs := 0, 0
			for range b.N {
				search := c.s
				pages, runs = 0, 0
				for {
					begin := time.Now()
					page, err := s.Records.Search(context.Background(), search)
					took := time.Since(begin)
					if err != nil {
						b.Fatal(err)
					}
					if pages++; pages == 1 {
						first = took
					}
					runs += len(page.Runs)
					slowest = max(slowest, took)
					if page.Next == 0 || pages == 200 {
						break
					}
					if search.After > 0 {
						search.After = page.Next
					} else {
						search.Before = page.Next
					}
				}
			}
			b.ReportMetric(float64(first.Microseconds())/1e3, "first-ms")
			b.ReportMetric(float64(slowest.Microseconds())/1e3, "slowest-ms")
			b.ReportMetric(float64(pages), "pages")
			b.ReportMetric(float64(runs), "found")
		})
	}
}

// BenchTallies times how long it takes to count a million runs that ended in 30
// days, and those of a quarter of an hour.
func BenchTallies(b *testing.B, s *bellhop.Store) {
	b.Helper()
	now := time.Now()
	for _, c := range []struct {
		name     string
		n        int
		of, from time.Duration
	}{
		{"30 days, one by one", 30, 24 * time.Hour, 30 * 24 * time.Hour},
		{"24 hours, in quarters", 96, 15 * time.Minute, 24 * time.Hour},
		{"a quarter of an hour", 1, 15 * time.Minute, 48 * time.Hour},
	} {
		b.Run(c.name, func(b *testing.B) {
			var n int64
			for range b.N {
				n = 0
				for i := range c.n {
					since := now.Add(-c.from + time.Duration(i)*c.of)
					all, err := s.Records.Tally(context.Background(), since, since.Add(c.of))
					if err != nil {
						b.Fatal(err)
					}
					for _, t := range all {
						n += t.Count
					}
				}
			}
			b.ReportMetric(float64(n), "counted")
		})
	}
}
