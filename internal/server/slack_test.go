package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

const inSlack = `
chats:
  slack: {bot_token: %s, app_token: %s, api_url: %q}
people:
  alice: {slack: T1/U1, groups: [dev]}
  bob: {slack: T1/U2, groups: [ops]}
services:
  deploys:
    restricted: true
    jobs:
      deploy:
        run: "echo deployed {env}"
        params: {env: {enum: [staging, production]}}
        report: {stdout: true}
        approve: {by: ops, when: {env: production}, notify: "slack:C2"}
      fail: {run: "exit 3", on_failure: {notify: "slack:#ops"}}
    commands:
      - {command: "deploy [env]", job: deploy}
      - {command: fail, job: fail}
`

// TestSlack has the real server in a workspace: asked, asked back, approved,
// refused, failed.
func TestSlack(t *testing.T) {
	w := slacktest.New(t, slacktest.Options{})
	w.AddChannel(slacktest.Channel{ID: "C2", Name: "ops", Members: []string{slacktest.BotUser, "U2"}})
	start(t, fmt.Sprintf(inSlack, slacktest.BotToken, slacktest.AppToken, w.URL))
	w.Wait(t, "a socket is open", func() bool { return w.Sockets() == 1 })
	has := func(channel, text string) func() bool {
		return func() bool {
			return slices.ContainsFunc(w.Posts(channel), func(m slacktest.Message) bool { return strings.Contains(m.All(), text) })
		}
	}
	say := func(user, text string) string { return w.Say(user, "C1", slacktest.Mention+" deploys "+text) }

	ts := say("U1", "deploy staging")
	w.Wait(t, "the outcome", has("C1", "deployed staging"))
	w.Wait(t, "the mark", func() bool { return slices.Equal(w.Reactions("C1", ts), []string{"white_check_mark"}) })

	say("U3", "deploy staging")
	w.Wait(t, "the guest is refused", func() bool { return len(w.Posts("C1")) == 2 })
	if p := w.Posts("C1")[1]; strings.Contains(p.Text, "accepted") || p.Text == "" {
		t.Errorf("a guest is told %q", p.Text)
	}

	ts = say("U1", "deploy")
	w.Wait(t, "it is asked back", func() bool { return len(w.Thread("C1", ts)) == 1 })
	w.Reply("U2", "C1", ts, "production") // not hers to answer
	w.Reply("U1", "C1", ts, "production")
	w.Wait(t, "the approvers are asked", has("C2", "env: production"))
	ask := w.Posts("C2")[0]
	if err := w.Press("U1", "C2", ask.TS, "Approve"); err != nil {
		t.Fatal(err)
	}
	w.Wait(t, "who asked may not", func() bool { a := w.Answers(); return len(a) == 1 && a[0].User == "U1" })
	if err := w.Press("U2", "C2", ask.TS, "Approve"); err != nil {
		t.Fatal(err)
	}
	w.Wait(t, "the outcome", func() bool {
		return slices.ContainsFunc(w.Thread("C1", ts), func(m slacktest.Message) bool { return strings.Contains(m.Text, "deployed production") })
	})
	w.Wait(t, "the buttons are gone", func() bool {
		m := w.Message("C2", ask.TS)
		return len(m.Buttons()) == 0 && strings.Contains(m.All(), "bob")
	})

	say("U1", "fail")
	w.Wait(t, "the failure", has("C1", "exit status 3"))
	w.Wait(t, "the notice", has("C2", "exit status 3"))
	w.Wait(t, "it links to the ask", has("C2", "https://fake.slack.com/archives/C1/p"))
}
