package storetest

import (
	"cmp"
	"slices"
	"time"

	"github.com/bellhop-io/bellhop"
)

func tallyTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Tally/WhatEndedIsCounted": func(f *fixture) {
			begun := f.now()
			for range 3 {
				f.submit(job("example", "hello"))
			}
			for i, took := range []time.Duration{50 * time.Millisecond, time.Second, 5 * time.Hour} {
				runs, _ := f.claimNext(1, bellhop.RunID(i+1))
				f.clock.Advance(took)
				f.finish(f.ending(ref(runs[0])))
			}
			fourth := f.submit(job("example", "bye")).Run
			runs, _ := f.claimNext(1, fourth)
			f.clock.Advance(time.Minute - time.Microsecond)
			f.finish(f.failing(ref(runs[0])))
			end := f.now()
			f.submit(job("example", "bye")) // ends without an attempt
			f.cancel(bellhop.Cancellation{Run: fourth + 1, All: true})
			f.submit() // waits
			tally := func(since, until time.Time) []bellhop.Tally {
				f.Helper()
				all, err := f.s.Records.Tally(f.ctx, since, until)
				f.must(err)
				slices.SortFunc(all, func(a, b bellhop.Tally) int {
					return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.State, b.State))
				})
				return all
			}
			hello := bellhop.Tally{Service: "example", Job: "hello", State: bellhop.Succeeded, Verdict: bellhop.Success, Count: 3, Timed: 3, Took: 5*time.Hour + 1050*time.Millisecond}
			hello.Spread[0], hello.Spread[3], hello.Spread[12] = 1, 1, 1
			bye := bellhop.Tally{Service: "example", Job: "bye", State: bellhop.Failed, Verdict: bellhop.Fail, Count: 1, Timed: 1, Took: time.Minute - time.Microsecond}
			bye.Spread[6] = 1
			gone := bellhop.Tally{Service: "example", Job: "bye", State: bellhop.Cancelled, Verdict: bellhop.Aborted, Count: 1}
			f.same("all", tally(begun, end.Add(time.Second)), []bellhop.Tally{gone, bye, hello})
			f.same("before it ended", len(tally(begun, end)), 1)
			f.same("from when it ended on", tally(end, end.Add(time.Microsecond)), []bellhop.Tally{gone, bye})
			f.same("later", len(tally(end.Add(time.Microsecond), end.Add(time.Hour))), 0)
			f.reopen()
			f.same("after a restart", len(tally(begun, end.Add(time.Second))), 3)
		},
	}
}
