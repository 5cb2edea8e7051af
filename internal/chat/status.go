package chat

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// StatusText says what runs and what waits, until when and for what.
func (s Style) StatusText(st bellhop.Status) string {
	if len(st.Running) == 0 && len(st.Waiting) == 0 {
		return "Nothing is happening."
	}
	var lines []string
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
	return strings.Join(lines, "\n")
}

// runningHead stands above what runs, or, without a server, above what ran when
// the last one went.
func (s Style) runningHead(n int) string {
	switch {
	case !s.Offline:
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
		if !s.Offline { // when it ended, nobody saw
			line += fmt.Sprintf(" (%s)", Duration(s.Now.Sub(*r.Started)))
		}
	}
	if r.Attempt > 1 {
		line += fmt.Sprintf(", attempt %d", r.Attempt)
	}
	return line + ", asked by " + Clean(r.AskedBy)
}

func (s Style) waitingLine(r bellhop.Run) string {
	line := "  " + s.paint(yellow, r.ID.String()) + " " + jobName(r)
	wait := r.Start.Sub(s.Now)
	switch {
	case r.State == bellhop.Held:
		line += ", until it is approved"
	case wait > 0:
		line += fmt.Sprintf(", until %s (in %s)", s.clock(r.Start), Duration(wait))
		if r.Error == "" && r.Attempt == 0 {
			line += ", delayed"
		}
	case r.Behind == 0 && s.Offline:
		line += ", until a server starts"
	case r.Behind == 0:
		line += ", for a free place"
	}
	if r.Behind != 0 {
		line += fmt.Sprintf(", behind %s", r.Behind)
	}
	if r.Error != "" {
		line += ", again after: " + Clean(r.Error)
	}
	return line + ", asked by " + Clean(r.AskedBy)
}

func jobName(r bellhop.Run) string { return Clean(r.Service) + " " + Clean(r.Job) }

// clock writes a time of day, with the date unless it is today.
func (s Style) clock(t time.Time) string {
	t = t.In(s.Now.Location())
	y, m, d := s.Now.Date()
	if ty, tm, td := t.Date(); ty == y && tm == m && td == d {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// RunsTable lists runs, aligned, a line for each after a line of headings.
func (s Style) RunsTable(runs []bellhop.Run) string {
	if len(runs) == 0 {
		return "There are no runs."
	}
	rows := [][]string{{"RUN", "STATE", "JOB", "ASKED BY", "CREATED", "TOOK", "WHY"}}
	for _, r := range runs {
		rows = append(rows, []string{
			r.ID.String(), stateCell(r), jobName(r), Clean(r.AskedBy), s.clock(r.Created), s.took(r), shorten(Clean(r.Error), 60),
		})
	}
	return s.table(rows, func(row int) (column int, p paint) {
		if row == 0 {
			return -1, ""
		}
		return 1, statePaint(runs[row-1].State)
	})
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
