package storetest

import (
	"errors"
	"time"

	"github.com/bellhop-io/bellhop"
)

func (f *fixture) extend(refs ...bellhop.LeaseRef) []bellhop.Extension {
	f.Helper()
	out, err := f.s.Queue.Extend(f.ctx, refs, lease)
	f.must(err)
	return out
}

func (f *fixture) lost() []bellhop.LostRun {
	f.Helper()
	lost, err := f.s.Queue.Lost(f.ctx)
	f.must(err)
	return lost
}

func leaseTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Lease/IsLostWhenItRunsOut": func(f *fixture) {
			f.submit()
			c := f.claimOne()
			f.clock.Advance(lease - time.Millisecond)
			f.same("lost", len(f.lost()), 0)
			f.clock.Advance(time.Millisecond)
			lost := f.lost()
			f.same("lost", len(lost), 1)
			f.same("ref", lost[0].Ref, ref(c))
			f.same("run", lost[0].Run, c.Run)
			f.same("runner", lost[0].Runner, "runner-1")
			f.same("crashes", lost[0].Crashes, 0)
		},
		"Lease/ExtendLengthensIt": func(f *fixture) {
			f.submit()
			c := f.claimOne()
			f.clock.Advance(lease - time.Second)
			f.same("extension", f.extend(ref(c)), []bellhop.Extension{{}})
			f.clock.Advance(lease - time.Second)
			f.same("lost", len(f.lost()), 0)
			f.clock.Advance(time.Second)
			f.same("lost", len(f.lost()), 1)
		},
		"Lease/ExtendSaysWhichAreLost": func(f *fixture) {
			f.submit()
			f.submit()
			runs := f.claim(9)
			f.finish(f.ending(ref(runs[0])))
			wrong := ref(runs[1])
			wrong.Lease++
			out := f.extend(ref(runs[0]), ref(runs[1]), wrong, bellhop.LeaseRef{Run: 99, Lease: 1})
			f.same("extensions", out, []bellhop.Extension{{Lost: true}, {}, {Lost: true}, {Lost: true}})
		},
		"Lease/GrowsWithEveryClaim": func(f *fixture) {
			f.submit()
			last := int64(0)
			for range 3 {
				c := f.claimOne()
				if c.Lease <= last {
					f.Fatalf("lease %d follows %d", c.Lease, last)
				}
				last = c.Lease
				e := f.again(ref(c), bellhop.EndInterrupted, 0)
				e.FreeAttempt = true
				f.finish(e)
			}
		},
		"Lease/AnOlderOneChangesNothing": func(f *fixture) {
			f.submit()
			old := f.claimOne()
			f.finish(f.again(ref(old), bellhop.EndCrashed, 0))
			c := f.claimOne()
			before := f.run(c.Run.ID)
			errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{f.failing(ref(old)), f.again(ref(old), bellhop.EndFailed, 0)})
			f.must(err)
			for _, e := range errs {
				f.same("is ErrLeaseLost", errors.Is(e, bellhop.ErrLeaseLost), true)
			}
			f.same("extension", f.extend(ref(old))[0].Lost, true)
			errs, err = f.s.Outputs.AppendOutput(f.ctx, []bellhop.OutputBatch{{Ref: ref(old), Attempt: 1, Chunks: []bellhop.Chunk{{Seq: 1, Channel: 1, Data: []byte("x")}}}})
			f.must(err)
			f.same("is ErrLeaseLost", errors.Is(errs[0], bellhop.ErrLeaseLost), true)
			f.same("run", f.run(c.Run.ID), before)
			f.same("reports", len(f.due()), 0)
			f.finish(f.ending(ref(c)))
		},
		"Lease/HandleIsKeptForWhoeverFindsItLost": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			r.Handle = "pgid:4711"
			f.extend(r)
			f.extend(bellhop.LeaseRef{Run: r.Run, Lease: r.Lease})
			f.reopen()
			f.same("ref", f.lost()[0].Ref, r)
		},
		"Lease/GivenOutBeforeTheStoreWasOpenedIsLost": func(f *fixture) {
			f.submit()
			f.submit()
			runs := f.claim(9)
			f.finish(f.ending(ref(runs[0])))
			f.reopen()
			lost := f.lost()
			f.same("lost", len(lost), 1)
			f.same("ref", lost[0].Ref, ref(runs[1]))
			f.finish(f.again(lost[0].Ref, bellhop.EndCrashed, 0))
			f.same("lost", len(f.lost()), 0)
			f.same("lease", f.claimOne().Lease > runs[1].Lease, true)
		},
		"Lease/CrashesAreCountedApart": func(f *fixture) {
			f.submit()
			for _, end := range []bellhop.End{bellhop.EndCrashed, bellhop.EndFailed, bellhop.EndCrashed, bellhop.EndInterrupted} {
				f.finish(f.again(ref(f.claimOne()), end, 0))
			}
			f.claimOne()
			f.clock.Advance(lease)
			f.same("crashes", f.lost()[0].Crashes, 2)
		},
		"Lease/LostSaysWhoseRunWasBeingCancelled": func(f *fixture) {
			f.submit()
			f.submit()
			f.claim(9)
			f.cancel(bellhop.Cancellation{Run: 2, All: true, Running: true, Principal: "bob"})
			f.reopen()
			lost := f.lost()
			f.same("runs", []bellhop.RunID{lost[0].Ref.Run, lost[1].Ref.Run}, []bellhop.RunID{1, 2})
			f.same("stop of the first is nil", lost[0].Stop == nil, true)
			f.same("stop", lost[1].Stop, &bellhop.StopCause{End: bellhop.EndCancelled, Reason: "cancelled by bob"})
		},
		"Lease/OfAFinishedRunIsNotLost": func(f *fixture) {
			f.submit()
			f.finish(f.ending(ref(f.claimOne())))
			f.clock.Advance(2 * lease)
			f.same("lost", len(f.lost()), 0)
		},
	}
}

func finishTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Finish/WritesTheOutcome": func(f *fixture) {
			sub := f.submit(in(-time.Second))
			c := f.claimOne()
			started := f.now()
			f.clock.Advance(time.Second)
			e := f.failing(ref(c))
			e.Result, e.Warnings = []byte(`{"a":1}`), []string{"old copy", "two"}
			f.finish(e)
			got := f.run(sub.Run)
			now, three := f.now(), 3
			f.same("run", got, bellhop.Run{
				ID: sub.Run, Service: "example", Job: "hello", Args: bellhop.Args{}, State: bellhop.Failed, Verdict: bellhop.Fail,
				AskedBy: "alice", Origin: c.Run.Origin, Created: c.Run.Created, Started: &started, Finished: &now, Attempt: 1,
				ExitStatus: &three, Error: "exit status 3", Digest: Job().Digest(), Start: sub.Start, Result: e.Result, Warnings: e.Warnings,
			})
			attempts, err := f.s.Records.Attempts(f.ctx, sub.Run)
			f.must(err)
			f.same("attempts", attempts, []bellhop.Attempt{{N: 1, Runner: "runner-1", Started: started, Ended: now, End: bellhop.EndFailed, ExitStatus: &three, Reason: "exit status 3"}})
			f.same("reports", f.reported(), []string{"alice outcome 1 #1"})
		},
		"Finish/TwiceIsRefused": func(f *fixture) {
			f.submit()
			c := f.claimOne()
			errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{f.ending(ref(c)), f.failing(ref(c))})
			f.must(err)
			f.must(errs[0])
			f.same("is ErrLeaseLost", errors.Is(errs[1], bellhop.ErrLeaseLost), true)
			f.same("state", f.run(c.Run.ID).State, bellhop.Succeeded)
			f.same("reports", len(f.due()), 1)
		},
		"Finish/EachEndingHasItsOwnError": func(f *fixture) {
			f.submit()
			f.submit()
			runs := f.claim(9)
			odd := f.ending(ref(runs[0]))
			odd.State = bellhop.Running
			errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{odd, f.ending(bellhop.LeaseRef{Run: 99, Lease: 1}), f.ending(ref(runs[1]))})
			f.must(err)
			f.code(errs[0], bellhop.Invalid)
			f.same("is ErrLeaseLost", errors.Is(errs[1], bellhop.ErrLeaseLost), true)
			f.must(errs[2])
			f.same("state", f.run(runs[0].Run.ID).State, bellhop.Running)
		},
		"Finish/WaitingAgain": func(f *fixture) {
			sub := f.submit()
			c := f.claimOne()
			e := f.again(ref(c), bellhop.EndFailed, time.Minute)
			e.Report = bellhop.ReportRetried
			f.finish(e)
			got := f.run(sub.Run)
			f.same("state", got.State, bellhop.Waiting)
			f.same("start", got.Start, f.now().Add(time.Minute))
			f.same("error", got.Error, "it failed")
			f.same("attempt", got.Attempt, 1)
			f.same("started", *got.Started, *c.Run.Started)
			f.same("reports", f.reported(), []string{"alice retried 1 #1"})
			f.same("claimed too early", len(f.claim(9)), 0)
			f.clock.Advance(time.Minute)
			c = f.claimOne()
			f.same("attempt", c.Run.Attempt, 2)
			f.same("error while it runs", c.Run.Error, "")
			f.same("claimed run", c.Run, f.run(sub.Run))
			f.same("started", *c.Run.Started, f.now())
			f.finish(f.ending(ref(c)))
			attempts, err := f.s.Records.Attempts(f.ctx, sub.Run)
			f.must(err)
			f.same("ends", []bellhop.End{attempts[0].End, attempts[1].End}, []bellhop.End{bellhop.EndFailed, bellhop.EndSucceeded})
			f.same("numbers", []int{attempts[0].N, attempts[1].N}, []int{1, 2})
		},
		"Finish/WaitingAgainInItsPlace": func(f *fixture) {
			first := f.submit()
			c := f.claimOne()
			f.clock.Advance(time.Second)
			f.submit()
			start := f.run(first.Run).Start
			f.clock.Advance(time.Second)
			e := f.again(ref(c), bellhop.EndInterrupted, 0)
			e.Start = time.Time{}
			f.finish(e)
			f.same("start", f.run(first.Run).Start, start)
			f.same("claimed next", f.claim(1)[0].Run.ID, first.Run)
		},
		"Finish/AFreeAttemptDoesNotCount": func(f *fixture) {
			sub := f.submit()
			e := f.again(ref(f.claimOne()), bellhop.EndInterrupted, 0)
			e.FreeAttempt = true
			f.finish(e)
			f.same("attempt", f.run(sub.Run).Attempt, 0)
			c := f.claimOne()
			f.same("attempt", c.Run.Attempt, 1)
			f.finish(f.ending(ref(c)))
			f.same("attempt", f.run(sub.Run).Attempt, 1)
			attempts, err := f.s.Records.Attempts(f.ctx, sub.Run)
			f.must(err)
			f.same("numbers", []int{attempts[0].N, attempts[1].N}, []int{1, 2})
			f.same("reports", f.reported(), []string{"alice outcome 1 #2"})
		},
		"Finish/VerdictLooksBackAlongJobAndKey": func(f *fixture) {
			end := func(specs []spec, make func(bellhop.LeaseRef) bellhop.Ending) bellhop.Run {
				f.submit(specs...)
				c := f.claimOne()
				f.finish(make(ref(c)))
				return f.run(c.Run.ID)
			}
			a, b := []spec{limit("a", 1)}, []spec{limit("b", 0)}
			timedOut := func(r bellhop.LeaseRef) bellhop.Ending {
				e := f.failing(r)
				e.State, e.End, e.Verdict = bellhop.TimedOut, bellhop.EndTimedOut, func(bellhop.State) bellhop.Verdict { return bellhop.Aborted }
				return e
			}
			for i, step := range []struct {
				specs    []spec
				end      func(bellhop.LeaseRef) bellhop.Ending
				verdict  bellhop.Verdict
				previous bellhop.State
			}{
				{a, f.failing, bellhop.Fail, ""},
				{a, f.failing, bellhop.Fail, bellhop.Failed},
				{b, f.ending, bellhop.Success, ""},
				{a, f.ending, bellhop.Fixed, bellhop.Failed},
				{a, timedOut, bellhop.Aborted, bellhop.Succeeded},
				{a, f.failing, bellhop.Regression, bellhop.Succeeded},
				{b, f.ending, bellhop.Success, bellhop.Succeeded},
				{append(a, job("other", "hello")), f.ending, bellhop.Success, ""},
				{append(a, job("example", "bye")), f.ending, bellhop.Success, ""},
			} {
				if i == 5 {
					f.reopen()
				}
				got := end(step.specs, step.end)
				if got.Verdict != step.verdict || got.Previous != step.previous {
					f.Fatalf("step %d: verdict %q after %q, want %q after %q", i, got.Verdict, got.Previous, step.verdict, step.previous)
				}
			}
		},
		"Finish/StoresTheLastOutput": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "a"), f.chunk(2, 1, 1, "b"))
			e := f.ending(r)
			e.Output = &bellhop.OutputBatch{Ref: r, Attempt: 1, Chunks: []bellhop.Chunk{f.chunk(3, 1, 2, "c")}, Drop: []int64{2}}
			f.finish(e)
			f.same("output", f.after(r.Run, 0, 0, 1000), []string{"1.1:a", "1.3:c"})
		},
		"Finish/ARefusedOneStoresNoOutput": func(f *fixture) {
			f.submit()
			old := ref(f.claimOne())
			f.finish(f.again(old, bellhop.EndCrashed, 0))
			f.claimOne()
			e := f.ending(old)
			e.Output = &bellhop.OutputBatch{Ref: old, Attempt: 1, Chunks: []bellhop.Chunk{f.chunk(1, 1, 0, "late")}}
			errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{e})
			f.must(err)
			f.same("is ErrLeaseLost", errors.Is(errs[0], bellhop.ErrLeaseLost), true)
			f.same("output", f.after(old.Run, 0, 0, 1000), []string{})
		},
		"Finish/WithoutReportTellsNobody": func(f *fixture) {
			f.submit()
			e := f.ending(ref(f.claimOne()))
			e.Report = ""
			f.finish(e)
			f.same("reports", len(f.due()), 0)
		},
		"Finish/SurvivesARestart": func(f *fixture) {
			sub := f.submit(args(bellhop.Args{"name": bellhop.Text("1.10")}))
			f.finish(f.ending(ref(f.claimOne())))
			before, reports := f.run(sub.Run), f.reported()
			f.reopen()
			f.same("run", f.run(sub.Run), before)
			f.same("reports", f.reported(), reports)
			f.same("next id", f.submit().Run, sub.Run+1)
		},
	}
}
