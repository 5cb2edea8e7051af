package chat

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Style says how things are worded for one place. All of its texts are safe to
// show on a terminal, end without a newline, and are "" when there is nothing
// to say.
type Style struct {
	Now   time.Time // in the zone in which times are told
	Color bool
	// Command stands before commands that a text tells people to type:
	// "bellhop " for a shell, "" where one talks to Bellhop already.
	Command string
	// Offline: no server is running, and what is told is what the last one left.
	Offline bool
	// Others: offline, but other servers of the same store work.
	Others bool
}

// AnswerText words an answer. It is "" for ActionLogs: there is only output.
func (s Style) AnswerText(a bellhop.Answer) string {
	switch {
	case a.Question != nil:
		return s.QuestionText(*a.Question)
	case a.Decided != nil:
		return s.DecidedText(*a.Decided)
	case a.Accepted != nil:
		return s.Receipt(*a.Accepted)
	case a.Status != nil:
		return s.StatusText(*a.Status)
	case a.Action == bellhop.ActionCancel || a.Action == bellhop.ActionCancelRun:
		return s.CancelText(a.Cancelled)
	case a.Action == bellhop.ActionRuns:
		return s.RunsTable(a.Runs)
	case a.Why != nil:
		return s.WhyText(*a.Why)
	case a.Schedules != nil:
		return s.SchedulesText(*a.Schedules)
	case a.Login != nil:
		return s.LoginText(*a.Login)
	case a.Schedule != nil:
		return s.pausedText(*a.Schedule)
	case a.Later != nil:
		return s.laterText(a.Action, *a.Later)
	case holdAction(a.Action):
		return s.HoldsText(a.Action, a.Holds)
	default:
		return strings.TrimRight(CleanText(a.Text), "\n")
	}
}

// LoginText tells who asked, and nobody else, a link to the web page.
func (s Style) LoginText(l bellhop.Login) string {
	return "Open this in a browser within " + Duration(l.Expires.Sub(s.Now)) + ". It works once, and whoever opens it first is you:\n" + Clean(l.Link)
}

func holdAction(a bellhop.Action) bool {
	switch a {
	case bellhop.ActionSuppress, bellhop.ActionUnsuppress, bellhop.ActionPause, bellhop.ActionResume, bellhop.ActionSuppressions:
		return true
	}
	return false
}

// Receipt is the line that says that a run is written down.
func (s Style) Receipt(a bellhop.Accepted) string {
	var b strings.Builder
	switch {
	case a.How == bellhop.Repeated && a.Run == 0:
		return "asked before: nothing was to be done"
	case a.How == bellhop.Repeated:
		b.WriteString("asked before: ")
	case a.How == bellhop.Merged:
		b.WriteString("joined ")
	default:
		b.WriteString("accepted ")
	}
	fmt.Fprintf(&b, "%s: %s", a.Run, Clean(a.Job))
	if a.Ended {
		b.WriteString(", has ended already")
		return b.String()
	}
	if a.Approval != nil {
		b.WriteString(", waits " + s.waitsForApproval(a.Approval))
		return b.String()
	}
	if a.Hold != nil { // it lasts, or nobody knows how long; the rest matters less
		b.WriteString(", waits: " + s.heldHow(*a.Hold))
		return b.String()
	}
	if wait := a.Start.Sub(s.Now); wait > 0 {
		b.WriteString(", starts in " + Duration(up(wait, time.Second))) // whoever waits counts in seconds
	}
	if a.Behind != 0 {
		fmt.Fprintf(&b, ", waits for %s", a.Behind)
	}
	return b.String()
}

// CancelText says what a cancellation did, a line for each run.
func (s Style) CancelText(runs []bellhop.CancelledRun) string {
	if len(runs) == 0 {
		return "There is nothing to cancel."
	}
	lines := make([]string, len(runs))
	for i, r := range runs {
		lines[i] = cancelLine(r)
	}
	return strings.Join(lines, "\n")
}

func cancelLine(r bellhop.CancelledRun) string {
	switch r.Effect {
	case bellhop.CancelDone:
		return fmt.Sprintf("cancelled %s", r.Run)
	case bellhop.CancelWithdrawn:
		return fmt.Sprintf("withdrew your ask for %s; others still want it", r.Run)
	case bellhop.CancelStopping:
		return fmt.Sprintf("stopping %s", r.Run)
	case bellhop.CancelTooLate:
		return fmt.Sprintf("%s had ended already (%s)", r.Run, stateWord(r.State))
	case bellhop.CancelNotYours:
		return fmt.Sprintf("%s is not yours to cancel: you did not ask for it", r.Run)
	}
	return fmt.Sprintf("%s: %s", r.Run, Clean(string(r.Effect)))
}

// ErrorText words an error for whoever asked. The cause of an internal error
// is for the log and stays out.
func (s Style) ErrorText(err error) string {
	if err == nil {
		return ""
	}
	text := strings.TrimRight(CleanText(err.Error()), "\n")
	if bellhop.CodeOf(err) == bellhop.Internal {
		text = "Bellhop failed: " + text
	}
	return s.paint(red, text)
}

// GoesOn tells how to see a run that nobody waits for any more.
func (s Style) GoesOn(id bellhop.RunID) string {
	return fmt.Sprintf("%s goes on; to see it: %slogs %s", id, s.Command, id)
}

// again says that what is shown of a run begins anew.
func (s Style) again(id bellhop.RunID) string {
	return s.paint(yellow, fmt.Sprintf("%s is run again, from its beginning: the attempt before was lost, or failed", id))
}

type paint string

const (
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
	cyan   paint = "36"
)

func (s Style) paint(p paint, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}

// stateWord is a state as people say it.
func stateWord(st bellhop.State) string {
	return strings.ReplaceAll(Clean(string(st)), "_", " ")
}

// Duration words a span of time in its two largest units: 350 ms, 1 s,
// 2 min 5 s, 3 h 20 min, 2 days 4 h; from 1 to 10 s to the nearest tenth.
// Other spans are rounded up to what is shown, and those above 900 ms to 1 s, so
// that a delay of 1 s is told as 1 s.
func Duration(d time.Duration) string {
	if d <= 0 {
		return "0 s"
	}
	if ms := up(d, time.Millisecond); ms <= 900*time.Millisecond {
		return strconv.FormatInt(int64(ms/time.Millisecond), 10) + " ms"
	}
	if s := max(time.Second, up(d-50*time.Millisecond, 100*time.Millisecond)); s < 10*time.Second {
		return strconv.FormatFloat(s.Seconds(), 'g', 2, 64) + " s"
	}
	if s := up(d, time.Second); s < time.Minute {
		return units(s, time.Second, "s", 0, "")
	} else if s < time.Hour {
		return units(s, time.Minute, "min", time.Second, "s")
	}
	if m := up(d, time.Minute); m < 24*time.Hour {
		return units(m, time.Hour, "h", time.Minute, "min")
	}
	d = up(d, time.Hour)
	if d < 48*time.Hour {
		return units(d, 24*time.Hour, "day", time.Hour, "h")
	}
	return units(d, 24*time.Hour, "days", time.Hour, "h")
}

func up(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

func units(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d %s", d/big, bigName)
	if small != 0 && d%big >= small {
		text += fmt.Sprintf(" %d %s", d%big/small, smallName)
	}
	return text
}

// Count writes a number with thousands apart: 1,234.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
