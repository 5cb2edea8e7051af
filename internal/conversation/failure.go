package conversation

import (
	"fmt"
	"strings"
)

// Failure is what was not as a script has it.
type Failure struct {
	File   string
	Line   int
	What   string
	Said   *Step    // after what; nil = nobody had said anything there
	Fine   []string // lines that came as expected since then
	Want   string   // "" = nothing was wanted
	Came   []Line   // what came instead, or besides
	Silent string   // that nothing (more) came; "" = something did
	Waits  []string // runs that have not ended
	Faults []string // what the conversation does not show
}

// How much of a failure is shown.
const (
	mostLines = 20
	widest    = 200
)

// Error returns FILE:LINE: what, and below it what came, aligned with what was
// expected.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: %s", f.File, f.Line, f.What)
	row := func(head, text string) {
		if r := []rune(text); len(r) > widest {
			text = string(r[:widest]) + "..."
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("\n  %7s  %s", head, text), " "))
	}
	if f.Said != nil {
		row("", f.Said.Voice.String()+"> "+f.Said.Text)
	}
	for _, l := range f.Fine[max(0, len(f.Fine)-mostLines):] {
		row("ok", l)
	}
	if f.Want != "" {
		row("want", f.Want)
	}
	head := "came"
	for i, l := range f.Came {
		if i == mostLines {
			row("", fmt.Sprintf("... and %d more", len(f.Came)-i))
			break
		}
		row(head, l.Text)
		head = ""
	}
	if f.Silent != "" {
		row(head, "("+f.Silent+")")
	}
	for _, w := range f.Waits {
		row("waits", w)
	}
	for _, w := range f.Faults {
		row("note", w)
	}
	return b.String()
}
