package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

func submitTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Submit/WritesTheWholeRecord": func(f *fixture) {
			first := f.submit()
			a := bellhop.Args{"name": bellhop.Text("Bob; touch pwned\n\x00é"), "words": bellhop.List("a", ""), "none": bellhop.List(), "big": bellhop.Text(strings.Repeat("x", 100_000))}
			sub := f.submission(args(a), session("s-1"), in(time.Minute), func(s *bellhop.Submission) { s.Run.RetryOf = first.Run })
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{sub})
			f.must(err)
			f.same("submitted", out[0], bellhop.Submitted{Run: first.Run + 1, How: bellhop.Created, Start: sub.Run.Start})
			got := f.run(out[0].Run)
			f.same("run", got, bellhop.Run{
				ID: out[0].Run, Service: "example", Job: "hello", Args: a, State: bellhop.Waiting, AskedBy: "alice", Origin: sub.Ask.Origin,
				Created: sub.Now, Digest: Job().Digest(), Start: sub.Run.Start, RetryOf: first.Run,
			})
			asks, err := f.s.Records.Asks(f.ctx, out[0].Run)
			f.must(err)
			f.same("asks", asks, []bellhop.Ask{sub.Ask})
		},
		"Submit/IdsGoUpFromOne": func(f *fixture) {
			for want := bellhop.RunID(1); want <= 3; want++ {
				f.same("id", f.submit().Run, want)
			}
		},
		"Submit/ResultsAreInTheOrderOfTheSubmissions": func(f *fixture) {
			var subs []bellhop.Submission
			for i := range 50 {
				subs = append(subs, f.submission(args(bellhop.Args{"name": bellhop.Text(fmt.Sprint(i))})))
			}
			out, err := f.s.Queue.Submit(f.ctx, subs)
			f.must(err)
			for i, o := range out {
				f.same("name", f.run(o.Run).Args["name"].Text, fmt.Sprint(i))
			}
		},
		"Submit/TheSameKeyIsTheSameRun": func(f *fixture) {
			first := f.submit(key("k"), in(time.Minute))
			again := f.submit(key("k"), in(time.Hour), by("bob"))
			f.same("again", again, bellhop.Submitted{Run: first.Run, How: bellhop.Repeated, Start: first.Start})
			asks, err := f.s.Records.Asks(f.ctx, first.Run)
			f.must(err)
			f.same("number of asks", len(asks), 1)
			f.same("next id", f.submit().Run, first.Run+1)
		},
		"Submit/TheSameKeyTwiceInOneCall": func(f *fixture) {
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(key("k")), f.submission(key("k")), f.submission()})
			f.must(err)
			f.same("runs", []bellhop.RunID{out[0].Run, out[1].Run, out[2].Run}, []bellhop.RunID{1, 1, 2})
			f.same("how", out[1].How, bellhop.Repeated)
		},
		"Submit/AKeyIsSeenAfterTheRunEnded": func(f *fixture) {
			first := f.submit(key("k"))
			f.same("ended", f.submit(key("k")).Ended, false)
			c := f.claimOne()
			f.same("ended", f.submit(key("k")).Ended, false)
			f.finish(f.ending(ref(c)))
			f.same("again", f.submit(key("k")), bellhop.Submitted{Run: first.Run, How: bellhop.Repeated, Start: first.Start, Ended: true})
		},
		"Submit/AKeyIsSeenForSevenDays": func(f *fixture) {
			first := f.submit(key("k"))
			f.clock.Advance(7*24*time.Hour - time.Second)
			f.reopen()
			f.same("run", f.submit(key("k")).Run, first.Run)
		},
		"Submit/TheKeyOfACancellationMadeNoRun": func(f *fixture) {
			f.cancel(bellhop.Cancellation{Key: "k", Service: "example", Job: "hello", All: true, Principal: "alice"})
			f.same("submitted", f.submit(key("k")), bellhop.Submitted{How: bellhop.Repeated})
		},
		"Submit/AWithdrawnAskCountsAsSeen": func(f *fixture) {
			first := f.submit(merge("m"), in(time.Minute))
			f.submit(merge("m"), in(time.Minute), by("bob"), key("k"))
			f.same("effect", f.cancel(bellhop.Cancellation{Run: first.Run, Principal: "bob"})[0].Effect, bellhop.CancelWithdrawn)
			again := f.submit(key("k"), by("bob"), merge("m"))
			f.same("how", again.How, bellhop.Repeated)
			f.same("run", again.Run, first.Run)
		},
		"Submit/NeedsAKeyAndADefinition": func(f *fixture) {
			_, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(), f.submission(key(""))})
			f.code(err, bellhop.Invalid)
			_, err = f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(), f.submission(func(s *bellhop.Submission) { s.Run.Digest = "nope" })})
			f.code(err, bellhop.Invalid)
			runs, err := f.s.Records.Runs(f.ctx, bellhop.RunFilter{})
			f.must(err)
			f.same("runs of refused calls", len(runs), 0)
		},
		"Submit/SaysWhatItIsBehind": func(f *fixture) {
			a := f.submit(limit("k", 1), key("a"))
			f.same("behind", a.Behind, bellhop.RunID(0))
			f.same("behind a waiting one", f.submit(limit("k", 1)).Behind, a.Run)
			f.same("behind none of another key", f.submit(limit("other", 1)).Behind, bellhop.RunID(0))
			f.same("behind none without a limit", f.submit(limit("k", 0)).Behind, bellhop.RunID(0))
			f.same("behind none that starts later", f.submit(limit("k", 1), in(-time.Hour)).Behind, bellhop.RunID(0))
			f.same("behind none that waits behind it", f.submit(key("a")).Behind, bellhop.RunID(5))
			f.claim(1)
			f.same("behind one that runs", f.submit(key("a")).Behind, bellhop.RunID(5))
			b := f.submit(limit("k", 1), in(-2*time.Hour), key("again"))
			f.same("behind a running one", b.Behind, bellhop.RunID(5))
			f.same("repeated: behind", f.submit(key("again")).Behind, bellhop.RunID(5))
			f.same("how", f.submit(limit("k", 1), in(-time.Hour), key("late")).How, bellhop.Created)
			f.same("run: behind", f.run(b.Run).Behind, bellhop.RunID(5))
		},
	}
}

func mergeTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Merge/ReplacesTheStartAndAddsTheAsk": func(f *fixture) {
			first := f.submit(merge("m"), in(time.Minute))
			f.clock.Advance(time.Second)
			sub := f.submission(merge("m"), in(time.Minute), by("bob"), session("s"))
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{sub})
			f.must(err)
			f.same("later", out[0], bellhop.Submitted{Run: first.Run, How: bellhop.Merged, Start: sub.Run.Start})
			f.same("start", f.run(first.Run).Start, sub.Run.Start)
			f.same("asked by", f.run(first.Run).AskedBy, "alice")
			asks, err := f.s.Records.Asks(f.ctx, first.Run)
			f.must(err)
			sub.Ask.N = 1
			f.same("second ask", asks[1], sub.Ask)
			now := f.submit(merge("m"))
			f.same("sooner", now.Start, f.now())
			f.same("claimed", f.claimOne().Run.ID, first.Run)
		},
		"Merge/OnlyWithTheSameKeyAndNeverWithoutOne": func(f *fixture) {
			f.submit(merge("m"))
			f.same("how", f.submit(merge("n")).How, bellhop.Created)
			f.same("how", f.submit().How, bellhop.Created)
			f.same("how", f.submit().How, bellhop.Created)
		},
		"Merge/NeverIntoOneThatWasClaimed": func(f *fixture) {
			f.submit(merge("m"))
			c := f.claimOne()
			second := f.submit(merge("m"), in(time.Hour))
			f.same("into a running one", second.How, bellhop.Created)
			f.finish(f.again(ref(c), bellhop.EndCrashed, 0))
			f.same("into the one that was not claimed", f.submit(merge("m"), in(time.Hour)).Run, second.Run)
		},
		"Merge/NeverIntoOneThatEnded": func(f *fixture) {
			first := f.submit(merge("m"), in(time.Minute))
			f.cancel(bellhop.Cancellation{Run: first.Run, All: true, Principal: "alice"})
			f.same("how", f.submit(merge("m")).How, bellhop.Created)
		},
		"Merge/EveryAskIsReported": func(f *fixture) {
			first := f.submit(merge("m"))
			f.submit(merge("m"), by("bob"))
			f.submit(merge("m"), by("carol"))
			f.cancel(bellhop.Cancellation{Run: first.Run, Principal: "bob"})
			c := f.claimOne()
			f.same("principal", c.Principal, "alice")
			f.finish(f.ending(ref(c)))
			f.same("reports", f.reported(), []string{"alice outcome 1 #1", "carol outcome 1 #1"})
		},
		"Merge/ARunHas10000AsksAtMost": func(f *fixture) {
			const most = 10_000
			specs := []spec{merge("m"), in(time.Minute)}
			first := f.submit(specs...)
			fill := func(n int) (last bellhop.Submitted) {
				for n > 0 {
					subs := make([]bellhop.Submission, min(n, 1000))
					for i := range subs {
						subs[i] = f.submission(specs...)
					}
					out, err := f.s.Queue.Submit(f.ctx, subs)
					f.must(err)
					n, last = n-len(subs), out[len(out)-1]
				}
				return last
			}
			f.same("the last that joins", fill(most-1).Run, first.Run)
			f.same("the next", fill(2), bellhop.Submitted{Run: 2, How: bellhop.Merged, Start: first.Start})
			f.reopen()
			f.same("after a restart", fill(1).Run, bellhop.RunID(2))
			f.same("at once", fill(most).Run, bellhop.RunID(3))
			f.clock.Advance(time.Minute)
			runs := f.claim(1)
			f.same("claimed", ids(runs), []bellhop.RunID{1})
			e := f.ending(ref(runs[0]))
			e.Follow = []bellhop.RunSpec{f.following(func(s *bellhop.RunSpec) { s.MergeKey = "m" })}
			f.finish(e)
			var asks []int
			for _, id := range f.list(bellhop.RunFilter{}) {
				asks = append(asks, len(f.asks(id)))
			}
			f.same("asks, newest first", asks, []int{most, 3, most, most})
			rows, _, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Now: f.now(), N: most + 1})
			f.must(err)
			f.same("reports", len(rows), most)
			f.same("merged into the newest or a new one", f.submit(specs...).Run, bellhop.RunID(5))
		},
		"Merge/IntoOneThatWasHeldBack": func(f *fixture) {
			f.submit(limit("k", 1))
			held := f.submit(limit("k", 1), merge("m"))
			c := f.claimOne()
			f.submit(limit("k", 1), merge("m"), in(time.Minute))
			f.finish(f.ending(ref(c)))
			f.same("claimed before its new start", len(f.claim(9)), 0)
			f.clock.Advance(time.Minute)
			f.same("claimed", f.claimOne().Run.ID, held.Run)
		},
		"Merge/PushedBackItLetsOthersPass": func(f *fixture) {
			f.submit(limit("k", 1))
			f.submit(limit("k", 1), merge("m"))
			third := f.submit(limit("k", 1))
			c := f.claimOne()
			f.same("held back", len(f.claim(9)), 0)
			f.finish(f.ending(ref(c)))
			f.submit(limit("k", 1), merge("m"), in(time.Minute))
			f.same("claimed", f.claimOne().Run.ID, third.Run)
		},
	}
}
