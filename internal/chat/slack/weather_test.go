package slack_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

func TestADroppedSocketIsOpenedAgain(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	for range 3 {
		w.DropSockets()
		w.until("a socket is open", func() bool { return w.Sockets() == 1 })
		n := w.house.made()
		w.Say("U1", "C1", slacktest.Mention+" deploy")
		w.until("it is heard", func() bool { return w.house.made() == n+1 })
	}
}

func TestTheNextSocketIsOpenBeforeTheOldGoes(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"warning", "refresh_requested"} {
		w := start(t, slacktest.Options{})
		w.Disconnect(reason)
		w.until("two sockets are open", func() bool { return w.Sockets() == 2 })
		for range 4 { // the fake gives them to both in turn
			w.Say("U1", "C1", slacktest.Mention+" deploy")
		}
		w.until("all are heard", func() bool { return w.house.made() == 4 })
		w.quiet()
	}
}

func TestASocketThatIsOpenOnOneSideOnlyIsNoticed(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.Quiet = 300 * time.Millisecond })
	w.Mute()
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is heard by the next socket", func() bool { return len(w.Reactions("C1", ts)) == 1 })
}

func TestTheSameByTwoSocketsAndTwoEventsRunsOnce(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{AckWait: 100 * time.Millisecond, Retries: 5})
	w.Disconnect("warning")
	w.until("two sockets are open", func() bool { return w.Sockets() == 2 })
	slow := make(chan struct{})
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		<-slow // so that it is delivered again, and again
		return w.house.usual(ev)
	}
	ts := w.Say("U1", "C1", slacktest.Mention+" help")
	for i := range 3 {
		w.Raw(map[string]any{"type": []string{"message", "app_mention"}[i%2], "channel": "C1", "user": "U1", "ts": ts, "text": slacktest.Mention + " help"})
	}
	time.AfterFunc(350*time.Millisecond, func() { close(slow) })
	w.until("it is answered", func() bool { return len(w.Posts("C1")) > 0 })
	w.quiet()
	if p := w.Posts("C1"); len(p) != 1 {
		t.Errorf("answered %d times", len(p))
	}
	// A new life of the chat knows it as well.
	w.stop(w.chat)
	w.begin()
	w.Raw(map[string]any{"type": "app_mention", "channel": "C1", "user": "U1", "ts": ts, "text": slacktest.Mention + " help"})
	w.quiet()
	last := w.Say("U1", "C1", slacktest.Mention+" deploy") // answered after what came before
	w.until("the next ask is marked", func() bool { return len(w.Reactions("C1", last)) == 1 })
	if p := w.Posts("C1"); len(p) != 1 {
		t.Errorf("answered %d times", len(p))
	}
}

func TestWhatWasSaidInAGapIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := start(t, slacktest.Options{Now: clock.Now, Lossy: true}, func(o *slack.Options) { o.Clock = clock })
	root := w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is heard", func() bool { return w.house.made() == 1 })
	channel, _ := w.Direct("U1", "deploy")
	w.until("it is heard", func() bool { return w.house.made() == 2 })
	w.stop(w.chat)
	w.until("no socket is open", func() bool { return w.Sockets() == 0 })

	old := w.Say("U1", "C1", slacktest.Mention+" deploy long ago")
	w.Say("U1", "C1", "long ago, to nobody")
	clock.Add(time.Hour)
	said := []string{
		w.Say("U1", "C1", slacktest.Mention+" deploy a"), w.Reply("U2", "C1", root, slacktest.Mention+" deploy b"),
		w.Say("U1", channel, "deploy c"),
	}
	w.Put("C1", slacktest.Message{User: "U6", Bot: "B2", Text: slacktest.Mention + " deploy"})
	w.begin()
	w.until("all three are heard", func() bool { return w.house.made() == 5 })
	w.until("the old one is answered", func() bool { return len(w.Thread("C1", old)) == 1 })
	if text := w.Thread("C1", old)[0].Text; !strings.HasPrefix(text, "I was away when you asked this (1 h ago)") {
		t.Errorf("%q", text)
	}
	var texts []string
	for _, ev := range w.house.heard()[2:] {
		texts = append(texts, ev.Text)
		if !slices.Contains(said, ev.Origin.Message) {
			t.Errorf("heard %+v", ev)
		}
	}
	slices.Sort(texts)
	if !slices.Equal(texts, []string{"deploy a", "deploy b", "deploy c"}) {
		t.Errorf("heard %q", texts)
	}
	// Once more: nothing is answered twice.
	w.stop(w.chat)
	w.begin()
	last := w.Say("U1", "C1", slacktest.Mention+" deploy d")
	w.until("it is heard", func() bool { return len(w.Reactions("C1", last)) == 1 })
	if w.house.made() != 6 || len(w.Thread("C1", old)) != 1 {
		t.Errorf("%d runs, %+v", w.house.made(), w.Thread("C1", old))
	}
}

func TestAGapIsNotForgottenThoughWhatComesAfterIsHeard(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{Lossy: true})
	w.Say("U1", "C1", slacktest.Mention+" deploy a")
	w.until("it is heard", func() bool { return w.house.made() == 1 })
	w.Fail("users.conversations", 1, "fatal_error") // so that the gap is read late
	w.Fail("apps.connections.open", 2, "internal_error")
	w.DropSockets()
	w.Say("U1", "C1", slacktest.Mention+" deploy lost")
	w.until("a socket is open", func() bool { return w.Sockets() == 1 })
	w.Say("U1", "C1", slacktest.Mention+" deploy b")
	w.until("it is heard", func() bool { return w.house.made() >= 2 })
	w.stop(w.chat)
	w.begin()
	w.until("the lost one is heard", func() bool { return w.house.made() == 3 })
}

func TestTokensThatAreWrongAreFoundAtStart(t *testing.T) {
	t.Parallel()
	try := func(o slacktest.Options, set func(*slack.Options), prepare ...func(*slacktest.Server)) error {
		t.Helper()
		s := slacktest.New(t, o)
		for _, fn := range prepare {
			fn(s)
		}
		opt := slack.Options{AppToken: slacktest.AppToken, BotToken: slacktest.BotToken, APIURL: s.URL, House: newHouse(), Values: newValues()}
		set(&opt)
		c, err := slack.New(opt)
		if err != nil {
			return err
		}
		err = c.Start(context.Background())
		if serr := c.Stop(context.Background()); serr != nil {
			t.Error(serr)
		}
		return err
	}
	without := func(scope string) slacktest.Options {
		return slacktest.Options{Scopes: slices.DeleteFunc(slacktest.AllScopes(), func(s string) bool { return s == scope })}
	}
	for name, c := range map[string]struct {
		opt  slacktest.Options
		set  func(*slack.Options)
		want string
	}{
		"no scope to react":  {without("reactions:write"), func(*slack.Options) {}, "bot_token lacks reactions:write (to mark what it accepted)"},
		"no scope to join":   {without("channels:join"), func(o *slack.Options) { o.AutoJoin = true }, "bot_token lacks channels:join"},
		"wrong bot token":    {slacktest.Options{}, func(o *slack.Options) { o.BotToken = "xoxb-other" }, "bot_token is not known to Slack"},
		"wrong app token":    {slacktest.Options{}, func(o *slack.Options) { o.AppToken = "xapp-other" }, "app_token is not known to Slack"},
		"mixed up":           {slacktest.Options{}, func(o *slack.Options) { o.AppToken = slacktest.BotToken }, "app_token is of the wrong kind"},
		"no bot token":       {slacktest.Options{}, func(o *slack.Options) { o.BotToken = "" }, "bot_token is missing"},
		"no app token":       {slacktest.Options{}, func(o *slack.Options) { o.AppToken = "" }, "app_token is missing"},
		"no signing secret":  {slacktest.Options{}, func(o *slack.Options) { o.Events = true }, "signing_secret is missing"},
		"channel that is no": {slacktest.Options{}, func(o *slack.Options) { o.Channels = []string{"#general", "#nope"} }, "there is no channel #nope"},
	} {
		err := try(c.opt, c.set)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "xoxb-other") {
			t.Errorf("%s: the token is in %v", name, err)
		}
	}
	for code, want := range map[string]string{"token_revoked": "app_token was taken back", "missing_scope": "app_token lacks the scope connections:write"} {
		err := try(slacktest.Options{}, func(*slack.Options) {}, func(s *slacktest.Server) { s.Fail("apps.connections.open", 1, code) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", code, err)
		}
	}
	if err := try(without("channels:join"), func(*slack.Options) {}); err != nil {
		t.Errorf("a scope that is not needed: %v", err)
	}
}

func TestSlackThatIsAwayAtStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := slacktest.New(t, slacktest.Options{})
	s.Break("auth.test", 1)
	h := newHouse()
	c, err := slack.New(slack.Options{AppToken: slacktest.AppToken, BotToken: slacktest.BotToken, APIURL: s.URL, House: h, Values: newValues()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	if err := c.Start(context.Background()); err != nil {
		t.Fatalf("it does not start: %v", err)
	}
	hurry, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Deliver(hurry, bellhop.Report{}); bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Errorf("a report meanwhile: %v", err)
	}
	s.Wait(t, "a socket is open", func() bool { return s.Sockets() == 1 })
	s.Say("U1", "C1", slacktest.Mention+" deploy")
	s.Wait(t, "it is heard", func() bool { return h.made() == 1 })
}

func TestListeningAndForwarding(t *testing.T) {
	t.Parallel()
	s := slacktest.New(t, slacktest.Options{})
	s.AddChannel(slacktest.Channel{ID: "C2", Name: "team", Members: []string{slacktest.BotUser}})
	w := &world{Server: s, t: t, house: newHouse(), vals: newValues()}
	w.opt = slack.Options{
		AppToken: slacktest.AppToken, BotToken: slacktest.BotToken, APIURL: s.URL, House: w.house, Values: w.vals,
		Listen: []slack.Listen{
			{Match: regexp.MustCompile("(?i)tech-support"), Reply: "I told <!here> them", React: ":eyes:", Forward: "#team"},
			{Match: regexp.MustCompile("(?i)support"), Reply: "never: the first counts"},
		},
	}
	w.begin()
	ts := w.Say("U1", "C1", "where is Tech-Support <!channel>?")
	w.Raw(map[string]any{"type": "message", "channel": "C1", "user": "U1", "ts": ts, "text": "where is Tech-Support <!channel>?"}) // once more
	w.until("it is forwarded", func() bool { return len(w.Posts("C2")) > 0 })
	w.quiet()
	if p := w.Thread("C1", ts); len(p) != 1 || p[0].Text != "I told &lt;!"+"here&gt; them" {
		t.Errorf("replied %+v", p)
	}
	if got := w.Reactions("C1", ts); !slices.Equal(got, []string{"eyes"}) {
		t.Errorf("reactions %v", got)
	}
	if p := w.Posts("C2"); len(p) != 1 || !strings.Contains(p[0].Text, "alice in #general: ") || !strings.Contains(p[0].Text, "<https://fake.slack.com/archives/C1/") || strings.Contains(p[0].Text, "<!") {
		t.Errorf("forwarded %+v", p)
	}
	if got := w.house.heard(); len(got) != 0 {
		t.Errorf("it asked for something: %+v", got)
	}
}

func TestPublicChannelsAreJoined(t *testing.T) {
	t.Parallel()
	s := slacktest.New(t, slacktest.Options{})
	s.AddChannel(slacktest.Channel{ID: "C2", Name: "old", Members: []string{"U1"}})
	s.AddChannel(slacktest.Channel{ID: "C3", Name: "archived", Archived: true})
	s.AddChannel(slacktest.Channel{ID: "G4", Name: "private", Private: true})
	w := &world{Server: s, t: t, house: newHouse(), vals: newValues()}
	w.opt = slack.Options{AppToken: slacktest.AppToken, BotToken: slacktest.BotToken, APIURL: s.URL, House: w.house, Values: w.vals, AutoJoin: true}
	w.begin()
	joined := func(id string) bool {
		return slices.ContainsFunc(w.Calls("conversations.join"), func(c slacktest.Call) bool { return c.Args["channel"] == id && c.Error == "" })
	}
	w.until("it is in the old one", func() bool { return joined("C2") })
	w.AddChannel(slacktest.Channel{ID: "C5", Name: "new", Members: []string{"U1"}})
	w.until("it is in the new one", func() bool { return joined("C5") })
	if joined("G4") || joined("C3") {
		t.Error("it joined what it may not")
	}
	w.Say("U1", "C5", slacktest.Mention+" deploy")
	w.until("it is heard there", func() bool { return w.house.made() == 1 })
}

func TestTheDirectory(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.Clock = clock })
	w.SetGroup("S1", "U1")
	ctx := context.Background()
	is := func(group, identity string, fresh, want bool) {
		t.Helper()
		got, err := w.chat.Member(ctx, group, identity, fresh)
		if err != nil || got != want {
			t.Errorf("%s in %s: %v %v", identity, group, got, err)
		}
	}
	is("slack-usergroup:S1", "slack:T1/U1", false, true)
	is("slack-usergroup:S1", "slack:T1/U2", false, false)
	is("slack-usergroup:S1", "slack:T2/U1", false, false) // of elsewhere
	is("slack-usergroup:S1", "ssh:U1", false, false)
	is("slack-usergroup:S9", "slack:T1/U1", false, false)
	is("slack-channel-members:C1", "slack:T1/U2", false, true)
	is("slack-channel-members:C1", "slack:T1/U9", false, false)
	w.SetGroup("S1", "U2")
	is("slack-usergroup:S1", "slack:T1/U1", false, true) // up to 5 minutes old
	is("slack-usergroup:S1", "slack:T1/U1", true, false)
	is("slack-usergroup:S1", "slack:T1/U2", false, true)
	n := len(w.Calls("usergroups.users.list"))
	is("slack-usergroup:S1", "slack:T1/U2", false, true)
	if len(w.Calls("usergroups.users.list")) != n {
		t.Error("it was asked for again")
	}
	w.SetGroup("S1")
	clock.Add(5 * time.Minute)
	is("slack-usergroup:S1", "slack:T1/U2", false, false)
	w.Break("usergroups.users.list", 1)
	if ok, err := w.chat.Member(ctx, "slack-usergroup:S1", "slack:T1/U1", true); ok || bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Errorf("Slack is away: %v %v", ok, err)
	}
	if _, err := w.chat.Member(ctx, "slack-other:S1", "slack:T1/U1", true); bellhop.CodeOf(err) != bellhop.NotFound {
		t.Errorf("another kind: %v", err)
	}
}

func TestAnotherName(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.Name = "team" })
	w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is heard", func() bool { return len(w.house.heard()) == 1 })
	ev := w.house.heard()[0]
	if !strings.HasPrefix(ev.Key, "team:T1/C1/") || ev.Person.Identity != "team:T1/U1" || ev.Origin.Source != "team" {
		t.Errorf("%+v", ev)
	}
	if ok, err := w.chat.Member(context.Background(), "team-channel-members:C1", "team:T1/U1", false); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
}

func TestNoTokenIsLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var log bytes.Buffer
	w := start(t, slacktest.Options{}, func(o *slack.Options) {
		o.Log = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	w.Fail("reactions.add", 1, "internal_error")
	w.Break("chat.postMessage", 1)
	w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is heard", func() bool { return w.house.made() == 1 })
	w.Fail("apps.connections.open", 1, "internal_error")
	w.DropSockets()
	w.until("a socket is open", func() bool { return w.Sockets() == 1 })
	w.stop(w.chat)
	mu.Lock()
	defer mu.Unlock()
	if text := log.String(); text == "" || strings.Contains(text, "xoxb-") || strings.Contains(text, "xapp-") {
		t.Errorf("logged %q", text)
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// 1,000 asks in 10 s, while the socket is dropped every second: none is lost
// and none doubled. Without BELLHOP_TEST_LONG it is the same in a tenth of it.
func TestNoneIsLostAndNoneDoubled(t *testing.T) {
	t.Parallel()
	asks, within, drops := 300, 2*time.Second, 250*time.Millisecond
	if os.Getenv("BELLHOP_TEST_LONG") != "" {
		asks, within, drops = 1000, 10*time.Second, time.Second
	}
	w := start(t, slacktest.Options{AckWait: time.Second, Retries: 100})
	stop := make(chan struct{})
	var dropper sync.WaitGroup
	dropper.Go(func() {
		tick := time.NewTicker(drops)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.DropSockets()
			case <-stop:
				return
			}
		}
	})
	begin := time.Now()
	said := make([]string, asks)
	tick := time.NewTicker(within / time.Duration(asks))
	for i := range said {
		said[i] = w.Say([]string{"U1", "U2"}[i%2], "C1", fmt.Sprintf("%s deploy %d", slacktest.Mention, i))
		<-tick.C
	}
	tick.Stop()
	took := time.Since(begin)
	close(stop)
	dropper.Wait()
	w.until("all are taken", func() bool { return w.house.made() >= asks && w.Waiting() == 0 })
	w.until("all are marked", func() bool { return len(w.Calls("reactions.add")) >= asks })
	if n := w.house.made(); n != asks {
		t.Errorf("%d asks made %d runs", asks, n)
	}
	seen := map[string]int{}
	for _, ev := range w.house.heard() {
		seen[ev.Origin.Message]++
	}
	for _, ts := range said {
		if seen[ts] != 1 {
			t.Errorf("%s was heard %d times", ts, seen[ts])
		}
		if got := w.Reactions("C1", ts); len(got) != 1 {
			t.Errorf("%s is marked %v", ts, got)
		}
	}
	t.Logf("%d asks in %s, %d sockets opened, %d events handed over", asks, took.Round(time.Millisecond), len(w.Calls("apps.connections.open")), len(w.house.events))
}
