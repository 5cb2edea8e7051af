package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// approval returns what a run of the job has to wait for, nil for nothing.
func (e *Engine) approval(o *offer, args bellhop.Args, now time.Time) *bellhop.Approval {
	a := o.job.Approve
	if a == nil || !meets(a.When, o.job, request{args: args}, true) {
		return nil
	}
	out := &bellhop.Approval{By: a.By, Count: max(a.Count, 1), Self: a.Self, Expires: now.Add(a.Within)}
	for _, to := range a.Notify {
		out.Notify = append(out.Notify, e.tellTo(to, now)...)
	}
	return out
}

// tellTo returns the addresses of those who are told though they did not ask:
// a place of a chat (slack:C0123, slack:#ops), or a person, in every chat that
// knows how to reach them, else at their next connection.
func (e *Engine) tellTo(to string, now time.Time) []bellhop.Ask {
	cat := e.active.Load()
	if source, channel, ok := strings.Cut(to, ":"); ok {
		o := cat.at(bellhop.Origin{Source: source, Channel: channel})
		return []bellhop.Ask{{N: -1, Principal: to, Identity: to, At: now, Origin: o}}
	}
	var asks []bellhop.Ask
	for i := range cat.Access.People {
		m := &cat.Access.People[i]
		if m.Name != to {
			continue
		}
		for _, identity := range m.Identities {
			source, _, _ := strings.Cut(identity, ":")
			if slices.Contains(e.reach, source) {
				o := cat.at(bellhop.Origin{Source: source, Person: identity})
				asks = append(asks, bellhop.Ask{N: -1, Principal: to, Identity: identity, At: now, Origin: o})
			}
		}
	}
	if len(asks) == 0 {
		asks = append(asks, bellhop.Ask{N: -1, Principal: to, Identity: to, At: now})
	}
	return asks
}

// mayVote reports whether somebody is among those who approve. Whether they
// asked themselves is another matter. many: no chat is asked anew.
func (e *Engine) mayVote(ctx context.Context, who bellhop.Principal, a *bellhop.Approval, many bool) bool {
	may, _ := e.approves(ctx, who, a, many)
	return may
}

// approves is mayVote; away: a chat that would have to say so can't be asked.
func (e *Engine) approves(ctx context.Context, who bellhop.Principal, a *bellhop.Approval, many bool) (may, away bool) {
	if who.Outside {
		return false, false
	}
	for _, fresh := range []bool{false, true} {
		g := &groups{e: e, ctx: ctx, who: who, fresh: fresh}
		if slices.ContainsFunc(a.By, func(by string) bool { return g.is(by) || g.has(by) }) {
			return true, false
		}
		if away = g.away; !g.asked || many {
			return false, away
		}
	}
	return false, away
}

// hasAsked reports whether somebody is among those who ask for a run, by a name
// that they had then or have now.
func (e *Engine) hasAsked(asks []bellhop.Ask, who bellhop.Principal) bool {
	people := e.active.Load().people
	return slices.ContainsFunc(asks, func(k bellhop.Ask) bool {
		m := people[k.Identity]
		return !k.Withdrawn && (k.Identity == who.Identity || k.Principal == who.Principal() || m != nil && m.Name == who.Name)
	})
}

// voter is who gave a vote, as the configuration knows them now.
func (e *Engine) voter(v *bellhop.Vote) bellhop.Principal {
	p := bellhop.Person{Identity: v.Identity, Listed: v.Listed}
	if v.Principal != v.Identity {
		p.Name = v.Principal
		if p.Source() == bellhop.SourceAPI { // the person for whom a token spoke
			p.As = v.Principal
		}
	}
	return e.Identify(p)
}

// void judges the approvals that a run has, together with one that is to come:
// it returns which do not count any more, by their place, and why. One person
// counts once, by whatever identities they have spoken.
func (e *Engine) void(ctx context.Context, inv *ask, run *bellhop.Run) (map[int]string, error) {
	a := run.Approval
	if len(a.Votes) == 0 {
		return nil, nil
	}
	asks, err := e.store.Records.Asks(ctx, run.ID)
	if err != nil {
		return nil, notAccepted(err)
	}
	void := map[int]string{}
	counted := map[string]bool{inv.who.Principal(): true}
	for n := range a.Votes {
		v := &a.Votes[n]
		if !v.Approve || v.Void != "" || v.Identity == inv.who.Identity || v.Principal == inv.who.Principal() {
			continue // one's own: the store says so
		}
		who := e.voter(v)
		may, away := e.approves(ctx, who, a, false)
		switch name := who.Principal(); {
		case away:
			return nil, bellhop.Errorf(bellhop.Unavailable, "not accepted: %s has approved %s before, and whether that still counts can't be seen, since a chat can't be asked just now; approve it again later",
				v.Principal, run.ID)
		case !may:
			void[n] = "no approver any more"
		case !a.Self && e.hasAsked(asks, who):
			void[n] = "has asked for it since"
		case counted[name]:
			void[n] = "the same person as " + name + ", who counts once"
		default:
			counted[name] = true
		}
	}
	return void, nil
}

// withVoid adds to what is recorded of a vote which others it makes void.
func withVoid(detail string, run *bellhop.Run, void map[int]string) string {
	parts := []string{}
	if detail != "" {
		parts = append(parts, detail)
	}
	for _, n := range slices.Sorted(maps.Keys(void)) {
		parts = append(parts, fmt.Sprintf("the approval of %s does not count any more: %s", run.Approval.Votes[n].Principal, void[n]))
	}
	return strings.Join(parts, "; ")
}

// vote approves or denies a held run. What is wrong with a vote is told in the
// order in which it matters: whose business it is, whether it is still to be
// decided, whether it is what the voter saw.
func (e *Engine) vote(ctx context.Context, inv *ask) (*bellhop.Run, error) {
	if err := checkKey(inv.Key); err != nil {
		return nil, err
	}
	run, err := e.store.Records.Run(ctx, inv.Run)
	if err != nil {
		return nil, err
	}
	inv.Service, inv.Job, inv.Args = run.Service, run.Job, run.Args
	if run.Approval == nil {
		return nil, bellhop.Errorf(bellhop.Conflict, "%s needs no approval: it is %s", run.ID, strings.ReplaceAll(string(run.State), "_", " "))
	}
	for {
		voted, err := e.cast(ctx, inv, &run)
		if err == nil {
			run = voted
			break
		}
		if !errors.Is(err, bellhop.ErrVotedMeanwhile) {
			return nil, err
		}
		if run, err = e.store.Records.Run(ctx, inv.Run); err != nil { // judged again with the vote that came between
			return nil, err
		}
	}
	if run.State.Terminal() {
		e.done(run.ID)
	}
	e.bus.Publish(bellhop.TopicRun(run.ID))
	e.bus.Publish(bellhop.TopicOutbox)
	e.bus.Publish(bellhop.TopicQueue)
	return &run, nil
}

// cast judges a vote by what a run is, and gives it. Nothing may come between:
// the store takes no approval that has not seen all votes.
func (e *Engine) cast(ctx context.Context, inv *ask, run *bellhop.Run) (bellhop.Run, error) {
	d, err := e.judgeVote(ctx, inv, run)
	if err == nil {
		err = refusal(d)
	}
	if err != nil {
		d.Allowed = false
		return bellhop.Run{}, e.refused(ctx, inv, d, err)
	}
	now := e.clock.Now()
	v := bellhop.Voting{
		Key: inv.Key, Run: inv.Run, Seen: len(run.Approval.Votes), Audit: e.recordOf(inv, d, now),
		Vote: bellhop.Vote{Principal: inv.who.Principal(), Identity: inv.who.Identity, Listed: inv.who.Listed, Reason: inv.Reason, At: now},
	}
	if v.Vote.Approve = inv.Action == bellhop.ActionApprove; v.Vote.Approve && run.State == bellhop.Held {
		if v.Void, err = e.void(ctx, inv, run); err != nil {
			return bellhop.Run{}, err
		}
		if v.Audit != nil {
			v.Audit.Detail = withVoid(v.Audit.Detail, run, v.Void)
		}
	}
	voted, err := e.store.Approvals.Vote(ctx, v)
	if err != nil {
		return bellhop.Run{}, notAcceptedUnlessKnown(err)
	}
	return voted, nil
}

// notAcceptedUnlessKnown words what the store could not do; what it said about
// the run itself stays as it is.
func notAcceptedUnlessKnown(err error) error {
	if code := bellhop.CodeOf(err); code == bellhop.Conflict || code == bellhop.NotFound {
		return err
	}
	return notAccepted(err)
}

// judgeVote says whether a vote may count. Errors other than a refusal say
// that it comes too late, or is about something else.
func (e *Engine) judgeVote(ctx context.Context, inv *ask, run *bellhop.Run) (bellhop.Decision, error) {
	if d, out := outOfScope(inv.who, ofRun(run)); out {
		return d, nil
	}
	a := run.Approval
	by := strings.Join(a.By, ", ")
	if !e.mayVote(ctx, inv.who, a, false) {
		return bellhop.Decision{Rule: "approve by " + by, Reason: fmt.Sprintf("%s is not for %s to decide: that is for %s", run.ID, inv.who.Principal(), by)}, nil
	}
	asks, err := e.store.Records.Asks(ctx, run.ID)
	if err != nil {
		return bellhop.Decision{}, err
	}
	if !a.Self && inv.Action == bellhop.ActionApprove && e.hasAsked(asks, inv.who) {
		return bellhop.Decision{Rule: "approve: self: false", Reason: fmt.Sprintf("%s was asked for by %s, who may not approve it too: somebody else of %s has to (to take it back: cancel %s)",
			run.ID, inv.who.Principal(), by, run.ID)}, nil
	}
	d := bellhop.Decision{Allowed: true, Rule: "approve by " + by}
	if run.State != bellhop.Held || inv.Action == bellhop.ActionDeny {
		return d, nil // the store says who decided already
	}
	if inv.Digest != "" && inv.Digest != run.ApprovalDigest() {
		return d, bellhop.Errorf(bellhop.NotAllowed, "what would be approved is not what %s does; look at it again (why %[1]s) and say: approve %[1]s", run.ID)
	}
	o, err := e.active.Load().offer(run.Service, run.Job)
	if err == nil && o.digest == run.Digest {
		if as := e.approval(o, run.Args, e.clock.Now()); as != nil && (!slices.Equal(as.By, a.By) || as.Count != a.Count || as.Self != a.Self) {
			return d, bellhop.Errorf(bellhop.NotAllowed, "who has to approve %s %s is not what it was when %s was asked for. Ask for it again, or deny %[3]s", run.Service, run.Job, run.ID)
		}
	}
	if err != nil || o.digest != run.Digest {
		return d, bellhop.Errorf(bellhop.NotAllowed, "%s %s is not the job any more that %s was asked with: its configuration has changed since. Ask for it again, or deny %[3]s", run.Service, run.Job, run.ID)
	}
	return d, nil
}

// lapseReason is what the record says of runs that nobody approved in time.
const lapseReason = "it was not approved in time"

// Lapse gives up held runs whose approval has not come in time, and returns
// when the next one is due.
func (e *Engine) Lapse(ctx context.Context) (next time.Time, err error) {
	for {
		now := e.clock.Now()
		gone, next, err := e.store.Approvals.Lapse(ctx, now, expireStep, lapseReason)
		if err != nil {
			return time.Time{}, err
		}
		for _, id := range gone {
			e.done(id)
			e.bus.Publish(bellhop.TopicRun(id))
			if err := e.Record(ctx, &bellhop.AuditRecord{At: now, Action: bellhop.AuditExpired, Run: id, Detail: lapseReason}); err != nil {
				return time.Time{}, err
			}
		}
		if len(gone) > 0 {
			e.bus.Publish(bellhop.TopicOutbox)
		}
		if len(gone) < expireStep {
			return next, nil
		}
	}
}

// waitsFor returns what an accepted run must wait for: its own approval, or, of
// one that was there already, what is still missing.
func (e *Engine) waitsFor(ctx context.Context, spec *bellhop.RunSpec, got bellhop.Submitted) (*bellhop.Approval, error) {
	if spec.Approval == nil || got.Ended {
		return nil, nil
	}
	if got.How == bellhop.Created {
		return spec.Approval, nil
	}
	run, err := e.store.Records.Run(ctx, got.Run)
	if err != nil || run.State != bellhop.Held {
		return nil, err
	}
	return run.Approval, nil
}
