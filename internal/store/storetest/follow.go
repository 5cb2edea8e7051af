package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

// following is a run that follows, of example bye.
func (f *fixture) following(change ...func(*bellhop.RunSpec)) bellhop.RunSpec {
	s := bellhop.RunSpec{
		Service: "example", Job: "bye", Digest: Job().Digest(), Start: f.now().Add(time.Minute), ConcurrencyKey: "example bye",
		Args: bellhop.Args{"name": bellhop.Text("x")},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func (f *fixture) asks(id bellhop.RunID) []bellhop.Ask {
	f.Helper()
	asks, err := f.s.Records.Asks(f.ctx, id)
	f.must(err)
	return asks
}

func followTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Follow/IsSubmittedInTheSameChange": func(f *fixture) {
			sub := f.submission(session("s"))
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{sub})
			f.must(err)
			c := f.claimOne()
			f.clock.Advance(time.Second)
			e := f.ending(ref(c))
			spec := f.following(func(s *bellhop.RunSpec) { s.Priority, s.Deadline = 4, time.Hour })
			e.Follow = []bellhop.RunSpec{spec, f.following()}
			f.finish(e)
			f.reopen()
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{3, 2, 1})
			f.same("the first that follows", f.run(2), bellhop.Run{
				ID: 2, Service: "example", Job: "bye", Args: spec.Args, State: bellhop.Waiting, AskedBy: "alice", Origin: sub.Ask.Origin,
				Created: f.now(), Digest: spec.Digest, Start: spec.Start, After: out[0].Run, Priority: 4, Deadline: spec.Start.Add(time.Hour),
			})
			want := sub.Ask
			want.Key, want.At = "then:"+out[0].Run.String()+"/0", f.now()
			f.same("its ask", f.asks(2), []bellhop.Ask{want})
			f.same("key of the second", f.asks(3)[0].Key, "then:"+out[0].Run.String()+"/1")
			f.same("reports", f.reported(), []string{"alice outcome 1 #1"})
			f.clock.Advance(time.Minute)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2, 3})
			f.same("it still says so", f.run(2).After, out[0].Run)
		},
		"Follow/HasTheAsksThatAreNotWithdrawn": func(f *fixture) {
			f.submit(merge("m"))
			f.submit(merge("m"), by("bob"))
			f.submit(merge("m"), by("carol"))
			f.cancel(bellhop.Cancellation{Run: 1, Principal: "alice"})
			e := f.ending(ref(f.claimOne()))
			e.Follow = []bellhop.RunSpec{f.following()}
			f.finish(e)
			f.same("asked by", f.run(2).AskedBy, "bob")
			asks := f.asks(2)
			f.same("asks", len(asks), 2)
			f.same("principals", []string{asks[0].Principal, asks[1].Principal}, []string{"bob", "carol"})
			f.same("numbers", []int{asks[0].N, asks[1].N}, []int{0, 1})
			f.clock.Advance(time.Minute)
			f.finish(f.ending(ref(f.claimOne())))
			f.same("reports", f.reported(), []string{"bob outcome 1 #1", "carol outcome 1 #1", "bob outcome 2 #1", "carol outcome 2 #1"})
		},
		"Follow/Merges": func(f *fixture) {
			m := func(s *bellhop.RunSpec) { s.MergeKey = "unblock" }
			for _, who := range []string{"alice", "bob"} {
				f.submit(by(who))
				e := f.ending(ref(f.claimOne()))
				e.Follow = []bellhop.RunSpec{f.following(m)}
				f.finish(e)
				f.clock.Advance(30 * time.Second)
			}
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{3, 2, 1})
			f.same("pushed back", f.run(2).Start, f.now().Add(30*time.Second))
			f.same("after", f.run(2).After, bellhop.RunID(1))
			f.same("asks", len(f.asks(2)), 2)
			f.clock.Advance(30 * time.Second)
			f.same("claimed", f.claimOne().Run.ID, bellhop.RunID(2))
		},
		"Follow/WaitsForItsKeyAndIsHeld": func(f *fixture) {
			f.submit(limit("k", 1))
			c := f.claimOne()
			f.submit(limit("k", 1))
			e := f.ending(ref(c))
			e.Follow = []bellhop.RunSpec{
				f.following(func(s *bellhop.RunSpec) { s.ConcurrencyKey, s.Concurrency, s.Start = "k", 1, f.now() }),
				f.following(func(s *bellhop.RunSpec) { s.Service, s.Start = "other", f.now() }),
			}
			f.putHold(bellhop.Hold{Service: "other"})
			f.finish(e)
			f.same("claimed", ids(f.claim(9)), []bellhop.RunID{2})
		},
		"Follow/NotWhenTheLeaseIsLost": func(f *fixture) {
			f.submit()
			e := f.ending(ref(f.claimOne()))
			e.Follow = []bellhop.RunSpec{f.following()}
			f.finish(e)
			errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{e})
			f.must(err)
			f.same("error", errs[0], bellhop.ErrLeaseLost)
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{2, 1})
		},
		"Follow/OfAnUnknownDefinitionChangesNothing": func(f *fixture) {
			f.submit()
			c := f.claimOne()
			e := f.ending(ref(c))
			e.Follow = []bellhop.RunSpec{f.following(), f.following(func(s *bellhop.RunSpec) { s.Digest = "nope" })}
			errs, err := f.s.Queue.Finish(f.ctx, []bellhop.Ending{e})
			f.must(err)
			f.code(errs[0], bellhop.Invalid)
			f.same("state", f.run(c.Run.ID).State, bellhop.Running)
			f.same("runs", f.list(bellhop.RunFilter{}), []bellhop.RunID{1})
			f.finish(f.ending(ref(c)))
		},
		"Follow/IsFoundByItsAlikeKey": func(f *fixture) {
			f.submit()
			e := f.ending(ref(f.claimOne()))
			e.Follow = []bellhop.RunSpec{f.following(func(s *bellhop.RunSpec) { s.AlikeKey = "a" })}
			f.finish(e)
			f.same("how", f.submit(reject("a")).How, bellhop.Rejected)
		},
		"Notify/TellsThoseWhoDidNotAsk": func(f *fixture) {
			f.submit()
			c := f.claimOne()
			f.clock.Advance(time.Second)
			e := f.failing(ref(c))
			told := bellhop.Ask{
				N: 7, Principal: "ops", Identity: "slack:ops", Key: "notify:1", At: f.now(),
				Origin: bellhop.Origin{Source: "slack", Channel: "C1", Thread: "t", Message: "m", Person: "p", Session: "s", Server: "v"},
			}
			second := bellhop.Ask{Origin: bellhop.Origin{Source: "slack", Channel: "C2"}}
			e.Notify = []bellhop.Ask{told, second}
			f.finish(e)
			rows := f.due()
			f.same("reports", len(rows), 3)
			told.N, second.N = -1, -1
			for i, want := range []bellhop.Ask{told, second} {
				got := rows[i+1]
				f.same("report", got, bellhop.OutboxRow{ID: got.ID, Kind: bellhop.ReportOutcome, Run: 1, Attempt: 1, Ask: want, Created: f.now()})
			}
			f.same("asks", len(f.asks(1)), 1)
			f.same("runs of ops", f.list(bellhop.RunFilter{Principal: "ops"}), []bellhop.RunID{})
			f.settle(bellhop.Settlement{ID: rows[1].ID, State: bellhop.ReportUnread})
			f.same("unread", f.unread("ops", ""), []int64{rows[1].ID})
		},
		"Notify/AlsoWhenNobodyElseIsTold": func(f *fixture) {
			f.submit()
			e := f.failing(ref(f.claimOne()))
			e.Report, e.Notify = "", []bellhop.Ask{{Principal: "ops", Origin: bellhop.Origin{Source: "slack"}}}
			f.finish(e)
			f.same("reports", f.reported(), []string{"ops outcome 1 #1"})
		},
	}
}
