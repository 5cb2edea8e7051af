package slack_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

func TestApprovalsAreButtonsThatChange(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.AddChannel(slacktest.Channel{ID: "C2", Name: "ops", Members: []string{slacktest.BotUser, "U2"}})
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		switch {
		case strings.HasPrefix(ev.Text, "deploy"):
			a := w.house.accept(ev)
			a.Approval = &bellhop.Approval{By: []string{"ops"}, Count: 1, Expires: time.Now().Add(time.Hour)}
			return bellhop.Answer{Action: bellhop.ActionRun, Accepted: a}, nil
		case ev.Person.Outside:
			return bellhop.Answer{}, bellhop.Errorf(bellhop.NotAllowed, "00002a is approved by ops")
		}
		r := w.house.run(74).Run
		r.State, r.Approval = bellhop.Waiting, &bellhop.Approval{Votes: []bellhop.Vote{{Principal: "bob", Approve: true, At: time.Now()}}}
		return bellhop.Answer{Action: bellhop.ActionApprove, Decided: &r}, nil
	}
	o := w.asked()
	w.until("the receipt says so", func() bool { return strings.Contains(w.shown("C1", "accepted").Text, "waits to be approved by ops") })
	run, err := w.house.Run(context.Background(), bellhop.Person{}, 74)
	if err != nil {
		t.Fatal(err)
	}
	run.State = bellhop.Held
	run.Args = bellhop.Args{"env": bellhop.Text("production"), "note": bellhop.Text("<!channel>")}
	run.Approval = &bellhop.Approval{By: []string{"ops"}, Count: 1, Expires: time.Now().Add(time.Hour)}
	place := bellhop.Ask{N: -1, Origin: bellhop.Origin{Source: "slack", Channel: "C2"}}
	w.deliver(bellhop.Report{ID: 1, Kind: bellhop.ReportApproval, Run: run, Ask: place})
	ask := w.Posts("C2")[0]
	for _, want := range []string{"env: production", "note: &lt;!channel&gt;", "asked by slack:T1/U1", "ops"} {
		if !strings.Contains(ask.All(), want) {
			t.Errorf("%q is not in %s", want, ask.All())
		}
	}
	if !slices.Equal(ask.Buttons(), []string{"Approve", "Deny"}) {
		t.Fatalf("buttons %v", ask.Buttons())
	}
	if err := w.Press("U3", "C2", ask.TS, "Approve"); err != nil { // a guest
		t.Fatal(err)
	}
	w.until("the guest is refused", func() bool {
		a := w.Answers()
		return len(a) == 1 && a[0].User == "U3" && strings.Contains(a[0].Text, "approved by ops")
	})
	if err := w.Press("U2", "C2", ask.TS, "Approve"); err != nil {
		t.Fatal(err)
	}
	w.until("who approved is told", func() bool { return len(w.Answers()) == 2 })
	events := w.house.heard()
	if got, want := events[len(events)-1].Text, "approve 00002a digest "+run.ApprovalDigest(); got != want {
		t.Errorf("the button says %q, not %q", got, want)
	}
	run.State = bellhop.Waiting
	run.Approval.Votes = []bellhop.Vote{{Principal: "bob", Approve: true, At: time.Date(2026, 3, 4, 15, 16, 17, 0, time.UTC)}}
	w.stop(w.chat) // the reference survives a restart
	w.begin()
	w.deliver(bellhop.Report{ID: 2, Kind: bellhop.ReportDecided, Run: run, Ask: place})
	m := w.Message("C2", ask.TS)
	if len(m.Buttons()) != 0 || !strings.Contains(m.Text, "approved by bob") || !strings.Contains(m.Text, "15:16:17") || len(w.Posts("C2")) != 1 {
		t.Errorf("decided: %+v", w.Posts("C2"))
	}
	w.deliver(bellhop.Report{ID: 3, Kind: bellhop.ReportDecided, Run: run, Ask: bellhop.Ask{Principal: "alice", Identity: o.Person, Origin: o}})
	if w.shown("C1", "approved by bob").TS == "" {
		t.Error("who asked is not told")
	}
}

func envQuestion(kind bellhop.QuestionKind) *bellhop.Question {
	yes := bellhop.Text("false")
	return &bellhop.Question{
		ID: "q1", Kind: kind, Text: "Which env? One of staging, production.", Param: "env", Command: "deploys deploy [env]", Code: "4711",
		Expires: time.Now().Add(time.Minute),
		Missing: []bellhop.Param{
			{Name: "env", Type: bellhop.TypeEnum, Enum: []string{"staging", "production"}, Help: "where to"},
			{Name: "count", Type: bellhop.TypeInt, Min: "1", Max: "9"}, {Name: "rate", Type: bellhop.TypeNumber}, {Name: "day", Type: bellhop.TypeDate},
			{Name: "force", Type: bellhop.TypeBool, Default: &yes}, {Name: "hosts", Type: bellhop.TypeList}, {Name: "note", Type: bellhop.TypeString},
		},
	}
}

// asking has the House ask back, until a form or a text answers.
func (w *world) asking(kind bellhop.QuestionKind) {
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		q := envQuestion(kind)
		switch {
		case ev.Question == "q1" && ev.Form["note"].Text == "refused":
			return bellhop.Answer{}, bellhop.Errorf(bellhop.Invalid, "env is closed today")
		case ev.Question == "q1", !ev.Addressed && ev.Text == "staging":
			return bellhop.Answer{Action: bellhop.ActionRun, Accepted: w.house.accept(ev)}, nil
		case !ev.Addressed:
			return bellhop.Answer{}, nil
		}
		if kind != bellhop.AskArgument {
			q.Missing = nil
		}
		return bellhop.Answer{Question: q}, nil
	}
}

func TestAQuestionIsAnsweredInItsThreadOrInAModal(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.asking(bellhop.AskArgument)
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is asked in the thread", func() bool { return len(w.Thread("C1", ts)) == 1 })
	ask := w.Thread("C1", ts)[0]
	if !strings.Contains(ask.All(), "Which env?") || !slices.Equal(ask.Buttons(), []string{"Fill in"}) {
		t.Fatalf("asked %+v", ask)
	}
	w.Reply("U1", "C1", ts, "staging")
	w.until("the answer is taken", func() bool { return w.house.made() == 1 })
	events := w.house.heard()
	if events[1].Origin.Thread != events[0].Origin.Thread || events[1].Addressed {
		t.Errorf("the answer is not in the place of the question: %+v and %+v", events[0].Origin, events[1].Origin)
	}

	if err := w.Press("U2", "C1", ask.TS, "Fill in"); err != nil {
		t.Fatal(err)
	}
	w.until("somebody else is refused", func() bool { a := w.Answers(); return len(a) == 1 && strings.Contains(a[0].Text, "somebody else") })
	if err := w.Press("U1", "C1", ask.TS, "Fill in"); err != nil {
		t.Fatal(err)
	}
	w.until("the modal is open", func() bool { return len(w.Views()) == 1 })
	view := w.Views()[0]
	var types struct {
		Blocks []struct {
			BlockID string `json:"block_id"`
			Element struct{ Type string }
		}
	}
	if err := json.Unmarshal(view.JSON, &types); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"env": "static_select", "count": "number_input", "rate": "number_input", "day": "datepicker", "force": "radio_buttons", "hosts": "plain_text_input", "note": "plain_text_input"}
	for _, b := range types.Blocks {
		if b.BlockID != "" && want[b.BlockID] != b.Element.Type {
			t.Errorf("%s is a %s", b.BlockID, b.Element.Type)
		}
	}
	fields := map[string]string{"env": "staging", "count": "77", "rate": "1.5", "day": "2026-03-04", "hosts": "a b\nc", "note": "refused"}
	if faults, err := w.Submit(view.ID, fields); err != nil || !strings.Contains(faults["count"], "count") {
		t.Fatalf("a number above its bound: %v %v", faults, err)
	}
	fields["count"] = "7"
	if faults, err := w.Submit(view.ID, fields); err != nil || faults["env"] != "env is closed today" {
		t.Fatalf("refused by the House: %v %v", faults, err)
	}
	fields["note"] = "-"
	if faults, err := w.Submit(view.ID, fields); err != nil || !strings.Contains(faults["note"], "begins with -") {
		t.Fatalf("an option: %v %v", faults, err)
	}
	fields["note"] = "now"
	if faults, err := w.Submit(view.ID, fields); err != nil || faults != nil {
		t.Fatalf("%v %v", faults, err)
	}
	w.until("it is accepted", func() bool { return w.house.made() == 2 })
	events = w.house.heard()
	ev := events[len(events)-1]
	form := bellhop.Args{"env": bellhop.Text("staging"), "count": bellhop.Text("7"), "rate": bellhop.Text("1.5"), "day": bellhop.Text("2026-03-04"),
		"hosts": bellhop.List("a b", "c"), "note": bellhop.Text("now")}
	if !ev.Form.Equal(form) || ev.Question != "q1" || ev.Origin != events[0].Origin || ev.Person.Identity != "slack:T1/U1" {
		t.Errorf("the form is %+v", ev)
	}
}

func TestTheSlashCommandOpensTheModalAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.asking(bellhop.AskArgument)
	if _, ok := w.Slash("U1", "C1", "deploy"); !ok {
		t.Fatal("not acknowledged")
	}
	w.until("the modal is open", func() bool { return len(w.Views()) == 1 })
	w.Fail("views.open", 1, "expired_trigger_id")
	if _, ok := w.Slash("U1", "C1", "deploy"); !ok {
		t.Fatal("not acknowledged")
	}
	w.until("it is asked with a button", func() bool { a := w.Answers(); return len(a) == 1 && slices.Equal(a[0].Buttons(), []string{"Fill in"}) })
	if err := w.Press("U1", "C1", w.Answers()[0].TS, "Fill in"); err != nil {
		t.Fatal(err)
	}
	w.until("the modal is open", func() bool { return len(w.Views()) == 2 })
}

func TestYesNoAndCodes(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.asking(bellhop.AskConfirm)
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is asked", func() bool { return len(w.Thread("C1", ts)) == 1 })
	ask := w.Thread("C1", ts)[0]
	if !slices.Equal(ask.Buttons(), []string{"Yes", "No"}) {
		t.Fatalf("asked %+v", ask)
	}
	if err := w.Press("U2", "C1", ask.TS, "Yes"); err != nil {
		t.Fatal(err)
	}
	w.until("somebody else is refused", func() bool { return len(w.Answers()) == 1 })
	if err := w.Press("U1", "C1", ask.TS, "Yes"); err != nil {
		t.Fatal(err)
	}
	w.until("it is accepted", func() bool { return w.house.made() == 1 })
	if ev := w.house.heard()[1]; ev.Form["confirm"].Text != "yes" || ev.Question != "q1" || ev.Origin.Thread != ts {
		t.Errorf("yes is %+v", ev)
	}
	w.asking(bellhop.AskCode)
	if _, ok := w.Slash("U1", "C1", "deploy"); !ok {
		t.Fatal("not acknowledged")
	}
	w.until("the modal is open", func() bool { return len(w.Views()) == 1 })
	if _, err := w.Submit(w.Views()[0].ID, map[string]string{"confirm": " 4711 "}); err != nil {
		t.Fatal(err)
	}
	w.until("it is accepted", func() bool { return w.house.made() == 2 })
	if ev := w.house.heard()[3]; ev.Form["confirm"].Text != "4711" || ev.Question != "q1" {
		t.Errorf("a code is %+v", ev)
	}
}

func TestAModalOfAQuestionThatIsClosed(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.Clock = clock })
	w.asking(bellhop.AskArgument)
	if _, ok := w.Slash("U1", "C1", "deploy"); !ok {
		t.Fatal("not acknowledged")
	}
	w.until("the modal is open", func() bool { return len(w.Views()) == 1 })
	clock.Add(time.Hour)
	if _, err := w.Submit(w.Views()[0].ID, map[string]string{"env": "staging", "count": "1", "rate": "1", "day": "2026-03-04", "hosts": "a", "note": "b"}); err != nil {
		t.Fatal(err)
	}
	w.until("it is said in a direct message", func() bool { return strings.Contains(w.shown("D1", "not open any more").Text, "ask again") })
}
