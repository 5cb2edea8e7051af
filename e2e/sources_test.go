package e2e_test

import (
	"bufio"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestManualBot runs the bot of docs/sources.md, and has the conversation that
// the page shows.
func TestManualBot(t *testing.T) {
	t.Parallel()
	need(t, "python3", "apt-get install python3")
	text, err := os.ReadFile("../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	p := newPlace(t)
	for _, b := range readPage(t, "../docs/sources.md", string(text)) {
		if b.file != "" {
			p.write(b.file, strings.ReplaceAll(strings.Join(b.lines, "\n")+"\n", "127.0.0.1:8080", addr))
		}
	}
	_, said, _ := strings.Cut(string(text), "It says, for three lines:\n\n```text\n")
	said, _, shown := strings.Cut(said, "```")
	if !shown {
		t.Fatal("the page does not show what the bot says")
	}
	p.serve("up")
	token := strings.TrimSpace(p.must("bellhop", "token", "create", "desk", "--source", "desk"))
	bot := p.command("python3", "bot.py")
	bot.Env = append(bot.Env, "BELLHOP_TOKEN="+token)
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
	defer func() {
		in.Close()
		if err := bot.Wait(); err != nil {
			t.Error(err)
		}
	}()
	lines := bufio.NewScanner(out)
	says := func(want []string) { // what is answered and what is reported may come in either order
		t.Helper()
		var got []string
		for range want {
			if !lines.Scan() {
				t.Fatalf("the bot has ended, and the page says %q", want)
			}
			got = append(got, lines.Text())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the bot says %q, the page %q", got, want)
		}
	}
	says([]string{"I am bellhop"})
	var want []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			want = append(want, line)
			continue
		}
		says(want)
		want = nil
		if _, err := in.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	says(want)
}
