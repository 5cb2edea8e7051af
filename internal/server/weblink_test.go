package server_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// linkIn is the login link in a text.
var linkIn = regexp.MustCompile(`http://\S+/login/\S+`)

// linked asks `web` of a desk and returns the link.
func linked(t *testing.T, d chat.Desk, key string) string {
	t.Helper()
	a, err := d.Ask(t.Context(), key, "web")
	if err != nil || a.Login == nil {
		t.Fatalf("%+v, %v", a, err)
	}
	return a.Login.Link
}

// opens reports whether a link opens a session.
func opens(t *testing.T, link string) bool {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.PostForm(link, url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusSeeOther && len(resp.Cookies()) == 1
}

func TestWebIsAnsweredWithALoginLink(t *testing.T) {
	var log buffer
	w := slacktest.New(t, slacktest.Options{})
	addr := freeAddress(t)
	s := startIn(t, t.TempDir(), fmt.Sprintf(`
web: {listen: %q}
log: {level: debug}
people:
  alice: {slack: T1/U1}
  op: {local: root}
chats:
  slack: {app_token: %s, bot_token: %s, api_url: %q}
services:
  example:
    jobs:
      hello: {run: echo hello}

`, addr, slacktest.AppToken, slacktest.BotToken, w.URL), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	var links []string

	w.Say("U1", "C1", slacktest.Mention+" web")
	direct, _ := w.Direct("U1", "hello")
	w.Wait(t, "a link", func() bool {
		for _, m := range w.Posts(direct) {
			links = append(links, linkIn.FindAllString(m.All(), -1)...)
		}
		return len(links) > 0
	})
	w.Wait(t, "the channel is answered", func() bool { return len(w.Posts("C1")) == 1 })
	if text := w.Posts("C1")[0].All(); strings.Contains(text, "/login/") {
		t.Errorf("the channel is told %q", text)
	}

	c := client(t, s)
	links = append(links, linked(t, c, "k1"))
	if a, err := c.Ask(t.Context(), "k1", "web"); bellhop.CodeOf(err) != bellhop.Conflict || a.Login != nil {
		t.Errorf("the same again: %+v, %v", a, err)
	}
	if a, err := c.Ask(t.Context(), "k2", "in 20m web"); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Errorf("later: %+v, %v", a, err)
	}
	if a, err := c.Ask(t.Context(), "k3", "help"); err != nil || !strings.Contains(a.Text, "  web  ") {
		t.Errorf("help: %q, %v", a.Text, err)
	}
	stands := token(t, s, bellhop.Token{Name: "stands", As: "alice"})
	for tok, want := range map[string]int{stands: 200, token(t, s, bellhop.Token{Name: "own"}): 403, token(t, s, bellhop.Token{Name: "narrow", As: "alice", Allow: []string{"example"}}): 403} {
		status, body := network(t, "POST", "http://"+addr+"/v1/runs", tok, `{"text": "web"}`)
		if found := linkIn.FindString(strings.Trim(body, "{}")); status != want || (found != "") != (want == 200) {
			t.Errorf("a token: %d %s", status, body)
		} else if found != "" {
			links = append(links, strings.TrimRight(strings.Split(found, `"`)[0], `\`))
		}
	}
	for i, l := range links {
		if !opens(t, l) {
			t.Errorf("link %d opens nothing: %s", i, l)
		}
		if opens(t, l) {
			t.Errorf("link %d opens twice", i)
		}
	}
	records, err := c.Audit(t.Context(), bellhop.AuditFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(t.Context(), 0)
	for _, l := range links {
		code := l[strings.LastIndex(l, "/")+1:]
		_, part, ok := strings.Cut(code, ".")
		if !ok || strings.Contains(log.String(), part) || strings.Contains(fmt.Sprint(records), part) {
			t.Errorf("%s stands in the log or the trail", code)
		}
	}
}

func TestWebWithoutAWebPage(t *testing.T) {
	s := start(t, echo)
	c := client(t, s)
	if _, err := c.Ask(t.Context(), "k", "web"); bellhop.CodeOf(err) != bellhop.NotFound || !strings.Contains(err.Error(), "web: {listen") {
		t.Error(err)
	}
}
