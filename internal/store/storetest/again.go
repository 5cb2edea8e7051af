package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

func alike(k string) spec { return func(s *bellhop.Submission) { s.Run.AlikeKey = k } }
func reject(k string) spec {
	return func(s *bellhop.Submission) { s.Run.AlikeKey, s.Run.Reject = k, true }
}
func maxDelay(d time.Duration) spec { return func(s *bellhop.Submission) { s.Run.MaxDelay = d } }

// rejectTests are about asking for what is asked for already.
func rejectTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Reject/WhileOneWaitsOrRuns": func(f *fixture) {
			first := f.submit(reject("a"), in(time.Minute))
			f.same("how", first.How, bellhop.Created)
			again := f.submit(reject("a"), by("bob"))
			f.same("while it waits", again, bellhop.Submitted{Run: first.Run, How: bellhop.Rejected, Start: first.Start})
			f.clock.Advance(time.Minute)
			c := f.claimOne()
			f.same("claimed", c.Run.ID, first.Run)
			f.same("while it runs", f.submit(reject("a")).How, bellhop.Rejected)
			f.finish(f.again(ref(c), bellhop.EndFailed, time.Minute))
			f.same("while it waits again", f.submit(reject("a")).Run, first.Run)
			f.clock.Advance(time.Minute)
			f.finish(f.ending(ref(f.claimOne())))
			next := f.submit(reject("a"))
			f.same("after its end", next, bellhop.Submitted{Run: first.Run + 1, How: bellhop.Created, Start: f.now()})
			asks, err := f.s.Records.Asks(f.ctx, first.Run)
			f.must(err)
			f.same("asks of the first", len(asks), 1)
		},
		"Reject/OnlyForTheSameAlikeKey": func(f *fixture) {
			f.submit(alike("a"))
			f.same("another key", f.submit(reject("b")).How, bellhop.Created)
			f.same("no key", f.submit(reject("")).How, bellhop.Created)
			f.same("no key again", f.submit(reject("")).How, bellhop.Created)
			f.same("one that did not say Reject itself", f.submit(reject("a")).Run, bellhop.RunID(1))
		},
		"Reject/OnlyWhenAsked": func(f *fixture) {
			f.submit(reject("a"))
			f.same("without Reject", f.submit(alike("a")).How, bellhop.Created)
			f.finish(f.ending(ref(f.claim(1)[0])))
			f.same("while the second is there", f.submit(reject("a")).Run, bellhop.RunID(2))
		},
		"Reject/ComesBeforeMerging": func(f *fixture) {
			f.submit(alike("a"), merge("m"), in(time.Minute))
			f.same("how", f.submit(reject("a"), merge("m")).How, bellhop.Rejected)
		},
		"Reject/ACancelledOneMakesRoom": func(f *fixture) {
			first := f.submit(reject("a"), in(time.Minute))
			f.cancel(bellhop.Cancellation{Run: first.Run, All: true, Principal: "alice"})
			f.same("how", f.submit(reject("a")).How, bellhop.Created)
		},
		"Reject/TheSameKeyIsRejectedAgain": func(f *fixture) {
			first := f.submit(reject("a"))
			f.same("how", f.submit(reject("a"), key("k")).How, bellhop.Rejected)
			f.finish(f.ending(ref(f.claimOne())))
			f.reopen()
			again := f.submit(reject("a"), key("k"))
			f.same("how", again.How, bellhop.Rejected)
			f.same("run", again.Run, first.Run)
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{1})
		},
		"Reject/TheSecondOfOneCallSeesTheFirst": func(f *fixture) {
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(reject("a")), f.submission(reject("a"))})
			f.must(err)
			f.same("how", []bellhop.How{out[0].How, out[1].How}, []bellhop.How{bellhop.Created, bellhop.Rejected})
			f.same("run", out[1].Run, out[0].Run)
		},
		"Merge/MaxDelayBoundsHowFarTheStartMoves": func(f *fixture) {
			created := f.now()
			first := f.submit(merge("m"), in(time.Minute), maxDelay(2*time.Minute))
			f.same("start", first.Start, created.Add(time.Minute))
			f.clock.Advance(50 * time.Second)
			f.same("within", f.submit(merge("m"), in(time.Minute), maxDelay(2*time.Minute)).Start, created.Add(110*time.Second))
			f.clock.Advance(50 * time.Second)
			f.same("beyond", f.submit(merge("m"), in(time.Minute), maxDelay(2*time.Minute)).Start, created.Add(2*time.Minute))
			f.same("told by the first alone", f.submit(merge("m"), in(time.Hour)).Start, created.Add(2*time.Minute))
			f.same("start in the record", f.run(first.Run).Start, created.Add(2*time.Minute))
			f.same("sooner", f.submit(merge("m"), in(time.Second)).Start, f.now().Add(time.Second))
		},
		"Merge/TheNearestMaxDelayHolds": func(f *fixture) {
			created := f.now()
			f.submit(merge("m"), in(time.Minute))
			f.same("not bounded", f.submit(merge("m"), in(time.Hour)).Start, created.Add(time.Hour))
			f.same("by the second", f.submit(merge("m"), in(time.Hour), maxDelay(10*time.Minute)).Start, created.Add(10*time.Minute))
			f.same("by a nearer one", f.submit(merge("m"), in(time.Hour), maxDelay(5*time.Minute)).Start, created.Add(5*time.Minute))
			f.reopen()
			f.same("by a farther one", f.submit(merge("m"), in(time.Hour), maxDelay(20*time.Minute)).Start, created.Add(5*time.Minute))
		},
		"Merge/MaxDelayDoesNotBoundTheFirstStart": func(f *fixture) {
			f.same("start", f.submit(in(time.Hour), maxDelay(time.Minute), merge("m")).Start, f.now().Add(time.Hour))
		},
		"Merge/KeepsTheHigherPriority": func(f *fixture) {
			first := f.submit(merge("m"), priority(3))
			f.submit(merge("m"), priority(1))
			f.same("lower", f.run(first.Run).Priority, 3)
			f.submit(merge("m"), priority(7))
			f.same("higher", f.run(first.Run).Priority, 7)
			f.submit(priority(5))
			f.same("order", ids(f.claim(9)), []bellhop.RunID{1, 2})
		},
		"Merge/MovesTheDeadlineWithTheStart": func(f *fixture) {
			first := f.submit(merge("m"), in(time.Minute), deadline(time.Hour))
			f.same("deadline", f.run(first.Run).Deadline, f.now().Add(61*time.Minute))
			f.submit(merge("m"), in(time.Hour), deadline(time.Hour))
			f.same("later", f.run(first.Run).Deadline, f.now().Add(2*time.Hour))
			f.submit(merge("m"), deadline(time.Hour))
			f.same("sooner", f.run(first.Run).Deadline, f.now().Add(time.Hour))
		},
		"Submit/WritesPriorityDeadlineAndOrigin": func(f *fixture) {
			sub := f.submission(priority(9), deadline(time.Hour), func(s *bellhop.Submission) { s.Ask.Origin.Server, s.Ask.Origin.Session = "server-1", "s" })
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{sub})
			f.must(err)
			check := func(when string) {
				f.Helper()
				got := f.run(out[0].Run)
				f.same("priority "+when, got.Priority, 9)
				f.same("deadline "+when, got.Deadline, f.now().Add(time.Hour))
				f.same("origin "+when, got.Origin, sub.Ask.Origin)
			}
			check("while it waits")
			c := f.claimOne()
			f.same("claimed", c.Run, f.run(out[0].Run))
			check("while it runs")
			f.finish(f.ending(ref(c)))
			check("after its end")
			f.same("report", f.due()[0].Ask, sub.Ask)
		},
	}
}
