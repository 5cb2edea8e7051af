package bellhop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Approve is a job's `approve:`: who must agree before a run of it may start.
type Approve struct {
	By     []string            `json:"by"`    // groups and names of principals
	Count  int                 `json:"count"` // how many must agree; at least 1
	Self   bool                `json:"self"`  // who asked may agree, too
	Within time.Duration       `json:"within"`
	When   map[string][]string `json:"when,omitempty"` // as in Rule: only runs with these arguments
	// Notify are asked to decide: a person's name (alice), or a place of a chat
	// (slack:C0123). Empty = where it was asked.
	Notify []string `json:"notify,omitempty"`
}

// DefaultApproveWithin is how long a run waits for an approval when its job
// does not say.
const DefaultApproveWithin = time.Hour

// Approval is what a held run waits for, and what was said of it. It is bound
// to one run, whose definition and arguments never change.
type Approval struct {
	By      []string  `json:"by"`
	Count   int       `json:"count"`
	Self    bool      `json:"self,omitempty"`
	Expires time.Time `json:"expires"`
	Votes   []Vote    `json:"votes,omitempty"` // in the order in which they came
	// Notify were asked to decide (ReportApproval), and are told when there is
	// nothing left to decide (ReportDecided): it was approved or denied, its
	// time is over, or it was cancelled before. N of each is -1.
	Notify []Ask `json:"notify,omitempty"`
}

// Vote is what one approver said.
type Vote struct {
	Principal string    `json:"principal"`
	Identity  string    `json:"identity"`
	Approve   bool      `json:"approve"` // false: denied
	Reason    string    `json:"reason,omitempty"`
	At        time.Time `json:"at"`
	// Listed is Person.Listed as it was proven, for who judges it again.
	Listed bool `json:"listed,omitempty"`
	// Void is why an approval does not count any more; "" = it counts.
	Void string `json:"void,omitempty"`
}

// Approvers returns who agreed, in order, as far as that counts.
func (a *Approval) Approvers() []string {
	var names []string
	for _, v := range a.Votes {
		if v.Approve && v.Void == "" {
			names = append(names, v.Principal)
		}
	}
	return names
}

// Voting is one vote on its way to the store.
type Voting struct {
	Key  string // of the invocation; the same again gives the same answer
	Run  RunID
	Vote Vote
	// Seen is how many votes the run had when this one was judged, and Void
	// which of those do not count any more, by their place, and why. An approval
	// is judged together with those that came before it: one that finds more
	// than it has seen comes to nothing (ErrVotedMeanwhile).
	Seen int
	Void map[int]string
	// Audit, unless nil, is written in the same change when the vote counts.
	Audit *AuditRecord
}

// ErrVotedMeanwhile is what becomes of an approval when others have voted
// since it was judged. It is to be judged again.
var ErrVotedMeanwhile error = Errorf(Conflict, "somebody else voted in the same moment; vote again")

// Refusal is why a run is over that this vote has denied.
func (v *Vote) Refusal() string {
	if v.Reason == "" {
		return "denied by " + v.Principal
	}
	return "denied by " + v.Principal + ": " + v.Reason
}

// Over reports whether it can't be given any more at a time.
func (a *Approval) Over(now time.Time) bool {
	return !a.Expires.IsZero() && !now.Before(a.Expires)
}

// Cast says what one more vote makes of a run: its approval then, and its
// state, which is Held when others must agree too, Waiting or Cancelled. A vote
// that comes to nothing is a Conflict (Approvals.Vote). It changes nothing:
// stores call it within the change that they write.
func (r *Run) Cast(v *Voting) (*Approval, State, error) {
	if err := r.mayVote(v); err != nil {
		return nil, "", err
	}
	after := *r.Approval
	after.Votes = append(slices.Clone(after.Votes), v.Vote)
	for n := range r.Approval.Votes {
		if why := v.Void[n]; why != "" && n < v.Seen {
			after.Votes[n].Void = why
		}
	}
	switch {
	case !v.Vote.Approve:
		return &after, Cancelled, nil
	case len(after.Approvers()) >= max(1, after.Count):
		return &after, Waiting, nil
	}
	return &after, Held, nil
}

func (r *Run) mayVote(of *Voting) error {
	a, v := r.Approval, &of.Vote
	switch {
	case a == nil:
		return Errorf(Conflict, "%s needs no approval: it is %s", r.ID, r.State.words())
	case r.State != Held:
		return r.decided()
	case a.Over(v.At):
		return Errorf(Conflict, "%s waited for approval until %s, and that is over; ask for it anew (retry %s)", r.ID, a.Expires.UTC().Format("2006-01-02 15:04:05 MST"), r.ID)
	case !of.twice(a.Votes):
		if v.Approve && of.Seen != len(a.Votes) {
			return ErrVotedMeanwhile
		}
		return nil
	case !v.Approve: // one who denied is not here: the run would be over
		return Errorf(Conflict, "%s has approved %s already; to take that back, cancel it (cancel %s)", v.Principal, r.ID, r.ID)
	}
	return Errorf(Conflict, "%s has approved %s already; it still waits for %d more", v.Principal, r.ID, a.Count-len(a.Approvers()))
}

// twice reports whether whoever votes has voted already, by name or by
// identity, and that counts.
func (v *Voting) twice(before []Vote) bool {
	for n, o := range before {
		same := o.Principal == v.Vote.Principal || o.Identity != "" && o.Identity == v.Vote.Identity
		if same && o.Void == "" && (n >= v.Seen || v.Void[n] == "") {
			return true
		}
	}
	return false
}

// words is how a state is said.
func (s State) words() string { return strings.ReplaceAll(string(s), "_", " ") }

// decided words that a run isn't held any more, and who has seen to that.
func (r *Run) decided() error {
	given := ""
	if names := r.Approval.Approvers(); len(names) >= max(1, r.Approval.Count) {
		given = "approved by " + strings.Join(names, " and ")
	}
	switch {
	case !r.State.Terminal():
		return Errorf(Conflict, "%s is decided already: %s, and it is %s now", r.ID, given, r.State.words())
	case given != "":
		return Errorf(Conflict, "%s is decided already: %s, and it has ended (%s); to have it run once more, retry it (retry %s)", r.ID, given, r.State.words(), r.ID)
	case r.Error == "":
		return Errorf(Conflict, "%s is over (%s); ask for it anew (retry %s)", r.ID, r.State.words(), r.ID)
	}
	return Errorf(Conflict, "%s is decided already: %s; to ask for it anew, retry it (retry %s)", r.ID, r.Error, r.ID)
}

// ApprovalDigest stands for exactly what a run will do: the run itself, the
// definition of its job and its arguments; 32 hex digits. A button that
// approves carries it, so that it approves nothing else.
func (r *Run) ApprovalDigest() string {
	if r.unmasked != "" {
		return r.unmasked
	}
	args, err := json.Marshal(r.Args)
	if err != nil { // texts and lists of them
		panic("bellhop: arguments that can't be written as JSON: " + err.Error())
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s", r.ID, r.Digest, args))
	return hex.EncodeToString(sum[:16])
}

// Approvals decides of held runs (RunSpec.Approval).
type Approvals interface {
	// Vote adds a vote to a held run, in one change with what follows: with
	// the last approval that was missing, the run waits from then on (its
	// start, when that has passed, stays as it was); a denial ends it as
	// Cancelled, verdict Aborted, with the reason "denied by NAME" and, if
	// any, ": REASON". Every ask that is not withdrawn and every Notify is
	// told: ReportDecided when the run waits now, ReportOutcome to the asks and
	// ReportDecided to Notify when it was denied; nobody is told of an approval
	// after which others are missing. It returns the run as it stands then. A
	// run that is not held, whose approval has expired at Vote.At, or on which
	// the principal or the identity has voted already is a Conflict that says so,
	// and by whom it was decided (Run.Cast); one that does not exist is NotFound.
	// Who may vote is not the store's to judge, but that it was judged with all
	// votes that there are (Voting.Seen) is.
	Vote(ctx context.Context, v Voting) (Run, error)
	// Lapse ends up to n held runs whose approval has expired by now, as
	// Cancelled with verdict Aborted and the given reason; told as a denial
	// is, and as are the other ends that a held run may come to (Queue.Cancel,
	// Queue.Expire). next is when the next one expires, zero when there is none;
	// it is now or earlier when more could be ended at once.
	Lapse(ctx context.Context, now time.Time, n int, reason string) (gone []RunID, next time.Time, err error)
}
