package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

func claimTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Claim/GivesTheRun": func(f *fixture) {
			sub := f.submit(args(bellhop.Args{"name": bellhop.Text("Bob")}))
			f.clock.Advance(time.Second)
			c := f.claimOne()
			want := f.run(sub.Run)
			f.same("claimed run", c.Run, want)
			f.same("state", want.State, bellhop.Running)
			f.same("attempt", want.Attempt, 1)
			f.same("started", *want.Started, f.now())
			f.same("lease", c.Lease > 0, true)
			f.same("principal", c.Principal, "alice")
			f.same("claimed again", len(f.claim(9)), 0)
		},
		"Claim/InOrderOfStartThenID": func(f *fixture) {
			f.submit(in(-time.Second))
			f.submit(in(-time.Minute))
			f.submit(in(-time.Second))
			f.submit(in(-time.Hour))
			f.same("order", ids(f.claim(3)), []bellhop.RunID{4, 2, 1})
			f.same("order", ids(f.claim(3)), []bellhop.RunID{3})
		},
		"Claim/NotBeforeTheStart": func(f *fixture) {
			f.submit(in(time.Minute))
			f.submit(in(time.Hour))
			runs, next := f.claimNext(9)
			f.same("claimed", len(runs), 0)
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(time.Minute)
			runs, next = f.claimNext(9)
			f.same("claimed", ids(runs), []bellhop.RunID{1})
			f.same("next", next, f.now().Add(59*time.Minute))
		},
		"Claim/NextIsZeroWhenNothingWaits": func(f *fixture) {
			_, next := f.claimNext(9)
			f.same("next", next, time.Time{})
		},
		"Claim/NextIsNowWhenMoreCouldBeClaimed": func(f *fixture) {
			f.submit()
			f.submit()
			_, next := f.claimNext(1)
			f.same("next is later than now", next.After(f.now()), false)
			f.same("next is zero", next.IsZero(), false)
			_, next = f.claimNext(1)
			f.same("next", next, time.Time{})
		},
		"Claim/AtMostN": func(f *fixture) {
			for range 5 {
				f.submit()
			}
			f.same("none", len(f.claim(0)), 0)
			f.same("some", len(f.claim(3)), 3)
			f.same("rest", len(f.claim(3)), 2)
		},
		"Claim/OnlyAmongThose": func(f *fixture) {
			for range 4 {
				f.submit()
			}
			f.submit(in(time.Minute))
			runs, next := f.claimNext(9, 4, 2, 2, 77, 5)
			f.same("claimed", ids(runs), []bellhop.RunID{2, 4})
			f.same("next", next, f.now().Add(time.Minute))
			f.same("the rest", ids(f.claim(9)), []bellhop.RunID{1, 3})
			runs, _, err := f.s.Queue.Claim(f.ctx, bellhop.ClaimRequest{N: 9, Now: f.now().Add(time.Hour), Lease: lease, Only: []bellhop.RunID{}})
			f.must(err)
			f.same("among none", len(runs), 0)
		},
		"Claim/OnlyObeysLimits": func(f *fixture) {
			for range 3 {
				f.submit(limit("k", 1))
			}
			first := f.claimOne()
			f.same("among all", first.Run.ID, bellhop.RunID(1))
			runs, _ := f.claimNext(9, 2, 3)
			f.same("while one runs", len(runs), 0)
			f.finish(f.ending(ref(first)))
			runs, _ = f.claimNext(9, 3, 2)
			f.same("afterwards", ids(runs), []bellhop.RunID{2})
		},
		"Claim/PrincipalIsOfTheFirstAskThatIsNotWithdrawn": func(f *fixture) {
			first := f.submit(merge("m"))
			f.submit(merge("m"), by("bob"))
			f.cancel(bellhop.Cancellation{Run: first.Run, Principal: "alice"})
			c := f.claimOne()
			f.same("principal", c.Principal, "bob")
			f.same("asked by", c.Run.AskedBy, "alice")
		},
		"Claim/ALotAtOnce": func(f *fixture) {
			var subs []bellhop.Submission
			for range 700 {
				subs = append(subs, f.submission())
			}
			_, err := f.s.Queue.Submit(f.ctx, subs)
			f.must(err)
			total := 0
			for {
				runs, next := f.claimNext(1000)
				total += len(runs)
				if next.IsZero() {
					break
				}
				if len(runs) == 0 {
					f.Fatal("nothing was claimed, but next is", next)
				}
			}
			f.same("claimed in the end", total, 700)
		},
	}
}

func limitTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Limit/BoundsWhatRunsOfOneKey": func(f *fixture) {
			for range 3 {
				f.submit(limit("k", 2))
			}
			f.submit(limit("other", 1))
			f.submit(limit("k", 0))
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{1, 2, 4, 5})
			_, next := f.claimNext(9)
			f.same("next while one is held back", next, time.Time{})
		},
		"Limit/BoundsTheKeyAcrossJobs": func(f *fixture) {
			f.submit(limit("k", 1), job("example", "a"))
			f.submit(limit("k", 1), job("other", "b"))
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{1})
		},
		"Limit/TheFirstHeldBackGoesFirst": func(f *fixture) {
			f.submit(limit("k", 1))
			second := f.submit(limit("k", 1))
			c := f.claimOne()
			f.same("held back", len(f.claim(9)), 0)
			f.clock.Advance(time.Second)
			third := f.submit(limit("k", 1))
			f.finish(f.ending(ref(c)))
			c = f.claimOne()
			f.same("claimed", c.Run.ID, second.Run)
			f.finish(f.ending(ref(c)))
			f.same("claimed", f.claimOne().Run.ID, third.Run)
		},
		"Limit/ThoseHeldBackGoInOrderOfStart": func(f *fixture) {
			f.submit(limit("k", 1), in(-time.Hour), key("first"))
			c := f.claimOne()
			f.same("behind itself", f.submit(key("first")).Behind, bellhop.RunID(0))
			f.submit(limit("k", 1), in(-time.Second))
			f.submit(limit("k", 1), in(-time.Minute))
			f.same("held back", len(f.claim(9)), 0)
			f.finish(f.ending(ref(c)))
			c = f.claimOne()
			f.same("claimed", c.Run.ID, bellhop.RunID(3))
			f.finish(f.ending(ref(c)))
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(2))
		},
		"Limit/ARunThatWaitsAgainMakesRoom": func(f *fixture) {
			first := f.submit(limit("k", 1))
			second := f.submit(limit("k", 1))
			c := f.claimOne()
			f.finish(f.again(ref(c), bellhop.EndFailed, time.Minute))
			c = f.claimOne()
			f.same("claimed", c.Run.ID, second.Run)
			f.clock.Advance(time.Hour)
			f.same("held back", len(f.claim(9)), 0)
			f.finish(f.ending(ref(c)))
			f.same("claimed", f.claimOne().Run.ID, first.Run)
		},
		"Limit/ACancelledOneThatWasNextMakesRoom": func(f *fixture) {
			for range 3 {
				f.submit(limit("k", 1))
			}
			c := f.claimOne()
			f.same("held back", len(f.claim(9)), 0)
			f.finish(f.ending(ref(c)))
			f.cancel(bellhop.Cancellation{Run: 2, All: true, Principal: "alice"})
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(3))
		},
		"Limit/TheOneThatWasSubmittedLastCountsForTheKey": func(f *fixture) {
			for range 6 {
				f.submit(limit("k", 1))
			}
			f.submit(limit("other", 1))
			c := f.claim(9)
			f.same("claimed", ids(c), []bellhop.RunID{1, 7})
			f.same("held back", len(f.claim(9)), 0)
			f.submit(limit("k", 3))
			f.reopen()
			running := f.claim(9)
			f.same("with a higher limit", ids(running), []bellhop.RunID{2, 3})
			low := f.submit(limit("k", 1), priority(9)) // 9
			f.finish(f.ending(ref(c[0])))
			f.same("with a lower limit", len(f.claim(9)), 0)
			for _, c := range running {
				f.finish(f.ending(ref(c)))
			}
			running = f.claim(9)
			f.same("when nothing of the key runs", ids(running), []bellhop.RunID{low.Run})
			f.submit(limit("k", 0), in(time.Hour))
			f.same("one without a limit changes nothing", len(f.claim(9)), 0)
			f.finish(f.ending(ref(running[0])))
			f.same("one after the other", len(f.claim(9)), 1)
		},
		"Limit/AHigherOneCountsForWhatFollows": func(f *fixture) {
			for range 3 {
				f.submit(limit("k", 1))
			}
			f.submit()
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{1, 4})
			e := f.ending(bellhop.LeaseRef{Run: 4, Lease: 1})
			e.Follow = []bellhop.RunSpec{f.following(func(s *bellhop.RunSpec) { s.ConcurrencyKey, s.Concurrency = "k", 2 })}
			f.finish(e)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2})
		},
		"Limit/HoldsAfterARestart": func(f *fixture) {
			f.submit(limit("k", 1))
			f.submit(limit("k", 1))
			c := f.claimOne()
			f.reopen()
			f.same("claimed", len(f.claim(9)), 0)
			lost, err := f.s.Queue.Lost(f.ctx)
			f.must(err)
			f.same("lost", len(lost), 1)
			f.finish(f.again(ref(c), bellhop.EndCrashed, 0))
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{1})
		},
		"Limit/ManyHeldBackDoNotHideOthers": func(f *fixture) {
			var subs []bellhop.Submission
			for range 600 {
				subs = append(subs, f.submission(limit("k", 1)))
			}
			subs = append(subs, f.submission(limit("other", 1)))
			_, err := f.s.Queue.Submit(f.ctx, subs)
			f.must(err)
			var got []bellhop.RunID
			for range 10 {
				runs, next := f.claimNext(10)
				got = append(got, ids(runs)...)
				if next.IsZero() {
					break
				}
				f.same("next is later than now", next.After(f.now()), false)
			}
			f.same("claimed", got, []bellhop.RunID{1, 601})
		},
	}
}
