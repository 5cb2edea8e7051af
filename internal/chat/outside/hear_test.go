package outside_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
)

func TestWhatIsNoEvent(t *testing.T) {
	long := strings.Repeat("x", 201)
	for name, c := range map[string]struct {
		event string
		want  string
	}{
		"no key":                {`{"person":"a","text":"x"}`, "key is missing"},
		"nothing":               {`{"key":"k","person":"a"}`, "0 of them"},
		"two things":            {`{"key":"k","person":"a","text":"x","data":1}`, "2 of them"},
		"text and args":         {`{"key":"k","person":"a","text":"x","args":{}}`, "2 of them"},
		"nobody":                {`{"key":"k","text":"x"}`, "person is missing"},
		"nobody wants a job":    {`{"key":"k","service":"s","job":"j"}`, "person is missing"},
		"a job of no service":   {`{"key":"k","person":"a","job":"j"}`, "one of them is missing"},
		"a long key":            {`{"key":"` + long + `","person":"a","text":"x"}`, "key has 201 bytes; at most 200"},
		"a long person":         {`{"key":"k","person":"` + long + `","text":"x"}`, "person has 201 bytes"},
		"a long channel":        {`{"key":"k","person":"a","channel":"` + long + `","text":"x"}`, "channel has"},
		"a long thread":         {`{"key":"k","person":"a","thread":"` + long + `","text":"x"}`, "thread has"},
		"a long message":        {`{"key":"k","person":"a","message":"` + long + `","text":"x"}`, "message has"},
		"a newline in a person": {`{"key":"k","person":"alice\n","text":"x"}`, `person is "alice^J", with a character`},
		"an escape":             {`{"key":"k\u001b[2J","person":"a","text":"x"}`, "key is"},
		"a NUL":                 {`{"key":"k","person":"a","channel":"c\u0000","text":"x"}`, "channel is"},
		"text turned around":    {`{"key":"k","person":"\u202eecila","text":"x"}`, "person is"},
		"a space in a person":   {`{"key":"k","person":"alice b","text":"x"}`, "no spaces"},
		"a wide space":          {`{"key":"k","person":"alice\u2003b","text":"x"}`, "no spaces"},
		"much data":             {`{"key":"k","data":"` + strings.Repeat("x", 1<<20) + `"}`, "data has 1,048,578 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var e outside.Event
			if err := json.Unmarshal([]byte(c.event), &e); err != nil {
				t.Fatal(err)
			}
			h := newHouse()
			_, err := h.chat(nil).Hear(t.Context(), &e)
			if bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if len(h.heard) > 0 {
				t.Errorf("it was heard: %+v", h.heard)
			}
		})
	}
}

// Whatever a source calls somebody, and wherever they are, it is one of its own.
func TestWhatIsHeard(t *testing.T) {
	h := newHouse()
	c := h.chat(nil)
	for _, e := range []outside.Event{
		{Key: "1", Person: "slack:T1/U1", Text: "help"},
		{Key: "2", Person: "alice", Channel: "#ops", Thread: "t", Message: "m", Text: "help"},
		{Key: "3", Person: "alice", Channel: "#ops", Direct: true, Service: "site", Job: "deploy"},
		{Key: "4", Channel: "rack", Data: json.RawMessage(`{"a":1}`)},
		{Key: "5", Data: json.RawMessage(`null`)},
	} {
		if _, err := c.Hear(t.Context(), &e); err != nil {
			t.Error(e, err)
		}
	}
	session := bellhop.OutsideSession("irc")
	for i, want := range []bellhop.Event{
		{Key: "irc/1", Text: "help", Addressed: true, Person: bellhop.Person{Identity: "irc:slack:T1/U1"}, Origin: bellhop.Origin{Source: "irc", Person: "irc:slack:T1/U1", Session: session}},
		{Key: "irc/2", Text: "help", Person: bellhop.Person{Identity: "irc:alice", Channel: "#ops"}, Origin: bellhop.Origin{Source: "irc", Channel: "#ops", Thread: "t", Message: "m", Person: "irc:alice", Session: session}},
		{Key: "irc/3", Text: "(site/deploy)", Addressed: true, Person: bellhop.Person{Identity: "irc:alice", Channel: "#ops"}, Origin: bellhop.Origin{Source: "irc", Channel: "#ops", Person: "irc:alice", Session: session}},
		{Key: "irc/4", Text: `{"a":1}`, Origin: bellhop.Origin{Source: "irc", Channel: "rack", Session: session}},
		{Key: "irc/5", Text: `null`, Origin: bellhop.Origin{Source: "irc", Session: session}},
	} {
		got := h.heard[i]
		if got.Key != want.Key || got.Text != want.Text || got.Addressed != want.Addressed || got.Person != want.Person || got.Origin != want.Origin {
			t.Errorf("heard\n%+v\nwant\n%+v", got, want)
		}
	}
}

// What a person did wrong is an answer; what may be sent again is an error.
func TestWhatIsWrong(t *testing.T) {
	e := outside.Event{Key: "k", Person: "alice", Text: "go"}
	for _, c := range []struct {
		code   bellhop.Code
		silent bool
		err    bool
		text   string
	}{
		{bellhop.Invalid, false, false, "that is wrong"}, {bellhop.NotFound, false, false, "that is wrong"}, {bellhop.Conflict, true, false, "that is wrong"},
		{bellhop.NotAllowed, false, false, "that is wrong"}, {bellhop.NotAllowed, true, false, ""},
		{bellhop.Unavailable, false, true, ""}, {bellhop.Internal, false, true, ""},
	} {
		h := newHouse()
		h.fails = bellhop.Errorf(c.code, "that is wrong")
		r, err := h.chat(func(o *outside.Options) { o.Silent = c.silent }).Hear(t.Context(), &e)
		if (err != nil) != c.err || !c.err && r.Error != c.code || r.Text != c.text {
			t.Errorf("%s, silent %v: %+v, %v", c.code, c.silent, r, err)
		}
	}
	h := newHouse()
	h.fails = errors.New("a fault")
	if r, err := h.chat(nil).Hear(t.Context(), &e); err == nil || r.Text != "" {
		t.Errorf("a fault is told: %+v, %v", r, err)
	}
}

func TestAnswers(t *testing.T) {
	h := newHouse()
	c := h.chat(nil)
	hear := func(a bellhop.Answer) outside.Reply {
		t.Helper()
		h.answer = a
		r, err := c.Hear(t.Context(), &outside.Event{Key: "k", Person: "alice", Channel: "#ops", Text: "go"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := hear(bellhop.Answer{}); r.Ignored == "" || r.Text != "" || r.Asked() {
		t.Errorf("what was not said to the bot: %+v", r)
	}
	if r := hear(bellhop.Answer{Action: bellhop.ActionRun, Accepted: &bellhop.Accepted{Run: 7, How: bellhop.Created, Job: "site deploy"}}); !r.Asked() || r.Run != 7 || r.Text != "accepted 000007: site deploy" {
		t.Errorf("a run: %+v", r)
	}
	if r := hear(bellhop.Answer{Action: bellhop.ActionLogs, Run: 7}); r.Asked() || r.Text != "done\n" {
		t.Errorf("logs: %+v", r)
	}
	h.out = ""
	if r := hear(bellhop.Answer{Action: bellhop.ActionLogs, Run: 7}); r.Text != "000007 has written nothing so far" {
		t.Errorf("logs of nothing: %+v", r)
	}
	h.out = strings.Repeat("line\n", 1<<19)
	if r := hear(bellhop.Answer{Action: bellhop.ActionLogs, Run: 7}); len(r.Text) > 16<<10 || !strings.Contains(r.Text, "(cut; ") || r.File != nil {
		t.Errorf("long logs: %d, %s", len(r.Text), r.Text[len(r.Text)-80:])
	}
	if err := c.Register(t.Context(), outside.Shows{Files: true, Length: 100}); err != nil {
		t.Fatal(err)
	}
	if r := hear(bellhop.Answer{Action: bellhop.ActionLogs, Run: 7}); r.File == nil || r.File.Name != "000007.log" || len(r.File.Data) > 1<<20 || len(r.Text) > 100 {
		t.Errorf("long logs as a file: %+v", r.Text)
	}
	if r := hear(bellhop.Answer{Action: bellhop.ActionHelp, Text: "a\x1b[2Jb"}); r.Text != "a^[[2Jb" {
		t.Errorf("a control character is told: %q", r.Text)
	}
	q := hear(bellhop.Answer{Question: &bellhop.Question{Kind: bellhop.AskConfirm, Text: "Really?"}}).Question
	if q == nil || strings.Join(q.Choices, " ") != "yes no" {
		t.Errorf("a question: %+v", q)
	}
}

func TestRegister(t *testing.T) {
	h := newHouse()
	c := h.chat(nil)
	if s, err := c.Shows(t.Context()); err != nil || s != (outside.Shows{}) {
		t.Error(s, err)
	}
	want := outside.Shows{Length: 400, Edits: true}
	for range 2 {
		if err := c.Register(t.Context(), want); err != nil {
			t.Error(err)
		}
	}
	if s, err := h.chat(nil).Shows(t.Context()); err != nil || s != want {
		t.Error(s, err)
	}
	for _, n := range []int{-1, 1, 79, 16<<10 + 1} {
		if err := c.Register(t.Context(), outside.Shows{Length: n}); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%d characters: %v", n, err)
		}
	}
}
