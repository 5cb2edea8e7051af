package slack_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// talk is one conversation, whoever the bot is. over is called when a run is
// to end; after each piece of weather there must be another socket.
func talk(t *testing.T, s *slacktest.Server, over func(), weather ...func()) {
	t.Helper()
	has := func(channel, text string) func() bool {
		return func() bool {
			return slices.ContainsFunc(s.Posts(channel), func(m slacktest.Message) bool { return strings.Contains(m.All(), text) })
		}
	}
	say := func(what string) string { return s.Say("U1", "C1", "well, "+slacktest.Mention+" "+what) }
	marked := func(ts string) func() bool {
		return func() bool { return slices.Equal(s.Reactions("C1", ts), []string{"hourglass_flowing_sand"}) }
	}

	ts := say("deploy staging")
	s.Wait(t, "the ask is heard", func() bool { return len(s.Calls("reactions.add")) > 0 })
	s.Wait(t, "who asked is looked up", func() bool { return len(s.Calls("users.info")) > 0 })
	over()
	s.Wait(t, "the outcome", has("C1", "deploys deploy succeeded (00002a)"))
	s.Wait(t, "the mark is replaced", func() bool { return slices.Equal(s.Reactions("C1", ts), []string{"white_check_mark"}) })
	s.Wait(t, "the progress is over", func() bool {
		return slices.ContainsFunc(s.Posts("C1"), func(m slacktest.Message) bool {
			return m.Edits > 0 && slices.Equal(m.Buttons()[:1], []string{"Run again"})
		})
	})
	i := slices.IndexFunc(s.Posts("C1"), func(m slacktest.Message) bool { return m.Edits > 0 })
	if err := s.Press("U1", "C1", s.Posts("C1")[i].TS, "Run again"); err != nil {
		t.Fatal(err)
	}
	s.Wait(t, "the receipt", func() bool { a := s.Answers(); return len(a) == 1 && strings.HasPrefix(a[0].Text, "accepted 00002b") })

	s.Limit("chat.postMessage", "C1", 1, 1) // it waits, and comes again
	root := s.Say("U2", "C1", "an ordinary message")
	s.Reply("U1", "C1", root, slacktest.Mention+" help")
	s.Wait(t, "help in the thread", func() bool {
		p := s.Thread("C1", root)
		return len(p) == 2 && strings.Contains(p[1].All(), "Says hello")
	})
	channel, _ := s.Direct("U1", "help")
	s.Wait(t, "help in a direct message", has(channel, "Says hello"))
	if _, ok := s.Slash("U1", "C1", "help"); !ok {
		t.Fatal("the slash command was not acknowledged")
	}
	s.Wait(t, "help for one person", func() bool { a := s.Answers(); return len(a) == 2 && strings.Contains(a[1].All(), "Says hello") })

	ts = say("form")
	s.Wait(t, "it is asked back", func() bool { return len(s.Thread("C1", ts)) == 1 })
	if err := s.Press("U1", "C1", s.Thread("C1", ts)[0].TS, "Fill in"); err != nil {
		t.Fatal(err)
	}
	s.Wait(t, "the modal", func() bool { return len(s.Views()) == 1 })
	if faults, err := s.Submit(s.Views()[0].ID, map[string]string{"env": "staging", "count": "77"}); err != nil || faults["count"] == "" {
		t.Fatalf("77: %v %v", faults, err)
	}
	if faults, err := s.Submit(s.Views()[0].ID, map[string]string{"env": "staging", "count": "7"}); err != nil || faults != nil {
		t.Fatalf("7: %v %v", faults, err)
	}
	s.Wait(t, "the ask is marked", marked(ts))

	for _, change := range weather {
		n := s.Opened()
		change()
		s.Wait(t, "the next socket", func() bool { return s.Opened() > n })
		root := s.Say("U2", "C1", "an ordinary message")
		s.Reply("U1", "C1", root, slacktest.Mention+" help")
		s.Wait(t, "help in the thread", func() bool { return len(s.Thread("C1", root)) == 2 })
	}
	say("file")
	s.Wait(t, "the file", func() bool { f := s.Files(); return len(f) == 1 && len(f[0].Data) == 5000 && f[0].Channel == "C1" })
	s.Wait(t, "everything is acknowledged", func() bool { return s.Waiting() == 0 })
}

func TestTheConversationWithBellhop(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{}, func(o *slack.Options) { o.ProgressAfter = time.Millisecond })
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		q := envQuestion(bellhop.AskArgument)
		q.Missing = q.Missing[:2]
		switch {
		case ev.Question != "":
			return bellhop.Answer{Action: bellhop.ActionRun, Accepted: w.house.accept(ev)}, nil
		case ev.Text == "form":
			return bellhop.Answer{Question: q}, nil
		case ev.Text == "file":
			id := w.house.accept(ev).Run
			w.house.runs[id].chunks = []bellhop.Chunk{{Seq: 1, Attempt: 1, Channel: bellhop.Stdout, Data: bytes.Repeat([]byte("x"), 5000)}}
			return bellhop.Answer{Action: bellhop.ActionLogs, Run: id}, nil
		}
		return w.house.usual(ev)
	}
	talk(t, w.Server, func() {
		w.until("the progress is shown", func() bool { return w.shown("C1", "(00002a) runs").TS != "" })
		w.deliver(w.house.end(74, bellhop.Succeeded, bellhop.ReportRule{Success: true}, w.house.heard()[0].Origin))
	}, w.DropSockets, func() { w.Disconnect("warning") }, func() { w.Disconnect("refresh_requested") })
}

// node says why the conversation with Slack's own framework can't be had, and
// whether a program is missing for it; "" = it can.
func node() (why string, missing bool) {
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return "node is not on PATH; install Node 20 or newer", true
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		return "node is " + strings.TrimSpace(string(out)) + "; Node 20 or newer is needed", false
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "npm is not on PATH; install it beside Node", true
	}
	return "", false
}

// away reports whether npm says that it could not reach its registry.
func away(npm []byte) bool {
	for _, code := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "E403", "E503"} {
		if bytes.Contains(npm, []byte(code)) {
			return true
		}
	}
	return false
}

func TestTheConversationWithBolt(t *testing.T) {
	t.Parallel()
	if why, missing := node(); why != "" {
		if missing && os.Getenv("BELLHOP_TEST_REQUIRE") == "all" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "app.js"} {
		text, err := os.ReadFile(filepath.Join("slacktest", "bolt", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil && away(out) {
		t.Skipf("npm's registry can't be reached, so Slack's own framework is not there: %v\n%s", err, out)
	} else if err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	s := slacktest.New(t, slacktest.Options{})
	bot := exec.CommandContext(ctx, "node", "app.js")
	bot.Dir = dir
	bot.Env = append(os.Environ(), "SLACK_API_URL="+s.URL, "SLACK_BOT_TOKEN="+slacktest.BotToken, "SLACK_APP_TOKEN="+slacktest.AppToken)
	var faults bytes.Buffer
	bot.Stderr = &faults
	in, err := bot.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := bot.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // it ends by that
		_, _ = io.Copy(io.Discard, out)
		if err := bot.Wait(); err != nil {
			t.Errorf("the bot: %v", err)
		}
		if faults.Len() > 0 { // it complains of dropped sockets
			t.Log(faults.String())
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		t.Fatalf("the bot says %q: %v\n%s", line, err, faults.String())
	}
	s.Wait(t, "a socket is open", func() bool { return s.Sockets() == 1 })
	talk(t, s, func() {}, func() { s.Disconnect("warning") })
}

// The lock names one version of everything, and what it hashes to.
func TestBoltIsPinned(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("slacktest", "bolt", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if name != "" && (p.Version == "" || p.Integrity == "") {
			t.Errorf("%s is not pinned: %+v", name, p)
		}
	}
	if lock.Packages["node_modules/@slack/bolt"].Version == "" {
		t.Error("bolt is not there")
	}
}
