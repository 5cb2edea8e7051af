package storetest

import (
	"fmt"
	"time"

	"github.com/bellhop-io/bellhop"
)

// done makes a run that printed text and has ended.
func (f *fixture) done(text string, specs ...spec) bellhop.RunID {
	f.Helper()
	id := f.submit(specs...).Run
	var r bellhop.LeaseRef
	for _, c := range f.claim(9) {
		if c.Run.ID == id {
			r = ref(c)
		}
	}
	if text != "" {
		f.output(r, nil, f.chunk(1, bellhop.Stdout, 0, text))
	}
	f.finish(f.ending(r))
	return id
}

func (f *fixture) forget(runs, output []bellhop.RunID) int {
	f.Helper()
	n, err := f.s.Retention.Forget(f.ctx, runs, output)
	f.must(err)
	return n
}

// deliver delivers all reports that are due.
func (f *fixture) deliver() {
	f.Helper()
	for _, row := range f.due() {
		f.settle(bellhop.Settlement{ID: row.ID, State: bellhop.ReportDelivered})
	}
}

func (f *fixture) outputSize() int64 {
	f.Helper()
	n, err := f.s.Retention.OutputSize(f.ctx)
	f.must(err)
	return n
}

// old reads all old runs, n at a time.
func (f *fixture) old(n int) []bellhop.OldRun {
	f.Helper()
	all := []bellhop.OldRun{}
	for after := bellhop.RunID(0); ; {
		runs, last, err := f.s.Retention.Old(f.ctx, after, n)
		f.must(err)
		all = append(all, runs...)
		if last == 0 {
			return all
		}
		if last <= after || len(runs) > n {
			f.Fatalf("Old after %d gave %d runs and %d to go on from", after, len(runs), last)
		}
		after = last
	}
}

func retentionTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Retention/OldGivesEndedRunsInOrder": func(f *fixture) {
			f.same("of an empty store", f.old(2), []bellhop.OldRun{})
			var want []bellhop.OldRun
			for i := range 5 {
				f.clock.Advance(time.Second)
				id := f.done("12345"[:i], job("example", fmt.Sprint("j", i)))
				want = append(want, bellhop.OldRun{Run: id, Service: "example", Job: fmt.Sprint("j", i), Finished: f.now(), Output: int64(i)})
				f.submit(in(time.Hour))
			}
			f.cancel(bellhop.Cancellation{Run: 10, All: true, Principal: "alice"})
			want = append(want, bellhop.OldRun{Run: 10, Service: "example", Job: "hello", Finished: f.now()})
			for _, n := range []int{1, 3, 100} {
				f.same(fmt.Sprint("old runs, at a time ", n), f.old(n), want)
			}
		},
		"Retention/OldCountsTheOutputThatIsKept": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "aaaa"), f.chunk(2, 2, 0, "bb"))
			f.output(r, []int64{1, 9}, f.chunk(2, 2, 0, "bb")) // again
			f.finish(f.again(r, bellhop.EndCrashed, 0))
			r = ref(f.claimOne())
			e := f.ending(r)
			e.Output = &bellhop.OutputBatch{Ref: r, Attempt: 2, Chunks: []bellhop.Chunk{f.chunk(1, 1, 0, "ccc")}}
			f.finish(e)
			f.same("output", f.old(9)[0].Output, int64(5))
			f.same("size", f.outputSize(), int64(5))
			f.reopen()
			f.same("size after a restart", f.outputSize(), int64(5))
		},
		"Retention/ForgetDeletesARunWithAllThatBelongsToIt": func(f *fixture) {
			a := f.submit(merge("m"), key("k")).Run
			f.submit(merge("m"), by("bob"), session("s"))
			r := ref(f.claimOne())
			f.finish(f.again(r, bellhop.EndFailed, 0))
			r = ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "text"))
			e := f.ending(r)
			e.Notify = []bellhop.Ask{{Principal: "ops", Origin: bellhop.Origin{Source: "ssh"}}}
			f.finish(e)
			f.deliver()
			b := f.done("more")
			f.same("changed", f.forget([]bellhop.RunID{a}, nil), 1)
			_, err := f.s.Records.Run(f.ctx, a)
			f.code(err, bellhop.NotFound)
			_, err = f.s.Records.Asks(f.ctx, a)
			f.code(err, bellhop.NotFound)
			attempts, err := f.s.Records.Attempts(f.ctx, a)
			f.must(err)
			f.same("attempts", len(attempts), 0)
			f.same("output", f.after(a, 0, 0, 100), []string{})
			f.same("size", f.outputSize(), int64(4))
			f.same("reports", f.reported(), []string{"alice outcome 2 #1"})
			f.same("of the session", f.unread("", "s"), []int64{})
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{b})
			f.same("runs of bob", f.list(bellhop.RunFilter{Principal: "bob"}), []bellhop.RunID{})
			f.same("runs of the job", f.list(bellhop.RunFilter{Service: "example", Job: "hello"}), []bellhop.RunID{b})
			f.same("again", f.forget([]bellhop.RunID{a, 99}, []bellhop.RunID{a, 99}), 0)
			again := f.submit(key("k"))
			f.same("its key", []any{again.How, again.Run, again.Ended}, []any{bellhop.Repeated, a, true})
		},
		"Retention/ForgetOutputKeepsTheRest": func(f *fixture) {
			a := f.done("text")
			b := f.done("")
			f.done("last")
			before := f.run(a)
			f.same("forgotten", before.OutputForgotten, false)
			f.same("changed", f.forget(nil, []bellhop.RunID{a, b}), 1)
			before.OutputForgotten = true
			f.same("run", f.run(a), before)
			f.same("in the list", f.list(bellhop.RunFilter{}), []bellhop.RunID{3, 2, 1})
			f.same("one that had none", f.run(b).OutputForgotten, false)
			f.same("output", f.after(a, 0, 0, 100), []string{})
			f.same("size", f.outputSize(), int64(4))
			f.same("output of it as an old one", f.old(9)[0].Output, int64(0))
			f.same("reports", len(f.due()), 3)
			f.same("again", f.forget(nil, []bellhop.RunID{a}), 0)
		},
		"Retention/ForgetLeavesRunsThatHaveNotEnded": func(f *fixture) {
			f.submit()
			r := ref(f.claimOne())
			f.output(r, nil, f.chunk(1, 1, 0, "text"))
			f.submit(in(time.Hour))
			f.done("")
			f.same("changed", f.forget([]bellhop.RunID{1, 2}, []bellhop.RunID{1, 2}), 0)
			f.same("output", f.after(1, 0, 0, 100), []string{"1.1:text"})
			f.finish(f.ending(r))
			f.same("forgotten", f.run(1).OutputForgotten, false)
		},
		"Retention/ForgetLeavesRunsThatAreStillToBeReported": func(f *fixture) {
			f.done("pending")
			f.done("unread", by("bob"))
			f.done("pending", by("carol"))
			f.done("")
			rows := f.due()
			f.settle(bellhop.Settlement{ID: rows[1].ID, State: bellhop.ReportUnread})
			f.same("changed", f.forget([]bellhop.RunID{1, 2, 3}, []bellhop.RunID{3}), 2)
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{4, 3, 1})
			f.same("with output", f.after(1, 0, 0, 100), []string{"1.1:pending"})
			f.same("without output", f.run(3).OutputForgotten, true)
			f.same("reports", f.reported(), []string{"alice outcome 1 #1", "carol outcome 3 #1", "alice outcome 4 #1"})
			f.same("unread", f.unread("bob", ""), []int64{})
			f.deliver()
			f.same("changed when they were reported", f.forget([]bellhop.RunID{1, 3}, nil), 2)
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{4})
		},
		"Retention/TheNewestRunLosesItsOutputAtMost": func(f *fixture) {
			f.done("a")
			f.done("b")
			f.deliver()
			f.same("changed", f.forget([]bellhop.RunID{1, 2}, nil), 2)
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{2})
			f.same("forgotten", f.run(2).OutputForgotten, true)
			f.same("changed", f.forget([]bellhop.RunID{2}, nil), 0)
			f.reopen()
			f.same("next id", f.submit().Run, bellhop.RunID(3))
		},
		"Retention/ForgetDoesNotChangeWhatVerdictsLookBackOn": func(f *fixture) {
			f.submit()
			f.finish(f.failing(ref(f.claimOne())))
			f.done("", job("other", "hello"))
			f.deliver()
			f.forget([]bellhop.RunID{1}, nil)
			f.same("verdict", f.run(f.done("")).Verdict, bellhop.Fixed)
		},
		"Retention/ForgetKeysDeletesThoseNotedBefore": func(f *fixture) {
			for i := range 5 {
				f.submit(key(fmt.Sprint("old", i)))
			}
			f.cancel(bellhop.Cancellation{Service: "example", Job: "hello", All: true, Principal: "alice"})
			f.cancel(bellhop.Cancellation{Key: "old5", Service: "nope", Job: "nope", All: true, Principal: "alice"})
			f.putHoldAs("old6", bellhop.Hold{Service: "nope"})
			f.clock.Advance(bellhop.KeyAge)
			before := f.now()
			for i := range 3 {
				f.submit(key(fmt.Sprint("new", i)))
			}
			cursor, steps := "", 0
			for {
				next, err := f.s.Retention.ForgetKeys(f.ctx, before, cursor, 2)
				f.must(err)
				if steps++; next == "" {
					break
				}
				if next == cursor || steps > 20 {
					f.Fatalf("step %d goes on from %q after %q", steps, next, cursor)
				}
				cursor = next
			}
			if steps < 4 {
				f.Fatalf("11 keys were looked at in %d steps of 2", steps)
			}
			for i := range 3 {
				f.same("a newer key", f.submit(key(fmt.Sprint("new", i))).How, bellhop.Repeated)
			}
			for i := range 7 {
				f.same("an older key", f.submit(key(fmt.Sprint("old", i))).How, bellhop.Created)
			}
		},
		"Retention/ForgetKeysSparesThoseOfRunsThatHaveNotEnded": func(f *fixture) {
			f.submit(key("runs"))
			f.submit(key("rejected"), reject("a"), in(time.Hour))
			c := f.claimOne()
			f.submit(key("waits"), reject("a"), in(time.Hour))
			forget := func() {
				f.clock.Advance(bellhop.KeyAge)
				_, err := f.s.Retention.ForgetKeys(f.ctx, f.now(), "", 100)
				f.must(err)
			}
			forget()
			f.same("of one that runs", f.submit(key("runs")).How, bellhop.Repeated)
			f.same("of one that waits", f.submit(key("rejected")).How, bellhop.Repeated)
			f.same("of one that was rejected for it", f.submit(key("waits")).How, bellhop.Rejected)
			f.finish(f.ending(ref(c)))
			forget()
			f.same("of one that has ended", f.submit(key("runs")).How, bellhop.Created)
		},
		"Retention/ForgetHoldsDeletesThoseOverBefore": func(f *fixture) {
			f.putHold(bellhop.Hold{Until: f.now().Add(time.Minute)})
			b := f.putHold(bellhop.Hold{Until: f.now().Add(time.Hour)})
			f.putHold(bellhop.Hold{Kind: bellhop.HoldPause, Job: "a"})
			d := f.putHold(bellhop.Hold{Kind: bellhop.HoldPause, Job: "b"})
			job := "a"
			f.endHolds(bellhop.HoldFilter{Job: &job})
			f.clock.Advance(2 * time.Minute)
			f.must(f.s.Retention.ForgetHolds(f.ctx, f.now()))
			f.same("left", f.holds(bellhop.HoldFilter{Over: true}), []int64{b.ID, d.ID})
			f.submit()
			f.same("those left are obeyed", len(f.claim(9)), 0)
		},
		"Retention/TheAuditAndSecretsStay": func(f *fixture) {
			f.begin("one")
			f.must(f.s.Secrets.PutSecret(f.ctx, f.sealed("", "token", "1")))
			f.put("k", "x", 0, 0)
			id := f.done("text", key("k"), audited(f.decision("made")))
			f.done("more")
			f.deliver()
			f.same("changed", f.forget([]bellhop.RunID{id}, nil), 1)
			f.clock.Advance(1000 * 24 * time.Hour)
			_, err := f.s.Retention.ForgetKeys(f.ctx, f.now(), "", 1000)
			f.must(err)
			f.must(f.s.Retention.ForgetHolds(f.ctx, f.now()))
			_, err = f.s.Retention.Shrink(f.ctx)
			f.must(err)
			f.reopen()
			f.same("of the run", details(f.trail(bellhop.AuditFilter{Run: id})), []string{"made"})
			f.same("verified", f.verify(), 2)
			f.same("secrets", len(f.secrets()), 1)
			f.same("values", f.keys("", "", 9), []string{"k"})
		},
		"Retention/ShrinkComesToAnEnd": func(f *fixture) {
			var all []bellhop.RunID
			for range 20 {
				all = append(all, f.done(fmt.Sprint(make([]byte, 20_000))))
			}
			f.deliver()
			f.same("changed", f.forget(all, nil), 20)
			for range 10_000 {
				more, err := f.s.Retention.Shrink(f.ctx)
				f.must(err)
				if !more {
					f.same("left", f.list(bellhop.RunFilter{}), []bellhop.RunID{20})
					return
				}
			}
			f.Error("there is more to give after 10,000 calls")
		},
	}
}
