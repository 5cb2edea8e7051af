package chat

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// HoldsText words what suppress, unsuppress, pause, resume and suppressions
// came to.
func (s Style) HoldsText(action bellhop.Action, holds []bellhop.Hold) string {
	word := s.madeText
	switch action {
	case bellhop.ActionSuppressions:
		if len(holds) == 0 {
			return "Nothing is suppressed or paused."
		}
		return strings.Join(s.holdLines(holds), "\n")
	case bellhop.ActionUnsuppress, bellhop.ActionResume:
		if len(holds) == 0 {
			return nothingEnded(action) + s.Command + "suppressions"
		}
		word = s.endedText
	}
	lines := make([]string, len(holds))
	for i, h := range holds {
		lines[i] = word(h)
	}
	return strings.Join(lines, "\n")
}

func nothingEnded(action bellhop.Action) string {
	if action == bellhop.ActionResume {
		return "Nothing of that name is paused. To see what is: "
	}
	return "There is no such suppression. To see what there is: "
}

// madeText says what a hold means, and how to take it back.
func (s Style) madeText(h bellhop.Hold) string {
	means := "Its runs wait and start then."
	switch {
	case h.Kind == bellhop.HoldPause:
		means = "What runs goes on; the rest waits."
	case h.Until.IsZero():
		means = "Its runs wait."
	}
	return fmt.Sprintf("%s is %s.\n%s %s", held(h), s.heldHow(h), means, s.release(h))
}

// release says how to end a hold, and no other: of what is narrowed there may
// be several by the same name.
func (s Style) release(h bellhop.Hold) string {
	if h.Kind == bellhop.HoldPause && len(h.Args) > 0 {
		return fmt.Sprintf("To resume: %sresume %d", s.Command, h.ID)
	}
	if h.Kind == bellhop.HoldPause {
		return fmt.Sprintf("To resume: %sresume %s", s.Command, target(h))
	}
	return fmt.Sprintf("To take it back: %sunsuppress %d", s.Command, h.ID)
}

// endedText says what was taken back. It claims no more: something else may
// still hold the same runs.
func (s Style) endedText(h bellhop.Hold) string {
	if h.Kind == bellhop.HoldPause {
		return fmt.Sprintf("resumed: %s, which was %s", held(h), s.heldHow(h))
	}
	return fmt.Sprintf("taken back: suppression %d of %s, %s", h.ID, held(h), s.window(h))
}

// holdLines lists holds under headings: what keeps runs back now, then what
// will, then what is paused.
func (s Style) holdLines(holds []bellhop.Hold) []string {
	var open, later, paused []bellhop.Hold
	for _, h := range holds {
		switch {
		case h.Kind == bellhop.HoldPause:
			paused = append(paused, h)
		case !h.Begun(s.Now):
			later = append(later, h)
		default:
			open = append(open, h)
		}
	}
	width := 0
	for _, h := range holds {
		width = max(width, len(strconv.FormatInt(h.ID, 10)))
	}
	var lines []string
	list := func(head string, p paint, holds []bellhop.Hold) {
		if len(holds) > 0 {
			lines = append(lines, head)
		}
		for _, h := range holds {
			number := s.paint(p, fmt.Sprintf("%*d", width, h.ID))
			lines = append(lines, fmt.Sprintf("  %s %s, %s", number, held(h), s.holdTimes(h)))
		}
	}
	list("Suppressed now:", yellow, open)
	list("Suppressed later:", cyan, later)
	list("Paused:", yellow, paused)
	return lines
}

func (s Style) holdTimes(h bellhop.Hold) string {
	if h.Kind == bellhop.HoldPause {
		return fmt.Sprintf("since %s, by %s", s.dayMinute(h.From), Clean(h.By))
	}
	return fmt.Sprintf("%s, by %s", s.window(h), Clean(h.By))
}

// heldHow says what a hold does to what it is about.
func (s Style) heldHow(h bellhop.Hold) string {
	if h.Kind == bellhop.HoldPause {
		return fmt.Sprintf("paused since %s, by %s", s.dayMinute(h.From), Clean(h.By))
	}
	return "suppressed " + s.window(h)
}

// window says from when until when; a beginning that has come is left out.
func (s Style) window(h bellhop.Hold) string {
	until := "until somebody ends it"
	if !h.Until.IsZero() {
		until = "until " + s.day(h.Until)
	}
	if !h.Begun(s.Now) {
		return "from " + s.day(h.From) + " " + until
	}
	return until
}

// target is what a hold is about, as it is typed.
func target(h bellhop.Hold) string {
	if h.Job == "" {
		return Clean(h.Service)
	}
	return Clean(h.Service) + " " + Clean(h.Job)
}

// held is what a hold is about, for people.
func held(h bellhop.Hold) string {
	if len(h.Args) == 0 {
		return target(h)
	}
	return target(h) + " with " + ArgsText(h.Args)
}

// ArgsText writes arguments by name, each as `retry RUN with` takes it:
// env=staging "what=two words". Long values are cut.
func ArgsText(args bellhop.Args) string {
	words := make([]string, 0, len(args))
	for _, name := range slices.Sorted(maps.Keys(args)) {
		w := Clean(name) + "=" + shorten(Clean(args[name].String()), 40)
		if strings.ContainsAny(w, " \t\"'") {
			w = `"` + w + `"`
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}
