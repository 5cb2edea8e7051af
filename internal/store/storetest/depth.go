package storetest

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

// depth fails the test unless that much is not done yet.
func (f *fixture) depth(when string, held, waiting, running, outbox int64) {
	f.Helper()
	got, err := f.s.Admin.Depth(f.ctx)
	f.must(err)
	f.same("depth "+when, got, bellhop.Depth{Held: held, Waiting: waiting, Running: running, Outbox: outbox})
}

func depthTests() map[string]func(*fixture) {
	return map[string]func(*fixture){
		"Depth/FollowsWhatWaitsAndRuns": func(f *fixture) {
			f.depth("of an empty store", 0, 0, 0, 0)
			f.submit()
			f.submit(limit("k", 1))
			f.submit(limit("k", 1)) // kept back by its limit
			f.submit(in(time.Hour))
			merged := f.submit(merge("m"), in(time.Hour))
			f.same("run of the merged ask", f.submit(merge("m"), in(time.Hour)).Run, merged.Run)
			held := f.submit(held(f.approval(1))).Run // both who are to decide are told
			f.depth("of what was asked", 1, 5, 0, 2)
			claims := f.claim(10)
			f.depth("while two run", 1, 3, 2, 2)
			f.reopen()
			f.depth("after it was opened again", 1, 3, 2, 2)
			f.approve(held, "ops")
			f.depth("after the approval", 0, 4, 2, 5) // who asked and who may decide are told of it
			for _, l := range f.lost() {
				e := f.ending(l.Ref)
				e.State, e.Report = bellhop.Waiting, ""
				f.finish(e)
			}
			f.same("claimed", len(claims), 2)
			f.depth("when what was lost waits again", 0, 6, 0, 5)
			f.cancel(bellhop.Cancellation{Run: merged.Run, All: true, Principal: "admin"})
			f.depth("after a cancellation", 0, 5, 0, 7) // both asks are told
			f.settleAll()
			f.depth("when all was delivered", 0, 5, 0, 0)
		},
		"Depth/OfHistoryIsNothing": func(f *fixture) {
			for range 5 {
				f.submit()
			}
			for _, c := range f.claim(10) {
				f.finish(f.ending(ref(c)))
			}
			f.depth("when all have ended", 0, 0, 0, 5)
			f.settleAll()
			f.depth("when all were told", 0, 0, 0, 0)
			f.reopen()
			f.depth("after it was opened again", 0, 0, 0, 0)
		},
		"Depth/IsNotThatOfAChangeThatFailed": func(f *fixture) {
			f.submit()
			bad := f.submission()
			bad.Run.Digest = "nothing"
			_, err := f.s.Queue.Submit(f.ctx, []bellhop.Submission{f.submission(), bad})
			f.same("an error", err != nil, true)
			f.depth("after it", 0, 1, 0, 0)
		},
	}
}
