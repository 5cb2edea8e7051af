package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

func cancelTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Cancel/AWaitingRunIsOver": func(f *fixture) {
			sub := f.submit(in(time.Minute))
			f.clock.Advance(time.Second)
			out := f.cancel(bellhop.Cancellation{Run: sub.Run, All: true, Principal: "bob"})
			f.same("effect", out, []bellhop.CancelledRun{{Run: sub.Run, Effect: bellhop.CancelDone, State: bellhop.Cancelled}})
			got := f.run(sub.Run)
			f.same("state", got.State, bellhop.Cancelled)
			f.same("verdict", got.Verdict, bellhop.Aborted)
			f.same("finished", *got.Finished, f.now())
			f.same("error", got.Error, "cancelled by bob")
			f.same("started", got.Started == nil, true)
			f.same("start", got.Start, sub.Start)
			f.same("reports", f.reported(), []string{"alice outcome 1 #0"})
			attempts, err := f.s.Records.Attempts(f.ctx, sub.Run)
			f.must(err)
			f.same("attempts", len(attempts), 0)
			f.clock.Advance(time.Hour)
			f.same("claimed", len(f.claim(9)), 0)
		},
		"Cancel/ARunThatWaitsAgainKeepsItsAttempts": func(f *fixture) {
			sub := f.submit()
			c := f.claimOne()
			f.finish(f.again(ref(c), bellhop.EndCrashed, time.Minute))
			f.cancel(bellhop.Cancellation{Run: sub.Run, All: true, Principal: "bob"})
			got := f.run(sub.Run)
			f.same("attempt", got.Attempt, 1)
			f.same("started", *got.Started, *c.Run.Started)
			attempts, err := f.s.Records.Attempts(f.ctx, sub.Run)
			f.must(err)
			f.same("attempts", len(attempts), 1)
			f.same("end", attempts[0].End, bellhop.EndCrashed)
			f.same("reports", f.reported(), []string{"alice outcome 1 #1"})
		},
		"Cancel/ARunningRunIsStopped": func(f *fixture) {
			sub := f.submit()
			c := f.claimOne()
			out := f.cancel(bellhop.Cancellation{Run: sub.Run, All: true, Running: true, Principal: "bob"})
			f.same("effect", out, []bellhop.CancelledRun{{Run: sub.Run, Effect: bellhop.CancelStopping, State: bellhop.Running}})
			f.same("stop", f.extend(ref(c))[0], bellhop.Extension{Stop: &bellhop.StopCause{End: bellhop.EndCancelled, Reason: "cancelled by bob"}})
			f.same("again", f.cancel(bellhop.Cancellation{Run: sub.Run, All: true, Running: true, Principal: "carol"})[0].Effect, bellhop.CancelStopping)
			f.same("still by", f.extend(ref(c))[0].Stop.Reason, "cancelled by bob")
		},
		"Cancel/ARunThatIsToBeStoppedDoesNotWaitAgain": func(f *fixture) {
			f.submit(limit("k", 1))
			c := f.claimOne()
			f.extend(ref(c)) // the engine's look: nobody has asked yet
			f.cancel(bellhop.Cancellation{Run: c.Run.ID, All: true, Running: true, Principal: "bob"})
			again := f.again(ref(c), bellhop.EndFailed, time.Minute)
			again.Report = bellhop.ReportOutcome
			again.Output = &bellhop.OutputBatch{Ref: ref(c), Attempt: 1, Chunks: []bellhop.Chunk{f.chunk(1, bellhop.Stdout, 0, "text")}}
			before := f.run(c.Run.ID)
			for range 2 { // within one call as well
				errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{again, again})
				f.must(err)
				f.same("errors", errs, []error{bellhop.ErrStopping, bellhop.ErrStopping})
			}
			f.same("run", f.run(c.Run.ID), before)
			f.same("reports", len(f.due()), 0)
			f.same("output", f.after(c.Run.ID, 0, 0, 100), []string{})
			attempts, err := f.s.Records.Attempts(f.ctx, c.Run.ID)
			f.must(err)
			f.same("attempts", len(attempts), 0)
			f.clock.Advance(time.Minute)
			f.same("claimed", len(f.claim(9)), 0)
			e := f.ending(ref(c))
			e.End, e.State, e.Reason, e.ExitStatus = bellhop.EndCancelled, bellhop.Cancelled, "cancelled by bob", nil
			errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{again, e})
			f.must(err)
			f.same("errors", errs, []error{bellhop.ErrStopping, nil})
			f.same("state", f.run(c.Run.ID).State, bellhop.Cancelled)
		},
		"Cancel/RunningOnesOnlyWhenAsked": func(f *fixture) {
			f.submit()
			c := f.claimOne()
			f.submit()
			all := bellhop.Cancellation{Service: "example", Job: "hello", All: true, Principal: "alice"}
			f.same("cancelled", f.cancel(all), []bellhop.CancelledRun{{Run: 2, Effect: bellhop.CancelDone, State: bellhop.Cancelled}})
			f.same("extension", f.extend(ref(c)), []bellhop.Extension{{}})
			all.Running = true
			f.same("cancelled", f.cancel(all), []bellhop.CancelledRun{{Run: 1, Effect: bellhop.CancelStopping, State: bellhop.Running}})
		},
		"Cancel/AFinishedRunIsTooLate": func(f *fixture) {
			sub := f.submit()
			f.finish(f.ending(ref(f.claimOne())))
			out := f.cancel(bellhop.Cancellation{Run: sub.Run, All: true, Running: true, Principal: "alice"})
			f.same("effect", out, []bellhop.CancelledRun{{Run: sub.Run, Effect: bellhop.CancelTooLate, State: bellhop.Succeeded}})
			f.same("reports", len(f.due()), 1)
		},
		"Cancel/AnUnknownRunIsNotFound": func(f *fixture) {
			_, err := f.s.Queue.Cancel(f.ctx, bellhop.Cancellation{Key: "k", Run: 99, All: true, Principal: "alice", By: "alice", Now: f.now()})
			f.code(err, bellhop.NotFound)
		},
		"Cancel/OfAJobTakesThoseWithTheArguments": func(f *fixture) {
			a := func(name, env string) spec {
				return args(bellhop.Args{"name": bellhop.Text(name), "env": bellhop.Text(env)})
			}
			f.submit(a("bob", "test"))
			f.submit(a("carol", "test"), in(time.Hour))
			f.submit(a("bob", "live"))
			f.submit(a("bob", "test"), job("example", "bye"))
			f.submit(a("bob", "test"), job("other", "hello"))
			f.submit(a("bob", "test"), limit("apart", 1))
			out := f.cancel(bellhop.Cancellation{Service: "example", Job: "hello", Args: bellhop.Args{"name": bellhop.Text("bob")}, All: true, Principal: "alice"})
			got := []bellhop.RunID{}
			for _, o := range out {
				f.same("effect", o.Effect, bellhop.CancelDone)
				got = append(got, o.Run)
			}
			f.same("cancelled", got, []bellhop.RunID{1, 3, 6})
			f.clock.Advance(time.Hour)
			f.same("left", ids(f.claim(9)), []bellhop.RunID{4, 5, 2})
		},
		"Cancel/NothingToCancel": func(f *fixture) {
			out := f.cancel(bellhop.Cancellation{Service: "example", Job: "hello", All: true, Principal: "alice"})
			f.same("cancelled", len(out), 0)
		},
		"Cancel/WithdrawsOnesOwnAsk": func(f *fixture) {
			sub := f.submit(merge("m"), in(time.Minute))
			f.submit(merge("m"), in(time.Minute), by("bob"))
			f.same("effect", f.cancel(bellhop.Cancellation{Run: sub.Run, Principal: "alice"}), []bellhop.CancelledRun{{Run: sub.Run, Effect: bellhop.CancelWithdrawn, State: bellhop.Waiting}})
			asks, err := f.s.Records.Asks(f.ctx, sub.Run)
			f.must(err)
			f.same("withdrawn", []bool{asks[0].Withdrawn, asks[1].Withdrawn}, []bool{true, false})
			f.same("again", f.cancel(bellhop.Cancellation{Run: sub.Run, Principal: "alice"})[0].Effect, bellhop.CancelNotYours)
			f.same("the last one", f.cancel(bellhop.Cancellation{Run: sub.Run, Principal: "bob"})[0].Effect, bellhop.CancelDone)
			f.same("reports", f.reported(), []string{"bob outcome 1 #0"})
		},
		"Cancel/WithdrawsAllOfOnesAsks": func(f *fixture) {
			sub := f.submit(merge("m"))
			f.submit(merge("m"))
			f.same("effect", f.cancel(bellhop.Cancellation{Run: sub.Run, Principal: "alice"})[0].Effect, bellhop.CancelDone)
			f.same("reports", len(f.due()), 2)
		},
		"Cancel/OfARunningRunWithdrawsUntilTheLast": func(f *fixture) {
			sub := f.submit(merge("m"))
			f.submit(merge("m"), by("bob"))
			c := f.claimOne()
			f.same("first", f.cancel(bellhop.Cancellation{Run: sub.Run, Running: true, Principal: "alice"})[0].Effect, bellhop.CancelWithdrawn)
			f.same("extension", f.extend(ref(c)), []bellhop.Extension{{}})
			f.same("last", f.cancel(bellhop.Cancellation{Run: sub.Run, Running: true, Principal: "bob"})[0].Effect, bellhop.CancelStopping)
			e := f.ending(ref(c))
			e.State, e.End, e.Reason = bellhop.Cancelled, bellhop.EndCancelled, "cancelled by bob"
			f.finish(e)
			f.same("reports", f.reported(), []string{"bob outcome 1 #1"})
		},
		"Cancel/AnothersRunIsNotYours": func(f *fixture) {
			sub := f.submit()
			f.same("effect", f.cancel(bellhop.Cancellation{Run: sub.Run, Running: true, Principal: "bob"}), []bellhop.CancelledRun{{Run: sub.Run, Effect: bellhop.CancelNotYours, State: bellhop.Waiting}})
			f.same("claimed", f.claimOne().Run.ID, sub.Run)
		},
		"Cancel/TheSameKeyGivesTheSameAnswer": func(f *fixture) {
			f.submit()
			all := bellhop.Cancellation{Key: "k", Service: "example", Job: "hello", All: true, Principal: "alice"}
			first := f.cancel(all)
			f.submit()
			f.reopen()
			f.same("answer", f.cancel(all), first)
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(2))
		},
		"Cancel/DoesNotChangeWhatVerdictsLookBackOn": func(f *fixture) {
			f.submit()
			f.finish(f.failing(ref(f.claimOne())))
			sub := f.submit()
			f.cancel(bellhop.Cancellation{Run: sub.Run, All: true, Principal: "alice"})
			f.same("previous", f.run(sub.Run).Previous, bellhop.Failed)
			f.submit()
			c := f.claimOne()
			f.finish(f.ending(ref(c)))
			f.same("verdict", f.run(c.Run.ID).Verdict, bellhop.Fixed)
		},
	}
}
