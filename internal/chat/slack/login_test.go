package slack_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

const loginLink = "https://bellhop.example.org/login/CODE.PART"

// links starts a chat that answers `web` with a link.
func links(t *testing.T) *world {
	t.Helper()
	w := start(t, slacktest.Options{})
	usual := w.house.script
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		if ev.Text == "web" {
			return bellhop.Answer{Action: bellhop.ActionWeb, Login: &bellhop.Login{Link: loginLink, Expires: time.Now().Add(time.Minute)}}, nil
		}
		return usual(ev)
	}
	return w
}

// told counts who is told the link where.
func (w *world) linked(channel string) (n int) {
	for _, m := range w.Posts(channel) {
		n += strings.Count(m.All(), loginLink)
	}
	return n
}

func TestALoginLinkGoesByADirectMessage(t *testing.T) {
	t.Parallel()
	w := links(t)
	w.Say("U1", "C1", slacktest.Mention+" web")
	w.until("it is said in the channel", func() bool { return len(w.Posts("C1")) == 1 })
	if m := w.Posts("C1")[0]; m.Text != "I sent you a link in a direct message." {
		t.Errorf("the channel is told %+v", m)
	}
	if w.linked("D1") != 1 || w.linked("C1") != 0 || len(w.Answers()) != 0 {
		t.Errorf("told %d times directly, %d in the channel, %+v", w.linked("D1"), w.linked("C1"), w.Answers())
	}
	w.Direct("U1", "web")
	w.until("it is told directly", func() bool { return w.linked("D1") == 2 })
	if n := len(w.Posts("D1")); n != 2 || len(w.Posts("C1")) != 1 {
		t.Errorf("%d messages, in the channel %+v", n, w.Posts("C1"))
	}
}

func TestALoginLinkOfTheSlashCommandIsShownToOnePersonAlone(t *testing.T) {
	t.Parallel()
	w := links(t)
	w.slashed("web")
	w.alone(1, loginLink)
	w.silent()
	w.Break("response_url", 2)
	w.slashed("web")
	w.alone(2, loginLink)
	w.silent()
}

func TestALoginLinkThatCantBeSentIsShownNowhere(t *testing.T) {
	t.Parallel()
	w := links(t)
	w.Break("conversations.open", 20)
	w.Say("U1", "C1", slacktest.Mention+" web")
	w.until("it is said in the channel", func() bool { return len(w.Posts("C1")) == 1 })
	if m := w.Posts("C1")[0]; !strings.Contains(m.Text, "could not send you a link") || strings.Contains(m.All(), "CODE") {
		t.Errorf("the channel is told %+v", m)
	}
	if w.linked("D1") != 0 || len(w.Answers()) != 0 {
		t.Errorf("the link is told: %+v %+v", w.Posts("D1"), w.Answers())
	}
}
