package outside_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
)

// bot takes reports at an address. It answers as a test says.
type bot struct {
	*httptest.Server
	bodies  []string
	headers []http.Header
	status  int
	answer  string
	to      string // Location
}

func newBot(t *testing.T) *bot {
	b := &bot{status: 200}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.bodies, b.headers = append(b.bodies, string(body)), append(b.headers, r.Header)
		if b.to != "" {
			w.Header().Set("Location", b.to)
		}
		w.WriteHeader(b.status)
		_, _ = io.WriteString(w, b.answer)
	}))
	t.Cleanup(b.Close)
	return b
}

// chat is a source whose reports are posted to the bot.
func (b *bot) chat(h *house) *outside.Chat {
	return h.chat(func(o *outside.Options) {
		o.URL, o.Secret = b.URL+"/reports?key=s3cret", func(context.Context) (string, error) { return "the-secret", nil }
	})
}

func (b *bot) last(t *testing.T) outside.Report {
	t.Helper()
	var r outside.Report
	if len(b.bodies) == 0 {
		t.Fatal("nothing was posted")
	}
	if err := json.Unmarshal([]byte(b.bodies[len(b.bodies)-1]), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReportsArePostedAndSigned(t *testing.T) {
	h, b := newHouse(), newBot(t)
	b.answer = `{"reference": "m-1", "more": [1]}`
	ref, err := b.chat(h).Deliver(t.Context(), h.tell(7, bellhop.ReportOutcome, ""))
	if ref != "m-1" || err != nil {
		t.Fatal(ref, err)
	}
	want := `{"id":"7","kind":"outcome","run":{"id":"000007","service":"site","job":"deploy","state":"succeeded","asked_by":"alice"},"to":{"person":"alice","channel":"#ops"},"text":"done"}`
	is(t, "the body", b.bodies[0], want)
	sig := b.headers[0].Get(outside.HeaderSignature)
	at, err := time.ParseDuration(strings.TrimPrefix(strings.Split(sig, ",")[0], "t=") + "s")
	if err != nil || sig != outside.Sign("the-secret", time.Unix(int64(at.Seconds()), 0), []byte(want)) {
		t.Errorf("the signature is %s, %v", sig, err)
	}
	is(t, "the source", b.headers[0].Get(outside.HeaderSource), "irc")
	is(t, "the report", b.headers[0].Get(outside.HeaderReport), "7")
	// As Python's hmac makes it.
	is(t, "a signature", outside.Sign("the-secret", time.Unix(1700000000, 0), []byte("body")), "t=1700000000,v1=ebcff6e09026e2c3209227691ebec6b8ff685743c2e990713dc111aa8151a57e")
}

func TestWhatIsAnsweredToAReport(t *testing.T) {
	for _, c := range []struct {
		status  int
		answer  string
		ref     string
		refused bool
	}{
		{200, "", "", false}, {204, "", "", false}, {202, "thanks", "", false}, {201, `{"reference":"x"}`, "x", false},
		{200, `{"reference":"a\u0000b"}`, "", false}, {200, `{"reference":"` + strings.Repeat("x", 201) + `"}`, "", false}, {200, `{"reference":7}`, "", false},
		{200, strings.Repeat(" ", 1<<20), "", false},
		{301, "", "", true}, {307, "", "", true}, {400, `{"reference":"x"}`, "", true}, {500, "s3cret-of-theirs", "", true},
	} {
		h, b := newHouse(), newBot(t)
		b.status, b.answer = c.status, c.answer
		if c.status/100 == 3 {
			b.to = b.URL + "/elsewhere"
		}
		ref, err := b.chat(h).Deliver(t.Context(), h.tell(1, bellhop.ReportOutcome, ""))
		if (err != nil) != c.refused || ref != c.ref || len(b.bodies) != 1 {
			t.Errorf("%d %.40q: %q, %v, posted %d times", c.status, c.answer, ref, err, len(b.bodies))
		}
		if err != nil && (bellhop.CodeOf(err) != bellhop.Unavailable || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	h, b := newHouse(), newBot(t)
	c := b.chat(h)
	b.Close()
	if _, err := c.Deliver(t.Context(), h.tell(1, bellhop.ReportOutcome, "")); bellhop.CodeOf(err) != bellhop.Unavailable || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("nobody there: %v", err)
	}
}

// What a source can show is what it gets.
func TestWhatReportsShow(t *testing.T) {
	h, b := newHouse(), newBot(t)
	c := b.chat(h)
	tell := func(kind bellhop.ReportKind, note string) outside.Report {
		t.Helper()
		if _, err := c.Deliver(t.Context(), h.tell(1, kind, note)); err != nil {
			t.Fatal(err)
		}
		return b.last(t)
	}
	h.out = "a\x1b]0;title\x07b\x00\u202e\xff\n\tc\n"
	if r := tell(bellhop.ReportOutcome, ""); r.Text != "a^[]0;title^Gb^@\\u202e\ufffd\n\tc" {
		t.Errorf("hostile output is %q", r.Text)
	}
	h.out = strings.Repeat("é", 20_000)
	if r := tell(bellhop.ReportOutcome, ""); utf8.RuneCountInString(r.Text) != 16<<10 || !strings.HasSuffix(r.Text, "é\n... (cut; 20,000 characters in all)") || r.File != nil {
		t.Errorf("long output has %d characters and ends %q", utf8.RuneCountInString(r.Text), r.Text[len(r.Text)-60:])
	}
	if err := c.Register(t.Context(), outside.Shows{Files: true, Length: 100, Edits: true}); err != nil {
		t.Fatal(err)
	}
	if r := tell(bellhop.ReportOutcome, ""); r.File == nil || r.File.Name != "000001.txt" || string(r.File.Data) != h.out || utf8.RuneCountInString(r.Text) > 100 {
		t.Errorf("long output as a file: %+v", r)
	}
	h.out, h.rule.Format = "a\x00b\n", bellhop.FormatFile
	if r := tell(bellhop.ReportOutcome, ""); r.File == nil || string(r.File.Data) != "a\x00b\n" || r.Text != "" {
		t.Errorf("a file: %+v", r)
	}
	h.out = strings.Repeat("x", 2<<20)
	if r := tell(bellhop.ReportOutcome, ""); r.File == nil || len(r.File.Data) != 1<<20 || !strings.Contains(r.Text, "the beginning") {
		t.Errorf("a large file: %q", r.Text)
	}
	b.answer = `{"reference":"m-1"}`
	if r := tell(bellhop.ReportProgress, "half"); r.Edit != "" || r.Text != "000001 site deploy: half" {
		t.Errorf("progress: %+v", r)
	}
	if r := tell(bellhop.ReportProgress, "all"); r.Edit != "m-1" {
		t.Errorf("progress: %+v", r)
	}
	b.answer = ""
	if r := tell(bellhop.ReportProgress, "more"); r.Edit != "m-1" {
		t.Errorf("progress: %+v", r)
	}
	if r := tell(bellhop.ReportOutcome, ""); r.Edit != "" {
		t.Errorf("an outcome: %+v", r)
	}
	if err := c.Register(t.Context(), outside.Shows{}); err != nil {
		t.Fatal(err)
	}
	if r := tell(bellhop.ReportProgress, "more"); r.Edit != "" {
		t.Errorf("to one that can't edit: %+v", r)
	}
}
