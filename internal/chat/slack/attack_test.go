package slack_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// crowd mentions accounts that are none, from one number on.
func crowd(from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " <@U9%04d>", from+i)
	}
	return b.String()
}

func TestMentionsAreLookedUpWhereTheyMatter(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.Clock = clock })
	asked := func() int { return len(w.Calls("users.info")) }
	w.Say("U1", "C1", "hello"+crowd(0, 1000)) // to nobody
	w.quiet()
	if n := asked(); n != 0 {
		t.Errorf("%d look-ups for a message that is nobody's business", n)
	}
	hear := func(text string) string {
		t.Helper()
		n := len(w.house.heard())
		w.Say("U1", "C1", slacktest.Mention+" deploy"+text)
		w.until("it is heard", func() bool { return len(w.house.heard()) == n+1 })
		w.quiet()
		return w.house.heard()[n].Text
	}
	text := hear(crowd(0, 1000) + " <@U2>")
	if n := asked(); n != 21 { // and who speaks
		t.Errorf("%d look-ups for one message", n)
	}
	if !strings.HasSuffix(text, "@U90999 @U2") {
		t.Errorf("it ends with %q", text[len(text)-20:])
	}
	if text := hear(crowd(0, 20) + " <@U2> <@UBOT>" + strings.Repeat(" <@U2>", 100)); asked() != 22 || !strings.HasSuffix(text, "@bellhop"+strings.Repeat(" @bob", 100)) {
		t.Errorf("%d look-ups, though all but one was known to be nobody: %q", asked(), text)
	}
	clock.Add(61 * time.Second)
	if hear(crowd(0, 5)); asked() != 27 {
		t.Errorf("%d look-ups after a minute", asked())
	}
	if hear(" <@" + strings.Repeat("U9", 20) + "> <@u9> <@U9 or so> <@B1>"); asked() != 27 {
		t.Error("what is no id was looked up")
	}
}

// listens is one rule.
func listens(match, reply string) []slack.Listen {
	return []slack.Listen{{Match: regexp.MustCompile("(?i)" + match), Reply: reply}}
}

func TestListeningAsksNothingOfSlack(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.Listen = listens("u90007", "somebody said 7") })
	ts := w.Say("U1", "C1", "hello"+crowd(0, 100))
	w.until("it is replied to", func() bool { return len(w.Thread("C1", ts)) == 1 })
	if n := len(w.Calls("users.info")); n != 0 {
		t.Errorf("%d look-ups", n)
	}
}

func TestANameAddsNoWords(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	for i, name := range []string{"bob production", "@channel", "\"", "a\nb", "x|y", "zoë.k_1-2"} {
		w.AddUser(slacktest.User{ID: fmt.Sprintf("U7%d", i), Name: name, Team: "T1"})
	}
	w.AddUser(slacktest.User{ID: "U8", Name: "channel", Team: "T1"})
	w.Say("U1", "C1", slacktest.Mention+" deploy <@U70> <@U71> <@U72> <@U73> <@U74> <@U75>")
	w.until("it is heard", func() bool { return len(w.house.heard()) == 1 })
	if got := w.house.heard()[0].Text; got != "deploy @U70 @U71 @U72 @U73 @U74 @zoë.k_1-2" {
		t.Errorf("heard %q", got)
	}
	w.Say("U1", "C1", slacktest.Mention+" hello <@U8>")
	w.until("it is answered", func() bool { return len(w.Posts("C1")) == 1 })
	if p := w.Posts("C1")[0]; !strings.Contains(p.Text, "hello @\u2060channel") {
		t.Errorf("everybody is called: %q", p.Text)
	}
}

func TestAButtonInOutputAsksForNothing(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	for i, id := range []string{"bellhop_ask:a", `\u0062ellhop_ask:a`, "bellhop_answer", "bellhop_fill:a", "mine"} {
		out := `[{"type":"actions","elements":[{"type":"button","action_id":"` + id + `","value":"deploy production","text":{"type":"plain_text","text":"More"}}]}]`
		run := bellhop.RunID(80 + i)
		w.house.print(run, bellhop.Stdout, out)
		w.deliver(w.house.end(run, bellhop.Succeeded, shows(bellhop.FormatBlocks), o))
		p := w.Posts("C1")
		if err := w.Press("U1", "C1", p[len(p)-1].TS, "More"); err != nil {
			t.Fatal(err)
		}
	}
	w.quiet()
	if got := w.house.heard(); len(got) != 1 || len(w.Answers()) != 0 {
		t.Errorf("heard %+v, answered %+v", got, w.Answers())
	}
}

func TestTextThatGrowsWhenItIsEscapedIsTold(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.ProgressAfter = 10 * time.Millisecond })
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		a := w.house.accept(ev)
		a.Rule = shows(bellhop.FormatText)
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: a}, nil
	}
	o := w.asked()
	w.until("it is shown", func() bool { return w.shown("C1", "(00002a) runs").TS != "" })
	ts := w.shown("C1", "(00002a) runs").TS
	w.house.print(74, bellhop.Stderr, strings.Repeat("<&`@", 400)+"\n"+strings.Repeat("&", 500)+"the end\n")
	w.until("its output is shown", func() bool { return strings.Contains(w.Message("C1", ts).All(), "the end") })
	w.house.print(75, bellhop.Stderr, strings.Repeat("<", 2000))
	w.deliver(w.house.end(75, bellhop.Failed, bellhop.ReportRule{}, o))
	p := w.Posts("C1")
	shown := strings.Count(p[len(p)-1].Text, "&lt;") + strings.Count(p[len(p)-2].Text, "&lt;") + strings.Count(p[len(p)-3].Text, "&lt;")
	if last := p[len(p)-1]; shown != 2000 || !slices.Equal(last.Buttons(), []string{"Run again", "Logs"}) {
		t.Errorf("%d of 2,000 characters are shown, and then %+v", shown, last)
	}
	run, err := w.house.Run(context.Background(), bellhop.Person{}, 74)
	if err != nil {
		t.Fatal(err)
	}
	run.State, run.Args = bellhop.Held, bellhop.Args{"note": bellhop.Text(strings.Repeat("&", 3000))}
	run.Approval = &bellhop.Approval{By: []string{"ops"}, Count: 1, Expires: time.Now().Add(time.Hour)}
	place := bellhop.Ask{N: -1, Origin: bellhop.Origin{Source: "slack", Channel: "C1"}}
	w.deliver(bellhop.Report{ID: 1, Kind: bellhop.ReportApproval, Run: run, Ask: place})
	n := len(w.Posts("C1"))
	if p := w.Posts("C1")[n-1]; !slices.Equal(p.Buttons(), []string{"Approve", "Deny"}) {
		t.Errorf("it can't be approved: %+v", p)
	}
	run.State = bellhop.Cancelled
	run.Approval.Votes = []bellhop.Vote{{Principal: "bob", At: time.Now(), Reason: strings.Repeat("no & no ", 6000)}}
	w.deliver(bellhop.Report{ID: 2, Kind: bellhop.ReportDecided, Run: run, Ask: place})
	if p := w.Posts("C1")[n-1]; len(p.Buttons()) != 0 || !strings.Contains(p.Text, "denied by bob") {
		t.Errorf("the buttons stay: %+v", p)
	}
}

func TestSlackbotSaysWhatMembersHaveItSay(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.Put("C1", slacktest.Message{User: "USLACKBOT", Subtype: "slackbot_response", Text: "Reminder: " + slacktest.Mention + " deploy."})
	w.quiet()
	if got := w.house.heard(); len(got) != 0 {
		t.Errorf("heard %+v", got)
	}
}

func TestAModalIsForWhomItWasOpened(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.asking(bellhop.AskArgument)
	w.slashed("deploy")
	w.until("the modal is open", func() bool { return len(w.Views()) == 1 })
	fields := map[string]string{"env": "staging", "count": "7", "rate": "1", "day": "2026-03-04", "hosts": "a", "note": "b"}
	for _, count := range []string{"7", "77"} { // a fault is not theirs to know, either
		fields["count"] = count
		for _, user := range []string{"U2", "U3", "U4"} {
			faults, err := w.SubmitAs(user, w.Views()[0].ID, fields)
			if err != nil || len(faults) != 1 || !strings.Contains(faults["env"], "somebody else") {
				t.Errorf("%s, %s: %v %v", user, count, faults, err)
			}
		}
	}
	fields["count"] = "7"
	if faults, err := w.Submit(w.Views()[0].ID, fields); err != nil || faults != nil {
		t.Errorf("%v %v", faults, err)
	}
	w.alone(1, "accepted 00002a")
	w.silent()
}
