package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// voteTests are about votes that come to nothing, or come again.
func voteTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Vote/OnAnUnknownRunIsNotFound": func(f *fixture) {
			_, err := f.s.Approvals.Vote(f.ctx, f.voting(99, "bob", true))
			f.code(err, bellhop.NotFound)
		},
		"Vote/OnARunThatNeedsNone": func(f *fixture) {
			f.submit()
			f.conflict(f.voting(1, "bob", true), "needs no approval", "waiting")
			f.same("approval", f.run(1).Approval == nil, true)
		},
		"Vote/OnceForEachPrincipal": func(f *fixture) {
			f.submit(held(f.approval(2)))
			f.approve(1, "bob")
			f.conflict(f.voting(1, "bob", true), "bob has approved", "1 more")
			f.conflict(f.voting(1, "bob", false), "bob has approved", "cancel ")
			f.same("votes", len(f.run(1).Approval.Votes), 1)
			f.same("state", f.approve(1, "carol").State, bellhop.Waiting)
		},
		"Vote/OnceForEachIdentity": func(f *fixture) {
			f.submit(held(f.approval(2)))
			f.approve(1, "bob")
			v := f.voting(1, "robert", true)
			v.Vote.Identity = "ssh:bob"
			f.conflict(v, "robert has approved", "1 more")
			f.same("votes", len(f.run(1).Approval.Votes), 1)
		},
		"Vote/IsJudgedWithThoseBeforeIt": func(f *fixture) {
			f.submit(held(f.approval(2)))
			late := f.voting(1, "carol", true)
			f.approve(1, "bob")
			_, err := f.s.Approvals.Vote(f.ctx, late)
			f.same("an approval that saw none", errors.Is(err, bellhop.ErrVotedMeanwhile), true)
			f.same("state", f.state(1), bellhop.Held)
			late.Seen, late.Void = 1, map[int]string{0: "no approver any more"}
			late.Vote.Listed = true
			run, err := f.s.Approvals.Vote(f.ctx, late)
			f.must(err)
			f.same("state", run.State, bellhop.Held)
			f.reopen()
			f.same("approvers", f.run(1).Approval.Approvers(), []string{"carol"})
			f.same("why", f.run(1).Approval.Votes[0].Void, "no approver any more")
			f.same("listed", f.run(1).Approval.Votes[1].Listed, true)
			f.same("once more", f.approve(1, "bob").State, bellhop.Waiting)
			f.same("approvers", f.run(1).Approval.Approvers(), []string{"carol", "bob"})
			f.submit(held(f.approval(2)))
			no := f.voting(2, "carol", false)
			f.approve(2, "bob")
			_, err = f.s.Approvals.Vote(f.ctx, no)
			f.must(err)
			f.same("a denial needs no others", f.state(2), bellhop.Cancelled)
		},
		"Vote/AfterTheDecision": func(f *fixture) {
			f.submit(held(f.approval(2)))
			f.approve(1, "bob")
			f.approve(1, "carol")
			f.conflict(f.voting(1, "dave", true), "approved by bob and carol", "waiting")
			c := f.claimOne()
			f.conflict(f.voting(1, "dave", false), "approved by bob and carol", "running")
			f.finish(f.ending(ref(c)))
			f.conflict(f.voting(1, "dave", true), "approved by bob and carol", "succeeded", "retry ")
			f.submit(held(f.approval(1)))
			f.deny(2, "bob")
			f.conflict(f.voting(2, "dave", true), "denied by bob: as bob said", "retry ")
			f.same("votes", len(f.run(2).Approval.Votes), 1)
		},
		"Vote/AfterItsTime": func(f *fixture) {
			f.submit(held(f.approval(1)))
			f.submit(held(f.approval(1)))
			f.clock.Advance(hour - time.Microsecond)
			f.same("in time", f.approve(1, "bob").State, bellhop.Waiting)
			f.clock.Advance(time.Microsecond)
			f.conflict(f.voting(2, "bob", true), "2026-11-21 13:00:00 UTC", "retry ")
			f.conflict(f.voting(2, "bob", false), "2026-11-21 13:00:00 UTC")
			f.same("votes", len(f.run(2).Approval.Votes), 0)
			f.lapse(9)
			f.conflict(f.voting(2, "bob", true), "nobody approved it in time", "retry ")
		},
		"Vote/TheSameKeyGivesTheSameAnswer": func(f *fixture) {
			f.submit(held(f.approval(2)), priority(3), deadline(2*hour))
			f.submit(held(f.approval(1)))
			one, two, no := f.voting(1, "bob", true), f.voting(1, "carol", true), f.voting(2, "bob", false)
			two.Seen = 1
			votes := []bellhop.Voting{one, two, no}
			var first []bellhop.Run
			for _, v := range votes {
				run, err := f.s.Approvals.Vote(f.ctx, v)
				f.must(err)
				first = append(first, run)
			}
			f.finish(f.ending(ref(f.claimOne())))
			f.settleAll()
			f.clock.Advance(3 * hour)
			f.reopen()
			for i, v := range votes {
				run, err := f.s.Approvals.Vote(f.ctx, v)
				f.must(err)
				f.same("again", run, first[i])
			}
			f.same("votes", len(f.run(1).Approval.Votes), 2)
			f.same("reports", f.reported(), []string{})
		},
		"Vote/ARefusedOneIsNotNoted": func(f *fixture) {
			f.submit(held(f.approval(2)))
			f.approve(1, "bob")
			v := f.voting(1, "bob", true)
			f.conflict(v)
			v.Vote.Principal, v.Vote.Identity = "carol", "ssh:carol"
			run, err := f.s.Approvals.Vote(f.ctx, v)
			f.must(err)
			f.same("state", run.State, bellhop.Waiting)
		},
		"Vote/IsAuditedWhenItCounts": func(f *fixture) {
			if f.s.Audit == nil {
				f.Skip("this driver keeps no audit yet")
			}
			f.must(f.s.Audit.Begin(f.ctx, "server-1", []byte(strings.Repeat("k", 32)), f.now()))
			f.submit(held(f.approval(1)))
			v := f.voting(1, "bob", true)
			v.Audit = &bellhop.AuditRecord{At: f.now(), Action: "approve", Principal: "bob", Allowed: true, Service: "example"}
			_, err := f.s.Approvals.Vote(f.ctx, v)
			f.must(err)
			_, err = f.s.Approvals.Vote(f.ctx, v) // the same again
			f.must(err)
			late := f.voting(1, "carol", true)
			late.Audit = &bellhop.AuditRecord{At: f.now(), Action: "approve", Principal: "carol", Allowed: true}
			f.conflict(late)
			recs, _, err := f.s.Audit.Records(f.ctx, bellhop.AuditFilter{Run: 1})
			f.must(err)
			f.same("records", len(recs), 1)
			f.same("by", recs[0].Principal, "bob")
		},
		"Vote/AKeyOfSomethingElseIsAConflict": func(f *fixture) {
			f.submit(held(f.approval(1)), key("k"))
			f.cancel(bellhop.Cancellation{Key: "c", Service: "example", Job: "bye", All: true, Principal: "alice"})
			for _, k := range []string{"k", "c"} {
				v := f.voting(1, "bob", true)
				v.Key = k
				_, err := f.s.Approvals.Vote(f.ctx, v)
				f.code(err, bellhop.Conflict)
			}
			f.same("state", f.state(1), bellhop.Held)
		},
		"Vote/OfManyAtOnceOneCompletes": func(f *fixture) { f.race(f.s) },
		"Vote/OfManyAtOnceOnTwoServersOneCompletes": func(f *fixture) {
			if f.driver.Beside == nil {
				f.Skip("one server alone may have a store of this driver open")
			}
			f.race(f.s, f.driver.Beside(f.T, f.s, f.clock))
		},
		"Vote/OnARunThatIsCancelledAtTheSameTime": func(f *fixture) {
			for range 20 {
				f.n++
				id := f.submit(held(f.approval(1)), job("example", fmt.Sprint("j", f.n))).Run
				v := f.voting(id, "bob", true)
				var wg sync.WaitGroup
				var vote, gone error
				wg.Go(func() { _, vote = f.s.Approvals.Vote(f.ctx, v) })
				wg.Go(func() {
					_, gone = f.s.Queue.Cancel(f.ctx, bellhop.Cancellation{Key: "c" + v.Key, Run: id, All: true, Principal: "carol", By: "carol", Now: f.now()})
				})
				wg.Wait()
				f.must(gone)
				if vote != nil {
					f.code(vote, bellhop.Conflict)
				}
				run := f.run(id)
				f.same("state", run.State, bellhop.Cancelled)
				f.same("votes", len(run.Approval.Votes) == 1, vote == nil)
			}
		},
	}
}

// race has many approve the last that is missing of runs at the same instant,
// each by the next of the stores on one database. One of them completes.
func (f *fixture) race(stores ...*bellhop.Store) {
	f.Helper()
	const voters, rounds = 8, 10
	for range rounds {
		id := f.submit(held(f.approval(1)), limit("k", 1)).Run
		f.settleAll()
		begin := make(chan struct{})
		errs := make([]error, voters)
		var wg sync.WaitGroup
		for i := range voters {
			v := f.voting(id, fmt.Sprint("voter", i), true)
			wg.Go(func() {
				<-begin
				_, errs[i] = stores[i%len(stores)].Approvals.Vote(f.ctx, v)
			})
		}
		close(begin)
		wg.Wait()
		run := f.run(id)
		f.same("approvers", len(run.Approval.Votes), 1)
		for i, err := range errs {
			if won := run.Approval.Votes[0].Principal == fmt.Sprint("voter", i); won {
				f.must(err)
				continue
			}
			f.code(err, bellhop.Conflict)
			if want := "approved by " + run.Approval.Votes[0].Principal; !strings.Contains(err.Error(), want) {
				f.Fatalf("the answer is %q; want %q in it", err, want)
			}
		}
		f.same("told", len(f.settleAll()), 3)
		f.finish(f.ending(ref(f.claimOne())))
		f.settleAll()
	}
}

// lapseTests are about approvals that do not come in time.
func lapseTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Lapse/EndsWhatNobodyApproved": func(f *fixture) {
			f.submit(held(f.approval(2)), merge("m"))
			f.submit(merge("m"), by("bob"))
			f.approve(1, "carol")
			f.settleAll()
			f.clock.Advance(hour - time.Microsecond)
			gone, next := f.lapse(9)
			f.same("gone", len(gone), 0)
			f.same("next", next, f.now().Add(time.Microsecond))
			f.clock.Advance(time.Microsecond)
			gone, next = f.lapse(9)
			f.same("gone", gone, []bellhop.RunID{1})
			f.same("next", next, time.Time{})
			run := f.run(1)
			f.same("state", run.State, bellhop.Cancelled)
			f.same("verdict", run.Verdict, bellhop.Aborted)
			f.same("error", run.Error, "nobody approved it in time")
			f.same("finished", *run.Finished, f.now())
			f.same("votes", run.Approval.Approvers(), []string{"carol"})
			f.same("reports", f.reported(), []string{"alice outcome 1 #0", "bob outcome 1 #0", "ops decided 1 #0", "boss decided 1 #0"})
			f.same("merge", f.submit(merge("m")).How, bellhop.Created)
		},
		"Lapse/InSteps": func(f *fixture) {
			expires := func(in time.Duration) spec {
				a := f.approval(1)
				a.Expires = time.Time{}
				if in > 0 {
					a.Expires = f.now().Add(in)
				}
				return held(a)
			}
			for _, in := range []time.Duration{3, 1, 2, 0, 4, 9} {
				f.submit(expires(in * time.Minute))
			}
			f.submit()
			f.approve(5, "bob")
			f.reopen()
			_, next := f.lapse(9)
			f.same("first", next, f.now().Add(time.Minute))
			f.clock.Advance(4 * time.Minute)
			gone, next := f.lapse(2)
			f.same("gone", gone, []bellhop.RunID{2, 3})
			f.same("more at once", next.After(f.now()), false)
			f.same("next is zero", next.IsZero(), false)
			gone, next = f.lapse(2)
			f.same("gone", gone, []bellhop.RunID{1})
			f.same("next", next, f.now().Add(5*time.Minute))
			f.clock.Advance(hour)
			gone, next = f.lapse(9)
			f.same("gone", gone, []bellhop.RunID{6})
			f.same("never", next, time.Time{})
			f.same("held", f.list(bellhop.RunFilter{States: []bellhop.State{bellhop.Held}}), []bellhop.RunID{4})
			f.same("without an end", f.approve(4, "bob").State, bellhop.Waiting)
		},
	}
}
