package chat

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// StatusText says what runs and what waits, until when and for what, what is
// suppressed and paused, and which brokers are not well.
func (s Style) StatusText(st bellhop.Status) string {
	var lines []string
	if len(st.Running) == 0 && len(st.Waiting) == 0 {
		lines = append(lines, "Nothing is happening.")
	}
	if n := len(st.Running); n > 0 {
		lines = append(lines, s.runningHead(n))
		for _, r := range st.Running {
			lines = append(lines, s.runningLine(r))
		}
	}
	if n := len(st.Waiting); n > 0 {
		lines = append(lines, howMany(n, st.More)+" waiting:")
		for _, r := range st.Waiting {
			lines = append(lines, s.waitingLine(r))
		}
		if st.More {
			lines = append(lines, "  ... and more")
		}
	}
	lines = append(lines, s.holdLines(st.Holds)...)
	for _, b := range st.Brokers {
		lines = append(lines, s.paint(red, s.illBroker(b)))
	}
	if st.Config != nil {
		lines = append(lines, s.paint(yellow, s.otherConfig(*st.Config)))
	}
	return strings.Join(lines, "\n")
}

func (s Style) illBroker(b bellhop.IllBroker) string {
	line := fmt.Sprintf("No messages are taken from %s since %s", Clean(b.Name), s.clock(b.Since))
	if b.Error != "" {
		line += ": " + Clean(b.Error)
	}
	return line
}

// otherConfig says that this server's configuration is not the newest one.
func (s Style) otherConfig(a bellhop.Activation) string {
	return fmt.Sprintf("This server has another configuration than the newest one, which server %s\n"+
		"activated at %s, and which schedules go by. To have it here too: bring the\n"+
		"file over, then: bellhop reload", Clean(a.Server), s.clock(a.At))
}

// runningHead stands above what runs, or, without a server, above what ran when
// the last one went.
func (s Style) runningHead(n int) string {
	switch {
	case !s.Offline, s.Others:
		return howMany(n, false) + " running:"
	case n == 1:
		return "1 run was running; it runs again when a server starts:"
	}
	return fmt.Sprintf("%d runs were running; they run again when a server starts:", n)
}

func howMany(n int, more bool) string {
	switch {
	case more:
		return fmt.Sprintf("More than %d runs are", n)
	case n == 1:
		return "1 run is"
	}
	return fmt.Sprintf("%d runs are", n)
}

func (s Style) runningLine(r bellhop.Run) string {
	line := "  " + s.paint(cyan, r.ID.String()) + " " + jobName(r)
	if r.Started != nil {
		line += ", since " + s.clock(*r.Started)
		if !s.Offline || s.Others { // when it ended, nobody saw
			line += fmt.Sprintf(" (%s)", Duration(s.Now.Sub(*r.Started)))
		}
	}
	if r.Attempt > 1 {
		line += fmt.Sprintf(", attempt %d", r.Attempt)
	}
	return line + ", asked by " + Clean(r.AskedBy)
}

func (s Style) waitingLine(r bellhop.Run) string {
	w := s.waitOf(r)
	line := "  " + s.paint(yellow, r.ID.String()) + " " + jobName(r) + ", " + s.waitsFor(w, r)
	if w.Reason != bellhop.WaitConcurrency && r.Behind != 0 {
		line += fmt.Sprintf(", behind %s", r.Behind)
	}
	if r.Error != "" && w.Reason != bellhop.WaitBackoff {
		line += ", again after: " + Clean(r.Error)
	}
	return line + ", asked by " + Clean(r.AskedBy)
}

// waitsFor is the reason in few words.
func (s Style) waitsFor(w bellhop.Wait, r bellhop.Run) string {
	until := strings.TrimSpace(s.untilText(w))
	switch w.Reason {
	case bellhop.WaitApproval:
		return s.waitsForApproval(r.Approval)
	case bellhop.WaitDelay:
		return cmp.Or(until, "until later") + ", delayed"
	case bellhop.WaitBackoff:
		return cmp.Or(until, "until later") + ", again after: " + lastEnd(w, r)
	case bellhop.WaitSuppressed, bellhop.WaitPaused:
		return s.heldShort(w)
	case bellhop.WaitConcurrency:
		if w.Behind == 0 {
			return "behind another run"
		}
		return fmt.Sprintf("behind %s", w.Behind)
	}
	if s.Offline && !s.Others {
		return "until a server starts"
	}
	return "for a free place"
}

func (s Style) heldShort(w bellhop.Wait) string {
	text := "suppressed"
	if w.Reason == bellhop.WaitPaused {
		text = "paused"
		if w.Hold != nil {
			text += " since " + s.dayMinute(w.Hold.From)
		}
	} else if !w.Until.IsZero() {
		text += " until " + s.day(w.Until)
	}
	if w.Hold != nil {
		text += " by " + Clean(w.Hold.By)
	}
	if w.More > 0 {
		text += fmt.Sprintf(" (and %d more)", w.More)
	}
	return text
}

func jobName(r bellhop.Run) string { return Clean(r.Service) + " " + Clean(r.Job) }

// RunsTable lists runs, aligned, a line for each after a line of headings.
func (s Style) RunsTable(runs []bellhop.Run) string {
	if len(runs) == 0 {
		return "There are no runs."
	}
	rows := [][]string{{"RUN", "STATE", "JOB", "ASKED BY", "CREATED", "TOOK", "WHY"}}
	for _, r := range runs {
		rows = append(rows, []string{
			r.ID.String(), stateCell(r), jobName(r), Clean(r.AskedBy), s.clock(r.Created), s.took(r), shorten(s.note(r), 60),
		})
	}
	return s.table(rows, func(row int) (column int, p paint) {
		if row == 0 {
			return -1, ""
		}
		return 1, statePaint(runs[row-1].State)
	})
}

// note is the last cell of a run: why it waits, where it comes from, and why it
// ended as it did or waits again.
func (s Style) note(r bellhop.Run) string {
	var notes []string
	if r.Wait != nil {
		notes = append(notes, s.waitsFor(*r.Wait, r))
	}
	if r.After != 0 {
		notes = append(notes, "follows "+r.After.String())
	}
	if r.RetryOf != 0 {
		notes = append(notes, "repeats "+r.RetryOf.String())
	}
	if r.Attempt > 1 {
		notes = append(notes, fmt.Sprintf("attempt %d", r.Attempt))
	}
	if r.Error != "" && (r.Wait == nil || r.Wait.Reason != bellhop.WaitBackoff) { // which has told it
		notes = append(notes, Clean(r.Error))
	}
	return strings.Join(notes, "; ")
}

func stateCell(r bellhop.Run) string {
	switch r.Verdict {
	case bellhop.Fixed, bellhop.Regression:
		return stateWord(r.State) + " (" + strings.ToLower(string(r.Verdict)) + ")"
	}
	return stateWord(r.State)
}

func (s Style) took(r bellhop.Run) string {
	switch {
	case r.Started == nil:
		return ""
	case r.Finished != nil:
		return Duration(r.Finished.Sub(*r.Started))
	case r.State == bellhop.Running:
		return Duration(s.Now.Sub(*r.Started))
	}
	return ""
}

func statePaint(st bellhop.State) paint {
	switch st {
	case bellhop.Succeeded:
		return green
	case bellhop.Failed, bellhop.TimedOut:
		return red
	case bellhop.Running:
		return cyan
	}
	return yellow
}

// table aligns rows; paintAt names the cell of a row that is coloured.
func (s Style) table(rows [][]string, paintAt func(row int) (int, paint)) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, len(rows))
	for n, row := range rows {
		column, p := paintAt(n)
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2)
			if i == column {
				cell = s.paint(p, cell)
			}
			b.WriteString(cell + pad)
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	return strings.Join(lines, "\n")
}

// shorten cuts a text to n characters.
func shorten(text string, n int) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-3]) + "..."
}
