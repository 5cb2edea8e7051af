package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/router"
)

// questions is the namespace in which questions are kept; the key stands for
// one person in one place, who has one open question there at most.
const questions = "question"

// pending is a question with the command that goes on when it was answered. It
// is kept for as long as keys are after that, so that an event which comes
// again is answered as it was.
type pending struct {
	bellhop.Question
	Half   router.Half  `json:"half"`
	Given  bellhop.Args `json:"given"`
	Asked  string       `json:"asked"`            // key of the event that was asked back; the run is asked for under it
	Closed string       `json:"closed,omitempty"` // key of the event that closed it
	Went   bool         `json:"went,omitempty"`   // it was answered, not taken back

	version int64
}

func placeOf(ev bellhop.Event) string {
	o := ev.Origin
	sum := sha256.Sum256([]byte(strings.Join([]string{o.Source, o.Channel, o.Thread, o.Session, ev.Person.Identity}, "\x00")))
	return hex.EncodeToString(sum[:])
}

func (s *Server) pending(ctx context.Context, place string) (*pending, error) {
	got, err := s.store.Values.Get(ctx, questions, place, s.clock.Now())
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, notAccepted(err)
	}
	q := &pending{version: got.Version}
	if err := json.Unmarshal(got.Value, q); err != nil {
		return nil, bellhop.Errorf(bellhop.Internal, "a question in the store can't be read: %w", err)
	}
	return q, nil
}

// put writes a question, in place of the version that it was read in.
func (s *Server) put(ctx context.Context, place string, q *pending, version int64) error {
	text, err := json.Marshal(q)
	if err != nil {
		return err
	}
	_, err = s.store.Values.Put(ctx, questions, place, text, version, bellhop.QuestionAge+bellhop.KeyAge, s.clock.Now())
	if bellhop.CodeOf(err) == bellhop.Conflict {
		return bellhop.Errorf(bellhop.Conflict, "this was answered by something else that you said at the same moment; look at what came of that")
	}
	if err != nil {
		return notAccepted(err)
	}
	return nil
}

func notAccepted(err error) error {
	return bellhop.Errorf(bellhop.CodeOf(err), "not accepted: %w", err)
}

// answers looks whether an event is about a question: it answers the open one
// of its person and place, or is one that was dealt with already.
func (s *Server) answers(ctx context.Context, ev bellhop.Event) (a bellhop.Answer, mine bool, err error) {
	place := placeOf(ev)
	q, err := s.pending(ctx, place)
	if err != nil {
		return a, true, err
	}
	open := q != nil && q.Closed == "" && s.clock.Now().Before(q.Expires)
	switch {
	case ev.Question != "" && (q == nil || q.ID != ev.Question || !open && q.Closed != ev.Key):
		return a, true, bellhop.Errorf(bellhop.Conflict, "this form is not open any more; ask again")
	case q == nil:
		return a, false, nil
	case ev.Key != "" && (q.Asked == ev.Key || q.Closed == ev.Key):
		a, err = s.repeated(ctx, ev, q, open)
		return a, true, err
	case !open:
		return a, false, nil
	case neverMind(ev.Text) && ev.Question == "":
		q.Closed = closing(ev)
		return bellhop.Answer{Action: bellhop.ActionHelp, Text: "Never mind, then: nothing was done."}, true, s.put(ctx, place, q, q.version)
	}
	a, err = s.take(ctx, ev, place, q)
	return a, true, err
}

// closing is what a question is closed by: the event's key, or anything else
// that is not empty.
func closing(ev bellhop.Event) string {
	if ev.Key != "" {
		return ev.Key
	}
	return rand.Text()
}

func neverMind(text string) bool {
	words := strings.Fields(strings.ToLower(strings.TrimRight(text, ".!")))
	return len(words) == 2 && words[0] == "never" && words[1] == "mind"
}

// repeated answers an event that was dealt with before.
func (s *Server) repeated(ctx context.Context, ev bellhop.Event, q *pending, open bool) (bellhop.Answer, error) {
	switch {
	case open:
		return bellhop.Answer{Question: &q.Question}, nil
	case !q.Went:
		return bellhop.Answer{Action: bellhop.ActionHelp, Text: "This was not answered in time, or taken back: nothing was done."}, nil
	}
	return s.goOn(ctx, ev, q)
}

// take reads an answer: the next question follows, or the command goes on.
func (s *Server) take(ctx context.Context, ev bellhop.Event, place string, q *pending) (bellhop.Answer, error) {
	if q.Kind != bellhop.AskArgument {
		return s.takeConfirm(ctx, ev, place, q)
	}
	given := ev.Form
	if ev.Question == "" {
		given = bellhop.Args{q.Param: router.Reply(q.Missing[0], ev.Text)}
	}
	for _, p := range q.Missing {
		v, ok := given[p.Name]
		if !ok {
			continue
		}
		if err := p.Check(v); err != nil {
			return bellhop.Answer{}, bellhop.Errorf(bellhop.CodeOf(err), "%v. Say it again, or `never mind`", err)
		}
		q.Given[p.Name] = v
	}
	left := q.Missing[:0:0]
	for _, p := range q.Missing {
		if _, ok := q.Given[p.Name]; !ok {
			left = append(left, p)
		}
	}
	if q.Missing = left; len(left) > 0 {
		q.Param, q.Text = left[0].Name, router.Question(left[0])
		q.Expires = s.clock.Now().Add(bellhop.QuestionAge)
		if err := s.put(ctx, place, q, q.version); err != nil {
			return bellhop.Answer{}, err
		}
		return bellhop.Answer{Question: &q.Question}, nil
	}
	inv, err := s.table.Load().Finish(q.Half, q.Given)
	if err != nil {
		return bellhop.Answer{}, err
	}
	if inv.Action == bellhop.ActionRun && inv.Confirm != bellhop.ConfirmNone {
		return s.confirm(ctx, place, q, inv, q.version)
	}
	return s.settle(ctx, ev, place, q)
}

// settle closes a question that was answered, and goes on.
func (s *Server) settle(ctx context.Context, ev bellhop.Event, place string, q *pending) (bellhop.Answer, error) {
	q.Closed, q.Went = closing(ev), true
	if err := s.put(ctx, place, q, q.version); err != nil {
		return bellhop.Answer{}, err
	}
	return s.goOn(ctx, ev, q)
}

// goOn carries out what a question held up, under the key of the event that
// was asked back.
func (s *Server) goOn(ctx context.Context, ev bellhop.Event, q *pending) (bellhop.Answer, error) {
	inv, err := s.table.Load().Finish(q.Half, q.Given)
	if err != nil {
		return bellhop.Answer{}, err
	}
	ev.Key = q.Asked
	return s.carryOut(ctx, ev, inv)
}

// takeConfirm reads a yes, a no or a code.
func (s *Server) takeConfirm(ctx context.Context, ev bellhop.Event, place string, q *pending) (bellhop.Answer, error) {
	word := strings.ToLower(strings.Trim(strings.TrimSpace(ev.Text), ".!"))
	if v, ok := ev.Form["confirm"]; ok {
		word = strings.ToLower(v.Text)
	}
	switch {
	case q.Kind == bellhop.AskConfirm && (word == "yes" || word == "y"), q.Kind == bellhop.AskCode && word == q.Code:
		return s.settle(ctx, ev, place, q)
	case word == "no" || word == "n":
		q.Closed = closing(ev)
		return bellhop.Answer{Action: bellhop.ActionHelp, Text: "Nothing was done."}, s.put(ctx, place, q, q.version)
	case q.Kind == bellhop.AskCode:
		return bellhop.Answer{}, bellhop.Errorf(bellhop.Invalid, "that is not the code. Type %s to go on, or `never mind`", q.Code)
	}
	return bellhop.Answer{}, bellhop.Errorf(bellhop.Invalid, "it is a yes or a no that is wanted: %s", q.Text)
}

// askMissing asks back for what a line left out; any other error stays one.
func (s *Server) askMissing(ctx context.Context, ev bellhop.Event, err error) (bellhop.Answer, error) {
	in, ok := err.(*router.Incomplete)
	if !ok || ev.Key == "" || ev.Origin.Source == bellhop.SourceAPI { // a program is not asked back
		return bellhop.Answer{}, err
	}
	q := &pending{
		Question: bellhop.Question{
			ID: rand.Text(), Kind: bellhop.AskArgument, Text: router.Question(in.Missing[0]), Param: in.Missing[0].Name, Plain: err.Error(),
			Command: in.Shown, Missing: in.Missing, Expires: s.clock.Now().Add(bellhop.QuestionAge),
		},
		Half: in.Half, Given: bellhop.Args{}, Asked: ev.Key,
	}
	if err := s.put(ctx, placeOf(ev), q, -1); err != nil {
		return bellhop.Answer{}, err
	}
	return bellhop.Answer{Question: &q.Question}, nil
}

// askConfirm asks whether a command is meant. What is refused anyway is refused
// before.
func (s *Server) askConfirm(ctx context.Context, ev bellhop.Event, inv bellhop.Invocation) (bellhop.Answer, error) {
	if ev.Key == "" || ev.Origin.Source == bellhop.SourceAPI {
		return s.carryOut(ctx, ev, inv)
	}
	if err := s.engine.MayAsk(ctx, ev.Person, ev.Origin, inv); err != nil {
		return bellhop.Answer{}, err
	}
	half, err := s.table.Load().Halve(inv)
	if err != nil {
		return bellhop.Answer{}, err
	}
	return s.confirm(ctx, placeOf(ev), &pending{Half: half, Given: bellhop.Args{}, Asked: ev.Key}, inv, -1)
}

// confirm makes a question of one that has all its arguments.
func (s *Server) confirm(ctx context.Context, place string, q *pending, inv bellhop.Invocation, version int64) (bellhop.Answer, error) {
	h := q.Half
	h.Args = inv.Args
	q.Question = bellhop.Question{
		ID: rand.Text(), Kind: bellhop.AskConfirm, Command: h.Shown, Expires: s.clock.Now().Add(bellhop.QuestionAge),
		Text: "Really `" + h.Summary() + "`? (yes or no)",
	}
	if inv.Confirm == bellhop.ConfirmCode {
		code, err := digits(4)
		if err != nil {
			return bellhop.Answer{}, err
		}
		q.Kind, q.Code = bellhop.AskCode, code
		q.Text = "To go on with `" + h.Summary() + "`, type " + code
	}
	q.Plain = "`" + h.Shown + "` asks back before it is done, which takes a conversation: bellhop chat, ssh without a command, or a chat"
	if err := s.put(ctx, place, q, version); err != nil {
		return bellhop.Answer{}, err
	}
	return bellhop.Answer{Question: &q.Question}, nil
}

func digits(n int) (string, error) {
	var b strings.Builder
	for range n {
		d, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			return "", err
		}
		b.WriteByte(byte('0' + d.Int64()))
	}
	return b.String(), nil
}
