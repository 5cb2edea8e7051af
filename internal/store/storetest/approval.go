package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

const hour = time.Hour

// approval is one by ops that so many must give within an hour.
func (f *fixture) approval(count int) *bellhop.Approval {
	return &bellhop.Approval{
		By: []string{"ops"}, Count: count, Self: true, Expires: f.now().Add(time.Hour),
		Notify: []bellhop.Ask{f.asked("ops", "s-ops"), f.asked("boss", "")},
	}
}

// asked is somebody who is asked to decide.
func (f *fixture) asked(who, session string) bellhop.Ask {
	return bellhop.Ask{N: -1, Principal: who, Identity: "slack:" + who, Key: "n:" + who, At: f.now(), Origin: bellhop.Origin{Source: "slack", Channel: "C1", Session: session}}
}

func held(a *bellhop.Approval) spec { return func(s *bellhop.Submission) { s.Run.Approval = a } }

func (f *fixture) voting(id bellhop.RunID, who string, approve bool) bellhop.Voting {
	f.n++
	seen := 0
	if run, err := f.s.Records.Run(f.ctx, id); err == nil && run.Approval != nil {
		seen = len(run.Approval.Votes)
	}
	return bellhop.Voting{
		Key: fmt.Sprintf("vote:%d", f.n), Run: id, Seen: seen,
		Vote: bellhop.Vote{Principal: who, Identity: "ssh:" + who, Approve: approve, Reason: "as " + who + " said", At: f.now()},
	}
}

func (f *fixture) approve(id bellhop.RunID, who string) bellhop.Run {
	f.Helper()
	run, err := f.s.Approvals.Vote(f.ctx, f.voting(id, who, true))
	f.must(err)
	return run
}

func (f *fixture) deny(id bellhop.RunID, who string) bellhop.Run {
	f.Helper()
	run, err := f.s.Approvals.Vote(f.ctx, f.voting(id, who, false))
	f.must(err)
	return run
}

// conflict wants a vote that comes to nothing, and says why in these words.
func (f *fixture) conflict(v bellhop.Voting, words ...string) {
	f.Helper()
	_, err := f.s.Approvals.Vote(f.ctx, v)
	f.code(err, bellhop.Conflict)
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			f.Fatalf("the answer is %q; want %q in it", err, w)
		}
	}
}

func (f *fixture) lapse(n int) ([]bellhop.RunID, time.Time) {
	f.Helper()
	gone, next, err := f.s.Approvals.Lapse(f.ctx, f.now(), n, "nobody approved it in time")
	f.must(err)
	return gone, next
}

// settleAll has all that is due delivered, and returns who was told of what.
func (f *fixture) settleAll() []string {
	f.Helper()
	told := f.reported()
	for _, r := range f.due() {
		f.settle(bellhop.Settlement{ID: r.ID, State: bellhop.ReportDelivered})
	}
	return told
}

func (f *fixture) state(id bellhop.RunID) bellhop.State { return f.run(id).State }

// approvalTests are about runs that are held and what is said of them.
func approvalTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Held/IsNotClaimed": func(f *fixture) {
			a := f.approval(1)
			sub := f.submission(held(a), in(-time.Minute))
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{sub})
			f.must(err)
			f.same("answer", out[0], bellhop.Submitted{Run: 1, How: bellhop.Created, Start: sub.Run.Start})
			f.submit()
			f.clock.Advance(2 * time.Hour)
			runs, next := f.claimNext(9)
			f.same("claimed", ids(runs), []bellhop.RunID{2})
			f.same("next", next, time.Time{})
			runs, next = f.claimNext(9, 1)
			f.same("named", ids(runs), []bellhop.RunID{})
			f.same("next", next, time.Time{})
		},
		"Held/IsToldWithItsApproval": func(f *fixture) {
			a := f.approval(2)
			sub := f.submission(held(a), session("s"), limit("k", 1), priority(4))
			_, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{sub})
			f.must(err)
			want := bellhop.Run{
				ID: 1, Service: "example", Job: "hello", Args: bellhop.Args{}, State: bellhop.Held, AskedBy: "alice", Origin: sub.Ask.Origin,
				Created: f.now(), Digest: sub.Run.Digest, Start: sub.Run.Start, Priority: 4, Approval: a,
			}
			f.same("run", f.run(1), want)
			f.same("asks", f.asks(1), []bellhop.Ask{sub.Ask})
			f.reopen()
			f.same("run after a restart", f.run(1), want)
			_, waiting, _, err := f.s.Records.Active(f.ctx, 9)
			f.must(err)
			f.same("active", waiting, []bellhop.Run{want})
		},
		"Held/AsksThoseWhoMayDecide": func(f *fixture) {
			a := f.approval(1)
			given := *a
			given.Notify = []bellhop.Ask{a.Notify[0], a.Notify[1]}
			given.Notify[0].N, given.Votes = 7, []bellhop.Vote{{Principal: "alice", Approve: true}} // neither is taken over
			f.submit(held(&given))
			rows := f.due()
			f.same("reports", len(rows), 2)
			for i, want := range a.Notify {
				f.same("report", rows[i], bellhop.OutboxRow{ID: rows[i].ID, Kind: bellhop.ReportApproval, Run: 1, Ask: want, Created: f.now()})
			}
			f.same("run", f.run(1).Approval, a)
			f.settle(bellhop.Settlement{ID: rows[1].ID, State: bellhop.ReportUnread})
			f.reopen()
			f.same("unread", f.unread("boss", ""), []int64{rows[1].ID})
			f.same("in a session", f.unread("", "s-ops"), []int64{rows[0].ID})
			f.same("they did not ask", f.list(bellhop.RunFilter{Principal: "ops"}), []bellhop.RunID{})
		},
		"Held/TheLastApprovalThatWasMissingHasItWait": func(f *fixture) {
			sub := f.submit(held(f.approval(2)), in(-time.Minute), merge("m"))
			f.submit(held(f.approval(2)), in(-time.Minute), merge("m"), by("bob"))
			f.settleAll()
			f.clock.Advance(time.Second)
			first := f.approve(sub.Run, "carol")
			f.same("state", first.State, bellhop.Held)
			f.same("nobody is told", f.reported(), []string{})
			f.same("claimed", len(f.claim(9)), 0)
			f.reopen()
			f.clock.Advance(time.Second)
			second := f.approve(sub.Run, "dave")
			f.same("answer", second, f.run(sub.Run))
			f.same("state", second.State, bellhop.Waiting)
			f.same("start", second.Start, sub.Start)
			f.same("votes", second.Approval.Votes, []bellhop.Vote{
				{Principal: "carol", Identity: "ssh:carol", Approve: true, Reason: "as carol said", At: f.now().Add(-time.Second)},
				{Principal: "dave", Identity: "ssh:dave", Approve: true, Reason: "as dave said", At: f.now()},
			})
			f.same("reports", f.settleAll(), []string{"alice decided 1 #0", "bob decided 1 #0", "ops decided 1 #0", "boss decided 1 #0"})
			c := f.claimOne()
			f.same("claimed", c.Run, f.run(sub.Run))
			f.same("approvers", c.Run.Approval.Approvers(), []string{"carol", "dave"})
			f.finish(f.ending(ref(c)))
			f.reopen()
			f.same("after its end", f.run(sub.Run).Approval.Approvers(), []string{"carol", "dave"})
			f.same("reports", f.reported(), []string{"alice outcome 1 #1", "bob outcome 1 #1"})
		},
		"Held/AnApprovedRunKeepsItsStartAndItsPlace": func(f *fixture) {
			f.submit(held(f.approval(1)), in(-time.Minute)) // 1
			f.submit(held(f.approval(1)), in(time.Minute))  // 2
			f.submit()                                      // 3
			f.approve(2, "bob")
			f.approve(1, "bob")
			f.reopen()
			runs, next := f.claimNext(9)
			f.same("claimed", ids(runs), []bellhop.RunID{1, 3})
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(time.Minute)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2})
		},
		"Held/ADenialIsTheEnd": func(f *fixture) {
			a := f.approval(2)
			sub := f.submit(held(a), merge("m"), in(time.Minute))
			f.submit(held(a), merge("m"), in(time.Minute), by("bob"))
			f.cancel(bellhop.Cancellation{Run: sub.Run, Principal: "alice"})
			f.approve(sub.Run, "carol")
			f.settleAll()
			f.clock.Advance(time.Second)
			out := f.deny(sub.Run, "dave")
			f.same("answer", out, f.run(sub.Run))
			f.same("state", out.State, bellhop.Cancelled)
			f.same("verdict", out.Verdict, bellhop.Aborted)
			f.same("error", out.Error, "denied by dave: as dave said")
			f.same("finished", *out.Finished, f.now())
			f.same("votes", len(out.Approval.Votes), 2)
			f.same("reports", f.reported(), []string{"bob outcome 1 #0", "ops decided 1 #0", "boss decided 1 #0"})
			attempts, err := f.s.Records.Attempts(f.ctx, sub.Run)
			f.must(err)
			f.same("attempts", len(attempts), 0)
			f.clock.Advance(time.Hour)
			f.same("claimed", len(f.claim(9)), 0)
			gone, next := f.lapse(9)
			f.same("lapsed", len(gone), 0)
			f.same("next", next, time.Time{})
		},
		"Held/ADenialWithoutAReason": func(f *fixture) {
			f.submit(held(f.approval(1)))
			v := f.voting(1, "bob", false)
			v.Vote.Reason = ""
			out, err := f.s.Approvals.Vote(f.ctx, v)
			f.must(err)
			f.same("error", out.Error, "denied by bob")
		},
		"Held/FollowsAnotherRun": func(f *fixture) {
			f.submit(merge("m"))
			f.submit(merge("m"), by("bob"))
			e := f.ending(ref(f.claimOne()))
			e.Report = ""
			e.Follow = []bellhop.RunSpec{f.following(func(s *bellhop.RunSpec) { s.Approval, s.Start = f.approval(1), f.now() })}
			f.finish(e)
			f.same("state", f.state(2), bellhop.Held)
			f.same("asks", len(f.asks(2)), 2)
			f.same("reports", f.settleAll(), []string{"ops approval 2 #0", "boss approval 2 #0"})
			f.same("claimed", len(f.claim(9)), 0)
			f.approve(2, "carol")
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(2))
		},
		"Held/TheSecondOfOneCallJoinsTheFirst": func(f *fixture) {
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{
				f.submission(held(f.approval(1)), merge("m")), f.submission(held(f.approval(1)), merge("m"), by("bob")), f.submission(),
			})
			f.must(err)
			f.same("how", []bellhop.How{out[0].How, out[1].How, out[2].How}, []bellhop.How{bellhop.Created, bellhop.Merged, bellhop.Created})
			f.same("reports", f.reported(), []string{"ops approval 1 #0", "boss approval 1 #0"})
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2})
			f.same("asks", len(f.asks(1)), 2)
		},
		"Held/JoiningItKeepsItHeld": func(f *fixture) {
			first := f.approval(1)
			f.submit(held(first), merge("m"), priority(2))
			other := f.approval(3)
			other.By = []string{"others"}
			f.same("joined", f.submit(held(other), merge("m"), in(time.Minute), by("bob")), bellhop.Submitted{Run: 1, How: bellhop.Merged, Start: f.now().Add(time.Minute)})
			f.same("without an approval", f.submit(merge("m"), in(-time.Minute), by("carol"), priority(5)).How, bellhop.Merged)
			f.reopen()
			run := f.run(1)
			f.same("state", run.State, bellhop.Held)
			f.same("approval", run.Approval, first)
			f.same("start", run.Start, f.now().Add(-time.Minute))
			f.same("priority", run.Priority, 5)
			f.same("claimed", len(f.claim(9)), 0)
			f.same("reports", f.reported(), []string{"ops approval 1 #0", "boss approval 1 #0"})
			f.approve(1, "dave")
			f.same("joined once more", f.submit(held(other), merge("m"), in(time.Minute)).How, bellhop.Merged)
			f.same("state", f.state(1), bellhop.Waiting)
			f.clock.Advance(time.Minute)
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(1))
		},
		"Held/OneThatIsFullIsSealed": func(f *fixture) {
			f.submit(held(f.approval(1)), merge("m"))
			for left := 10_000 - 1; left > 0; {
				subs := make([]bellhop.Submission, min(left, 1000))
				for i := range subs {
					subs[i] = f.submission(merge("m"), held(f.approval(1)))
				}
				_, err := f.s.Queue.Submit(f.ctx, subs)
				f.must(err)
				left -= len(subs)
			}
			f.same("the run", len(f.asks(1)), 10_000)
			f.same("how", f.submit(merge("m")).How, bellhop.Created)
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(2))
		},
		"Held/IsFoundByItsAlikeKey": func(f *fixture) {
			f.submit(held(f.approval(1)), reject("a"), merge("m"))
			f.same("while it is held", f.submit(held(f.approval(1)), reject("a"), merge("m")), bellhop.Submitted{Run: 1, How: bellhop.Rejected, Start: f.now()})
			f.reopen()
			f.same("after a restart", f.submit(reject("a")).How, bellhop.Rejected)
			f.approve(1, "bob")
			f.same("when it waits", f.submit(reject("a")).How, bellhop.Rejected)
		},
		"Held/ItsEndReleasesItsKeys": func(f *fixture) {
			ends := []func(id bellhop.RunID){
				func(id bellhop.RunID) { f.deny(id, "bob") },
				func(id bellhop.RunID) { f.cancel(bellhop.Cancellation{Run: id, All: true, Principal: "bob"}) },
				func(bellhop.RunID) { f.clock.Advance(time.Hour); f.lapse(9) },
			}
			for i, end := range ends {
				id := f.submit(held(f.approval(1)), reject("a"), merge("m")).Run
				f.same("run", id, bellhop.RunID(i+1))
				end(id)
				f.same("state", f.state(id), bellhop.Cancelled)
			}
			f.same("merge", f.submit(merge("m")).How, bellhop.Created)
		},
	}
}

// approvalKeyTests are about held runs beside others.
func approvalKeyTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Held/TakesNoPlaceUnderItsLimit": func(f *fixture) {
			f.submit(held(f.approval(1)), limit("k", 1), in(-time.Minute), priority(9))
			f.same("behind nobody", f.submit(limit("k", 1)).Behind, bellhop.RunID(0))
			c := f.claimOne()
			f.same("claimed", c.Run.ID, bellhop.RunID(2))
			f.same("behind what runs", f.submit(limit("k", 1)).Behind, bellhop.RunID(2))
			f.same("a held one is behind nobody", f.submit(held(f.approval(1)), limit("k", 1)).Behind, bellhop.RunID(0))
			f.same("nor in its record", f.run(4).Behind, bellhop.RunID(0))
			f.approve(1, "bob")
			f.same("nothing", len(f.claim(9)), 0)
			f.same("behind", f.run(1).Behind, bellhop.RunID(2))
			f.finish(f.ending(ref(c)))
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(1))
		},
		"Held/KeepsTheLimitOfItsKey": func(f *fixture) {
			f.submit(limit("k", 2))
			f.submit(held(f.approval(1)), limit("k", 2))
			f.submit(held(f.approval(1)), limit("k", 2))
			f.finish(f.ending(ref(f.claimOne()))) // nothing waits or runs any more
			f.approve(2, "bob")
			f.approve(3, "bob")
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2, 3})
			f.same("none too many", f.submit(limit("k", 2)).How, bellhop.Created)
			f.same("claimed", len(f.claim(9)), 0)
		},
		"Held/MergingWithAKeyGetsNothingBehind": func(f *fixture) {
			f.submit(limit("k", 1))
			f.claimOne()
			f.submit(held(f.approval(1)), limit("k", 1), merge("m"), key("again"))
			f.same("joined", f.submit(limit("k", 1), merge("m")).Behind, bellhop.RunID(0))
			again := f.submit(held(f.approval(1)), limit("k", 1), merge("m"), key("again"))
			f.same("repeated", again, bellhop.Submitted{Run: 2, How: bellhop.Repeated, Start: f.now()})
		},
		"Held/AWindowKeepsItBackAfterItsApproval": func(f *fixture) {
			f.submit(held(f.approval(1)))
			f.putHold(bellhop.Hold{Service: "example", Until: f.now().Add(time.Minute)})
			f.claim(9)
			f.approve(1, "bob")
			runs, next := f.claimNext(9)
			f.same("claimed", len(runs), 0)
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(time.Minute)
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(1))
		},
		"Held/IsCancelledAsAWaitingOneIs": func(f *fixture) {
			f.submit(held(f.approval(1)), merge("m"))
			f.submit(merge("m"), by("bob"))
			f.settleAll()
			f.same("one ask", f.cancel(bellhop.Cancellation{Run: 1, Principal: "alice"}), []bellhop.CancelledRun{{Run: 1, Effect: bellhop.CancelWithdrawn, State: bellhop.Held}})
			f.same("another's", f.cancel(bellhop.Cancellation{Run: 1, Principal: "carol"}), []bellhop.CancelledRun{{Run: 1, Effect: bellhop.CancelNotYours, State: bellhop.Held}})
			f.reopen()
			f.same("the last one", f.cancel(bellhop.Cancellation{Run: 1, Principal: "bob"}), []bellhop.CancelledRun{{Run: 1, Effect: bellhop.CancelDone, State: bellhop.Cancelled}})
			run := f.run(1)
			f.same("state", run.State, bellhop.Cancelled)
			f.same("verdict", run.Verdict, bellhop.Aborted)
			f.same("error", run.Error, "cancelled by bob")
			f.same("reports", f.reported(), []string{"bob outcome 1 #0", "ops decided 1 #0", "boss decided 1 #0"})
			f.conflict(f.voting(1, "dave", true), "cancelled by bob", "retry ")
			f.same("once more", f.cancel(bellhop.Cancellation{Run: 1, All: true})[0].Effect, bellhop.CancelTooLate)
		},
		"Held/IsCancelledWithItsJob": func(f *fixture) {
			f.submit(held(f.approval(1)))
			f.submit()
			f.submit(held(f.approval(1)), job("example", "bye"))
			out := f.cancel(bellhop.Cancellation{Service: "example", Job: "hello", All: true, Principal: "alice"})
			f.same("cancelled", out, []bellhop.CancelledRun{{Run: 1, Effect: bellhop.CancelDone, State: bellhop.Cancelled}, {Run: 2, Effect: bellhop.CancelDone, State: bellhop.Cancelled}})
			f.same("the other", f.state(3), bellhop.Held)
		},
		"Held/ACancelledOneAfterItsApprovalTellsThoseWhoAsked": func(f *fixture) {
			f.submit(held(f.approval(1)), in(time.Hour))
			f.approve(1, "bob")
			f.settleAll()
			f.cancel(bellhop.Cancellation{Run: 1, All: true, Principal: "carol"})
			f.same("reports", f.reported(), []string{"alice outcome 1 #0"})
			f.same("approvers", f.run(1).Approval.Approvers(), []string{"bob"})
		},
		"Held/ItsDeadlineEndsIt": func(f *fixture) {
			f.submit(held(f.approval(1)), deadline(time.Minute))
			f.settleAll()
			f.reopen()
			f.clock.Advance(time.Minute)
			gone, next, err := f.s.Queue.Expire(f.ctx, f.now(), 9, "too late")
			f.must(err)
			f.same("gone", gone, []bellhop.RunID{1})
			f.same("next", next, time.Time{})
			f.same("error", f.run(1).Error, "too late")
			f.same("reports", f.reported(), []string{"alice outcome 1 #0", "ops decided 1 #0", "boss decided 1 #0"})
			gone, _ = f.lapse(9)
			f.same("lapsed", len(gone), 0)
		},
		"Held/IsListed": func(f *fixture) {
			for i := range 5 {
				f.submit(held(f.approval(1)), in(time.Duration(-i)*time.Minute), by([]string{"alice", "bob"}[i%2])) // 1 to 5
			}
			f.submit()              // 6 runs
			f.claimOne()            //
			f.submit(in(-2 * hour)) // 7 waits
			f.approve(4, "carol")
			f.deny(5, "carol")
			f.reopen()
			states := func(s ...bellhop.State) []bellhop.State { return s }
			type ids = []bellhop.RunID
			for name, c := range map[string]struct {
				filter bellhop.RunFilter
				want   ids
			}{
				"held":              {bellhop.RunFilter{States: states(bellhop.Held)}, ids{3, 2, 1}},
				"a page":            {bellhop.RunFilter{States: states(bellhop.Held), Before: 3, Limit: 1}, ids{2}},
				"waiting":           {bellhop.RunFilter{States: states(bellhop.Waiting)}, ids{7, 4}},
				"what is to come":   {bellhop.RunFilter{States: states(bellhop.Held, bellhop.Waiting)}, ids{7, 4, 3, 2, 1}},
				"all that is alive": {bellhop.RunFilter{States: states(bellhop.Held, bellhop.Waiting, bellhop.Running)}, ids{7, 6, 4, 3, 2, 1}},
				"with ended ones":   {bellhop.RunFilter{States: states(bellhop.Held, bellhop.Cancelled)}, ids{5, 3, 2, 1}},
				"of one person":     {bellhop.RunFilter{States: states(bellhop.Held), Principal: "bob"}, ids{2}},
				"of a job":          {bellhop.RunFilter{States: states(bellhop.Held), Service: "example", Job: "hello"}, ids{3, 2, 1}},
				"of another job":    {bellhop.RunFilter{States: states(bellhop.Held), Job: "bye"}, ids{}},
			} {
				f.same(name, f.list(c.filter), c.want)
			}
			running, waiting, more, err := f.s.Records.Active(f.ctx, 4)
			f.must(err)
			f.same("running", runIDs(running), ids{6})
			f.same("waiting", runIDs(waiting), ids{7, 4, 3, 2})
			f.same("states", []bellhop.State{waiting[1].State, waiting[2].State}, states(bellhop.Waiting, bellhop.Held))
			f.same("approvals", []bool{waiting[0].Approval == nil, waiting[2].Approval == nil}, []bool{true, false})
			f.same("more", more, true)
		},
		"Held/IsNeverForgotten": func(f *fixture) {
			f.submit(held(f.approval(1)), key("k"))
			f.submit()
			f.clock.Advance(10000 * hour)
			old, _, err := f.s.Retention.Old(f.ctx, 0, 9)
			f.must(err)
			f.same("old", len(old), 0)
			n, err := f.s.Retention.Forget(f.ctx, []bellhop.RunID{1}, []bellhop.RunID{1})
			f.must(err)
			f.same("forgotten", n, 0)
			_, err = f.s.Retention.ForgetKeys(f.ctx, f.now(), "", 99)
			f.must(err)
			f.same("its key", f.submit(key("k")).How, bellhop.Repeated)
			f.same("state", f.state(1), bellhop.Held)
		},
		"Held/AnEndedOneIsForgotten": func(f *fixture) {
			f.submit(held(f.approval(1)))
			f.deny(1, "bob")
			f.submit()
			f.settleAll()
			n, err := f.s.Retention.Forget(f.ctx, []bellhop.RunID{1}, nil)
			f.must(err)
			f.same("forgotten", n, 1)
			f.reopen()
			f.same("held", f.list(bellhop.RunFilter{}), []bellhop.RunID{2})
		},
	}
}
