package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

func auditKey() []byte { return []byte(strings.Repeat("k", bellhop.AuditKeySize)) }

func (f *fixture) begin(chain string) {
	f.Helper()
	f.must(f.s.Audit.Begin(f.ctx, chain, auditKey(), f.now()))
}

// decision is a record of alice's that is told by its detail.
func (f *fixture) decision(detail string) bellhop.AuditRecord {
	return bellhop.AuditRecord{At: f.now(), Action: "run", Principal: "alice", Service: "example", Job: "hello", Allowed: true, Detail: detail}
}

func audited(r bellhop.AuditRecord) spec {
	return func(s *bellhop.Submission) { s.Audit = &r }
}

func (f *fixture) audit(recs ...bellhop.AuditRecord) {
	f.Helper()
	f.must(f.s.Audit.Append(f.ctx, recs))
}

// trail reads all that a filter is about, page by page.
func (f *fixture) trail(filter bellhop.AuditFilter) (recs []bellhop.AuditRecord) {
	f.Helper()
	for {
		page, next, err := f.s.Audit.Records(f.ctx, filter)
		f.must(err)
		recs = append(recs, page...)
		if next == 0 {
			return recs
		}
		if len(page) != filter.Limit && filter.Limit > 0 {
			f.Fatalf("a page of %d records has another one behind it", len(page))
		}
		if filter.Chain != "" && next != page[len(page)-1].Seq {
			f.Fatalf("the page after record %d is after %d", page[len(page)-1].Seq, next)
		}
		filter.After = next
	}
}

func details(recs []bellhop.AuditRecord) []string {
	out := []string{}
	for _, r := range recs {
		out = append(out, r.Detail)
	}
	return out
}

// verify checks all chains, and returns how many records they have.
func (f *fixture) verify() (n int) {
	f.Helper()
	heads, err := f.s.Audit.Heads(f.ctx)
	f.must(err)
	v := bellhop.NewAuditVerifier(auditKey())
	for _, h := range heads {
		recs := f.trail(bellhop.AuditFilter{Chain: h.Chain, Limit: 37})
		for i := range recs {
			if fault := v.Check(&recs[i]); fault != nil {
				f.Fatalf("%+v", fault)
			}
		}
		last := recs[len(recs)-1]
		f.same("head", h, bellhop.AuditHead{Chain: last.Chain, Seq: last.Seq, Hash: last.Hash, At: last.At})
		n += len(recs)
	}
	if faults := v.Missing(); len(faults) > 0 {
		f.Fatalf("%+v", faults)
	}
	return n
}

func auditTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Audit/NothingIsRecordedBeforeItBegins": func(f *fixture) {
			f.code(f.s.Audit.Append(f.ctx, []bellhop.AuditRecord{f.decision("x")}), bellhop.Internal)
			_, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(audited(f.decision("x")))})
			f.code(err, bellhop.Internal)
			f.same("runs", f.submit().Run, bellhop.RunID(1))
			recs, next, err := f.s.Audit.Records(f.ctx, bellhop.AuditFilter{})
			f.must(err)
			f.same("records", len(recs), 0)
			f.same("next", next, int64(0))
		},
		"Audit/BeginsOncePerName": func(f *fixture) {
			for _, name := range []string{"", "a b", "a/b", "ä"} {
				f.code(f.s.Audit.Begin(f.ctx, name, auditKey(), f.now()), bellhop.Invalid)
			}
			f.code(f.s.Audit.Begin(f.ctx, "one", []byte("short"), f.now()), bellhop.Invalid)
			f.begin("one")
			f.begin("one") // the same call again
			f.code(f.s.Audit.Begin(f.ctx, "one", auditKey(), f.now().Add(time.Second)), bellhop.Conflict)
			f.code(f.s.Audit.Begin(f.ctx, "one", []byte(strings.Repeat("x", 32)), f.now()), bellhop.Conflict)
			f.audit(f.decision("x"))
			f.code(f.s.Audit.Begin(f.ctx, "one", auditKey(), f.now()), bellhop.Conflict)
			f.audit(f.decision("y"))
			recs := f.trail(bellhop.AuditFilter{Chain: "one"})
			f.same("records", details(recs), []string{"", "x", "y"})
			f.same("first", recs[0].Prev, strings.Repeat("0", 64))
			f.same("action", recs[0].Action, bellhop.AuditStart)
			f.same("verified", f.verify(), 3)
		},
		"Audit/AChainBeginsWithTheEndsOfOthers": func(f *fixture) {
			for i := range 7 {
				f.begin(fmt.Sprint("life-", i))
				f.audit(f.decision("x"))
				f.reopen()
			}
			heads, err := f.s.Audit.Heads(f.ctx)
			f.must(err)
			f.begin("last")
			var want []string
			for _, h := range heads[2:] {
				want = append(want, h.String())
			}
			slices.Reverse(want)
			f.same("noted", f.trail(bellhop.AuditFilter{Chain: "last"})[0].Detail, strings.Join(want, " "))
			f.same("heads", []string{heads[0].Chain, heads[6].Chain}, []string{"life-0", "life-6"})
			f.same("verified", f.verify(), 15)
		},
		"Audit/KeepsWhatARecordSays": func(f *fixture) {
			f.begin("one")
			full := bellhop.AuditRecord{
				At: f.now().Truncate(time.Microsecond), Action: "run", Principal: "alice\x00", Identity: "ssh:alice", Source: "ssh", Channel: "c", Service: "example", Job: "hello",
				Run: 7, Args: bellhop.Args{"b": bellhop.Text("1"), "a": bellhop.List("x", "")}, Rule: "access[0]", Detail: "dé",
			}
			f.audit(full, bellhop.AuditRecord{Action: "help"})
			f.reopen()
			recs := f.trail(bellhop.AuditFilter{Chain: "one", After: 1})
			full.Chain, full.Seq, full.Prev, full.Hash = "one", 2, recs[0].Prev, recs[0].Hash
			f.same("record", recs[0], full)
			f.same("record", recs[1], bellhop.AuditRecord{Action: "help", Chain: "one", Seq: 3, Prev: recs[0].Hash, Hash: recs[1].Hash})
			f.same("by its principal", len(f.trail(bellhop.AuditFilter{Principal: "alice\x00"})), 1)
			f.same("verified", f.verify(), 3)
		},
		"Audit/ManyAtOnceAreOneChain": func(f *fixture) {
			f.begin("one")
			var wg sync.WaitGroup
			for i := range 8 {
				r := f.decision(fmt.Sprint(i))
				subs := make([]bellhop.Submission, 40)
				for j := range subs {
					subs[j] = f.submission(audited(r))
				}
				wg.Go(func() {
					for j := range subs {
						if _, err := f.s.Queue.Submit(f.ctx, subs[j:j+1]); err != nil {
							f.Errorf("submitting: %v", err)
						}
						if err := f.s.Audit.Append(f.ctx, []bellhop.AuditRecord{r, r}); err != nil {
							f.Errorf("recording: %v", err)
						}
					}
				})
			}
			wg.Wait()
			f.same("verified", f.verify(), 1+8*40*3)
			f.same("newest first", len(f.trail(bellhop.AuditFilter{Limit: 10})), 1+8*40*3)
			f.audit(make([]bellhop.AuditRecord, 1000)...) // more than a page
			f.same("verified", f.verify(), 1001+8*40*3)
		},
	}
}

func auditRunTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Audit/ASubmissionIsRecordedWithItsRun": func(f *fixture) {
			f.begin("one")
			f.submit(key("k"), merge("m"), audited(f.decision("made")))
			f.submit(key("k"), merge("m"), audited(f.decision("again")))
			f.submit(merge("m"), audited(f.decision("joined")))
			f.submit()
			out, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{
				f.submission(key("l"), audited(f.decision("made 3"))), f.submission(key("l"), audited(f.decision("again"))), f.submission(audited(f.decision("made 4"))),
			})
			f.must(err)
			f.same("run", out[2].Run, bellhop.RunID(4))
			f.reopen()
			recs := f.trail(bellhop.AuditFilter{Chain: "one", After: 1})
			f.same("records", details(recs), []string{"made", "joined", "made 3", "made 4"})
			f.same("runs", []bellhop.RunID{recs[0].Run, recs[1].Run, recs[2].Run, recs[3].Run}, []bellhop.RunID{1, 1, 3, 4})
			f.same("of run 1", details(f.trail(bellhop.AuditFilter{Run: 1})), []string{"joined", "made"})
			f.same("verified", f.verify(), 5)
		},
		"Audit/ARejectedSubmissionIsRecordedWithTheOtherRun": func(f *fixture) {
			f.begin("one")
			alike := func(s *bellhop.Submission) { s.Run.AlikeKey, s.Run.Reject = "a", true }
			f.submit(alike)
			f.same("how", f.submit(alike, audited(f.decision("rejected"))).How, bellhop.Rejected)
			f.same("of run 1", details(f.trail(bellhop.AuditFilter{Run: 1})), []string{"rejected"})
		},
		"Audit/AFailedSubmissionLeavesNoGap": func(f *fixture) {
			f.begin("one")
			bad := f.submission(audited(f.decision("bad")))
			bad.Run.Digest = "none"
			_, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(audited(f.decision("x"))), bad})
			f.code(err, bellhop.Invalid)
			f.submit(audited(f.decision("good")))
			f.same("records", details(f.trail(bellhop.AuditFilter{Chain: "one", After: 1})), []string{"good"})
			f.verify()
		},
		"Audit/SeveralServersHaveAChainEach": func(f *fixture) {
			if f.driver.Beside == nil {
				f.Skip("one server at a time")
			}
			f.begin("one")
			other := *f
			other.s = f.driver.Beside(f.T, f.s, f.clock)
			other.begin("two")
			for i := range 6 {
				f.clock.Advance(time.Second)
				[]*fixture{f, &other}[i%2].audit(f.decision(fmt.Sprint(i)))
			}
			f.same("newest first", details(f.trail(bellhop.AuditFilter{Principal: "alice", Limit: 2})), []string{"5", "4", "3", "2", "1", "0"})
			f.same("of one", details(f.trail(bellhop.AuditFilter{Chain: "two", After: 1})), []string{"1", "3", "5"})
			f.same("verified", other.verify(), 8)
		},
	}
}

// auditFilterTests have the trail of a day: a record a minute, in parts of a
// different size, some of them with an older time than those before.
func auditFilterTests() map[string]func(*fixture) {
	fill := func(f *fixture) (recs []bellhop.AuditRecord) {
		f.begin("one")
		for i := range 300 {
			f.clock.Advance(time.Minute)
			r := bellhop.AuditRecord{
				At: f.now(), Action: "run", Principal: []string{"alice", "bob", "carol"}[i%3], Service: fmt.Sprint("s", i%4), Job: fmt.Sprint("j", i%5),
				Run: bellhop.RunID(1 + (i*37)%200), Allowed: i%7 != 0, Detail: fmt.Sprint(i),
			}
			if i%11 == 0 {
				r.At = r.At.Add(-45 * time.Minute)
			}
			recs = append(recs, r)
		}
		for i, n := 0, 1; i < len(recs); i, n = i+n, n%9+1 {
			f.audit(recs[i:min(i+n, len(recs))]...)
			if i > 150 && n == 5 {
				f.reopen()
				f.begin(fmt.Sprint("chain-", i))
			}
		}
		return recs
	}
	return map[string]func(*fixture){
		"Audit/IsNarrowed": func(f *fixture) {
			recs := fill(f)
			slices.Reverse(recs)
			at := recs[120].At
			for _, filter := range []bellhop.AuditFilter{
				{Principal: "bob"}, {Principal: "nobody"}, {Service: "s1"}, {Service: "s1", Job: "j1"}, {Job: "j2"}, {Refused: true}, {Run: 38}, {Run: 900},
				{Since: at}, {Until: at}, {Since: at, Until: at.Add(20 * time.Minute)}, {Since: at, Until: at.Add(time.Microsecond)}, {Since: at.Add(time.Hour * 99)},
				{Principal: "alice", Refused: true, Service: "s2"}, {Principal: "alice", Since: at.Add(-time.Hour), Until: at}, {Run: 75, Principal: "alice"}, {Run: 75, Until: at},
				{Service: "s3", Job: "j3", Refused: true},
			} {
				var want []string
				for i := range recs {
					if filter.Means(&recs[i]) {
						want = append(want, recs[i].Detail)
					}
				}
				for _, limit := range []int{0, 1, 7} {
					filter.Limit = limit
					got := slices.DeleteFunc(f.trail(filter), func(r bellhop.AuditRecord) bool { return r.Action == bellhop.AuditStart })
					f.same(fmt.Sprintf("%+v", filter), details(got), append([]string{}, want...))
				}
			}
		},
		"Audit/AChainIsNarrowed": func(f *fixture) {
			fill(f)
			got := f.trail(bellhop.AuditFilter{Chain: "one", Principal: "bob", After: 20, Limit: 5})
			if len(got) < 20 {
				f.Fatalf("%d records", len(got))
			}
			for i, r := range got {
				if r.Principal != "bob" || r.Seq <= 20 || i > 0 && r.Seq <= got[i-1].Seq {
					f.Errorf("record %d is %+v", i, r)
				}
			}
			f.same("of no chain", len(f.trail(bellhop.AuditFilter{Chain: "none"})), 0)
			page, _, err := f.s.Audit.Records(f.ctx, bellhop.AuditFilter{})
			f.must(err)
			f.same("a page", len(page), bellhop.AuditPage)
			f.verify()
		},
	}
}
