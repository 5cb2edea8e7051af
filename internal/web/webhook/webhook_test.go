package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/webhook"
)

var now = time.Unix(1_800_000_000, 0)

func sign(sum func() hash.Hash, secret, text string) []byte {
	m := hmac.New(sum, []byte(secret))
	m.Write([]byte(text))
	return m.Sum(nil)
}

func hexed(b []byte) string { return hex.EncodeToString(b) }

// TestGitHubsOwnExample is the one that GitHub publishes to try an
// implementation with.
func TestGitHubsOwnExample(t *testing.T) {
	p := &bellhop.Proof{Kind: bellhop.ProofGitHub}
	r := &webhook.Request{Header: http.Header{}, Body: []byte("Hello, World!"), Now: now}
	r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1")
	if err := webhook.Prove(p, "It's a Secret to Everybody", r); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("with a digit missing: %v", err)
	}
	r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if err := webhook.Prove(p, "It's a Secret to Everybody", r); err != nil {
		t.Error(err)
	}
	r.Body = []byte("Hello, World?")
	if err := webhook.Prove(p, "It's a Secret to Everybody", r); bellhop.CodeOf(err) != bellhop.NotAllowed {
		t.Errorf("another body: %v", err)
	}
}

func TestProofs(t *testing.T) {
	const secret, body = "correct horse", `{"a":1}`
	at := fmt.Sprint(now.Unix())
	old := fmt.Sprint(now.Add(-6 * time.Minute).Unix())
	hm := bellhop.Proof{Kind: bellhop.ProofHMAC, Header: "X-Signature", Encoding: "hex", Hash: "sha256", Window: 5 * time.Minute}
	with := func(p bellhop.Proof, change func(*bellhop.Proof)) bellhop.Proof { change(&p); return p }
	timed := with(hm, func(p *bellhop.Proof) { p.Time = "X-Time" })
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, tt := range []struct {
		name   string
		proof  bellhop.Proof
		header []string
		from   string
		ok     bool
	}{
		{"github", bellhop.Proof{Kind: bellhop.ProofGitHub}, []string{"X-Hub-Signature-256", "sha256=" + hexed(sign(sha256.New, secret, body))}, "", true},
		{"github, another secret", bellhop.Proof{Kind: bellhop.ProofGitHub}, []string{"X-Hub-Signature-256", "sha256=" + hexed(sign(sha256.New, "other", body))}, "", false},
		{"github, old", bellhop.Proof{Kind: bellhop.ProofGitHub}, []string{"X-Hub-Signature", "sha1=" + hexed(sign(sha1.New, secret, body))}, "", false},
		{"github, old and said so", bellhop.Proof{Kind: bellhop.ProofGitHub, SHA1: true}, []string{"X-Hub-Signature", "sha1=" + hexed(sign(sha1.New, secret, body))}, "", true},
		{"github, nothing", bellhop.Proof{Kind: bellhop.ProofGitHub, SHA1: true}, nil, "", false},
		{"github, empty", bellhop.Proof{Kind: bellhop.ProofGitHub}, []string{"X-Hub-Signature-256", "sha256="}, "", false},
		{"gitlab", bellhop.Proof{Kind: bellhop.ProofGitLab}, []string{"X-Gitlab-Token", secret}, "", true},
		{"gitlab, wrong", bellhop.Proof{Kind: bellhop.ProofGitLab}, []string{"X-Gitlab-Token", secret + " "}, "", false},
		{"gitlab, nothing", bellhop.Proof{Kind: bellhop.ProofGitLab}, nil, "", false},
		{"stripe", bellhop.Proof{Kind: bellhop.ProofStripe}, []string{"Stripe-Signature", "t=" + at + ",v0=x,v1=00,v1=" + hexed(sign(sha256.New, secret, at+"."+body))}, "", true},
		{"stripe, old", bellhop.Proof{Kind: bellhop.ProofStripe}, []string{"Stripe-Signature", "t=" + old + ",v1=" + hexed(sign(sha256.New, secret, old+"."+body))}, "", false},
		{"stripe, a time that was not signed", bellhop.Proof{Kind: bellhop.ProofStripe}, []string{"Stripe-Signature", "t=" + at + ",v1=" + hexed(sign(sha256.New, secret, old+"."+body))}, "", false},
		{"stripe, nothing", bellhop.Proof{Kind: bellhop.ProofStripe}, nil, "", false},
		{"hmac", hm, []string{"X-Signature", hexed(sign(sha256.New, secret, body))}, "", true},
		{"hmac, a prefix that is missing", with(hm, func(p *bellhop.Proof) { p.Prefix = "v1=" }), []string{"X-Signature", hexed(sign(sha256.New, secret, body))}, "", false},
		{"hmac, base64 of sha512", with(hm, func(p *bellhop.Proof) { p.Prefix, p.Encoding, p.Hash = "v1=", "base64", "sha512" }),
			[]string{"X-Signature", "v1=" + base64.StdEncoding.EncodeToString(sign(sha512.New, secret, body))}, "", true},
		{"hmac, sha1 for sha256", hm, []string{"X-Signature", hexed(sign(sha1.New, secret, body))}, "", false},
		{"hmac with a time", timed, []string{"X-Time", at, "X-Signature", hexed(sign(sha256.New, secret, at+"."+body))}, "", true},
		{"hmac with an old time", timed, []string{"X-Time", old, "X-Signature", hexed(sign(sha256.New, secret, old+"."+body))}, "", false},
		{"hmac with a time that is not signed", timed, []string{"X-Time", at, "X-Signature", hexed(sign(sha256.New, secret, body))}, "", false},
		{"bearer", bellhop.Proof{Kind: bellhop.ProofBearer}, []string{"Authorization", "Bearer " + secret}, "", true},
		{"bearer, without the word", bellhop.Proof{Kind: bellhop.ProofBearer}, []string{"Authorization", secret}, "", false},
		{"basic", bellhop.Proof{Kind: bellhop.ProofBasic, User: "u"}, []string{"Authorization", basic("u", secret)}, "", true},
		{"basic, another user", bellhop.Proof{Kind: bellhop.ProofBasic, User: "u"}, []string{"Authorization", basic("v", secret)}, "", false},
		{"basic, no password", bellhop.Proof{Kind: bellhop.ProofBasic, User: "u"}, []string{"Authorization", basic("u", "")}, "", false},
		{"from there", bellhop.Proof{Kind: bellhop.ProofBearer, From: []string{"10.0.0.0/8", "192.0.2.0/24"}}, []string{"Authorization", "Bearer " + secret}, "192.0.2.7", true},
		{"from elsewhere", bellhop.Proof{Kind: bellhop.ProofBearer, From: []string{"10.0.0.0/8"}}, []string{"Authorization", "Bearer " + secret}, "192.0.2.7", false},
		{"of no kind", bellhop.Proof{}, []string{"Authorization", "Bearer " + secret}, "", false},
	} {
		r := &webhook.Request{Header: http.Header{}, Body: []byte(body), Now: now}
		for i := 0; i < len(tt.header); i += 2 {
			r.Header.Set(tt.header[i], tt.header[i+1])
		}
		if tt.from != "" {
			r.From = netip.MustParseAddr(tt.from)
		}
		err := webhook.Prove(&tt.proof, secret, r)
		if tt.ok && err != nil || !tt.ok && bellhop.CodeOf(err) != bellhop.NotAllowed {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s tells the secret: %v", tt.name, err)
		}
		if webhook.Prove(&tt.proof, "", r) == nil {
			t.Errorf("%s: an empty secret is enough", tt.name)
		}
	}
}

// house writes down what it is asked.
type house struct {
	mu       sync.Mutex
	hooks    []bellhop.Webhook
	asked    []string
	unproven []string
	came     []bellhop.Delivery
	err      error
}

func (h *house) Delivered(d []bellhop.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.came = append(h.came, d...)
}

func (h *house) Webhooks(service string) []bellhop.Webhook {
	if service != "site" {
		return nil
	}
	return h.hooks
}

func (h *house) Reveal(_ context.Context, s string) (string, error) { return s, nil }

func (h *house) Hook(_ context.Context, w *bellhop.Webhook, key string, args bellhop.Args) (bellhop.RunID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return 0, h.err
	}
	h.asked = append(h.asked, fmt.Sprint(key, " ", args["env"]))
	return bellhop.RunID(len(h.asked)), nil
}

func (h *house) Unproven(_ context.Context, service string, from netip.Addr, times int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unproven = append(h.unproven, fmt.Sprintf("%s %d %v", service, times, err))
}

type clock struct {
	bellhop.SystemClock
	at time.Time
}

func (c *clock) Now() time.Time { return c.at }

func post(h http.Handler, path, body string, header ...string) (int, map[string]any) {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := map[string]any{}
	_ = json.Unmarshal(w.Body.Bytes(), &got)
	return w.Code, got
}

func github(secret, event, id, body string) []string {
	return []string{"X-GitHub-Event", event, "X-GitHub-Delivery", id, "X-Hub-Signature-256", "sha256=" + hexed(sign(sha256.New, secret, body))}
}

func TestDeliveries(t *testing.T) {
	hs := &house{hooks: []bellhop.Webhook{
		{Service: "site", Name: "merged", Named: true, Job: "deploy", Proof: bellhop.Proof{Kind: bellhop.ProofGitHub, Secret: "one-one-one"}, Events: []string{"pull_request"},
			When: []bellhop.Condition{{Path: "action", Any: []string{"closed"}}}, Args: bellhop.Args{"env": bellhop.Text("{event.env}")}},
		{Service: "site", Name: "all", Named: true, Job: "note", Proof: bellhop.Proof{Kind: bellhop.ProofGitHub, Secret: "one-one-one"}, Args: bellhop.Args{"env": bellhop.Text("any")}},
		{Service: "site", Name: "other", Named: true, Job: "note", Proof: bellhop.Proof{Kind: bellhop.ProofBearer, Secret: "two-two-two"}, Args: bellhop.Args{"env": bellhop.Text("b")}},
	}}
	h := webhook.New(webhook.Options{House: hs, Clock: &clock{at: now}})
	closed := `{"action":"closed","env":"staging"}`
	code, got := post(h, "/webhooks/site", closed, github("one-one-one", "pull_request", "d1", closed)...)
	if code != 202 || strings.Join(hs.asked, "|") != "webhook:site/merged/d1 staging|webhook:site/all/d1 any" || len(got["runs"].([]any)) != 2 {
		t.Errorf("%d %v %q", code, got, hs.asked)
	}
	hs.asked = nil
	opened := `{"action":"opened"}`
	if code, got := post(h, "/webhooks/site/merged", opened, github("one-one-one", "pull_request", "d2", opened)...); code != 200 || got["ignored"] != `action is "opened"` || hs.asked != nil {
		t.Errorf("%d %v %q", code, got, hs.asked)
	}
	if code, got := post(h, "/webhooks/site", opened, github("one-one-one", "ping", "d3", opened)...); code != 200 || got["ignored"] != "ping" {
		t.Errorf("%d %v", code, got)
	}
	if code, _ := post(h, "/webhooks/site/other", closed, github("one-one-one", "pull_request", "d1", closed)...); code != 401 || hs.asked != nil {
		t.Errorf("with another one's proof: %d %q", code, hs.asked)
	}
	// The same body under no id is the same event.
	for range 2 {
		if code, _ := post(h, "/webhooks/site/other", closed, "Authorization", "Bearer two-two-two"); code != 202 {
			t.Errorf("bearer: %d", code)
		}
	}
	if len(hs.asked) != 2 || hs.asked[0] != hs.asked[1] {
		t.Errorf("two keys for one body: %q", hs.asked)
	}
	// What can't be written down is posted again; what is wrong with it is told.
	hs.err = bellhop.Errorf(bellhop.Unavailable, "the store is away")
	if code, _ := post(h, "/webhooks/site/other", closed, "Authorization", "Bearer two-two-two"); code != 503 {
		t.Errorf("the store is away: %d", code)
	}
	hs.err = bellhop.Errorf(bellhop.Invalid, "env expects one of a, b")
	if code, got := post(h, "/webhooks/site/other", closed, "Authorization", "Bearer two-two-two"); code != 422 || !strings.Contains(fmt.Sprint(got), "env expects") {
		t.Errorf("a bad argument: %d %v", code, got)
	}
	hs.err = nil
	if code, got := post(h, "/webhooks/site/merged", closed[:10], github("one-one-one", "pull_request", "d4", closed[:10])...); code != 400 {
		t.Errorf("no JSON: %d %v", code, got)
	}
	missing := `{"action":"closed"}`
	if code, got := post(h, "/webhooks/site/merged", missing, github("one-one-one", "pull_request", "d5", missing)...); code != 422 || !strings.Contains(fmt.Sprint(got), "event.env") {
		t.Errorf("an argument that is not there: %d %v", code, got)
	}
	for _, path := range []string{"/webhooks/", "/webhooks/site/merged/x", "/"} {
		if code, _ := post(h, path, closed); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// TestUnprovenRequestsAreBounded: whether there is such a webhook is not told;
// a minute's refusals of one address are one record, with their number.
func TestUnprovenRequestsAreBounded(t *testing.T) {
	hs := &house{hooks: []bellhop.Webhook{{Service: "site", Name: "w", Proof: bellhop.Proof{Kind: bellhop.ProofBearer, Secret: "two-two-two"}}}}
	c := &clock{at: now}
	h := webhook.New(webhook.Options{House: hs, Clock: c})
	codes := map[int]int{}
	for range 200 {
		code, _ := post(h, "/webhooks/site", "{}")
		codes[code]++
	}
	if codes[401] != 120 || codes[429] != 80 {
		t.Errorf("answers: %v", codes)
	}
	if code, _ := post(h, "/webhooks/nothing", "{}"); code != 429 {
		t.Errorf("a service that does not exist: %d", code)
	}
	c.at = now.Add(time.Minute)
	code, got := post(h, "/webhooks/site", "{}")
	if other, nothing := post(h, "/webhooks/nothing", "{}"); code != 401 || other != code || fmt.Sprint(got) != fmt.Sprint(nothing) {
		t.Errorf("a minute later: %d %v, and of what is not there %d %v", code, got, other, nothing)
	}
	if len(hs.unproven) != 2 || !strings.HasPrefix(hs.unproven[0], "site 1 ") || !strings.HasPrefix(hs.unproven[1], "site 120 ") {
		t.Errorf("recorded %q", hs.unproven)
	}
	hs.hooks = nil
	if code, _ := post(h, "/webhooks/site", "{}"); code != 401 {
		t.Errorf("no webhooks: %d", code)
	}
}

// TestASecretThatCantBeHad: nobody is refused for that.
func TestASecretThatCantBeHad(t *testing.T) {
	h := webhook.New(webhook.Options{House: away{&house{hooks: []bellhop.Webhook{{Service: "site", Proof: bellhop.Proof{Kind: bellhop.ProofBearer}}}}}})
	if code, _ := post(h, "/webhooks/site", "{}"); code != 503 {
		t.Errorf("%d", code)
	}
}

type away struct{ *house }

func (away) Reveal(context.Context, string) (string, error) { return "", errors.New("the key is gone") }
