package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// freeAddress is an address on which nobody listens just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestSlackOverHTTP has Slack send its events to the HTTP server, where nobody
// else's are taken.
func TestSlackOverHTTP(t *testing.T) {
	addr := freeAddress(t)
	w := slacktest.New(t, slacktest.Options{EventsURL: "http://" + addr + "/slack/events"})
	start(t, fmt.Sprintf(`
web: {listen: %q}
chats:
  slack: {bot_token: %s, signing_secret: %s, events: /slack/events, api_url: %q}
services:
  example:
    jobs:
      hello: {run: echo over HTTP, report: {stdout: true}}
    commands:
      - {command: say hello, job: hello}
`, addr, slacktest.BotToken, slacktest.SigningSecret, w.URL))
	ts := w.Say("U1", "C1", slacktest.Mention+" example say hello")
	w.Wait(t, "the outcome", func() bool {
		return slices.ContainsFunc(w.Posts("C1"), func(m slacktest.Message) bool { return strings.Contains(m.All(), "over HTTP") })
	})
	w.Wait(t, "the mark", func() bool { return slices.Equal(w.Reactions("C1", ts), []string{"white_check_mark"}) })
	if status, body := get(t, "http://"+addr+"/readyz"); status != 200 || body != "store: ready\nchats: ready\n" {
		t.Errorf("/readyz: %d %q", status, body)
	}
	resp, err := http.Post("http://"+addr+"/slack/events", "application/json", strings.NewReader(`{"type":"url_verification","challenge":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("an unsigned request: %s", resp.Status)
	}
	if status, body := get(t, "http://"+addr+"/v1/runs"); status != 401 {
		t.Errorf("the API is served to anybody: %d %q", status, body)
	}
}
