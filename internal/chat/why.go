package chat

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// WhyText says why a run has not started, or what became of it.
func (s Style) WhyText(r bellhop.Run) string {
	text, remedy := r.ID.String()+" "+jobName(r)+" ", ""
	switch {
	case r.State == bellhop.Running:
		text += s.runsSince(r)
	case r.State.Terminal():
		text += s.endedHow(r)
	default:
		w := s.waitOf(r)
		text += s.waitsWhy(w, r)
		remedy = s.remedy(w)
	}
	lines := []string{text + "."}
	if r.After != 0 {
		lines = append(lines, fmt.Sprintf("It follows %s.", r.After))
	}
	if r.RetryOf != 0 {
		lines = append(lines, fmt.Sprintf("It repeats %s.", r.RetryOf))
	}
	if waits := r.State == bellhop.Waiting || r.State == bellhop.Held; waits && !r.Deadline.IsZero() && r.Attempt == 0 {
		lines = append(lines, "It is given up if it has not started by "+s.day(r.Deadline)+".")
	}
	if remedy != "" { // without a full stop, which would be copied with the command
		lines = append(lines, remedy)
	}
	return strings.Join(lines, "\n")
}

func (s Style) runsSince(r bellhop.Run) string {
	text := "is running"
	if r.Started != nil {
		text += fmt.Sprintf(", since %s (%s)", s.clock(*r.Started), Duration(s.Now.Sub(*r.Started)))
	}
	if r.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d", r.Attempt)
	}
	return text
}

func (s Style) endedHow(r bellhop.Run) string {
	text, reason := stateWord(r.State), Clean(r.Error)
	switch r.State {
	case bellhop.Cancelled:
		text = "was cancelled"
	case bellhop.Failed:
		reason = why(r.ExitStatus, r.Error)
	}
	if r.Finished != nil {
		text += fmt.Sprintf(" at %s (%s ago)", s.clock(*r.Finished), Duration(s.Now.Sub(*r.Finished)))
		if r.Started != nil {
			text += ", after " + Duration(r.Finished.Sub(*r.Started))
		}
	}
	if r.Started == nil {
		text += ", before it began"
	}
	if r.Attempt > 1 {
		text += fmt.Sprintf(", at attempt %d", r.Attempt)
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// waitsWhy is the reason in a sentence.
func (s Style) waitsWhy(w bellhop.Wait, r bellhop.Run) string {
	switch w.Reason {
	case bellhop.WaitApproval:
		return "waits " + s.waitsForApproval(r.Approval)
	case bellhop.WaitDelay:
		return "waits" + s.untilText(w) + ": it was asked for with a delay"
	case bellhop.WaitBackoff:
		return "waits" + s.untilText(w) + " to be tried again: " + lastEnd(w, r)
	case bellhop.WaitSuppressed, bellhop.WaitPaused:
		return s.waitsForHold(w)
	case bellhop.WaitConcurrency:
		behind := "another run"
		if w.Behind != 0 {
			behind = w.Behind.String()
		}
		return "waits for its turn behind " + behind
	}
	if s.Offline && !s.Others {
		return "waits until a server starts"
	}
	return "waits for a free place: it starts as soon as a runner has one" + lostBefore(r)
}

// lostBefore says why a run that began waits again.
func lostBefore(r bellhop.Run) string {
	if r.Error == "" {
		return ""
	}
	return "; it runs again after: " + Clean(r.Error)
}

func lastEnd(w bellhop.Wait, r bellhop.Run) string {
	return cmp.Or(Clean(w.After), Clean(r.Error), "it failed")
}

func (s Style) waitsForHold(w bellhop.Wait) string {
	if w.Hold == nil { // it is not for this person to see
		if w.Reason == bellhop.WaitPaused {
			return "waits until it is resumed: it is paused"
		}
		return "waits" + s.untilText(w) + ": it is suppressed"
	}
	what := "it"
	if w.Hold.Job == "" {
		what = target(*w.Hold)
	}
	if w.Hold.Kind == bellhop.HoldPause {
		return fmt.Sprintf("waits: %s is %s", what, s.heldHow(*w.Hold))
	}
	return fmt.Sprintf("waits: %s is %s, by %s", what, s.heldHow(*w.Hold), Clean(w.Hold.By))
}

// remedy is what can be done about a wait, "" for nothing.
func (s Style) remedy(w bellhop.Wait) string {
	if w.Hold == nil || (w.Reason != bellhop.WaitSuppressed && w.Reason != bellhop.WaitPaused) {
		return ""
	}
	text := s.release(*w.Hold)
	if w.More > 0 {
		text += fmt.Sprintf("\n%s back too; to see all: %ssuppressions", moreKeep(w.More), s.Command)
	}
	return text
}

// moreKeep counts what else keeps a run back.
func moreKeep(n int) string {
	if n == 1 {
		return "1 more keeps it"
	}
	return fmt.Sprintf("%d more keep it", n)
}

// untilText says until when something waits, "" when that is not known.
func (s Style) untilText(w bellhop.Wait) string {
	if w.Until.IsZero() {
		return ""
	}
	text := " until " + s.clock(w.Until)
	if in := w.Until.Sub(s.Now); in > 0 {
		text += " (in " + Duration(in) + ")"
	}
	return text
}

// waitOf is a run's Wait, and without one what the run itself shows.
func (s Style) waitOf(r bellhop.Run) bellhop.Wait {
	switch {
	case r.Wait != nil:
		return *r.Wait
	case r.State == bellhop.Held:
		return bellhop.Wait{Reason: bellhop.WaitApproval}
	case r.Start.After(s.Now) && (r.Error != "" || r.Attempt > 0):
		return bellhop.Wait{Reason: bellhop.WaitBackoff, Until: r.Start}
	case r.Start.After(s.Now):
		return bellhop.Wait{Reason: bellhop.WaitDelay, Until: r.Start}
	case r.Behind != 0:
		return bellhop.Wait{Reason: bellhop.WaitConcurrency, Behind: r.Behind}
	}
	return bellhop.Wait{Reason: bellhop.WaitPlace}
}
