package conversation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/conversation"
)

// parrot is a stage that answers each line as answers has it, lines apart.
type parrot struct {
	answers   map[string]string
	reactions bool
	busy      bool // Settle never returns in time
	did       []string
	faults    []string
	in        map[conversation.Voice]*conversation.Inbox
}

func (p *parrot) Name() string    { return "parrot" }
func (p *parrot) Reactions() bool { return p.reactions }

func (p *parrot) inbox(v conversation.Voice) *conversation.Inbox {
	if v.Place != "" {
		v.Person = ""
	}
	if p.in == nil {
		p.in = map[conversation.Voice]*conversation.Inbox{}
	}
	if p.in[v] == nil {
		p.in[v] = &conversation.Inbox{}
	}
	return p.in[v]
}

func (p *parrot) Say(_ context.Context, v conversation.Voice, text string) error {
	p.did = append(p.did, v.String()+">"+text)
	answer, ok := p.answers[text]
	if !ok {
		return errors.New("the line is cut")
	}
	for line := range strings.Lines(answer) {
		line = strings.TrimSuffix(line, "\n")
		to := v
		if rest, other := strings.CutPrefix(line, "bob< "); other {
			line, to = rest, conversation.Voice{Person: "bob"}
		}
		mark, stands, _ := strings.Cut(line, " = ")
		p.inbox(to).Add(conversation.Line{Text: mark, Reaction: strings.HasPrefix(line, ":"), Stands: stands})
	}
	return nil
}

func (p *parrot) Next(ctx context.Context, v conversation.Voice) (conversation.Line, error) {
	return p.inbox(v).Next(ctx)
}

func (p *parrot) Fake(s conversation.Step) error { return p.do("fake " + s.Service) }
func (p *parrot) Move(d time.Duration) error     { return p.do("move " + d.String()) }
func (p *parrot) SetClock(text string) error     { return p.do("set " + text) }
func (p *parrot) do(what string) error           { p.did = append(p.did, what); return nil }

func (p *parrot) Settle(ctx context.Context) error {
	if p.busy {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (p *parrot) Pending() (waits, faults []string) { return []string{"000001 is waiting"}, p.faults }

var said = map[string]string{
	"hi": "one\ntwo\nthree\n", "silence": "", "react": ":eyes:\ndone\n:check:\n", "ask": "accepted 000a: it\n", "cancel 000a": "gone\n",
	"tell bob": "told\nbob< news\n", "mark": ":ok: = accepted 000a: it\ndone\n",
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		p    parrot
		want string // in the failure; "" = none
	}{
		"all of it":                 {text: "alice> hi\n< one\n< two\n< t*\n"},
		"any lines":                 {text: "alice> hi\n< ...\n< three\n"},
		"any lines at the end":      {text: "alice> hi\n< one\n< ...\nalice> hi\n< one\n< ...\n"},
		"nothing":                   {text: "alice> silence\n! nothing\n"},
		"not that":                  {text: "alice> hi\n! four\n< ...\n"},
		"any lines, but not that":   {text: "alice> hi\n< ...\n! four\n! nothing\n"},
		"nothing to somebody else":  {text: "alice> tell bob\n< told\nbob! nothing\n", want: "x:3: something came where nothing should\n     came  news"},
		"to somebody else":          {text: "alice> tell bob\n< told\nbob< news\n"},
		"in a channel":              {text: "alice@#ops> hi\nbob@#ops< one\n@#ops< two\n< three\n"},
		"variables":                 {text: "alice> ask\n< accepted $run: it\nalice> cancel $run\n< gone\n"},
		"for others":                {text: "alice> hi\n[ssh] < nonsense\n[!parrot] < nonsense\n[parrot] < one\n< ...\n"},
		"reactions":                 {text: "alice> react\n< :eyes:\n< done\n< :check:\n", p: parrot{reactions: true}},
		"reactions not mentioned":   {text: "alice> react\n< done\nalice> react\n< done\n", p: parrot{reactions: true}},
		"a reaction for words":      {text: "alice> mark\n< accepted $run: it\n< done\nalice> cancel $run\n< gone\nalice> mark\n< :ok:\n< done\n", p: parrot{reactions: true}},
		"other words":               {text: "alice> mark\n< accepted $run: that\n", p: parrot{reactions: true}, want: "     came  done"},
		"no reactions here":         {text: "alice> silence\n< :eyes:\n! nothing\n"},
		"something else":            {text: "alice> hi\n< one\n< 2\n", want: "x:3: something else came\n           alice> hi\n       ok  one\n     want  2\n     came  two\n           three"},
		"too little":                {text: "alice> silence\n< one\n", want: "x:2: this did not come\n           alice> silence\n     want  one\n     came  (nothing more)\n    waits  000001 is waiting"},
		"too little, and still on":  {text: "alice> silence\n< one\n", p: parrot{busy: true}, want: "(nothing more within 300ms)"},
		"too much at the end":       {text: "alice> hi\n< one\n", want: "x:1: more came than was expected\n           alice> hi\n       ok  one\n     came  two\n           three"},
		"too much before":           {text: "alice> hi\n< one\nalice> silence\n< x\n", want: "x:4: something else came\n           alice> silence\n     want  x\n     came  two\n           three"},
		"too much after ! nothing":  {text: "alice> hi\n! nothing\n", want: "x:2: something came where nothing should"},
		"what should not":           {text: "alice> hi\n! tw*\n", want: "x:2: this came, and should not\n           alice> hi\n     came  two"},
		"not after any lines":       {text: "alice> hi\n< ...\n< four\n", want: "     want  four\n     came  one\n           two\n           three\n           (nothing more)"},
		"the stage can't":           {text: "alice> hi\n< ...\nbob> nonsense\n", want: "x:3: the line is cut"},
		"a fault behind the scenes": {text: "alice> silence\n", p: parrot{faults: []string{"it is not fake"}}, want: "x:1: all came as expected, and yet\n     note  it is not fake"},
		"no end":                    {text: "alice> silence\nwait 1s\n", p: parrot{busy: true}, want: "x:2: it did not come to an end within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.p
			p.answers = said
			err := conversation.Run(t.Context(), parse(t, c.text), &p, 300*time.Millisecond)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestRunDoesInOrder(t *testing.T) {
	p := parrot{answers: said}
	err := conversation.Run(t.Context(), parse(t, "clock 2026-03-02 09:00\nfake a b\nalice> silence\nwait 1m\nfake c d\nalice> silence\n"), &p, 0)
	want := "[set 2026-03-02 09:00 fake a alice>silence move 1m0s fake c alice>silence]"
	if got := fmt.Sprint(p.did); err != nil || got != want {
		t.Errorf("did %s (%v), want %s", got, err, want)
	}
}

func TestRunIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := parrot{answers: said, busy: true}
	err := conversation.Run(ctx, parse(t, "alice> silence\nwait 1s\n"), &p, 0)
	if _, ok := errors.AsType[*conversation.Failure](err); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
