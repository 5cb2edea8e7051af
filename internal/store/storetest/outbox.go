package storetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

func (f *fixture) settle(s bellhop.Settlement) {
	f.Helper()
	s.Now = f.now()
	f.must(f.s.Outbox.Settle(f.ctx, []bellhop.Settlement{s}))
}

func (f *fixture) unread(principal, session string) []int64 {
	f.Helper()
	rows, err := f.s.Outbox.Unread(f.ctx, principal, session, 100)
	f.must(err)
	out := []int64{}
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return out
}

// finished makes a run that has ended, and returns its report.
func (f *fixture) finished(specs ...spec) bellhop.OutboxRow {
	f.Helper()
	f.submit(specs...)
	f.finish(f.ending(ref(f.claimOne())))
	rows := f.due()
	return rows[len(rows)-1]
}

func outboxTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Outbox/GivesTheWholeReport": func(f *fixture) {
			sub := f.submission(session("s"), merge("m"))
			_, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{sub})
			f.must(err)
			second := f.submission(by("bob"), merge("m"))
			_, err = f.s.Queue.Submit(f.ctx, []bellhop.Submission{second})
			f.must(err)
			c := f.claimOne()
			f.clock.Advance(time.Second)
			f.finish(f.ending(ref(c)))
			second.Ask.N = 1
			rows := f.due()
			f.same("reports", rows, []bellhop.OutboxRow{
				{ID: rows[0].ID, Kind: bellhop.ReportOutcome, Run: c.Run.ID, Attempt: 1, Ask: sub.Ask, Created: f.now()},
				{ID: rows[1].ID, Kind: bellhop.ReportOutcome, Run: c.Run.ID, Attempt: 1, Ask: second.Ask, Created: f.now()},
			})
		},
		"Outbox/OldestFirstAndWhenTheNextIsDue": func(f *fixture) {
			var want []int64
			for range 3 {
				want = append(want, f.finished().ID)
				f.clock.Advance(time.Second)
			}
			rows, next, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Now: f.now(), N: 2})
			f.must(err)
			f.same("due", []int64{rows[0].ID, rows[1].ID}, want[:2])
			f.same("next is later than now", next.After(f.now()), false)
			f.same("next is zero", next.IsZero(), false)
			for _, id := range want {
				f.settle(bellhop.Settlement{ID: id, State: bellhop.ReportDelivered, Ref: "r"})
			}
			rows, next, err = f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Now: f.now(), N: 2})
			f.must(err)
			f.same("due", len(rows), 0)
			f.same("next", next, time.Time{})
		},
		"Outbox/IsTriedAgainWhenDue": func(f *fixture) {
			row := f.finished()
			f.settle(bellhop.Settlement{ID: row.ID, State: bellhop.ReportPending, Due: f.now().Add(time.Minute), Error: "no route"})
			rows, next, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Now: f.now(), N: 9})
			f.must(err)
			f.same("due", len(rows), 0)
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(time.Minute)
			rows = f.due()
			f.same("tries", rows[0].Tries, 1)
			f.same("created", rows[0].Created, row.Created)
		},
		"Outbox/WhatIsGivenUpIsToldToOthersOnce": func(f *fixture) {
			row := f.finished()
			tell := []bellhop.Ask{
				{N: -1, Principal: "chat:C9", Identity: "chat:C9", At: f.now(), Origin: bellhop.Origin{Source: "chat", Channel: "C9"}, Note: "the report was given up: ☂"},
				{N: -1, Principal: "carol", Identity: "carol", At: f.now(), Note: "the same"},
			}
			s := bellhop.Settlement{ID: row.ID, State: bellhop.ReportPending, Due: f.now(), Error: "no route", Tell: tell}
			f.settle(s) // not given up yet: nobody is told
			f.same("pending", len(f.due()), 1)
			s.State = bellhop.ReportGivenUp
			f.settle(s)
			f.settle(s) // the answer was lost
			rows := f.due()
			for i := range rows {
				f.same("another report", rows[i].ID != row.ID, true)
				rows[i].ID = 0
			}
			f.same("told", rows, []bellhop.OutboxRow{
				{Kind: bellhop.ReportUntold, Run: row.Run, Attempt: row.Attempt, Ask: tell[0], Created: f.now()},
				{Kind: bellhop.ReportUntold, Run: row.Run, Attempt: row.Attempt, Ask: tell[1], Created: f.now()},
			})
		},
		"Outbox/WhatIsToldOfARunThatRuns": func(f *fixture) {
			sub := f.submit()
			c := f.claimOne()
			said := func(who, note string) bellhop.Ask {
				return bellhop.Ask{N: -1, Principal: who, Identity: "chat:" + who, At: f.now(), Origin: bellhop.Origin{Source: "chat", Channel: "C9", Session: "s"}, Note: note}
			}
			half := []bellhop.Ask{said("carol", "half ☂"), said("dave", "half ☂")}
			f.must(f.s.Outbox.Tell(f.ctx, ref(c), bellhop.ReportProgress, half, f.now()))
			last := []bellhop.Ask{said("carol", "all")}
			last[0].N = 3
			f.must(f.s.Outbox.Tell(f.ctx, ref(c), bellhop.ReportProgress, last, f.now()))
			f.must(f.s.Outbox.Tell(f.ctx, ref(c), bellhop.ReportProgress, nil, f.now()))
			wrong := ref(c)
			wrong.Lease++
			if err := f.s.Outbox.Tell(f.ctx, wrong, bellhop.ReportProgress, half, f.now()); !errors.Is(err, bellhop.ErrLeaseLost) {
				f.Errorf("under another lease: %v", err)
			}
			f.reopen()
			rows := f.due()
			ids := map[int64]bool{}
			for i := range rows {
				ids[rows[i].ID] = true
				rows[i].ID = 0
			}
			last[0].N = -1
			row := func(a bellhop.Ask) bellhop.OutboxRow {
				return bellhop.OutboxRow{Kind: bellhop.ReportProgress, Run: sub.Run, Attempt: 1, Ask: a, Created: f.now()}
			}
			f.same("told", rows, []bellhop.OutboxRow{row(half[0]), row(half[1]), row(last[0])})
			f.same("ids", len(ids), 3)
			for id := range ids {
				f.settle(bellhop.Settlement{ID: id, State: bellhop.ReportGivenUp, Tell: []bellhop.Ask{{N: -1, Principal: "dave", At: f.now()}}})
			}
			f.same("told of those", f.reported(), []string{"dave untold 1 #1", "dave untold 1 #1", "dave untold 1 #1"})
		},
		"Outbox/WhatIsToldIsInNobodysWay": func(f *fixture) { // of the reports that follow
			f.submit()
			c := f.claimOne()
			tell := func(ref bellhop.LeaseRef) error {
				return f.s.Outbox.Tell(f.ctx, ref, bellhop.ReportProgress, []bellhop.Ask{{N: -1, Principal: "carol", At: f.now(), Note: "x"}}, f.now())
			}
			f.must(tell(ref(c)))
			again := f.again(ref(c), bellhop.EndFailed, 0)
			again.Report = bellhop.ReportRetried
			f.finish(again)
			if err := tell(ref(c)); !errors.Is(err, bellhop.ErrLeaseLost) {
				f.Errorf("while it waits: %v", err)
			}
			c = f.claimOne()
			f.must(tell(ref(c)))
			f.finish(f.ending(ref(c)))
			if err := tell(ref(c)); !errors.Is(err, bellhop.ErrLeaseLost) {
				f.Errorf("of a run that has ended: %v", err)
			}
			for _, r := range f.due() {
				if r.Kind == bellhop.ReportProgress {
					f.settle(bellhop.Settlement{ID: r.ID, State: bellhop.ReportGivenUp, Tell: []bellhop.Ask{{N: -1, Principal: "dave", At: f.now()}}})
				}
			}
			f.same("told", f.reported(), []string{"alice retried 1 #1", "alice outcome 1 #2", "dave untold 1 #1", "dave untold 1 #2"})
			f.submit()
			f.finish(f.ending(ref(f.claimOne())))
			f.same("told", len(f.due()), 5)
		},
		"Outbox/ATakenRowIsNotGivenAgainForAWhile": func(f *fixture) {
			f.must(f.s.Cluster.Beat(f.ctx, "one", time.Hour))
			a := f.finished()
			b := f.finished()
			take := func(n int) ([]int64, time.Time) {
				rows, next, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Server: "one", Now: f.now(), N: n, For: time.Minute})
				f.must(err)
				out := []int64{}
				for _, r := range rows {
					out = append(out, r.ID)
				}
				return out, next
			}
			got, next := take(1)
			f.same("first", got, []int64{a.ID})
			f.same("next is later than now", next.After(f.now()), false)
			got, next = take(9)
			f.same("second", got, []int64{b.ID})
			f.same("next", next, f.now().Add(time.Minute))
			f.clock.Advance(30 * time.Second)
			got, next = take(9)
			f.same("while both are taken", got, []int64{})
			f.same("next", next, f.now().Add(30*time.Second))
			f.settle(bellhop.Settlement{ID: b.ID, State: bellhop.ReportPending, Due: f.now().Add(time.Second), Error: "no route"})
			got, next = take(9)
			f.same("settled as pending", got, []int64{})
			f.same("next", next, f.now().Add(time.Second))
			f.clock.Advance(time.Second)
			got, _ = take(9)
			f.same("when it is due", got, []int64{b.ID})
			f.clock.Advance(29 * time.Second)
			got, _ = take(9)
			f.same("when its time is over", got, []int64{a.ID})
			f.settle(bellhop.Settlement{ID: a.ID, State: bellhop.ReportDelivered})
			f.settle(bellhop.Settlement{ID: b.ID, State: bellhop.ReportDelivered})
			f.clock.Advance(time.Hour)
			got, next = take(9)
			f.same("delivered", got, []int64{})
			f.same("next", next, time.Time{})
		},
		"Outbox/WhatADeadServerTookIsFree": func(f *fixture) {
			if !f.s.Shared {
				return // a server that opens the store has taken nothing
			}
			row := f.finished()
			f.must(f.s.Cluster.Beat(f.ctx, "one", 15*time.Second))
			rows, _, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Server: "one", Now: f.now(), N: 9, For: time.Hour})
			f.must(err)
			f.same("taken", len(rows), 1)
			two := bellhop.DueRequest{Server: "two", Now: f.now(), N: 9, For: time.Hour}
			rows, _, err = f.s.Outbox.Due(f.ctx, two)
			f.must(err)
			f.same("while its taker lives", len(rows), 0)
			f.clock.Advance(15 * time.Second)
			rows, _, err = f.s.Outbox.Due(f.ctx, two)
			f.must(err)
			f.same("afterwards", len(rows), 1)
			f.same("which", rows[0].ID, row.ID)
			one := two
			one.Server = "one"
			rows, _, err = f.s.Outbox.Due(f.ctx, one)
			f.must(err)
			f.same("when its taker was never heard of", len(rows), 1)
			f.must(f.s.Cluster.Beat(f.ctx, "one", 15*time.Second))
			rows, _, err = f.s.Outbox.Due(f.ctx, two)
			f.must(err)
			f.same("while it lives again", len(rows), 0)
			f.must(f.s.Cluster.Beat(f.ctx, "one", 0))
			rows, _, err = f.s.Outbox.Due(f.ctx, two)
			f.must(err)
			f.same("when it has said that it goes", len(rows), 1)
		},
		"Outbox/TakenBySeveralAtOnceEachOnce": func(f *fixture) {
			const all = 60
			var subs []bellhop.Submission
			for range all {
				subs = append(subs, f.submission())
			}
			_, err := f.s.Queue.Submit(f.ctx, subs)
			f.must(err)
			for _, c := range f.claim(all) {
				f.finish(f.ending(ref(c)))
			}
			var mu sync.Mutex
			times := map[int64]int{}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range all { // each could take them all, one at a time
						rows, _, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Now: f.now(), N: 7, For: time.Hour})
						if err != nil {
							f.Errorf("taking: %v", err)
						}
						if len(rows) == 0 {
							return
						}
						mu.Lock()
						for _, r := range rows {
							times[r.ID]++
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			f.same("taken", len(times), all)
			for id, n := range times {
				f.same(fmt.Sprint("times that ", id, " was taken"), n, 1)
			}
		},
		"Outbox/OfAnotherServerThatLivesIsLeftToIt": func(f *fixture) {
			of := func(server string) spec { return func(s *bellhop.Submission) { s.Ask.Origin.Server = server } }
			f.finished(of("one"))
			f.finished(of("two"))
			f.finished()
			f.finished(of("dead"))
			f.beat("one", time.Minute)
			f.beat("two", time.Minute)
			due := func(server string) []bellhop.RunID {
				rows, _, err := f.s.Outbox.Due(f.ctx, bellhop.DueRequest{Server: server, Now: f.now(), N: 9})
				f.must(err)
				out := []bellhop.RunID{}
				for _, r := range rows {
					out = append(out, r.Run)
				}
				return out
			}
			f.same("of one", due("one"), []bellhop.RunID{1, 3, 4})
			f.same("of two", due("two"), []bellhop.RunID{2, 3, 4})
			f.beat("two", 0)
			f.same("when two has left", due("one"), []bellhop.RunID{1, 2, 3, 4})
			f.clock.Advance(time.Minute)
			f.same("when one is silent", due("two"), []bellhop.RunID{1, 2, 3, 4})
		},
		"Outbox/GivenUpAndDeliveredStaySo": func(f *fixture) {
			a, b := f.finished(session("s")).ID, f.finished(session("s")).ID
			f.settle(bellhop.Settlement{ID: a, State: bellhop.ReportGivenUp, Error: "gone"})
			f.settle(bellhop.Settlement{ID: b, State: bellhop.ReportDelivered})
			for _, id := range []int64{a, b} {
				f.settle(bellhop.Settlement{ID: id, State: bellhop.ReportPending, Due: f.now()})
			}
			f.same("due", len(f.due()), 0)
			f.same("of the session", f.unread("", "s"), []int64{})
		},
		"Outbox/UnreadOfAPersonAndOfASession": func(f *fixture) {
			a := f.finished(session("s")).ID
			b := f.finished(session("s")).ID
			c := f.finished(session("other")).ID
			d := f.finished(by("bob")).ID
			f.settle(bellhop.Settlement{ID: b, State: bellhop.ReportUnread})
			f.settle(bellhop.Settlement{ID: c, State: bellhop.ReportUnread})
			f.settle(bellhop.Settlement{ID: d, State: bellhop.ReportUnread})
			f.same("session: unread and pending", f.unread("", "s"), []int64{a, b})
			f.same("alice: unread alone", f.unread("alice", ""), []int64{b, c})
			f.same("due", len(f.due()), 1)
			f.settle(bellhop.Settlement{ID: b, State: bellhop.ReportDelivered})
			f.same("session, when one was read", f.unread("", "s"), []int64{a})
			f.reopen()
			f.same("alice, after a restart", f.unread("alice", ""), []int64{c})
			f.same("bob", f.unread("bob", ""), []int64{d})
			f.same("carol", f.unread("carol", ""), []int64{})
		},
		"Outbox/ExactlyOneOfPersonAndSession": func(f *fixture) {
			_, err := f.s.Outbox.Unread(f.ctx, "alice", "s", 1)
			f.code(err, bellhop.Invalid)
			_, err = f.s.Outbox.Unread(f.ctx, "", "", 1)
			f.code(err, bellhop.Invalid)
		},
		"Outbox/AWithdrawnAskIsNotTold": func(f *fixture) {
			sub := f.submit(merge("m"))
			f.submit(merge("m"), by("bob"))
			f.cancel(bellhop.Cancellation{Run: sub.Run, Principal: "alice"})
			f.finish(f.ending(ref(f.claimOne())))
			f.same("reports", f.reported(), []string{"bob outcome 1 #1"})
		},
	}
}

func storeTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Store/KeepsItsID": func(f *fixture) {
			id := f.s.ID
			f.same("is empty", id == "", false)
			f.reopen()
			f.same("id", f.s.ID, id)
			f.same("equals another store's", f.driver.Open(f.T, f.clock).ID == id, false)
		},
		"Store/Ping": func(f *fixture) { f.must(f.s.Admin.Ping(f.ctx)) },
		"Store/ClosedItIsUnavailable": func(f *fixture) {
			f.must(f.s.Admin.Close())
			f.must(f.s.Admin.Close())
			_, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission()})
			f.code(err, bellhop.Unavailable)
			_, err = f.s.Records.Run(f.ctx, 1)
			f.code(err, bellhop.Unavailable)
			f.code(f.s.Admin.Ping(f.ctx), bellhop.Unavailable)
			_, err = f.s.Admin.Depth(f.ctx)
			f.code(err, bellhop.Unavailable)
		},
		"Store/BackupIsRefusedOverAFile": func(f *fixture) {
			path := filepath.Join(f.TempDir(), "copy")
			f.must(os.WriteFile(path, []byte("mine"), 0o600))
			f.code(f.s.Admin.Backup(f.ctx, path), bellhop.Conflict)
			b, err := os.ReadFile(path)
			f.must(err)
			f.same("file", string(b), "mine")
			f.code(f.s.Admin.Backup(f.ctx, filepath.Join(f.TempDir(), "no", "copy")), bellhop.NotFound)
		},
	}
}
