package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

const slackConfig = `
chats:
  slack: {bot_token: %s, app_token: %s, api_url: %q}
people:
  alice: {slack: T1/U1, groups: [dev]}
  bob: {slack: T1/U2, groups: [ops]}
services:
  example:
    jobs: {hello: {run: echo Hello, report: {stdout: true}}}
    commands: [{command: say hello, job: hello}]
  deploys:
    restricted: true
    jobs:
      deploy:
        run: [echo, "deployed {env}"]
        report: {stdout: true}
        approve: {by: ops, notify: "slack:C2"}
    commands: [{command: "deploy [env]", job: deploy}]
`

// TestSlack has the real server in a workspace, where it is asked, refuses a
// guest, and is killed while a run waits to be approved.
func TestSlack(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	p := newPlace(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.Dump())
		}
	})
	p.write("bellhop.yaml", fmt.Sprintf(slackConfig, slacktest.BotToken, slacktest.AppToken, w.URL))
	server := p.serve("up")
	connected := func() { w.Wait(t, "a socket is open", func() bool { return w.Sockets() == 1 }) }
	connected()
	say := func(user, text string) string { return w.Say(user, "C1", slacktest.Mention+" "+text) }
	told := func(channel, text string) (list []slacktest.Message) {
		for _, m := range w.Posts(channel) {
			if strings.Contains(m.All(), text) {
				list = append(list, m)
			}
		}
		return list
	}
	once := func(channel, text string) slacktest.Message {
		t.Helper()
		w.Wait(t, text, func() bool { return len(told(channel, text)) > 0 })
		return told(channel, text)[0]
	}
	marks := func(ts string) (names []string) {
		for _, c := range w.Calls("reactions.add") {
			if c.Args["timestamp"] == ts {
				names = append(names, c.Args["name"])
			}
		}
		return names
	}
	done := []string{"hourglass_flowing_sand", "white_check_mark"}

	hello := say("U1", "example say hello")
	once("C1", "Hello")
	w.Wait(t, "the mark of its end", func() bool { return slices.Equal(w.Reactions("C1", hello), done[1:]) })
	if got := marks(hello); !slices.Equal(got, done) {
		t.Errorf("marked with %v", got)
	}

	say("U3", "deploys deploy production")
	once("C1", "restricted")

	deploy := say("U1", "deploys deploy production")
	receipt := once("C1", "waits to be approved by ops")
	ask := once("C2", "env: production")
	if !slices.Equal(ask.Buttons(), []string{"Approve", "Deny"}) {
		t.Errorf("the approvers are asked with %v", ask.Buttons())
	}

	server.kill9()
	w.Wait(t, "the socket is gone", func() bool { return w.Sockets() == 0 })
	missed := say("U2", "example say hello")
	p.serve("again")
	connected()
	w.Wait(t, "what was said meanwhile is done", func() bool { return slices.Equal(w.Reactions("C1", missed), done[1:]) })
	press := func(user string) {
		t.Helper()
		if err := w.Press(user, "C2", ask.TS, "Approve"); err != nil {
			t.Fatal(err)
		}
	}
	press("U1")
	w.Wait(t, "who asked may not approve", func() bool { return len(w.Answers()) == 1 })
	if a := w.Answers()[0]; a.User != "U1" || strings.Contains(a.Text, "was approved") {
		t.Errorf("told %+v", a)
	}
	press("U3") // a guest
	w.Wait(t, "nor may a guest", func() bool { return len(w.Answers()) == 2 })
	press("U2")
	outcome := once("C1", "deployed production")
	w.Wait(t, "the mark of its end", func() bool { return slices.Equal(w.Reactions("C1", deploy), done[1:]) })
	w.Wait(t, "the buttons are gone", func() bool {
		m := w.Message("C2", ask.TS)
		return len(m.Buttons()) == 0 && strings.Contains(m.All(), "approved by bob")
	})
	if receipt.TS > outcome.TS {
		t.Error("the outcome came before the receipt")
	}

	id, _, _ := strings.Cut(strings.TrimPrefix(receipt.Text, "accepted "), ":")
	if _, ok := w.Slash("U2", "C1", "logs "+id); !ok {
		t.Error("the slash command was not acknowledged")
	}
	w.Wait(t, "the log, for one person", func() bool {
		return slices.ContainsFunc(w.Answers(), func(a slacktest.Ephemeral) bool {
			return a.User == "U2" && strings.Contains(a.Text, "```\ndeployed production")
		})
	})
	for text, n := range map[string]int{"Hello": 2, "restricted": 1, "deployed production": 1, "waits to be approved": 1} {
		if got := told("C1", text); len(got) != n {
			t.Errorf("%q was said %d times", text, len(got))
		}
	}
	if n := len(w.Posts("C2")); n != 1 {
		t.Errorf("the approvers were told %d times", n)
	}
}
