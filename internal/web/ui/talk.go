package ui

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// turn is one thing that was said, and what it was answered.
type turn struct {
	Said     string
	Text     string            // the answer
	Fault    string            // or why there is none
	Run      bellhop.RunID     // that is on its way, or whose output is asked for; 0 = none
	Question *bellhop.Question // what is asked back
}

// maxLine is the longest line that is taken, in bytes: the longest argument,
// and what stands round it.
const maxLine = bellhop.MaxValue + 64<<10

func (h *Handler) talk(v *view) error {
	return v.show("Ask", talkPage(v.page, v.query("say"), nil))
}

// say hands over one line, as a chat does.
func (h *Handler) say(v *view) error {
	text := strings.TrimSpace(v.r.PostFormValue("text"))
	if len(text) > maxLine {
		return bellhop.Errorf(bellhop.Invalid, "this is longer than the %d bytes that a line may have", maxLine)
	}
	t := turn{Said: text}
	a, err := h.house.Desk(v.person, Source, v.s.ID).Ask(v.ctx(), v.key(), text)
	v.page.now = h.opt.Clock.Now() // what was just asked for is not to come
	switch {
	case err != nil && bellhop.CodeOf(err) == bellhop.Internal:
		return err
	case err != nil:
		t.Fault = v.page.style().ErrorText(err)
	default:
		t.Text, t.Question = v.page.style().AnswerText(a), a.Question
		if a.Accepted != nil {
			t.Run = a.Accepted.Run
		} else if a.Action == bellhop.ActionLogs {
			t.Run = a.Run
		}
	}
	if part(v.r) {
		v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		return turnPart(v.page, t).Render(v.ctx(), v.w)
	}
	v.page.Title = "Ask"
	return v.page.show(v.w, v.r, http.StatusOK, talkPage(v.page, "", &t))
}

// complete answers with the words that may stand in place of a line's last.
func (h *Handler) complete(v *view) error {
	words, err := h.house.Desk(v.person, Source, v.s.ID).Complete(v.ctx(), v.r.URL.Query().Get("line"))
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(v.w).Encode(append([]string{}, words...))
}

// choices are answers that can be clicked.
func choices(q *bellhop.Question) []string {
	switch q.Kind {
	case bellhop.AskConfirm:
		return []string{"yes", "no"}
	case bellhop.AskCode:
		return []string{"never mind"}
	}
	for _, p := range q.Missing {
		if p.Name == q.Param && len(p.Enum) > 0 && len(p.Enum) <= 12 {
			return append(append([]string{}, p.Enum...), "never mind")
		}
	}
	return []string{"never mind"}
}

// cardLines is how much of an output a conversation shows.
const cardLines = 12

// ansi are the sequences of a terminal (ECMA-48), which a line without colours
// leaves out.
var ansi = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(\x07|\x1b\\\\)?|\x1b.")

// card is a run in a conversation, with the last lines of its output.
func (h *Handler) card(v *view) error {
	id, err := bellhop.ParseRunID(v.r.PathValue("id"))
	if err != nil {
		return err
	}
	r, err := h.house.Run(v.ctx(), v.person, id)
	if err != nil {
		return err
	}
	var last []string
	w, err := h.output.Reader.Window(v.ctx(), id, -(cardLines - 1), cardLines) // the last is 0 from the end
	if err != nil && bellhop.CodeOf(err) != bellhop.NotFound {                 // it may not be kept any more
		return err
	}
	lines := 0
	if w != nil {
		lines = w.Total
		for _, l := range w.Lines {
			last = append(last, chat.Clean(ansi.ReplaceAllString(l.Text, "")))
		}
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return runCard(v.page, r, strings.Join(last, "\n"), lines).Render(v.ctx(), v.w)
}
