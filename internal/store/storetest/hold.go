package storetest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/bellhop-io/bellhop"
)

// putHold writes a hold of example by alice from now on, changed by what h
// says, under a key of its own.
func (f *fixture) putHold(h bellhop.Hold) bellhop.Hold {
	f.Helper()
	f.n++
	return f.putHoldAs(fmt.Sprintf("hold:%d", f.n), h)
}

func (f *fixture) putHoldAs(key string, h bellhop.Hold) bellhop.Hold {
	f.Helper()
	if h.Service == "" {
		h.Service = "example"
	}
	if h.Kind == "" {
		h.Kind = bellhop.HoldSuppress
	}
	if h.From.IsZero() {
		h.From = f.now()
	}
	h.By, h.At = "alice", f.now()
	out, err := f.s.Holds.PutHold(f.ctx, key, h)
	f.must(err)
	return out
}

func (f *fixture) endHolds(filter bellhop.HoldFilter) []int64 {
	f.Helper()
	f.n++
	out, err := f.s.Holds.EndHolds(f.ctx, fmt.Sprintf("end:%d", f.n), filter, "bob", f.now())
	f.must(err)
	return holdIDs(out)
}

func (f *fixture) holds(filter bellhop.HoldFilter) []int64 {
	f.Helper()
	out, err := f.s.Holds.Holds(f.ctx, filter, f.now())
	f.must(err)
	return holdIDs(out)
}

func holdIDs(holds []bellhop.Hold) []int64 {
	out := []int64{}
	for _, h := range holds {
		out = append(out, h.ID)
	}
	return out
}

// passing is a clock by which time passes between any two looks at it.
type passing struct {
	*Clock
	step atomic.Int64
}

// Now returns what the clock shows then.
func (p *passing) Now() time.Time {
	p.Advance(time.Duration(p.step.Load()))
	return p.Clock.Now()
}

func holdTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Hold/AKeyThatMadeNoneOrOneThatIsForgottenIsAConflict": func(f *fixture) {
			h := bellhop.Hold{Kind: bellhop.HoldSuppress, Service: "example", From: f.now(), Until: f.now().Add(time.Hour), By: "alice", At: f.now()}
			first := f.putHoldAs("k", h)
			f.same("again", f.putHoldAs("k", h), first)
			f.clock.Advance(2 * time.Hour)
			f.must(f.s.Retention.ForgetHolds(f.ctx, f.now()))
			f.submit(key("run"))
			f.cancel(bellhop.Cancellation{Key: "cancel", Run: 1, All: true, Principal: "alice"})
			for _, key := range []string{"k", "run", "cancel"} {
				_, err := f.s.Holds.PutHold(f.ctx, key, h)
				f.code(err, bellhop.Conflict)
			}
			f.same("holds", f.holds(bellhop.HoldFilter{Over: true}), []int64{})
		},
		"Hold/AClaimIsJudgedByWhenItIsMade": func(f *fixture) {
			clock := &passing{Clock: NewClock(f.now())}
			f.s = f.driver.Open(f.T, clock)
			f.must(f.s.Definitions.PutDefinitions(f.ctx, []bellhop.Definition{{Digest: Job().Digest(), Job: Job()}}))
			f.submit(job("example", "held"))
			f.submit(job("example", "late"), deadline(time.Second))
			f.submit(job("example", "free"))
			f.putHold(bellhop.Hold{Job: "held", From: f.now().Add(time.Second), Until: f.now().Add(time.Hour)})
			f.putHold(bellhop.Hold{Job: "free", Until: f.now().Add(time.Second)})
			f.submit(in(time.Minute), deadline(time.Second)) // the next one is later than that
			clock.step.Store(int64(2 * time.Second))
			runs, next := f.claimNext(9, 1, 2)
			f.same("claimed, of two", ids(runs), []bellhop.RunID{})
			f.same("next", next, f.now().Add(time.Hour))
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{3})
		},
		"Hold/KeepsRunsFromStartingWhileItIsOpen": func(f *fixture) {
			f.submit()
			f.submit(job("example", "bye"))
			f.submit(job("other", "hello"))
			until := f.now().Add(time.Hour)
			f.putHold(bellhop.Hold{Job: "hello", Until: until})
			runs, next := f.claimNext(9)
			f.same("claimed", ids(runs), []bellhop.RunID{2, 3})
			f.same("next", next, until)
			f.same("state", f.run(1).State, bellhop.Waiting)
			f.clock.Advance(time.Hour - time.Microsecond)
			runs, next = f.claimNext(9)
			f.same("claimed before its end", len(runs), 0)
			f.same("next", next, until)
			f.clock.Advance(time.Microsecond)
			runs, next = f.claimNext(9)
			f.same("claimed at its end", ids(runs), []bellhop.RunID{1})
			f.same("next", next, time.Time{})
		},
		"Hold/OfAServiceCoversEveryJob": func(f *fixture) {
			f.submit()
			f.submit(job("example", "bye"))
			f.submit(job("other", "bye"))
			f.putHold(bellhop.Hold{})
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{3})
		},
		"Hold/WithArgsCoversRunsThatHaveThem": func(f *fixture) {
			a := func(env string) spec {
				return args(bellhop.Args{"env": bellhop.Text(env), "name": bellhop.Text("x")})
			}
			f.submit(a("live"))
			f.submit(a("test"))
			f.submit()
			f.putHold(bellhop.Hold{Args: bellhop.Args{"env": bellhop.Text("live")}})
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2, 3})
		},
		"Hold/OnlyFromItsBeginningOn": func(f *fixture) {
			f.submit()
			f.submit(in(2 * time.Minute))
			f.putHold(bellhop.Hold{From: f.now().Add(time.Minute), Until: f.now().Add(time.Hour)})
			runs, next := f.claimNext(9)
			f.same("before it", ids(runs), []bellhop.RunID{1})
			f.same("next", next, f.now().Add(2*time.Minute))
			f.clock.Advance(2 * time.Minute)
			runs, next = f.claimNext(9)
			f.same("within it", len(runs), 0)
			f.same("next", next, f.now().Add(58*time.Minute))
		},
		"Hold/APauseLastsUntilItIsEnded": func(f *fixture) {
			f.submit()
			h := f.putHold(bellhop.Hold{Kind: bellhop.HoldPause})
			f.clock.Advance(1000 * time.Hour)
			runs, next := f.claimNext(9)
			f.same("claimed", len(runs), 0)
			f.same("next", next, time.Time{})
			f.reopen()
			f.same("claimed after a restart", len(f.claim(9)), 0)
			f.same("ended", f.endHolds(bellhop.HoldFilter{}), []int64{h.ID})
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{1})
		},
		"Hold/NextDoesNotComeFromOneThatKeepsNothingBack": func(f *fixture) {
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			_, next := f.claimNext(9)
			f.same("next", next, time.Time{})
			f.submit(in(time.Hour))
			_, next = f.claimNext(9)
			f.same("next", next, f.now().Add(time.Hour))
		},
		"Hold/OverlappingOnesAreEachObeyed": func(f *fixture) {
			f.submit()
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Hour)})
			f.putHold(bellhop.Hold{Job: "hello", Until: f.now().Add(2 * time.Hour)})
			_, next := f.claimNext(9)
			f.same("next", next, f.now().Add(time.Hour))
			f.clock.Advance(time.Hour)
			runs, next := f.claimNext(9)
			f.same("after the first", len(runs), 0)
			f.same("next", next, f.now().Add(time.Hour))
			f.clock.Advance(time.Hour)
			f.same("after the second", ids(f.claim(9)), []bellhop.RunID{1})
		},
		"Hold/EndedEarlyAnotherStillHolds": func(f *fixture) {
			f.submit()
			a := f.putHold(bellhop.Hold{Until: f.now().Add(time.Hour)})
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			f.same("claimed", len(f.claim(9)), 0)
			f.endHolds(bellhop.HoldFilter{ID: a.ID})
			runs, next := f.claimNext(9)
			f.same("claimed", len(runs), 0)
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(time.Minute)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{1})
		},
		"Hold/ThoseKeptBackTakeTheirPlaceAgain": func(f *fixture) {
			f.submit(in(-time.Hour))
			f.submit(in(-time.Minute), priority(5))
			f.submit(in(-2 * time.Minute))
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			f.same("claimed", len(f.claim(9)), 0)
			f.clock.Advance(time.Minute)
			f.submit()
			f.submit(in(-90 * time.Minute))
			f.same("order", ids(f.claim(9)), []bellhop.RunID{2, 5, 1, 3, 4})
		},
		"Hold/PutAfterTheRunsWereLookedAt": func(f *fixture) {
			f.submit(limit("k", 1))
			f.submit(limit("k", 1))
			c := f.claimOne()
			f.same("kept back by the limit", len(f.claim(9)), 0)
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			f.finish(f.ending(ref(c)))
			f.same("claimed", len(f.claim(9)), 0)
			f.clock.Advance(time.Minute)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2})
		},
		"Hold/LeavesWhatRuns": func(f *fixture) {
			f.submit()
			c := f.claimOne()
			f.putHold(bellhop.Hold{})
			f.same("extension", f.extend(ref(c)), []bellhop.Extension{{}})
			f.finish(f.again(ref(c), bellhop.EndFailed, 0))
			f.same("claimed again", len(f.claim(9)), 0)
		},
		"Hold/OneKeptBackDoesNotKeepItsKeyFromOthers": func(f *fixture) {
			f.submit(limit("k", 1))
			c := f.claimOne()
			f.submit(limit("k", 1))
			third := f.submit(limit("k", 1), job("other", "hello"))
			f.same("kept back", len(f.claim(9)), 0)
			f.putHold(bellhop.Hold{})
			f.finish(f.ending(ref(c)))
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{third.Run})
		},
		"Hold/ObeyedAmongThose": func(f *fixture) {
			f.submit()
			f.submit(job("other", "hello"))
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			runs, next := f.claimNext(9, 1, 2)
			f.same("claimed", ids(runs), []bellhop.RunID{2})
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(time.Minute)
			runs, _ = f.claimNext(9, 1)
			f.same("claimed", ids(runs), []bellhop.RunID{1})
		},
		"Hold/ARunKeptBackIsCancelledAndMergedAsAnyOther": func(f *fixture) {
			f.submit(merge("m"))
			f.submit()
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			f.same("claimed", len(f.claim(9)), 0)
			f.same("merged", f.submit(merge("m"), by("bob"), in(time.Hour)).How, bellhop.Merged)
			f.cancel(bellhop.Cancellation{Run: 2, All: true, Principal: "alice"})
			f.clock.Advance(time.Minute)
			runs, next := f.claimNext(9)
			f.same("claimed", len(runs), 0)
			f.same("next", next, f.now().Add(59*time.Minute))
		},
		"Hold/ManyKeptBackDoNotHideOthers": func(f *fixture) {
			var subs []bellhop.Submission
			for range 600 {
				subs = append(subs, f.submission(in(-time.Hour)))
			}
			subs = append(subs, f.submission(job("other", "hello")))
			_, err := f.s.Queue.Submit(f.ctx, subs)
			f.must(err)
			until := f.now().Add(time.Minute)
			f.putHold(bellhop.Hold{Until: until})
			var got []bellhop.RunID
			for {
				runs, next := f.claimNext(10)
				got = append(got, ids(runs)...)
				if next.After(f.now()) || next.IsZero() {
					f.same("next", next, until)
					break
				}
			}
			f.same("claimed", got, []bellhop.RunID{601})
			f.clock.Advance(time.Minute)
			got = nil
			for {
				runs, next := f.claimNext(100)
				got = append(got, ids(runs)...)
				if next.IsZero() {
					break
				}
				f.same("next is later than now", next.After(f.now()), false)
			}
			f.same("claimed afterwards", len(got), 600)
		},
		"Hold/IsReadBackAsItWasWritten": func(f *fixture) {
			h := f.putHold(bellhop.Hold{Job: "hello", Args: bellhop.Args{"env": bellhop.Text("1.10"), "l": bellhop.List("a")}, From: f.now().Add(time.Minute), Until: f.now().Add(time.Hour)})
			f.same("hold", h, bellhop.Hold{
				ID: h.ID, Kind: bellhop.HoldSuppress, Service: "example", Job: "hello", Args: bellhop.Args{"env": bellhop.Text("1.10"), "l": bellhop.List("a")},
				From: f.now().Add(time.Minute), Until: f.now().Add(time.Hour), By: "alice", At: f.now(),
			})
			p := f.putHold(bellhop.Hold{Kind: bellhop.HoldPause})
			f.reopen()
			got, err := f.s.Holds.Holds(f.ctx, bellhop.HoldFilter{}, f.now())
			f.must(err)
			f.same("holds", got, []bellhop.Hold{p, h})
		},
		"Hold/TheSameKeyIsTheSameHold": func(f *fixture) {
			h := f.putHoldAs("k", bellhop.Hold{Job: "hello"})
			f.clock.Advance(time.Second)
			f.reopen()
			f.same("again", f.putHoldAs("k", bellhop.Hold{Job: "bye"}), h)
			f.same("holds", f.holds(bellhop.HoldFilter{}), []int64{h.ID})
			f.same("the key made no run", f.submit(key("k")), bellhop.Submitted{How: bellhop.Repeated})
		},
		"Hold/FilterSaysWhichAreMeant": func(f *fixture) {
			live := bellhop.Args{"env": bellhop.Text("live")}
			hour := f.now().Add(time.Hour)
			f.putHold(bellhop.Hold{Until: hour})                            // 1
			f.putHold(bellhop.Hold{Job: "hello", Until: hour})              // 2
			f.putHold(bellhop.Hold{Job: "hello", Args: live, Until: hour})  // 3
			f.putHold(bellhop.Hold{Kind: bellhop.HoldPause, Job: "bye"})    // 4
			f.putHold(bellhop.Hold{Service: "other", Until: hour})          // 5
			f.putHold(bellhop.Hold{From: hour, Until: hour.Add(time.Hour)}) // 6
			f.putHold(bellhop.Hold{From: f.now().Add(-time.Second)})        // 7
			hello, none := "hello", ""
			all, err := f.s.Holds.Holds(f.ctx, bellhop.HoldFilter{}, f.now())
			f.must(err)
			id := map[int64]int{} // by the order of putting
			for _, h := range all {
				id[h.ID] = 0
			}
			f.same("different ids", len(id), 7)
			put := holdIDs(all)                            // by From, then ID: 7, 1 ... 6
			put = append(put[1:len(put):len(put)], put[0]) // in the order of putting
			want := func(n ...int) []int64 {
				out := []int64{}
				for _, i := range n {
					out = append(out, put[i-1])
				}
				return out
			}
			for _, c := range []struct {
				name   string
				filter bellhop.HoldFilter
				want   []int64
			}{
				{"all, by From, then ID", bellhop.HoldFilter{}, want(7, 1, 2, 3, 4, 5, 6)},
				{"id", bellhop.HoldFilter{ID: put[4]}, want(5)},
				{"kind", bellhop.HoldFilter{Kind: bellhop.HoldPause}, want(4)},
				{"service", bellhop.HoldFilter{Service: "other"}, want(5)},
				{"job", bellhop.HoldFilter{Service: "example", Job: &hello}, want(2, 3)},
				{"whole service", bellhop.HoldFilter{Service: "example", Job: &none}, want(7, 1, 6)},
				{"args", bellhop.HoldFilter{Args: live}, want(3)},
				{"without args", bellhop.HoldFilter{Job: &hello, Args: bellhop.Args{}}, want(2)},
			} {
				f.same(c.name, f.holds(c.filter), c.want)
			}
			f.same("ended", f.endHolds(bellhop.HoldFilter{Service: "example", Job: &hello}), want(2, 3))
			f.same("left", f.holds(bellhop.HoldFilter{}), want(7, 1, 4, 5, 6))
			f.clock.Advance(time.Hour)
			f.same("not over", f.holds(bellhop.HoldFilter{}), want(7, 4, 6))
			f.same("over too", f.holds(bellhop.HoldFilter{Over: true}), want(7, 1, 2, 3, 4, 5, 6))
		},
		"Hold/EndingSaysWhoAndWhenAndIsRepeatedByKey": func(f *fixture) {
			f.submit()
			h := f.putHold(bellhop.Hold{Until: f.now().Add(time.Hour)})
			f.clock.Advance(time.Minute)
			first, err := f.s.Holds.EndHolds(f.ctx, "k", bellhop.HoldFilter{}, "bob", f.now())
			f.must(err)
			h.Ended, h.EndedBy = f.now(), "bob"
			f.same("ended", first, []bellhop.Hold{h})
			other := f.putHold(bellhop.Hold{})
			f.reopen()
			again, err := f.s.Holds.EndHolds(f.ctx, "k", bellhop.HoldFilter{}, "carol", f.now().Add(time.Second))
			f.must(err)
			f.same("again", again, first)
			f.same("left", f.holds(bellhop.HoldFilter{}), []int64{other.ID})
			all, err := f.s.Holds.Holds(f.ctx, bellhop.HoldFilter{Over: true}, f.now())
			f.must(err)
			f.same("kept", all[0], h)
		},
		"Hold/WhatIsOverIsNotEndedAgain": func(f *fixture) {
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			f.clock.Advance(time.Minute)
			f.same("ended", f.endHolds(bellhop.HoldFilter{}), []int64{})
			out, err := f.s.Holds.EndHolds(f.ctx, "nothing", bellhop.HoldFilter{}, "bob", f.now())
			f.must(err)
			f.same("ended", len(out), 0)
			f.putHold(bellhop.Hold{})
			out, err = f.s.Holds.EndHolds(f.ctx, "nothing", bellhop.HoldFilter{}, "bob", f.now())
			f.must(err)
			f.same("the key of an ending of nothing, again", len(out), 0)
		},
	}
}
