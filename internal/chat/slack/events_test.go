package slack_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/slack"
	"github.com/bellhop-io/bellhop/internal/chat/slack/slacktest"
)

// eventsWorld is a chat that hears by the Events API.
func eventsWorld(t *testing.T, set ...func(*slack.Options)) *world {
	t.Helper()
	var w *world
	ready := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		<-ready
		w.chat.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	set = append(set, func(o *slack.Options) { o.Events, o.AppToken, o.SigningSecret = true, "", slacktest.SigningSecret })
	w = start(t, slacktest.Options{EventsURL: front.URL, AckWait: 200 * time.Millisecond}, set...)
	close(ready)
	return w
}

func TestTheEventsAPI(t *testing.T) {
	t.Parallel()
	w := eventsWorld(t)
	ts := w.Say("U1", "C1", slacktest.Mention+" deploy <https://x.example|x.example>")
	w.until("the ask is marked", func() bool { return len(w.Reactions("C1", ts)) == 1 })
	if _, ok := w.Slash("U1", "C1", "deploy &amp; go"); !ok {
		t.Error("the slash command was not answered")
	}
	w.until("the receipt", func() bool { return len(w.Answers()) == 1 })
	w.deliver(w.house.end(74, bellhop.Failed, bellhop.ReportRule{}, w.house.heard()[0].Origin))
	if err := w.Press("U1", "C1", w.Posts("C1")[0].TS, "Run again"); err != nil {
		t.Error(err)
	}
	w.until("it is run again", func() bool { return w.house.made() == 3 })
	w.asking(bellhop.AskArgument)
	if _, ok := w.Slash("U1", "C1", "deploy"); !ok {
		t.Error("the slash command was not answered")
	}
	w.until("the modal is open", func() bool { return len(w.Views()) == 1 })
	faults, err := w.Submit(w.Views()[0].ID, map[string]string{"env": "staging", "count": "77", "rate": "1", "day": "2026-03-04", "hosts": "a", "note": "b"})
	if err != nil || faults["count"] == "" {
		t.Errorf("%v %v", faults, err)
	}
	tries := 0
	w.house.mu.Lock()
	w.house.script = func(ev bellhop.Event) (bellhop.Answer, error) {
		if tries++; tries < 3 {
			return bellhop.Answer{}, bellhop.Errorf(bellhop.Unavailable, "the store is away")
		}
		return w.house.usual(ev)
	}
	w.house.mu.Unlock()
	ts = w.Say("U1", "C1", slacktest.Mention+" deploy")
	w.until("it is marked at last", func() bool { return len(w.Reactions("C1", ts)) == 1 })
}

func TestRequestsThatAreNotSlacks(t *testing.T) {
	t.Parallel()
	w := eventsWorld(t)
	body := []byte(`{"type":"url_verification","challenge":"c-1"}`)
	mention := []byte(`{"type":"event_callback","event":{"type":"app_mention","channel":"C1","user":"U1","ts":"1.000001","text":"<@UBOT> deploy"}}`)
	ask := func(body []byte, header http.Header, method string) (int, string) {
		t.Helper()
		req := httptest.NewRequest(method, "/slack/events", bytes.NewReader(body))
		for k, v := range header {
			req.Header[k] = v
		}
		rec := httptest.NewRecorder()
		w.chat.Handler().ServeHTTP(rec, req)
		got, _ := io.ReadAll(rec.Body)
		return rec.Code, string(got)
	}
	if code, got := ask(body, slacktest.Sign(body, time.Now()), "POST"); code != 200 || got != "c-1" {
		t.Errorf("the challenge: %d %q", code, got)
	}
	wrong := slacktest.Sign(mention, time.Now())
	wrong["X-Slack-Signature"] = []string{"v0=" + strings.Repeat("0", 64)}
	for name, h := range map[string]http.Header{
		"unsigned": {}, "forged": wrong, "old": slacktest.Sign(mention, time.Now().Add(-301*time.Second)), "early": slacktest.Sign(mention, time.Now().Add(302*time.Second)),
		"another body": slacktest.Sign(body, time.Now()),
	} {
		if code, got := ask(mention, h, "POST"); code != 401 {
			t.Errorf("%s: %d %s", name, code, got)
		}
	}
	if code, _ := ask(mention, slacktest.Sign(mention, time.Now()), "GET"); code != 405 {
		t.Errorf("GET: %d", code)
	}
	for _, junk := range []string{"", "{", "payload=%7B"} {
		if code, _ := ask([]byte(junk), slacktest.Sign([]byte(junk), time.Now()), "POST"); code != 400 {
			t.Errorf("%q: %d", junk, code)
		}
	}
	big := bytes.Repeat([]byte("x"), 2<<20)
	if code, _ := ask(big, slacktest.Sign(big, time.Now()), "POST"); code != 413 {
		t.Errorf("a large body: %d", code)
	}
	if got := w.house.heard(); len(got) != 0 {
		t.Errorf("heard %+v", got)
	}
}
