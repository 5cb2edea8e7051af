package slack_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// slashed has Alice use the slash command in #general.
func (w *world) slashed(text string) {
	w.t.Helper()
	if _, ok := w.Slash("U1", "C1", text); !ok {
		w.t.Fatalf("/bellhop %s was not acknowledged", text)
	}
}

// silent fails when the bot has said something in #general.
func (w *world) silent() {
	w.t.Helper()
	if p := w.Posts("C1"); len(p) != 0 {
		w.t.Errorf("everybody is told %+v", p)
	}
}

// alone waits for the n-th answer, which only Alice is shown.
func (w *world) alone(n int, text string) {
	w.t.Helper()
	w.until(text, func() bool { return len(w.Answers()) >= n })
	if a := w.Answers(); len(a) != n || a[n-1].User != "U1" || !strings.Contains(a[n-1].Text, text) {
		w.t.Errorf("told %+v, which is not %q", a, text)
	}
}

func TestTheSlashCommandIsAnsweredToOnePersonAlone(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.house.print(74, bellhop.Stdout, "the key is 4711\n")
	w.house.print(75, bellhop.Stdout, strings.Repeat("the key is 4711\n", 5000))
	w.slashed("logs 00002a")
	w.alone(1, "the key is 4711")
	w.slashed("logs 00002b")
	w.alone(2, "sent to you directly")
	w.slashed("logs 00002c")
	w.alone(3, "there is no run 00002c")
	w.slashed("secret")
	w.alone(4, "secret is for ops only")
	w.slashed("help")
	w.alone(5, "Says hello")
	if f := w.Files(); len(f) != 1 || f[0].Channel != "D1" || f[0].Name != "00002b.log" {
		t.Errorf("files %+v", f)
	}
	w.silent()
}

func TestAnAnswerToOnePersonIsNeverShownToAll(t *testing.T) {
	t.Parallel()
	w := start(t, slacktest.Options{})
	w.house.print(74, bellhop.Stdout, "the key is 4711\n")
	w.Break("response_url", 2)
	w.slashed("logs 00002a")
	w.alone(1, "the key is 4711")
	if n := len(w.Calls("chat.postEphemeral")); n != 1 {
		t.Errorf("%d times shown in the channel to one person", n)
	}
	w.Kick("C1", slacktest.BotUser)
	w.slashed("logs 00002a")
	w.until("it is sent directly", func() bool { return strings.Contains(w.shown("D1", "the key").Text, "the key is 4711") })
	w.silent()
}

func TestAnswersGoToSlackAlone(t *testing.T) {
	t.Parallel()
	var called atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(other.Close)
	var mu sync.Mutex
	var log strings.Builder
	w := start(t, slacktest.Options{}, func(o *slack.Options) {
		o.Log = slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
	})
	own := strings.TrimSuffix(w.URL, "/api/")
	moved := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	for i, to := range []string{
		other.URL + "/respond/U1/C1", "https://hooks.slack.com.evil.example/x", "http://hooks.slack.com/x", "https://evil@hooks.slack.com/x",
		strings.Replace(own, "http://", "http://evil@", 1) + "/respond/U1/C1", strings.Replace(own, "http:", "https:", 1) + "/x", "file:///etc/passwd", "//x", "::", moved.URL,
	} {
		payload := map[string]any{"command": "/bellhop", "text": "help", "user_id": "U1", "channel_id": "C1", "team_id": "T1", "trigger_id": to, "response_url": to}
		if _, ok := w.Envelope("slash_commands", payload); !ok {
			t.Fatal("not acknowledged")
		}
		w.alone(i+1, "Says hello") // by another way
		if n := len(w.Calls("chat.postEphemeral")); n != i+1 {
			t.Errorf("%s was called", to)
		}
	}
	if n := called.Load(); n != 0 {
		t.Errorf("somebody else was called %d times", n)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "it is not called") || !strings.Contains(log.String(), "hooks.slack.com.evil.example") {
		t.Errorf("it is not logged:\n%s", log.String())
	}
}
