package slack_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

func TestAMentionIsHeardOnceMarkedAndTold(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	ts := w.Say("U1", "C1", "good morning "+slacktest.Mention+" deploy staging")
	w.until("the ask is marked", func() bool { return slices.Contains(w.Reactions("C1", ts), "hourglass_flowing_sand") })
	w.quiet()
	events := w.house.heard()
	if len(events) != 1 {
		t.Fatalf("heard %+v", events)
	}
	ev := events[0]
	if ev.Key != "slack:T1/C1/"+ts || ev.Text != "deploy staging" || !ev.Addressed || ev.Person.Identity != "slack:T1/U1" || ev.Person.Outside {
		t.Errorf("heard %+v", ev)
	}
	if o := ev.Origin; o.Source != "slack" || o.Channel != "C1" || o.Message != ts || o.Thread != ts || o.Person != "slack:T1/U1" {
		t.Errorf("origin %+v", o)
	}
	ref := w.deliver(w.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, ev.Origin))
	if got := w.Reactions("C1", ts); !slices.Equal(got, []string{"white_check_mark"}) {
		t.Errorf("reactions at the end: %v", got)
	}
	posts := w.Posts("C1")
	if len(posts) != 1 || !strings.Contains(posts[0].Text, "deploys deploy succeeded (00002a)") || posts[0].Thread != "" || ref != "C1/"+posts[0].TS {
		t.Errorf("posted %+v, ref %s", posts, ref)
	}
}

func TestWhatThePersonTypedIsHeard(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	for said, want := range map[string]string{
		slacktest.Mention + " deploy a &lt;b&gt; &amp;amp; c":                                "deploy a <b> &amp; c",
		slacktest.Mention + ", deploy <https://x.example/a?b=1&amp;c=2>":                     "deploy https://x.example/a?b=1&c=2",
		slacktest.Mention + ": deploy <http://x.example|x.example>":                          "deploy x.example",
		slacktest.Mention + " deploy <mailto:a@x.example|a@x.example>":                       "deploy a@x.example",
		slacktest.Mention + " deploy <@U2> <#C1|general> <!here> <!subteam^S1|@ops>":         "deploy @bob #general @here @ops",
		"hey <@UBOT|bellhop> deploy\u00a0staging":                                            "deploy staging",
		slacktest.Mention + " deploy “two words”":                                            "deploy “two words”", // the router reads such quotes
		"not <@U2> but " + slacktest.Mention + " deploy " + slacktest.Mention + " literally": "deploy @bellhop literally",
	} {
		ts := w.Say("U1", "C1", said)
		w.until(said, func() bool {
			for _, ev := range w.house.heard() {
				if ev.Origin.Message == ts {
					if ev.Text != want {
						t.Errorf("%q was heard as %q, not %q", said, ev.Text, want)
					}
					return true
				}
			}
			return false
		})
	}
}

func TestDirectMessagesNeedNoMention(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	channel, ts := w.Direct("U1", "deploy staging")
	w.until("the ask is marked", func() bool { return len(w.Reactions(channel, ts)) == 1 })
	ev := w.house.heard()[0]
	if !ev.Addressed || ev.Text != "deploy staging" || ev.Origin.Thread != "" || ev.Person.Channel != "" {
		t.Errorf("heard %+v", ev)
	}
	w.deliver(w.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, ev.Origin))
	if posts := w.Posts(channel); len(posts) != 1 || posts[0].Thread != "" {
		t.Errorf("posted %+v", posts)
	}
}

func TestWhoSpeaks(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.AddUser(slacktest.User{ID: "U5", Name: "dora", Team: "T1", Deleted: true})
	w.AddUser(slacktest.User{ID: "U6", Name: "robo", Team: "T1", Bot: true})
	for user, want := range map[string]bellhop.Person{
		"U1": {Identity: "slack:T1/U1", Channel: "C1"},
		"U3": {Identity: "slack:T1/U3", Channel: "C1", Outside: true}, // a guest
		"U4": {Identity: "slack:T2/U4", Channel: "C1", Outside: true}, // of another organisation
		"U5": {Identity: "slack:T1/U5", Channel: "C1", Outside: true}, // deactivated
		"U6": {Identity: "slack:T1/U6", Channel: "C1", Outside: true}, // a bot that Slack does not mark as one
		"U9": {Identity: "slack:T1/U9", Channel: "C1", Outside: true}, // nobody knows them
	} {
		ts := w.Say(user, "C1", slacktest.Mention+" deploy")
		w.until("U is heard", func() bool {
			for _, ev := range w.house.heard() {
				if ev.Origin.Message == ts {
					if ev.Person != want {
						t.Errorf("%s is %+v, not %+v", user, ev.Person, want)
					}
					return true
				}
			}
			return false
		})
	}
}

func TestMembersOfTheSameOrganisationAreInside(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{Enterprise: "E1"})
	w.AddUser(slacktest.User{ID: "U7", Name: "gwen", Team: "T7", Enterprise: "E1"})
	w.AddUser(slacktest.User{ID: "U8", Name: "eve", Team: "T8", Enterprise: "E2"})
	w.Say("U7", "C1", slacktest.Mention+" deploy")
	w.Say("U8", "C1", slacktest.Mention+" deploy")
	w.until("both are heard", func() bool { return len(w.house.heard()) == 2 })
	for _, ev := range w.house.heard() {
		if ev.Person.Outside != (ev.Person.Identity == "slack:T8/U8") {
			t.Errorf("%+v", ev.Person)
		}
	}
}

func TestBotsAndPreviewsAreNotHeard(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.Put("C1", slacktest.Message{User: slacktest.BotUser, Bot: "B1", Text: slacktest.Mention + " deploy"})
	w.Put("C1", slacktest.Message{User: "U6", Bot: "B2", Text: slacktest.Mention + " deploy"})
	w.Put("C1", slacktest.Message{Bot: "B3", Subtype: "bot_message", Text: slacktest.Mention + " deploy"})
	w.Put("C1", slacktest.Message{User: "U1", Subtype: "channel_join", Text: slacktest.Mention + " has joined"})
	w.Say("U1", "C1", "an ordinary message")
	w.Raw(map[string]any{"type": "message", "channel": 7, "text": []int{1}})
	w.Raw(map[string]any{"type": "message", "subtype": "message_changed", "channel": "C1", "ts": "1.000001",
		"message":          map[string]any{"user": "U1", "ts": "1.000000", "text": slacktest.Mention + " deploy", "attachments": []any{}},
		"previous_message": map[string]any{"user": "U1", "ts": "1.000000", "text": slacktest.Mention + " deploy"}})
	w.quiet()
	// An app_mention of a bot is heard by that event alone; it carries bot_id.
	if got := w.house.heard(); len(got) != 0 {
		t.Errorf("heard %+v", got)
	}
}

func TestABlockThatNobodyKnowsLosesNoMessage(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.Raw(map[string]any{"type": "message", "channel": "C1", "user": "U1", "ts": "1700000000.000100", "text": slacktest.Mention + " deploy",
		"blocks": []any{map[string]any{"type": "rich_text", "elements": 7}}, "files": "none", "channel_type": "channel"})
	w.until("it is heard", func() bool { return len(w.house.heard()) == 1 })
}

func TestAReminderIsAGuestsAsk(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.Remind("C1", slacktest.Mention+" deploy staging")
	w.Put("C1", slacktest.Message{User: "USLACKBOT", Text: slacktest.Mention + " deploy by Slackbot's own wish"})
	w.Put("C1", slacktest.Message{Bot: "B9", Subtype: "bot_message", Text: "Reminder: " + slacktest.Mention + " deploy forged"})
	w.until("the reminder is heard", func() bool { return len(w.house.heard()) > 0 })
	w.quiet()
	events := w.house.heard()
	if len(events) != 1 || events[0].Text != "deploy staging." {
		t.Fatalf("heard %+v", events)
	}
	if want := (bellhop.Person{Identity: "slack:reminder", Outside: true, Channel: "C1"}); events[0].Person != want {
		t.Errorf("a reminder is %+v", events[0].Person)
	}
}

func TestTheBotsNameCallsItWhereThatIsSaid(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.HearName = true })
	w.Say("U1", "C1", "Bellhop deploy")
	w.Say("U1", "C1", "bellhops are people")
	w.Say("U1", "C1", "I like bellhop")
	w.until("it is handed over", func() bool { return len(w.house.heard()) >= 1 })
	w.quiet()
	for _, ev := range w.house.heard() {
		if ev.Addressed || !strings.HasPrefix(strings.ToLower(ev.Text), "bellhop") {
			t.Errorf("heard %+v", ev)
		}
	}
	quiet := start(t, slacktest.Options{})
	quiet.Say("U1", "C1", "bellhop deploy")
	quiet.quiet()
	if got := quiet.house.heard(); len(got) != 0 {
		t.Errorf("heard %+v", got)
	}
}

func TestAnswersInThreadsAreHandedOver(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	root := w.Say("U1", "C1", "an ordinary message")
	w.Reply("U1", "C1", root, "staging")
	w.until("it is handed over", func() bool { return len(w.house.heard()) == 1 })
	ev := w.house.heard()[0]
	if ev.Addressed || ev.Text != "staging" || ev.Origin.Thread != root || ev.Origin.Message == root {
		t.Errorf("heard %+v", ev)
	}
	if posts := w.Posts("C1"); len(posts) != 0 {
		t.Errorf("it was not for the bot, which said %+v", posts)
	}
}

func TestWhatIsAskedInAThreadIsToldThere(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	root := w.Say("U1", "C1", "an ordinary message")
	w.Reply("U1", "C1", root, slacktest.Mention+" deploy")
	w.until("it is heard", func() bool { return len(w.house.heard()) == 1 })
	w.deliver(w.house.end(74, bellhop.Failed, bellhop.ReportRule{Success: true}, w.origin()))
	if got := w.Thread("C1", root); len(got) != 2 || !strings.Contains(got[1].Text, "deploys deploy failed: exit status 1 (00002a)") {
		t.Errorf("the thread: %+v", got)
	}
	always := start(t, slacktest.Options{}, func(o *slack.Options) { o.ThreadAlways = true })
	ts := always.Say("U1", "C1", slacktest.Mention+" deploy")
	always.until("it is heard", func() bool { return len(always.house.heard()) == 1 })
	always.deliver(always.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, always.origin()))
	if got := always.Thread("C1", ts); len(got) != 1 {
		t.Errorf("with thread: always, the thread has %+v", got)
	}
}

func TestAnEditThatMakesACommandCountsForFiveMinutes(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := start(t, slacktest.Options{Now: clock.Now, MentionTwice: true}, func(o *slack.Options) { o.Clock = clock })
	plain := w.Say("U1", "C1", "deploy")
	w.Edit("C1", plain, slacktest.Mention+" deploy")
	w.until("the edit is heard", func() bool { return w.house.made() == 1 })
	w.quiet()
	w.Edit("C1", plain, slacktest.Mention+" deploy twice") // it is a command already
	w.quiet()

	typo := w.Say("U1", "C1", slacktest.Mention+" dpeloy")
	w.until("the typo is answered", func() bool { return len(w.Posts("C1")) == 1 })
	w.Edit("C1", typo, slacktest.Mention+" deploy")
	w.until("the mended one runs", func() bool { return w.house.made() == 2 })

	asked := w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it runs", func() bool { return w.house.made() == 3 })
	w.Edit("C1", asked, slacktest.Mention+" deploy production")
	w.Edit("C1", w.Say("U1", "C1", "hm"), "hm, well") // no command before or after
	old := w.Say("U1", "C1", "deploy")
	w.quiet()
	clock.Add(5*time.Minute + time.Second)
	w.Edit("C1", old, slacktest.Mention+" deploy")
	w.quiet()
	if n := w.house.made(); n != 3 {
		t.Errorf("%d runs instead of 3: %+v", n, w.house.heard())
	}
	for _, ev := range w.house.heard() {
		if ev.Origin.Message == plain && !strings.HasPrefix(ev.Key, "slack:T1/C1/"+plain+"/") {
			t.Errorf("the key of an edit: %s", ev.Key)
		}
	}
}
