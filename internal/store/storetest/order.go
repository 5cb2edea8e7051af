package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

func priority(n int) spec           { return func(s *bellhop.Submission) { s.Run.Priority = n } }
func deadline(d time.Duration) spec { return func(s *bellhop.Submission) { s.Run.Deadline = d } }

func (f *fixture) expire(n int) ([]bellhop.RunID, time.Time) {
	f.Helper()
	gone, next, err := f.s.Queue.Expire(f.ctx, f.now(), n, "not started in time")
	f.must(err)
	if gone == nil {
		gone = []bellhop.RunID{}
	}
	return gone, next
}

// orderTests are about which runs go first, and which are too late to go.
func orderTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Order/PriorityThenStartThenID": func(f *fixture) {
			f.submit(in(-time.Hour))
			f.submit(priority(5))
			f.submit(priority(9), in(-time.Second))
			f.submit(priority(9), in(-time.Minute))
			f.submit(priority(9), in(-time.Second))
			f.same("order", ids(f.claim(3)), []bellhop.RunID{4, 3, 5})
			f.same("order", ids(f.claim(3)), []bellhop.RunID{2, 1})
		},
		"Order/AHighOneThatComesLateGoesFirst": func(f *fixture) {
			f.submit(in(-time.Hour))
			f.submit(in(-time.Hour))
			f.same("first", ids(f.claim(1)), []bellhop.RunID{1})
			f.submit(priority(1), in(time.Minute))
			f.clock.Advance(time.Minute)
			f.submit(priority(1))
			f.same("order", ids(f.claim(9)), []bellhop.RunID{3, 4, 2})
		},
		"Order/PriorityDoesNotMakeTheStartCome": func(f *fixture) {
			f.submit(priority(9), in(time.Minute))
			f.submit()
			runs, next := f.claimNext(9)
			f.same("claimed", ids(runs), []bellhop.RunID{2})
			f.same("next", next, f.now().Add(time.Minute))
		},
		"Order/OfThoseThatALimitKeepsBack": func(f *fixture) {
			f.submit(limit("k", 1))
			low := f.submit(limit("k", 1), in(-time.Second), priority(2))
			c := f.claim(1)[0]
			f.same("claimed", c.Run.ID, low.Run)
			f.same("kept back", len(f.claim(9)), 0)
			high := f.submit(limit("k", 1), priority(9))
			f.finish(f.ending(ref(c)))
			c = f.claimOne()
			f.same("claimed", c.Run.ID, high.Run)
			f.finish(f.ending(ref(c)))
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(1))
		},
		"Order/OnlyAmongThose": func(f *fixture) {
			f.submit()
			f.submit(priority(9))
			f.submit(priority(3))
			runs, next := f.claimNext(2, 1, 2, 3)
			f.same("claimed", ids(runs), []bellhop.RunID{2, 3})
			f.same("next is later than now", next.After(f.now()), false)
			f.same("next is zero", next.IsZero(), false)
		},
		"Order/KeptWhenWaitingAgain": func(f *fixture) {
			f.submit(priority(5))
			c := f.claimOne()
			f.submit(priority(7))
			f.submit(priority(3))
			f.finish(f.again(ref(c), bellhop.EndCrashed, 0))
			f.same("priority", f.run(c.Run.ID).Priority, 5)
			f.same("order", ids(f.claim(9)), []bellhop.RunID{2, 1, 3})
		},
		"Order/BehindKnowsPriorities": func(f *fixture) {
			first := f.submit(limit("k", 1))
			f.same("above", f.submit(limit("k", 1), priority(4)).Behind, bellhop.RunID(0))
			f.same("below", f.submit(limit("k", 1), priority(0)).Behind > first.Run-1, true)
		},
		"Deadline/PassedItIsNotClaimed": func(f *fixture) {
			f.submit(deadline(time.Minute))
			f.submit(in(time.Second), deadline(time.Minute))
			f.submit()
			f.clock.Advance(time.Minute)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{3, 2})
			f.same("state", f.run(1).State, bellhop.Waiting)
			_, waiting, _, err := f.s.Records.Active(f.ctx, 9)
			f.must(err)
			f.same("waiting", runIDs(waiting), []bellhop.RunID{1})
			runs, next := f.claimNext(9, 1)
			f.same("among those", len(runs), 0)
			f.same("next", next, time.Time{})
			_, next = f.claimNext(9)
			f.same("next", next, time.Time{})
		},
		"Deadline/CountsFromTheStartAndForTheFirstAttempt": func(f *fixture) {
			sub := f.submit(in(time.Hour), deadline(time.Minute))
			f.clock.Advance(time.Hour + time.Minute - time.Microsecond)
			c := f.claimOne()
			f.finish(f.again(ref(c), bellhop.EndFailed, time.Hour))
			f.clock.Advance(time.Hour)
			gone, next := f.expire(9)
			f.same("gone", gone, []bellhop.RunID{})
			f.same("next", next, time.Time{})
			f.same("claimed again", f.claimOne().Run.ID, sub.Run)
		},
		"Deadline/OneTooLateDoesNotKeepItsKeyFromOthers": func(f *fixture) {
			f.submit(limit("k", 1))
			c := f.claimOne()
			f.submit(limit("k", 1), deadline(time.Minute))
			f.submit(limit("k", 1))
			f.same("kept back", len(f.claim(9)), 0)
			f.clock.Advance(time.Hour)
			f.finish(f.ending(ref(c)))
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{3})
		},
		"Deadline/MergingMakesItComeAgain": func(f *fixture) {
			f.submit(merge("m"), deadline(time.Minute))
			f.clock.Advance(time.Hour)
			f.same("claimed", len(f.claim(9)), 0)
			f.same("merged", f.submit(merge("m"), deadline(time.Minute)).How, bellhop.Merged)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{1})
		},
		"Expire/EndsThoseThatAreTooLate": func(f *fixture) {
			f.submit(merge("m"), deadline(time.Minute))
			f.submit(merge("m"), deadline(time.Minute), by("bob"))
			f.submit(deadline(time.Hour))
			f.submit()
			gone, next := f.expire(9)
			f.same("too early", gone, []bellhop.RunID{})
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(time.Minute)
			gone, next = f.expire(9)
			f.same("gone", gone, []bellhop.RunID{1})
			f.same("next", next, f.now().Add(59*time.Minute))
			got := f.run(1)
			f.same("state", got.State, bellhop.Cancelled)
			f.same("verdict", got.Verdict, bellhop.Aborted)
			f.same("error", got.Error, "not started in time")
			f.same("finished", *got.Finished, f.now())
			f.same("attempts", got.Attempt, 0)
			f.same("reports", f.reported(), []string{"alice outcome 1 #0", "bob outcome 1 #0"})
			gone, _ = f.expire(9)
			f.same("again", gone, []bellhop.RunID{})
			f.same("the others", ids(f.claim(9)), []bellhop.RunID{2, 3})
		},
		"Expire/AtMostN": func(f *fixture) {
			for range 5 {
				f.submit(deadline(time.Minute))
			}
			f.clock.Advance(time.Hour)
			gone, next := f.expire(3)
			f.same("gone", len(gone), 3)
			f.same("next is later than now", next.After(f.now()), false)
			f.same("next is zero", next.IsZero(), false)
			gone, next = f.expire(3)
			f.same("gone", len(gone), 2)
			f.same("next", next, time.Time{})
		},
		"Expire/LeavesWhatRuns": func(f *fixture) {
			f.submit(deadline(time.Minute))
			c := f.claimOne()
			f.clock.Advance(time.Hour)
			gone, _ := f.expire(9)
			f.same("gone", gone, []bellhop.RunID{})
			f.finish(f.ending(ref(c)))
			f.same("state", f.run(1).State, bellhop.Succeeded)
		},
		"Expire/AlsoThoseThatAreKeptBack": func(f *fixture) {
			f.submit(limit("k", 1))
			f.claimOne()
			f.submit(limit("k", 1), deadline(time.Minute))
			f.submit(job("other", "hello"), deadline(time.Minute))
			f.putHold(bellhop.Hold{Service: "other", Kind: bellhop.HoldPause})
			f.same("kept back", len(f.claim(9)), 0)
			f.clock.Advance(time.Minute)
			gone, _ := f.expire(9)
			f.same("gone", gone, []bellhop.RunID{2, 3})
		},
	}
}
