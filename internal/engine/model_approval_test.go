package engine_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/bellhop-io/bellhop"
)

// vote has somebody approve or deny a run, held or not.
func (m *modelled) vote() {
	which := func(r *mrun) bool { return unapproved(r) }
	if rapid.IntRange(0, 4).Draw(m.t, "late") == 0 {
		which = nil
	}
	r := m.pick("run", which)
	if r == nil {
		return
	}
	inv := bellhop.Invocation{Action: bellhop.ActionApprove, Run: r.id}
	if rapid.IntRange(0, 4).Draw(m.t, "deny") == 0 {
		inv.Action = bellhop.ActionDeny
	}
	answer, err := m.do(inv)
	who := m.done[len(m.done)-1].inv.Person.Principal()
	if !unapproved(r) || !m.now.Before(r.expires) || slices.Contains(r.votes, who) {
		if bellhop.CodeOf(err) != bellhop.Conflict {
			m.t.Fatalf("%s of %s by %s: %+v, %v", inv.Action, r, who, answer.Decided, err)
		}
		return
	}
	m.ok(err)
	r.votes = append(r.votes, who)
	switch {
	case inv.Action == bellhop.ActionDeny:
		m.become(r, bellhop.Cancelled, bellhop.Aborted)
	case len(r.votes) == r.job.def.Approve.Count:
		r.state, r.decided = bellhop.Waiting, len(r.asks)
	}
	if got := answer.Decided; got.ID != r.id || got.State != r.state || len(got.Approval.Votes) != len(r.votes) {
		m.t.Fatalf("%s of %s by %s: %+v", inv.Action, r, who, got)
	}
}

// lapse gives up what nobody approved in time.
func (m *modelled) lapse() {
	next, err := m.engine.Lapse(m.ctx())
	m.ok(err)
	var first time.Time
	for _, r := range m.sorted(unapproved) {
		switch {
		case !m.now.Before(r.expires):
			m.become(r, bellhop.Cancelled, bellhop.Aborted)
		case first.IsZero() || r.expires.Before(first):
			first = r.expires
		}
	}
	if !next.Equal(first) {
		m.t.Fatalf("the next approval expires at %s, want %s", next, first)
	}
}

// checkApproval compares what was said of a run.
func (m *modelled) checkApproval(got *bellhop.Run, r *mrun) {
	if (got.Approval != nil) != (r.job.def.Approve != nil) {
		m.t.Fatalf("%s has the approval %+v", r, got.Approval)
	}
	if got.Approval == nil {
		return
	}
	var votes []string
	for _, v := range got.Approval.Votes {
		votes = append(votes, v.Principal)
	}
	if !slices.Equal(votes, r.votes) {
		m.t.Fatalf("of %s, %v have voted, want %v", r, votes, r.votes)
	}
}

// told is a report; ask -1 is one to somebody who did not ask.
type told struct {
	run  bellhop.RunID
	ask  int
	kind bellhop.ReportKind
}

// reports reads all that is in the outbox.
func (m *modelled) reports() map[told]int {
	all := map[told]int{}
	for _, p := range []string{"alice", "bob"} {
		rows, err := m.store.Outbox.Unread(m.ctx(), "", "s-"+p, 10_000)
		m.ok(err)
		for _, row := range rows {
			if row.Ask.Principal != p {
				m.t.Fatalf("%s is told %+v", p, row)
			}
			all[told{row.Run, row.Ask.N, row.Kind}]++
		}
	}
	rows, _, err := m.store.Outbox.Due(m.ctx(), bellhop.DueRequest{Now: m.now.Add(1000 * time.Hour), N: 10_000})
	m.ok(err)
	unread, err := m.store.Outbox.Unread(m.ctx(), "ops", "", 10_000)
	m.ok(err)
	for _, row := range slices.Concat(rows, unread) {
		if row.Ask.Principal == "ops" {
			all[told{row.Run, row.Ask.N, row.Kind}]++
		}
	}
	return all
}

// checkReports wants one outcome for each ask of a run that is over, and one
// decision for each that was there when it was approved; and of a run that
// needs an approval, one request for those who decide, and one word that there
// is nothing left to decide. None besides.
func (m *modelled) checkReports() {
	got, want := m.reports(), map[told]int{}
	for _, r := range m.sorted(nil) {
		for n := range r.asks {
			if over(r) {
				want[told{r.id, n, bellhop.ReportOutcome}] = 1
			}
			if n < r.decided {
				want[told{r.id, n, bellhop.ReportDecided}] = 1
			}
		}
		if r.job.def.Approve == nil {
			continue
		}
		want[told{r.id, -1, bellhop.ReportApproval}] = 1
		if !unapproved(r) {
			want[told{r.id, -1, bellhop.ReportDecided}] = 1
		}
	}
	for k, n := range want {
		if got[k] != n {
			m.t.Fatalf("%+v was told %d times, want %d", k, got[k], n)
		}
		delete(got, k)
	}
	if len(got) > 0 {
		m.t.Fatalf("reports of what has not happened: %v", got)
	}
}
