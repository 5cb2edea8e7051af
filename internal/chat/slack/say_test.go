package slack_test

import (
	"encoding/base64"
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
	w.until("who pressed has the receipt and the log", func() bool {
		a := w.Answers()
		return len(a) == 2 && strings.Contains(a[0].Text, "accepted 00002b") && strings.Contains(a[1].Text, "```\ndisk full &lt;!here&gt;")
	})
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

func TestARunThatBeganLateShowsNoProgressAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.ProgressAfter = 50 * time.Millisecond })
	began := time.Now().Add(time.Second)
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		a := w.house.accept(ev)
		w.house.runs[a.Run].Started = &began
		return bellhop.Answer{Action: bellhop.ActionRun, Accepted: a}, nil
	}
	w.asked()
	w.until("it is shown", func() bool { return w.shown("C1", "(00002a) runs").TS != "" })
	if at := w.Calls("chat.postMessage")[0].At; at.Before(began.Add(50 * time.Millisecond)) {
		t.Errorf("it is shown %s before its time", began.Sub(at))
	}
}
