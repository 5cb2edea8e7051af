package slack_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// asked has Alice ask for a run in #general and returns the ask.
func (w *world) asked() bellhop.Origin {
	w.t.Helper()
	n := len(w.house.heard())
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy staging")
	w.until("the ask is marked", func() bool { return len(w.Reactions("C1", ts)) == 1 })
	if got := w.house.heard(); len(got) != n+1 {
		w.t.Fatalf("heard %+v", got)
	}
	return w.origin()
}

func shows(format bellhop.ReportFormat) bellhop.ReportRule {
	return bellhop.ReportRule{Stdout: true, Success: true, Format: format}
}

func TestHostileOutputCallsNobody(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	hostile := "<!channel> <@U2> @here @channel @Everyone <https://evil.example|good> &lt; *bold* `x`\n\x1b[31mred\x1b[0m \x1b]0;title\x07zero\u200bwidth\u202e\x00```\n"
	w.house.print(74, bellhop.Stdout, hostile)
	for i, format := range []bellhop.ReportFormat{bellhop.FormatText, bellhop.FormatCode} {
		r := w.house.end(74, bellhop.Succeeded, shows(format), o)
		r.ID += int64(i)
		w.deliver(r)
	}
	for _, m := range w.Posts("C1") {
		text := m.Text
		for _, bad := range []string{"<!", "<@", "@here", "<https", "\x1b", "\u200b", "\u202e", "\x00", "@Everyone "} {
			if strings.Contains(strings.TrimPrefix(text, "```\n"), bad) && (bad[0] != '@' || !strings.HasPrefix(text, "```")) {
				t.Errorf("%q is in %q", bad, text)
			}
		}
		if !strings.Contains(text, "&lt;!channel&gt; &lt;@U2&gt;") || !strings.Contains(text, "&amp;lt; *bold* `x`\nred zerowidth") {
			t.Errorf("told %q", text)
		}
		if strings.HasPrefix(text, "```") && strings.Count(text, "```") != 2 {
			t.Errorf("it leaves its block: %q", text)
		}
	}
	for _, c := range w.Calls("chat.postMessage") {
		if c.Args["unfurl_links"] != "false" || c.Args["unfurl_media"] != "false" || c.Args["link_names"] == "true" {
			t.Errorf("posted with %v", c.Args)
		}
		if !strings.HasPrefix(c.Args["text"], "```") && c.Args["mrkdwn"] != "false" {
			t.Errorf("markup is not off: %v", c.Args)
		}
	}
}

func TestLongOutput(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	var long strings.Builder
	for i := range 900 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	w.house.print(74, bellhop.Stdout, long.String())
	w.deliver(w.house.end(74, bellhop.Succeeded, shows(bellhop.FormatCode), o))
	files := w.Files()
	if len(files) != 1 || string(files[0].Data) != strings.TrimRight(long.String(), "\n") || files[0].Channel != "C1" || !strings.HasSuffix(files[0].Name, ".txt") {
		t.Fatalf("files: %+v", files)
	}
	before := len(w.Posts("C1"))
	r := w.house.end(74, bellhop.Succeeded, shows(bellhop.FormatText), o)
	r.ID++
	w.deliver(r)
	var all []string
	for _, m := range w.Posts("C1")[before:] {
		if n := utf8.RuneCountInString(m.Text); n > 3900 {
			t.Errorf("a message of %d characters", n)
		}
		all = append(all, m.Text)
	}
	if strings.Join(all, "\n") != strings.TrimRight(long.String(), "\n") || len(all) < 2 {
		t.Errorf("divided into %d messages that are not the output", len(all))
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	tell := func(out string) []slacktest.Message {
		t.Helper()
		before := len(w.Posts("C1"))
		w.house.mu.Lock()
		w.house.run(74).chunks = nil
		w.house.mu.Unlock()
		w.house.print(74, bellhop.Stdout, out)
		r := w.house.end(74, bellhop.Succeeded, shows(bellhop.FormatBlocks), o)
		r.ID += int64(before) * 100
		w.deliver(r)
		return w.Posts("C1")[before:]
	}
	one := `{"type":"section","text":{"type":"mrkdwn","text":"<!channel> *hello* <https://x.example|link>"}}`
	got := tell("[" + one + "]\n")
	if len(got) != 1 || strings.Contains(string(got[0].Blocks), "<!channel>") || !strings.Contains(got[0].All(), "*hello* <https://x.example|link>") {
		t.Errorf("told %+v", got)
	}
	calls := `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"broadcast","range":"channel"},{"type":"user","user_id":"U2"}]}]}]`
	if got := tell(calls); len(got) != 1 || strings.Contains(string(got[0].Blocks), "broadcast") || strings.Contains(string(got[0].Blocks), `"user"`) {
		t.Errorf("told %s", got[0].Blocks)
	}
	many := "[" + strings.TrimSuffix(strings.Repeat(one+",", 120), ",") + "]"
	if got := tell(many); len(got) != 3 {
		t.Errorf("120 blocks are %d messages", len(got))
	}
	for _, bad := range []string{"no JSON", "{}", "[]", "[{}]", `[1]`, `[{"type":"section"}]`} {
		got := tell(bad)
		if len(got) != 1 || !strings.Contains(got[0].Text, "so here it is as text") || !strings.Contains(got[0].Text, bad) {
			t.Errorf("%s is told as %+v", bad, got)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	png := []byte("\x89PNG\r\n\x1a\n0000")
	w.house.print(74, bellhop.Stdout, base64.StdEncoding.EncodeToString(png)+"\n")
	rule := shows(bellhop.FormatText)
	rule.Base64 = true
	w.deliver(w.house.end(74, bellhop.Succeeded, rule, o))
	if f := w.Files(); len(f) != 1 || string(f[0].Data) != string(png) || !strings.HasSuffix(f[0].Name, ".png") {
		t.Fatalf("files %+v", f)
	}
	w.house.print(75, bellhop.Stdout, "no base64, my friend\n")
	w.deliver(w.house.end(75, bellhop.Succeeded, rule, o))
	posts := w.Posts("C1")
	if last := posts[len(posts)-1]; !strings.Contains(last.Text, "no base64, my friend") {
		t.Errorf("told %q", last.Text)
	}
	w.house.print(76, bellhop.Stdout, "a,b\n1,2\n")
	w.deliver(w.house.end(76, bellhop.Succeeded, shows(bellhop.FormatFile), o))
	if f := w.Files(); len(f) != 2 || string(f[1].Data) != "a,b\n1,2\n" {
		t.Errorf("files %+v", f)
	}
}

func TestEmptyOutputSaysSo(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	rule := shows(bellhop.FormatCode)
	w.deliver(w.house.end(74, bellhop.Succeeded, rule, o))
	if p := w.Posts("C1"); len(p) != 1 || p[0].Text != "deploys deploy succeeded and wrote nothing (00002a)" {
		t.Errorf("told %+v", p)
	}
	rule.SuppressEmpty = true
	w.deliver(w.house.end(75, bellhop.Succeeded, rule, o))
	if p := w.Posts("C1"); len(p) != 1 {
		t.Errorf("told %+v", p)
	}
}

func TestAFailureHasItsLastLinesAndButtons(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	o := w.asked()
	w.house.print(74, bellhop.Stderr, "disk full <!here>\n")
	w.deliver(w.house.end(74, bellhop.Failed, bellhop.ReportRule{}, o))
	if got := w.Reactions("C1", o.Message); !slices.Equal(got, []string{"x"}) {
		t.Errorf("reactions %v", got)
	}
	p := w.Posts("C1")
	if len(p) != 1 || !strings.Contains(p[0].All(), "disk full &lt;!here&gt;") || !slices.Equal(p[0].Buttons(), []string{"Run again", "Logs"}) {
		t.Fatalf("told %+v", p)
	}
	if err := w.Press("U1", "C1", p[0].TS, "Run again"); err != nil {
		t.Fatal(err)
	}
	if err := w.Press("U1", "C1", p[0].TS, "Logs"); err != nil {
		t.Fatal(err)
	}
	w.until("the log is shown", func() bool {
		p := w.Posts("C1")
		return strings.Contains(p[len(p)-1].Text, "```\ndisk full &lt;!here&gt;")
	})
	w.until("who pressed has the receipt", func() bool { a := w.Answers(); return len(a) == 1 && strings.Contains(a[0].Text, "accepted 00002b") })
	ev := w.house.heard()[1]
	if ev.Text != "retry 00002a" || !strings.HasPrefix(ev.Key, "slack:T1/action/C1/") || !ev.Addressed || ev.Origin.Message != "" {
		t.Errorf("a button is %+v", ev)
	}
}

func TestEveryReactionCanBeAnother(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) {
		o.Reactions = slack.Reactions{Accepted: ":eyes:", Succeeded: "tada", Failed: "boom"}
	})
	for i, state := range []bellhop.State{bellhop.Succeeded, bellhop.Cancelled} {
		o := w.asked()
		if got := w.Reactions("C1", o.Message); !slices.Equal(got, []string{"eyes"}) {
			t.Errorf("accepted: %v", got)
		}
		w.deliver(w.house.end(bellhop.RunID(74+i), state, bellhop.ReportRule{}, o))
		if got := w.Reactions("C1", o.Message); !slices.Equal(got, []string{[]string{"tada", "boom"}[i]}) {
			t.Errorf("%s: %v", state, got)
		}
	}
}

func TestWordsComeWhereAMarkSaysTooLittle(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		a := w.house.accept(ev)
		a.Start = time.Now().Add(90 * time.Second)
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: a}, nil
	}
	o := w.asked()
	w.until("the receipt", func() bool { return len(w.Posts("C1")) == 1 })
	if text := w.Posts("C1")[0].Text; !strings.HasPrefix(text, "accepted 00002a: deploys deploy, starts in 1 min") {
		t.Errorf("%q", text)
	}
	if len(w.Reactions("C1", o.Message)) != 1 {
		t.Error("it is not marked")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.Say("U3", "C1", slacktest.Mention+" secret")
	w.until("it is said", func() bool { return len(w.Posts("C1")) == 1 })
	if p := w.Posts("C1"); p[0].Text != "secret is for ops only" {
		t.Errorf("%+v", p)
	}
	silent := start(t, slacktest.Options{}, func(o *slack.Options) { o.Silent = true })
	silent.Say("U3", "C1", slacktest.Mention+" secret")
	silent.Say("U3", "C1", slacktest.Mention+" nonsense")
	silent.until("the other is said", func() bool { return len(silent.Posts("C1")) == 1 })
	if p := silent.Posts("C1"); !strings.Contains(p[0].Text, "nonsense") {
		t.Errorf("%+v", p)
	}
}

func TestTheSlashCommandIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{AckWait: 3 * time.Second})
	if _, ok := w.Slash("U1", "C1", "deploy staging"); !ok {
		t.Fatal("no answer within 3 s")
	}
	w.until("the receipt", func() bool { return len(w.Answers()) == 1 })
	if a := w.Answers()[0]; a.User != "U1" || !strings.HasPrefix(a.Text, "accepted 00002a") {
		t.Errorf("%+v", a)
	}
	ev := w.house.heard()[0]
	if !strings.HasPrefix(ev.Key, "slack:T1/slash/trigger.") || ev.Text != "deploy staging" || ev.Origin.Channel != "C1" || ev.Origin.Message != "" {
		t.Errorf("%+v", ev)
	}
	w.deliver(w.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, ev.Origin))
	if p := w.Posts("C1"); len(p) != 1 || p[0].Thread != "" {
		t.Errorf("%+v", p)
	}
	if _, ok := w.Slash("U1", "C1", ""); !ok {
		t.Fatal("no answer within 3 s")
	}
	w.until("help", func() bool { a := w.Answers(); return len(a) == 2 && strings.Contains(a[1].Text, "Says hello") })

	held := make(chan struct{})
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		<-held
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: w.house.accept(ev)}, nil
	}
	if _, ok := w.Slash("U1", "C1", "deploy slowly"); !ok {
		t.Error("a slow one was not acknowledged within 3 s")
	}
	if len(w.Answers()) != 2 {
		t.Error("something was said before it was written")
	}
	close(held)
	w.until("the late receipt", func() bool { return len(w.Answers()) == 3 })
}

func TestNothingIsAcknowledgedThatIsNotWritten(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{AckWait: 200 * time.Millisecond})
	tries := 0
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		if tries++; tries < 3 {
			return bellhop.Answer{}, bellhop.Errorf(bellhop.Unavailable, "the store is away")
		}
		return w.house.usual(ev)
	}
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is marked at last", func() bool { return len(w.Reactions("C1", ts)) == 1 })
	w.quiet()
	if w.house.made() != 1 || len(w.Posts("C1")) != 0 {
		t.Errorf("%d runs, said %+v", w.house.made(), w.Posts("C1"))
	}
	// What Slack brings only once is answered in any case.
	tries = 0
	if _, ok := w.Slash("U1", "C1", "deploy"); !ok {
		t.Error("the slash command was not acknowledged")
	}
	w.until("the reason", func() bool { a := w.Answers(); return len(a) == 1 && strings.Contains(a[0].Text, "the store is away") })
}

// shown finds the bot's message that has the text.
func (w *world) shown(channel, text string) slacktest.Message {
	for _, m := range w.Posts(channel) {
		if strings.Contains(m.All(), text) {
			return m
		}
	}
	return slacktest.Message{}
}

func TestProgressIsOneMessage(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.ProgressAfter = 10 * time.Millisecond })
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		if !strings.HasPrefix(ev.Text, "deploy") {
			return w.house.usual(ev)
		}
		a := w.house.accept(ev)
		a.Rule = shows(bellhop.FormatText)
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: a}, nil
	}
	o := w.asked()
	w.until("it is shown", func() bool { return w.shown("C1", "(00002a) runs").TS != "" })
	ts := w.shown("C1", "(00002a) runs").TS
	begin := time.Now()
	for i := range 30 {
		w.house.print(74, bellhop.Stdout, fmt.Sprintf("step %d <!here>\n", i))
	}
	w.until("the last lines are shown", func() bool { return strings.Contains(w.Message("C1", ts).All(), "step 29") })
	m := w.Message("C1", ts)
	if strings.Contains(m.All(), "step 9 ") || strings.Contains(m.All(), "<!here>") || !slices.Equal(m.Buttons(), []string{"Cancel"}) {
		t.Errorf("shown %s", m.All())
	}
	w.house.print(74, bellhop.Stdout, "more\n")
	w.until("another edit", func() bool { return strings.Contains(w.Message("C1", ts).All(), "more") })
	if edits := w.Message("C1", ts).Edits; time.Duration(edits)*time.Second > time.Since(begin)+time.Second {
		t.Errorf("%d edits in %s", edits, time.Since(begin))
	}
	if err := w.Press("U1", "C1", ts, "Cancel"); err != nil {
		t.Fatal(err)
	}
	w.until("it is being stopped", func() bool { a := w.Answers(); return len(a) == 1 && a[0].Text == "stopping 00002a" })

	// A new life of the chat goes on with the same message.
	w.stop(w.chat)
	w.begin()
	w.house.print(74, bellhop.Stdout, "after the restart\n")
	w.until("the new life edits it", func() bool { return strings.Contains(w.Message("C1", ts).All(), "after the restart") })
	w.deliver(w.house.end(74, bellhop.Cancelled, shows(bellhop.FormatText), o))
	m = w.Message("C1", ts)
	if !strings.Contains(m.All(), "(00002a) cancelled, after") || !slices.Equal(m.Buttons(), []string{"Run again", "Logs"}) {
		t.Errorf("at the end: %s %v", m.All(), m.Buttons())
	}
	if n := len(w.Posts("C1")); n != 2 {
		t.Errorf("%d messages instead of the progress and the outcome", n)
	}
}

func TestAShortRunShowsNoProgress(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.ProgressAfter = 50 * time.Millisecond })
	o := w.asked()
	w.deliver(w.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, o))
	o = w.asked() // the time of the first has gone by when the second is shown
	w.until("the second is shown", func() bool { return w.shown("C1", "(00002b) runs").TS != "" })
	if m := w.shown("C1", "(00002a) runs"); m.TS != "" {
		t.Errorf("shown %+v", m)
	}
	w.deliver(w.house.end(75, bellhop.Succeeded, bellhop.ReportRule{}, o))
}

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
