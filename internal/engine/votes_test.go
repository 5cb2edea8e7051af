package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
)

// TestWhoHasToApproveHasChanged: what was agreed to be enough is not any more,
// so the run is to be asked for again.
func TestWhoHasToApproveHasChanged(t *testing.T) {
	for name, change := range map[string]func(*bellhop.Approve){
		"by":    func(a *bellhop.Approve) { a.By = []string{"ops", "dev"} },
		"count": func(a *bellhop.Approve) { a.Count = 2 },
		"self":  func(a *bellhop.Approve) { a.Self = true },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApprovals(t, nil)
			id := a.asked().ID
			a.activate(func(cat *bellhop.Catalog) { change(cat.Services[0].Jobs[0].Approve) })
			a.refused(opsAda, approve(id), bellhop.NotAllowed, "who has to approve site deploy is not what it was when "+id.String()+" was asked for")
			if rec := a.last(); rec.Allowed || rec.Action != "approve" || rec.Rule != "approve by ops" || !strings.Contains(rec.Detail, "is not what it was") {
				t.Errorf("the trail ends with %+v", rec)
			}
			if a.get(id).State != bellhop.Held {
				t.Error("it is decided")
			}
			if got, err := a.do(opsAda, about(bellhop.ActionDeny, id)); err != nil || got.Decided.State != bellhop.Cancelled {
				t.Errorf("it can't be denied: %+v, %v", got.Decided, err)
			}
		})
	}
	a := newApprovals(t, nil)
	id := a.asked().ID
	a.activate(func(cat *bellhop.Catalog) { cat.Services[0].Jobs[0].Spec = []byte(`{"other":1}`) })
	a.refused(opsAda, approve(id), bellhop.NotAllowed, "its configuration has changed since")
	a.activate(func(cat *bellhop.Catalog) { cat.Access.People[0].Groups = nil })
	a.refused(opsAda, approve(id), bellhop.NotAllowed, "is not for ada to decide: that is for ops")
	a.may(opsBea, approve(id), true)
}

// counting wants a run of which so many must approve.
func counting(n int, more func(*bellhop.Catalog)) func(*bellhop.Catalog) {
	return func(cat *bellhop.Catalog) {
		cat.Services[0].Jobs[0].Approve.Count = n
		cat.Access.People = append(cat.Access.People, bellhop.Member{Name: "dan", Identities: []string{"ssh:dan"}, Groups: []string{"ops"}})
		if more != nil {
			more(cat)
		}
	}
}

// approved approves, and wants the state and the approvers that then are.
func (a *approvals) approved(p bellhop.Person, id bellhop.RunID, state bellhop.State, by string) {
	a.t.Helper()
	got, err := a.do(p, approve(id))
	if err != nil || got.Decided.State != state || strings.Join(got.Decided.Approval.Approvers(), " ") != by {
		a.t.Errorf("approved by %s: %+v, %v; want %s by %s", p.Identity, got.Decided, err, state, by)
	}
}

var opsDan = bellhop.Person{Identity: "ssh:dan"}

// TestEarlierApprovalsAreJudgedAgain with the one that would decide. What does
// not count any more is said, and recorded.
func TestEarlierApprovalsAreJudgedAgain(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(counting(2, nil))
	id := a.asked().ID
	a.approved(opsBea, id, bellhop.Held, "bea")
	a.activate(counting(2, func(cat *bellhop.Catalog) { cat.Access.People[1].Groups = nil }))
	a.approved(opsAda, id, bellhop.Held, "ada")
	if v := a.get(id).Approval.Votes[0]; v.Void != "no approver any more" {
		t.Errorf("bea's is %+v", v)
	}
	if rec := a.last(); !rec.Allowed || rec.Principal != "ada" || rec.Detail != "the approval of bea does not count any more: no approver any more" {
		t.Errorf("recorded is %+v", rec)
	}
	a.refused(opsAda, approve(id), bellhop.Conflict, "ada has approved "+id.String()+" already; it still waits for 1 more")
	a.approved(opsDan, id, bellhop.Waiting, "ada dan")

	a.activate(counting(2, nil))
	a.claim(1)
	id = a.asked().ID
	a.approved(opsBea, id, bellhop.Held, "bea")
	a.run(opsBea, ask("site", "deploy", "production")) // joins it
	a.approved(opsAda, id, bellhop.Held, "ada")
	if v := a.get(id).Approval.Votes[0]; v.Void != "has asked for it since" {
		t.Errorf("bea's is %+v", v)
	}
	a.approved(opsDan, id, bellhop.Waiting, "ada dan")
}

// TestOnePersonApprovesOnce, by whatever identity they speak, also when
// `people:` has learnt only meanwhile that they are one.
func TestOnePersonApprovesOnce(t *testing.T) {
	slackAda := bellhop.Person{Identity: "slack:T1/U1"}
	apart := func(cat *bellhop.Catalog) {
		cat.Access.People[0].Identities = []string{"ssh:ada"}
		cat.Access.People = append(cat.Access.People, bellhop.Member{Name: "ada2", Identities: []string{"slack:T1/U1"}, Groups: []string{"ops"}})
	}
	for name, c := range map[string]struct {
		count int
		votes func(a *approvals, id bellhop.RunID)
	}{
		"both before": {3, func(a *approvals, id bellhop.RunID) {
			a.approved(opsAda, id, bellhop.Held, "ada")
			a.approved(slackAda, id, bellhop.Held, "ada ada2")
			a.activate(counting(3, nil))
			a.approved(opsBea, id, bellhop.Held, "ada bea")
			if rec := a.last(); rec.Detail != "the approval of ada2 does not count any more: the same person as ada, who counts once" {
				a.t.Errorf("recorded is %+v", rec)
			}
		}},
		"one before": {2, func(a *approvals, id bellhop.RunID) {
			a.approved(slackAda, id, bellhop.Held, "ada2")
			a.activate(counting(2, nil))
			a.approved(opsAda, id, bellhop.Held, "ada")
		}},
		"the same identity, by another name": {2, func(a *approvals, id bellhop.RunID) {
			a.approved(slackAda, id, bellhop.Held, "ada2")
			a.activate(counting(2, nil))
			a.refused(slackAda, approve(id), bellhop.Conflict, "ada has approved")
		}},
		"the same name, by another identity": {2, func(a *approvals, id bellhop.RunID) {
			a.activate(counting(2, nil))
			a.approved(opsAda, id, bellhop.Held, "ada")
			a.refused(slackAda, approve(id), bellhop.Conflict, "ada has approved")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApprovals(t, nil)
			a.activate(counting(c.count, apart))
			id := a.asked().ID
			c.votes(a, id)
			if a.get(id).State != bellhop.Held {
				t.Error("it is decided")
			}
		})
	}
	a := newApprovals(t, nil) // who asked by one identity does not approve by another
	a.activate(counting(1, apart))
	id := a.run(slackAda, ask("site", "deploy", "production")).Run
	a.activate(counting(1, nil))
	a.refused(opsAda, approve(id), bellhop.NotAllowed, "who may not approve it too")
}

// interrupted has something happen before the first vote reaches the store.
type interrupted struct {
	bellhop.Approvals
	first func()
}

func (i *interrupted) Vote(ctx context.Context, v bellhop.Voting) (bellhop.Run, error) {
	if first := i.first; first != nil {
		i.first = nil
		first()
	}
	return i.Approvals.Vote(ctx, v)
}

// TestAVoteThatComesBetweenIsJudged: two servers, of which one does not know
// yet that bea is no approver any more.
func TestAVoteThatComesBetweenIsJudged(t *testing.T) {
	a := newApprovals(t, nil)
	a.activate(counting(2, nil))
	id := a.asked().ID
	cat := approvedCatalog(nil)
	counting(2, func(cat *bellhop.Catalog) { cat.Access.People[1].Groups = nil })(cat)
	beside := *a.store
	between := &interrupted{Approvals: a.store.Approvals, first: func() { a.approved(opsBea, id, bellhop.Held, "bea") }}
	beside.Approvals = between
	other := engine.New(engine.Options{Store: &beside, Bus: &bus.Local{}, Clock: a.clock})
	if err := other.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	inv := approve(id)
	inv.Key, inv.Person = "of ada", opsAda
	got, err := other.Do(t.Context(), inv)
	if err != nil || between.first != nil || got.Decided.State != bellhop.Held || strings.Join(got.Decided.Approval.Approvers(), " ") != "ada" {
		t.Errorf("%+v, %v", got.Decided, err)
	}
	if again, err := other.Do(t.Context(), inv); err != nil || again.Decided.ID != id || len(again.Decided.Approval.Votes) != 2 {
		t.Errorf("the same key again: %+v, %v", again.Decided, err)
	}
}

// closedChat is a chat that can be asked until it is closed.
type closedChat struct{ closed bool }

func (c *closedChat) Member(_ context.Context, group, identity string, _ bool) (bool, error) {
	if c.closed {
		return false, bellhop.Errorf(bellhop.Unavailable, "the chat is away")
	}
	return group == "slack-usergroup:S1" && identity == "slack:T1/U9", nil
}

// TestAnEarlierApproverWhomNobodyCanJudge: while the chat is away that has them
// in a group, nothing is decided, and nothing lost.
func TestAnEarlierApproverWhomNobodyCanJudge(t *testing.T) {
	chat := &closedChat{}
	a := newApprovals(t, nil)
	a.Engine = engine.New(engine.Options{Store: a.store, Bus: a.bus, Clock: a.clock, Directory: chat, AuditKey: make([]byte, bellhop.AuditKeySize), Server: "again"})
	a.activate(counting(2, func(cat *bellhop.Catalog) { cat.Services[0].Jobs[0].Approve.By = []string{"ops", "slack-usergroup:S1"} }))
	id := a.asked().ID
	a.approved(bellhop.Person{Identity: "slack:T1/U9"}, id, bellhop.Held, "slack:T1/U9")
	chat.closed = true
	a.refused(opsAda, approve(id), bellhop.Unavailable, "slack:T1/U9 has approved "+id.String()+" before, and whether that still counts can't be seen")
	chat.closed = false
	a.approved(opsAda, id, bellhop.Waiting, "slack:T1/U9 ada")
}
