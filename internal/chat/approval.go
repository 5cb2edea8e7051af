package chat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// approvers says whose approval is wanted: "ops", "2 of ops or alice".
func approvers(a bellhop.Approval) string {
	names := make([]string, len(a.By))
	for i, by := range a.By {
		names[i] = Clean(by)
	}
	by := strings.Join(names, " or ")
	if a.Count > 1 {
		return fmt.Sprintf("%d of %s", a.Count, by)
	}
	return by
}

// waitsForApproval says what a held run waits for: "to be approved by ops
// until 17:30:00 (in 59 min)".
func (s Style) waitsForApproval(a *bellhop.Approval) string {
	if a == nil {
		return "to be approved"
	}
	text := "to be approved by " + approvers(*a)
	if n := len(a.Approvers()); n > 0 {
		text += fmt.Sprintf(" (%d so far: %s)", n, cleanList(a.Approvers()))
	}
	return text + s.untilText(bellhop.Wait{Until: a.Expires})
}

func cleanList(names []string) string {
	clean := make([]string, len(names))
	for i, n := range names {
		clean[i] = Clean(n)
	}
	return strings.Join(clean, ", ")
}

// DecidedText says what a vote came to.
func (s Style) DecidedText(r bellhop.Run) string {
	name := r.ID.String() + " " + jobName(r)
	a := r.Approval
	switch {
	case a == nil:
		return name + " is " + stateWord(r.State)
	case r.State == bellhop.Held:
		return name + " waits " + s.waitsForApproval(a) + voidText(a)
	case denied(a) != nil:
		return s.paint(red, name+" was denied by "+deniedBy(a))
	}
	text := name + " was approved by " + cleanList(a.Approvers())
	if wait := r.Start.Sub(s.Now); r.State == bellhop.Waiting && wait > 0 {
		text += ", starts in " + Duration(wait)
	}
	return s.paint(green, text) + voidText(a)
}

// voidText says which approvals do not count any more, a line for each.
func voidText(a *bellhop.Approval) (text string) {
	for _, v := range a.Votes {
		if v.Void != "" {
			text += "\nthe approval of " + Clean(v.Principal) + " does not count any more: " + Clean(v.Void)
		}
	}
	return text
}

// denied returns the vote that ended it, nil for none.
func denied(a *bellhop.Approval) *bellhop.Vote {
	for i := range a.Votes {
		if !a.Votes[i].Approve {
			return &a.Votes[i]
		}
	}
	return nil
}

func deniedBy(a *bellhop.Approval) string {
	v := denied(a)
	if v.Reason == "" {
		return Clean(v.Principal)
	}
	return Clean(v.Principal) + ": " + Clean(v.Reason)
}

// ApprovalText asks an approver to decide: exactly what would run, for whom.
func (s Style) ApprovalText(r bellhop.Run) string {
	lines := []string{fmt.Sprintf("%s %s waits %s", r.ID, jobName(r), s.waitsForApproval(r.Approval)), "asked by " + Clean(r.AskedBy)}
	for _, name := range slices.Sorted(maps.Keys(r.Args)) {
		lines = append(lines, fmt.Sprintf("  %s: %s", Clean(name), Clean(r.Args[name].String())))
	}
	return strings.Join(append(lines, fmt.Sprintf("to decide: %sapprove %s, or %[1]sdeny %[2]s because ...", s.Command, r.ID)), "\n")
}

// SignedText names who asked for a run and who approved it; "" for one that
// needed no approval.
func (s Style) SignedText(r bellhop.Run) string {
	if r.Approval == nil || len(r.Approval.Approvers()) == 0 {
		return ""
	}
	return fmt.Sprintf("%s was asked for by %s and approved by %s", r.ID, Clean(r.AskedBy), cleanList(r.Approval.Approvers()))
}

// QuestionText asks back.
func (s Style) QuestionText(q bellhop.Question) string {
	return s.paint(cyan, CleanText(q.Text))
}
