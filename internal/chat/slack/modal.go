package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// open is a question that was asked here, as it is stored until it expires.
type open struct {
	Question bellhop.Question `json:"question"`
	Origin   bellhop.Origin   `json:"origin"`
	Alone    bool             `json:"alone,omitempty"`
	Respond  string           `json:"respond,omitempty"`
}

func questionKey(id string) string {
	if len(id) > 100 {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:])
	}
	return "question/" + id
}

// ask asks back: in a modal when there is a trigger for one, else in the
// thread, with a button that opens it.
func (c *Chat) ask(ctx context.Context, to reply, q bellhop.Question) {
	raw, err := json.Marshal(open{q, to.origin, to.alone, to.respond})
	if err == nil {
		ttl := max(q.Expires.Sub(c.now()), bellhop.QuestionAge)
		_, err = c.opt.Values.Put(ctx, c.space(), questionKey(q.ID), raw, -1, ttl, c.now())
	}
	c.note("keeping a question", err)
	if to.trigger != "" && q.Kind != bellhop.AskConfirm {
		if err = c.api.OpenView(ctx, to.trigger, modal(q)); err == nil {
			return
		}
		c.note("opening a modal", err)
	}
	w := words{text: q.Text}
	switch q.Kind {
	case bellhop.AskConfirm:
		w.buttons = []button{
			{label: "Yes", ask: q.ID + " yes", style: "primary", id: actAnswer}, {label: "No", ask: q.ID + " no", id: actAnswer},
		}
	case bellhop.AskCode:
		if q.Code != "" && !strings.Contains(w.text, q.Code) {
			w.text += " Type " + q.Code + " to go on."
		}
		w.buttons = []button{{label: "Enter", ask: q.ID, id: actFill}}
	default:
		w.buttons = []button{{label: "Fill in", ask: q.ID, id: actFill}}
	}
	if to.alone {
		c.post(ctx, to, w)
		return
	}
	_, err = c.tell(ctx, spot{to.origin.Channel, to.origin.Thread}, w)
	c.note("asking back", err)
}

// question returns an open question.
func (c *Chat) question(ctx context.Context, id string) (open, error) {
	v, err := c.opt.Values.Get(ctx, c.space(), questionKey(id), c.now())
	var o open
	if err == nil {
		err = json.Unmarshal(v.Value, &o)
	}
	if err != nil {
		if bellhop.CodeOf(err) == bellhop.Unavailable {
			return o, err
		}
		return o, bellhop.Errorf(bellhop.NotFound, "this question is not open any more; ask again")
	}
	return o, nil
}

// fill opens the modal of a question.
func (c *Chat) fill(ctx context.Context, to reply, p bellhop.Person, id string) error {
	o, err := c.question(ctx, id)
	if err != nil {
		return err
	}
	if o.Origin.Person != p.Identity {
		return bellhop.Errorf(bellhop.NotAllowed, "this question was asked somebody else")
	}
	c.saying.add("views/"+p.Identity, func() {
		if err := c.api.OpenView(c.ctx, to.trigger, modal(o.Question)); err != nil {
			c.note("opening a modal", err)
			to.origin, to.person = o.Origin, p
			c.sayError(to, bellhop.Errorf(bellhop.Unavailable, "Slack did not open the form in time; press the button again, or write the answer here"))
		}
	})
	return nil
}

// answered says yes or no to a question, where it was asked.
func (c *Chat) answered(ctx context.Context, h *hearing, to reply, ev bellhop.Event) error {
	id, text, _ := strings.Cut(ev.Text, " ")
	o, err := c.question(ctx, id)
	if err != nil {
		return err
	}
	if o.Origin.Person != ev.Person.Identity {
		return bellhop.Errorf(bellhop.NotAllowed, "this question was asked somebody else")
	}
	ev.Form, ev.Question = bellhop.Args{confirm: bellhop.Text(text)}, id
	ev.Text, ev.Origin, ev.Addressed = "", o.Origin, false
	return c.hand(ctx, h, ev, to)
}

// filled is a modal that came back.
type filled struct {
	ID         string `json:"id"`
	CallbackID string `json:"callback_id"`
	Metadata   string `json:"private_metadata"`
	State      struct {
		Values map[string]map[string]field `json:"values"`
	} `json:"state"`
}

type field struct {
	Type     string  `json:"type"`
	Value    *string `json:"value"`
	Date     *string `json:"selected_date"`
	Selected *struct {
		Value string `json:"value"`
	} `json:"selected_option"`
}

// text is what was filled in; false = nothing.
func (f field) text() (string, bool) {
	switch {
	case f.Selected != nil:
		return f.Selected.Value, true
	case f.Date != nil && *f.Date != "":
		return *f.Date, true
	case f.Value != nil && *f.Value != "":
		return *f.Value, true
	}
	return "", false
}

// input is the action of every field.
const input = "value"

// submitted hands over a modal that was filled in. What is wrong is said in the
// modal.
func (c *Chat) submitted(ctx context.Context, in interaction) (any, error) {
	o, err := c.question(ctx, in.View.Metadata)
	if err != nil {
		return nil, c.sayTo(ctx, in, err)
	}
	q := o.Question
	p, err := c.person(ctx, in.User.ID, in.User.TeamID)
	if err == nil && p.Identity != o.Origin.Person { // before anything is said of the question
		err = bellhop.Errorf(bellhop.NotAllowed, "this question was asked somebody else")
	}
	if err != nil {
		return c.wrongAtAll(q, err), nil
	}
	form, faults := readForm(q, in.View.State.Values)
	if len(faults) > 0 {
		return wrong(faults), nil
	}
	text, err := json.Marshal(form)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text) // it may be sent again with other values
	key := c.opt.Name + ":" + c.self.Team + "/view/" + in.View.ID + "/" + hex.EncodeToString(sum[:8])
	var refused error
	err = c.once(ctx, key, func(h *hearing) error {
		ev := bellhop.Event{Key: key, Person: p, Origin: o.Origin, Form: form, Question: q.ID}
		ev.Person.Channel = speaksIn(ev.Origin)
		to := reply{origin: o.Origin, person: p, alone: o.Alone, respond: o.Respond, receipt: c.receipts.begin(c.spotOf(o.Origin), o.Origin)}
		a, err := c.opt.House.Hear(ctx, ev)
		if err != nil {
			to.receipt.end()
			refused = err
			return err // so that the same may be sent again
		}
		h.acted = a.Question == nil
		if !c.saying.add(o.Origin.Channel+"/"+p.Identity, func() { defer to.receipt.end(); c.say(to, a); c.setMark(key, true) }) {
			to.receipt.end()
		}
		return nil
	})
	if err = firstErr(refused, err); err != nil {
		return c.wrongAtAll(q, err), nil
	}
	return nil, nil
}

// wrongAtAll says in a modal what keeps it from being taken.
func (c *Chat) wrongAtAll(q bellhop.Question, err error) modalErrors {
	return wrong(map[string]string{firstBlock(q): cutLine(c.style().ErrorText(err))})
}

func firstErr(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// sayTo tells somebody an error in a direct message: a modal has no place.
func (c *Chat) sayTo(_ context.Context, in interaction, err error) error {
	c.saying.add("views/"+in.User.ID, func() {
		ctx, cancel := context.WithTimeout(c.ctx, sayFor)
		defer cancel()
		channel, derr := c.api.Direct(ctx, in.User.ID)
		if derr == nil {
			_, derr = c.tell(ctx, spot{channel: channel}, words{text: c.style().ErrorText(err)})
		}
		c.note("answering", derr)
	})
	return nil
}

// sayLate tells whoever filled in a modal what is wrong with it, when the modal
// is closed already.
func (c *Chat) sayLate(in incoming, answer any) {
	m, ok := answer.(modalErrors)
	var who interaction
	if !ok || json.Unmarshal(in.payload, &who) != nil {
		return
	}
	for _, text := range m.Errors {
		_ = c.sayTo(c.ctx, who, bellhop.Errorf(bellhop.Invalid, "%s", text))
	}
}

// modalErrors is the answer to a modal that has something wrong in it, by
// block.
type modalErrors struct {
	Action string            `json:"response_action"`
	Errors map[string]string `json:"errors"`
}

func wrong(faults map[string]string) modalErrors { return modalErrors{"errors", faults} }

// confirm is the field of a form, and the block of a modal, that holds a yes,
// a no or a code.
const confirm = "confirm"

func firstBlock(q bellhop.Question) string {
	if q.Kind == bellhop.AskCode || len(q.Missing) == 0 {
		return confirm
	}
	return q.Missing[0].Name
}

// readForm reads the fields of a question. faults are by block.
func readForm(q bellhop.Question, values map[string]map[string]field) (form bellhop.Args, faults map[string]string) {
	if q.Kind == bellhop.AskCode {
		code, _ := values[confirm][input].text()
		if len(code) > maxCode {
			return nil, map[string]string{confirm: "that is not the code"}
		}
		return bellhop.Args{confirm: bellhop.Text(strings.TrimSpace(code))}, nil
	}
	form, faults = bellhop.Args{}, map[string]string{}
	size := 0
	for _, p := range q.Missing[:min(len(q.Missing), maxFields)] { // the others were not shown, and are asked for next
		text, given := values[p.Name][input].text()
		if size += len(text); size > chat.MaxLine {
			faults[p.Name] = "the form is longer than " + chat.Count(chat.MaxLine) + " bytes; put long values in a file and name the file"
			break
		}
		if !given && p.Default != nil {
			continue
		}
		v := bellhop.Text(text)
		if p.Type == bellhop.TypeList {
			v = bellhop.List(strings.Fields(text)...)
			if strings.Contains(text, "\n") {
				v = bellhop.List(strings.Split(strings.TrimRight(text, "\n"), "\n")...)
			}
		}
		if err := p.Check(v); err != nil {
			faults[p.Name] = cutLine(clean(err.Error()))
			continue
		}
		form[p.Name] = v
	}
	return form, faults
}

// maxCode is more than a code, or a no in its place, may have.
const maxCode = 200

// cutLine bounds what a modal shows as a fault.
func cutLine(s string) string { return short(strings.ReplaceAll(s, "\n", " "), 140) }

func short(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-3]) + "..."
}

// maxFields is how many fields a modal shows.
const maxFields = 90

// modal is the form of a question.
func modal(q bellhop.Question) json.RawMessage {
	text := func(s string) map[string]any { return map[string]any{"type": "plain_text", "text": s} }
	blocks := []any{map[string]any{"type": "section", "text": text(firstOf(short(plain(q.Command), 2000), "Bellhop"))}}
	if q.Kind == bellhop.AskCode {
		blocks = append(blocks, map[string]any{
			"type": "input", "block_id": confirm, "label": text(firstOf(short(plain(q.Text), 1900), "Code")),
			"element": map[string]any{"type": "plain_text_input", "action_id": input},
		})
	}
	for _, p := range q.Missing[:min(len(q.Missing), maxFields)] {
		b := map[string]any{"type": "input", "block_id": p.Name, "label": text(p.Name), "element": element(p), "optional": p.Default != nil}
		if p.Help != "" {
			b["hint"] = text(short(plain(p.Help), 1900))
		}
		blocks = append(blocks, b)
	}
	return block(map[string]any{
		"type": "modal", "callback_id": viewFill, "private_metadata": q.ID,
		"title": text("Bellhop"), "submit": text("Go"), "close": text("Never mind"), "blocks": blocks,
	})
}

// maxOption is the longest choice of a select, in characters, and maxOptions
// how many there may be.
const (
	maxOption  = 75
	maxOptions = 100
)

// element is the field for a parameter.
func element(p bellhop.Param) map[string]any {
	e := map[string]any{"action_id": input}
	switch p.Type {
	case bellhop.TypeEnum:
		if options, ok := choices(p.Enum); ok {
			e["type"], e["options"] = "static_select", options
			return e
		}
	case bellhop.TypeBool:
		options, _ := choices([]string{"true", "false"})
		e["type"], e["options"] = "radio_buttons", options
		return e
	case bellhop.TypeInt, bellhop.TypeNumber:
		e["type"], e["is_decimal_allowed"] = "number_input", p.Type == bellhop.TypeNumber
		if p.Min != "" {
			e["min_value"] = p.Min
		}
		if p.Max != "" {
			e["max_value"] = p.Max
		}
		return e
	case bellhop.TypeDate:
		e["type"] = "datepicker"
		return e
	case bellhop.TypeList, bellhop.TypeJSON:
		e["multiline"] = true
	case bellhop.TypeDuration:
		e["placeholder"] = map[string]any{"type": "plain_text", "text": "such as 90s, 1h30m or 2d"}
	}
	e["type"] = "plain_text_input"
	return e
}

func choices(values []string) ([]any, bool) {
	if len(values) == 0 || len(values) > maxOptions {
		return nil, false
	}
	var options []any
	for _, v := range values {
		if v == "" || utf8.RuneCountInString(v) > maxOption || len(v) > maxOption {
			return nil, false
		}
		options = append(options, map[string]any{"text": map[string]any{"type": "plain_text", "text": fmt.Sprint(v)}, "value": v})
	}
	return options, true
}
