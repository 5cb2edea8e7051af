package slack_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

func TestAReportIsToldOnceThoughItsAnswerWasLost(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	ctx := context.Background()
	for i, format := range []bellhop.ReportFormat{bellhop.FormatText, bellhop.FormatFile, bellhop.FormatCode, bellhop.FormatBlocks} {
		id := bellhop.RunID(80 + i)
		w.house.print(id, bellhop.Stdout, `[{"type":"divider"}]`)
		r := w.house.end(id, bellhop.Succeeded, shows(format), o)
		posts, files := len(w.Posts("C1")), len(w.Files())
		w.Lose("chat.postMessage", 1)
		if _, err := w.chat.Deliver(ctx, r); err == nil {
			t.Fatalf("%s: a lost answer is no error", format)
		}
		w.stop(w.chat) // and then the server died
		w.begin()
		w.deliver(r)
		w.deliver(r)
		if n, f := len(w.Posts("C1"))-posts, len(w.Files())-files; n-f != 1 || f > 1 {
			t.Errorf("%s: told %d times, %d files", format, n-f, f)
		}
	}
}

func TestPostsThatFailAndLaterSucceed(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	r := w.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, o)
	w.Break("chat.postMessage", 1)
	if _, err := w.chat.Deliver(context.Background(), r); err == nil || errors.Is(err, bellhop.ErrGone) {
		t.Errorf("%v", err)
	}
	w.deliver(r)
	w.Limit("chat.postMessage", "C1", 2, 1)
	w.deliver(w.house.end(75, bellhop.Succeeded, bellhop.ReportRule{Success: true}, o))
	if n := len(w.Posts("C1")); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestPlacesThatAreClosed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, shut := range map[string]func(*world){
		"the channel is archived":       func(w *world) { w.Archive("C1") },
		"the bot is not in the channel": func(w *world) { w.Kick("C1", slacktest.BotUser) },
	} {
		w := start(t, slacktest.Options{})
		o := w.asked()
		shut(w)
		ref := w.deliver(w.house.end(74, bellhop.Failed, bellhop.ReportRule{}, o))
		if m := w.Posts("D1"); len(m) != 1 || !strings.Contains(m[0].Text, name) || !strings.Contains(m[0].Text, "deploys deploy failed") || !strings.HasPrefix(ref, "D1/") {
			t.Errorf("%s: told %+v, ref %s", name, m, ref)
		}
		w.AddUser(slacktest.User{ID: "U1", Name: "alice", Team: "T1", Deleted: true})
		if _, err := w.chat.Deliver(ctx, w.house.end(75, bellhop.Failed, bellhop.ReportRule{}, o)); !errors.Is(err, bellhop.ErrGone) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s, and the person is gone: %v", name, err)
		}
		notify := w.house.end(76, bellhop.Failed, bellhop.ReportRule{}, bellhop.Origin{Source: "slack", Channel: "C1"})
		notify.Ask.N, notify.Ask.Principal, notify.Ask.Identity = -1, "", ""
		if _, err := w.chat.Deliver(ctx, notify); err == nil || errors.Is(err, bellhop.ErrGone) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s, for a channel that is notified: %v", name, err)
		}
	}
}

func TestAFailureIsNotifiedWithALink(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.Channels = []string{"#general"} })
	w.AddChannel(slacktest.Channel{ID: "C2", Name: "tech-support", Members: []string{slacktest.BotUser}})
	o := w.asked()
	r := w.house.end(74, bellhop.Failed, bellhop.ReportRule{}, o)
	r.Ask = bellhop.Ask{N: -1, Origin: bellhop.Origin{Source: "slack", Channel: "#tech-support"}}
	ref := w.deliver(r)
	p := w.Posts("C2")
	link := "https://fake.slack.com/archives/C1/p" + strings.ReplaceAll(o.Message, ".", "")
	if len(p) != 1 || !strings.Contains(p[0].Text, link) || !strings.Contains(p[0].Text, "on_failure") || ref != "C2/"+p[0].TS {
		t.Fatalf("told %+v", p)
	}
	if len(p[0].Buttons()) != 0 {
		t.Error("who did not ask has buttons")
	}
	channel, _ := w.Direct("U1", "deploy")
	w.until("it is heard", func() bool { return len(w.house.heard()) == 2 })
	r = w.house.end(75, bellhop.Failed, bellhop.ReportRule{}, w.origin())
	r.Ask = bellhop.Ask{N: -1, Origin: bellhop.Origin{Source: "slack", Channel: "C2"}}
	w.deliver(r)
	if p := w.Posts("C2"); len(p) != 2 || strings.Contains(p[1].Text, channel) || strings.Contains(p[1].Text, "asked for at") {
		t.Errorf("a direct message is linked to: %+v", p)
	}
	r.Ask = bellhop.Ask{N: -1, Principal: "bob", Origin: bellhop.Origin{Source: "slack", Person: "slack:T1/U2"}}
	r.ID++
	w.deliver(r)
	if p := w.Posts("D2"); len(p) != 1 {
		t.Errorf("a person is told %+v", p)
	}
}
