package slackapi_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop/internal/chat/slack/slackapi"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

func client(t *testing.T, o slacktest.Options) (*slackapi.Client, *slacktest.Server) {
	t.Helper()
	s := slacktest.New(t, o)
	c := slackapi.New(slackapi.Options{BotToken: slacktest.BotToken, AppToken: slacktest.AppToken, URL: s.URL, Quiet: time.Second})
	t.Cleanup(c.Close)
	return c, s
}

func TestEveryCallIsUnderstood(t *testing.T) {
	c, s := client(t, slacktest.Options{})
	ctx := context.Background()
	no := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	self, err := c.Self(ctx)
	no("Self", err)
	if self.Team != "T1" || self.User != "UBOT" || !slices.Contains(self.Scopes, "chat:write") {
		t.Errorf("Self: %+v", self)
	}
	ts, err := c.Post(ctx, slackapi.Message{Channel: "C1", Text: "one", Kind: "k", Ref: "r1"})
	no("Post", err)
	block := json.RawMessage(`{"type":"section","text":{"type":"plain_text","text":"two"},"novelty":[1]}`)
	second, err := c.Post(ctx, slackapi.Message{Channel: "C1", Thread: ts, Text: "two", Blocks: []json.RawMessage{block}, Plain: true})
	no("Post", err)
	if m := s.Message("C1", second); m.Thread != ts || string(m.Blocks) != "["+string(block)+"]" {
		t.Errorf("posted %+v", m)
	}
	no("PostTo", c.PostTo(ctx, "U1", slackapi.Message{Channel: "C1", Text: "for Alice"}))
	if a := s.Answers(); len(a) != 1 || a[0].User != "U1" || a[0].Channel != "C1" || a[0].Text != "for Alice" {
		t.Errorf("posted to one person: %+v", a)
	}
	no("Update", c.Update(ctx, second, slackapi.Message{Channel: "C1", Text: "three"}))
	if m := s.Message("C1", second); m.Text != "three" || string(m.Blocks) != "[]" {
		t.Errorf("updated %+v", m)
	}
	for range 2 {
		no("React", c.React(ctx, "C1", ts, "x"))
	}
	for range 2 {
		no("Unreact", c.Unreact(ctx, "C1", ts, "x"))
	}
	link, err := c.Permalink(ctx, "C1", ts)
	no("Permalink", err)
	if link == "" {
		t.Error("no permalink")
	}
	no("Upload", c.Upload(ctx, slackapi.File{Channel: "C1", Thread: ts, Name: "a.txt", Data: []byte("abc"), Comment: "see"}))
	if f := s.Files(); len(f) != 1 || string(f[0].Data) != "abc" || f[0].Channel != "C1" || f[0].Thread != ts {
		t.Errorf("files %+v", f)
	}
	var refs []string
	no("History", c.History(ctx, "C1", "0", func(m slackapi.Said) bool { refs = append(refs, m.Ref("k")); return true }))
	if !slices.Equal(refs, []string{"r1"}) {
		t.Errorf("history: %q", refs)
	}
	n, file := 0, ""
	no("Replies", c.Replies(ctx, "C1", ts, "0", func(m slackapi.Said) bool {
		n++
		for _, f := range m.Files {
			file = f.Name
		}
		return true
	}))
	if n != 3 || file != "a.txt" {
		t.Errorf("%d replies, file %q", n, file)
	}
	u, err := c.User(ctx, "U4")
	no("User", err)
	if u.Team != "T2" || !u.Stranger {
		t.Errorf("user %+v", u)
	}
	s.SetGroup("S1", "U1")
	if users, err := c.UsergroupMembers(ctx, "S1"); err != nil || !slices.Equal(users, []string{"U1"}) {
		t.Errorf("group %v %v", users, err)
	}
	if users, err := c.ChannelMembers(ctx, "C1"); err != nil || len(users) != 5 {
		t.Errorf("members %v %v", users, err)
	}
	s.AddChannel(slacktest.Channel{ID: "C2", Name: "other"})
	no("Join", c.Join(ctx, "C2"))
	d, err := c.Direct(ctx, "U1")
	no("Direct", err)
	joined, err := c.Joined(ctx)
	no("Joined", err)
	if len(joined) != 3 || d == "" {
		t.Errorf("joined %+v", joined)
	}
	names := 0
	no("Channels", c.Channels(ctx, true, func(slackapi.Channel) bool { names++; return true }))
	if names != 2 {
		t.Errorf("%d channels", names)
	}
}

func TestManyPagesAreRead(t *testing.T) {
	c, s := client(t, slacktest.Options{})
	for range 450 {
		s.Say("U1", "C1", "hm")
	}
	n := 0
	if err := c.History(context.Background(), "C1", "0", func(slackapi.Said) bool { n++; return true }); err != nil || n != 450 {
		t.Errorf("%d messages, %v", n, err)
	}
}

// heldClock stands still. A timer goes off when it is let go, which moves the
// clock on by what was waited for.
type heldClock struct {
	mu     sync.Mutex
	now    time.Time
	timers chan heldTimer
}

type heldTimer struct {
	length time.Duration
	fire   chan time.Time
}

func (c *heldClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *heldClock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	t := heldTimer{d, make(chan time.Time, 1)}
	c.timers <- t
	return t.fire, func() {}
}

func (c *heldClock) letGo(t heldTimer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(t.length)
	t.fire <- c.now
}

func TestALimitIsWaitedForPerMethodAndChannel(t *testing.T) {
	s := slacktest.New(t, slacktest.Options{})
	clock := &heldClock{now: time.Unix(1_700_000_000, 0), timers: make(chan heldTimer, 10)}
	c := slackapi.New(slackapi.Options{BotToken: slacktest.BotToken, URL: s.URL, Clock: clock})
	t.Cleanup(c.Close)
	s.AddChannel(slacktest.Channel{ID: "C2", Name: "other", Members: []string{slacktest.BotUser}})
	s.Limit("chat.postMessage", "C1", 1, 7)
	ctx := t.Context()
	done := make(chan error, 1)
	go func() {
		_, err := c.Post(ctx, slackapi.Message{Channel: "C1", Text: "one"})
		done <- err
	}()
	waits := <-clock.timers
	if waits.length != 7*time.Second {
		t.Errorf("it waits for %v", waits.length)
	}
	if _, err := c.Post(ctx, slackapi.Message{Channel: "C2", Text: "two"}); err != nil {
		t.Errorf("another channel: %v", err)
	}
	hurry, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := c.Post(hurry, slackapi.Message{Channel: "C1", Text: "three"}); slackapi.CodeOf(err) != "ratelimited" {
		t.Errorf("a call in a hurry: %v", err)
	}
	if n := len(s.Calls("chat.postMessage")); n != 2 || len(clock.timers) != 0 {
		t.Errorf("%d calls and %d timers: a call was made while it was too early, or waited for another's limit", n, len(clock.timers))
	}
	clock.letGo(waits)
	if err := <-done; err != nil {
		t.Errorf("when the time was over: %v", err)
	}
	if n := len(s.Calls("chat.postMessage")); n != 3 {
		t.Errorf("%d calls instead of 3", n)
	}
}

func TestFaultsSaySlacksOwnWord(t *testing.T) {
	c, s := client(t, slacktest.Options{Scopes: []string{"users:read"}})
	ctx := context.Background()
	_, err := c.Post(ctx, slackapi.Message{Channel: "C1", Text: "one"})
	if slackapi.CodeOf(err) != "missing_scope" || err.Error() != "Slack refused chat.postMessage: missing_scope (it needs chat:write)" {
		t.Errorf("%v", err)
	}
	err = c.History(ctx, "C1", "0", func(slackapi.Said) bool { return true })
	if slackapi.CodeOf(err) != "missing_scope" {
		t.Errorf("%v", err)
	}
	s.Break("users.info", 1)
	if _, err := c.User(ctx, "U1"); err == nil || slackapi.CodeOf(err) != "" {
		t.Errorf("%v", err)
	}
}

func TestASocketThatIsMuteEnds(t *testing.T) {
	c, s := client(t, slacktest.Options{})
	k, err := c.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if f, err := k.Read(); err != nil || f.Type != "hello" {
		t.Fatalf("%+v %v", f, err)
	}
	s.Mute()
	if f, err := k.Read(); err == nil {
		t.Errorf("a mute socket brought %+v", f)
	}
	k.Close()
}
