package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
	"github.com/bellhop-io/bellhop/internal/conversation"
)

// workspace is a Slack in which conversations are held. It is there before the
// server, whose clock it goes by.
type workspace struct {
	*slacktest.Server
	t   *testing.T
	now atomic.Pointer[conversation.MovingClock]
}

// inSlack takes the place of chats in the configuration.
const inSlack = "chats:\n  slack: {bot_token: %s, app_token: %s, api_url: %q}\n"

// slackUsers are those whom the scripts name.
var slackUsers = map[string]string{"alice": "U1", "bob": "U2", "dora": "U5", "ssh:carol": "U3"}

func newWorkspace(t *testing.T) *workspace {
	w := &workspace{t: t}
	w.Server = slacktest.New(t, slacktest.Options{Now: func() time.Time {
		if c := w.now.Load(); c != nil {
			return c.Now()
		}
		return time.Now()
	}})
	w.AddUser(slacktest.User{ID: "U5", Name: "dora", Team: slacktest.Team})
	w.AddChannel(slacktest.Channel{ID: "C2", Name: "ops", Members: []string{slacktest.BotUser, "U1", "U2", "U3", "U5"}})
	return w
}

// prepareSlack puts a configuration into a workspace of its own.
func prepareSlack(t *testing.T, h *held, config string) string {
	h.slack = newWorkspace(t)
	begin := strings.Index(config, "chats:\n")
	end := strings.Index(config, "people:\n")
	if begin < 0 || end < begin {
		t.Fatal("the configuration of the conversations has no chats before its people")
	}
	return config[:begin] + fmt.Sprintf(inSlack, slacktest.BotToken, slacktest.AppToken, h.slack.URL) + config[end:]
}

// openSlack is the real adapter at the workspace.
func openSlack(t *testing.T, h *held) conversation.Stage {
	h.slack.now.Store(h.Clock)
	h.slack.Wait(t, "a socket is open", func() bool { return h.slack.Sockets() == 1 })
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(h.slack.Dump())
		}
	})
	return &slackStage{House: h.Rehearsal, h: h, w: h.slack, said: map[string]*slackSpot{}, threads: map[string]string{}}
}

// slackStage is a conversation.Stage. Who speaks in no place in particular does
// so in a direct message.
type slackStage struct {
	conversation.House
	h       *held
	w       *workspace
	threads map[string]string     // time stamps of what they are under, by channel and name
	said    map[string]*slackSpot // by channel and thread
	spots   []*slackSpot          // in order
	reacted int                   // reactions that were looked at
	marks   int
}

// slackSpot is a channel or a thread, and what came there.
type slackSpot struct {
	channel, thread string
	in              conversation.Inbox
	posts           int // looked at
	since           int // that came since something was said
	user            string
	asks            map[string]bool // time stamps of what was said
	mark            string          // in a post that is not for the Inbox
	seen            bool
}

func (s *slackStage) Name() string    { return "slack" }
func (s *slackStage) Reactions() bool { return true }

func (s *slackStage) spot(v conversation.Voice) (*slackSpot, error) {
	user := slackUsers[v.Person]
	channel := "D" + strings.TrimPrefix(user, "U")
	switch {
	case v.Place == "#ops":
		channel = "C2"
	case v.Place == "#general":
		channel = "C1"
	case v.Place != "" && v.Place != "direct":
		return nil, fmt.Errorf("there is no channel %s", v.Place)
	case user == "":
		return nil, fmt.Errorf("there is no user for %s", v.Person)
	}
	key := channel + "/" + v.Thread
	if v.Thread != "" && s.threads[key] == "" {
		s.threads[key] = s.w.Put(channel, slacktest.Message{User: "U4", Text: "this begins a thread"})
	}
	at := s.said[key]
	if at == nil {
		at = &slackSpot{channel: channel, thread: s.threads[key], asks: map[string]bool{}}
		s.said[key], s.spots = at, append(s.spots, at)
	}
	if user != "" {
		at.user = user
	}
	return at, nil
}

// Say says a text, and waits until it was answered.
func (s *slackStage) Say(ctx context.Context, v conversation.Voice, text string) error {
	at, err := s.spot(v)
	if err != nil {
		return err
	}
	at.since = 0
	s.put(at, strings.ReplaceAll(text, "@bellhop", slacktest.Mention))
	if err := s.until(ctx, func() bool { return s.w.Waiting() == 0 }); err != nil {
		return err
	}
	return s.answered(ctx, at)
}

func (s *slackStage) put(at *slackSpot, text string) {
	var ts string
	if strings.HasPrefix(at.channel, "D") {
		_, ts = s.w.Direct(at.user, text)
	} else {
		ts = s.w.Reply(at.user, at.channel, at.thread, text)
	}
	at.asks[ts] = true
}

// Next returns the next line of what was posted, or the next reaction.
func (s *slackStage) Next(ctx context.Context, v conversation.Voice) (conversation.Line, error) {
	at, err := s.spot(v)
	if err != nil {
		return conversation.Line{}, err
	}
	for {
		s.look()
		now, cancel := context.WithTimeout(ctx, 2*time.Millisecond) // between two looks
		l, err := at.in.Next(now)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return l, err
		}
	}
}

// Settle waits until the house has, and everything that was said is answered.
func (s *slackStage) Settle(ctx context.Context) error {
	if err := s.House.Settle(ctx); err != nil {
		return err
	}
	for _, at := range s.spots {
		if at.user == "" {
			continue
		}
		if err := s.answered(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// answered waits until what was said in a place is: what is said last, last.
// Where a question is open, it is the last that came.
func (s *slackStage) answered(ctx context.Context, at *slackSpot) error {
	o := bellhop.Origin{Source: "slack", Channel: at.channel, Thread: at.thread}
	if s.h.AskedAt(bellhop.Person{Identity: "slack:" + slacktest.Team + "/" + at.user}, o) {
		return s.until(ctx, func() bool { s.look(); return at.since > 0 })
	}
	s.marks++
	at.mark, at.seen = (bellhop.RunID(1<<40) + bellhop.RunID(s.marks)).String(), false
	text := "logs " + at.mark
	if !strings.HasPrefix(at.channel, "D") {
		text = slacktest.Mention + " " + text
	}
	s.put(at, text)
	return s.until(ctx, func() bool { s.look(); return at.seen })
}

func (s *slackStage) until(ctx context.Context, is func() bool) error {
	for !is() {
		select {
		case <-time.After(2 * time.Millisecond): // between two looks
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// look takes note of what came.
func (s *slackStage) look() {
	calls := s.w.Calls("reactions.add")
	for _, c := range calls[s.reacted:] {
		for _, at := range s.spots {
			if at.channel == c.Args["channel"] && at.asks[c.Args["timestamp"]] {
				at.in.Add(conversation.Line{Text: ":" + c.Args["name"] + ":", Reaction: true, Stands: s.stands(c.Args["timestamp"], c.Args["name"])})
			}
		}
	}
	s.reacted = len(calls)
	for _, at := range s.spots {
		var posts []slacktest.Message
		for _, m := range s.w.Posts(at.channel) {
			if m.Thread == at.thread {
				posts = append(posts, m)
			}
		}
		for _, m := range posts[at.posts:] {
			s.show(at, m)
		}
		at.posts = len(posts)
	}
}

func (s *slackStage) show(at *slackSpot, m slacktest.Message) {
	if at.mark != "" && strings.Contains(m.Text, at.mark) {
		at.seen = true
		return
	}
	at.since++
	text := strings.Trim(strings.TrimPrefix(strings.TrimSuffix(m.Text, "```"), "```"), "\n")
	for line := range strings.Lines(html.UnescapeString(strings.ReplaceAll(text, "\u2060", ""))) {
		at.in.Add(conversation.Line{Text: strings.TrimRight(line, "\n")})
	}
}

// stands is the receipt that the mark on an ask stands for.
func (s *slackStage) stands(ts, name string) string {
	runs, err := s.h.Runs(context.Background())
	if err != nil || name != "hourglass_flowing_sand" {
		return ""
	}
	for _, r := range runs {
		if r.Origin.Message == ts {
			return fmt.Sprintf("accepted %s: %s %s", r.ID, r.Service, r.Job)
		}
	}
	return ""
}
