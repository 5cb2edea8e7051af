package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
	"github.com/bellhop-io/bellhop/internal/web/webhook"
)

func (h *house) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, d := range h.came {
		out = append(out, fmt.Sprintf("%s %s %s run=%d ignored=%s error=%s", d.Name, d.Event, d.ID, d.Run, d.Ignored, d.Error))
	}
	h.came = nil
	return out
}

// TestWhatCameIsTold: once for each webhook that it was proven to, whatever
// became of it, and nothing of what was not proven.
func TestWhatCameIsTold(t *testing.T) {
	hs := &house{hooks: []bellhop.Webhook{
		{Service: "site", Name: "merged", Named: true, Proof: bellhop.Proof{Kind: bellhop.ProofGitHub, Secret: "one-one-one"}, Events: []string{"pull_request"},
			Args: bellhop.Args{"env": bellhop.Text("{event.env}")}},
		{Service: "site", Name: "all", Named: true, Proof: bellhop.Proof{Kind: bellhop.ProofGitHub, Secret: "one-one-one"}},
		{Service: "site", Name: "other", Named: true, Proof: bellhop.Proof{Kind: bellhop.ProofBearer, Secret: "two-two-two"}},
	}}
	h := webhook.New(webhook.Options{House: hs, Clock: &clock{at: now}})
	for _, tt := range []struct {
		event, body string
		want        []string
	}{
		{"pull_request", `{"env":"a"}`, []string{"merged pull_request d run=1 ignored= error=", "all pull_request d run=2 ignored= error="}},
		{"push", `{"env":"a"}`, []string{"merged push d run=0 ignored=event push is not wanted error=", "all push d run=3 ignored= error="}},
		{"pull_request", `{}`, []string{"merged pull_request d run=0 ignored= error=argument env wants event.env, which this event does not have", "all pull_request d run=4 ignored= error="}},
		{"push", `{`, []string{"merged push d run=0 ignored= error=the body is no JSON: unexpected EOF", "all push d run=0 ignored= error=the body is no JSON: unexpected EOF"}},
	} {
		post(h, "/webhooks/site", tt.body, github("one-one-one", tt.event, "d", tt.body)...)
		if got := hs.told(); strings.Join(got, "|") != strings.Join(tt.want, "|") {
			t.Errorf("%s %s: %q", tt.event, tt.body, got)
		}
	}
	hs.hooks[0].Repo = "acme/site"
	post(h, "/webhooks/site/merged", "{}", github("one-one-one", "pull_request", "d", "{}")...)
	if got := strings.Join(hs.told(), "|"); got != "merged pull_request d run=0 ignored=it does not say which repository it is of error=" {
		t.Errorf("without a repository: %q", got)
	}
	post(h, "/webhooks/site", "{}", github("wrong", "push", "d", "{}")...)
	if got := hs.told(); got != nil {
		t.Errorf("not proven: %q", got)
	}
}

// TestWhatProvesIsNotKept in any header, whatever the configuration calls it.
func TestWhatProvesIsNotKept(t *testing.T) {
	const secret = "s3cret-s3cret"
	for _, p := range []bellhop.Proof{
		{Kind: bellhop.ProofGitHub}, {Kind: bellhop.ProofGitLab}, {Kind: bellhop.ProofBearer, ID: "Authorization"}, {Kind: bellhop.ProofBearer, ID: "cookie"},
		{Kind: bellhop.ProofBasic, User: "u", ID: "X-Event-Id"},
	} {
		p.Secret = secret
		hs := &house{hooks: []bellhop.Webhook{{Service: "site", Name: "w", Proof: p}}}
		h := webhook.New(webhook.Options{House: hs, Clock: &clock{at: now}})
		header := append(github(secret, "push", "d", "{}"), "X-Gitlab-Token", secret, "Cookie", "session="+secret, "X-Api-Key", secret,
			"X-Event-Id", "e1", "Content-Type", "application/json", "Stripe-Signature", secret)
		if p.Kind == bellhop.ProofBasic {
			header = append(header, "Authorization", "Basic dTpzM2NyZXQtczNjcmV0")
		} else {
			header = append(header, "Authorization", "Bearer "+secret)
		}
		if code, got := post(h, "/webhooks/site", "{}", header...); code != 202 || len(hs.came) != 1 {
			t.Errorf("%s: %d %v", p.Kind, code, got)
			continue
		}
		b, err := json.Marshal(hs.came[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, no := range []string{secret, "sha256=", "dTpzM2NyZXQtczNjcmV0"} {
			if strings.Contains(string(b), no) {
				t.Errorf("%s keeps %s: %s", p.Kind, no, b)
			}
		}
		if hs.came[0].Header["Content-Type"] != "application/json" {
			t.Errorf("%s keeps %v", p.Kind, hs.came[0].Header)
		}
	}
}

// TestAWebhookThatAsksTooOftenIsToldSo, so that its sender posts again.
func TestAWebhookThatAsksTooOftenIsToldSo(t *testing.T) {
	hs := &house{hooks: []bellhop.Webhook{{Service: "site", Name: "w", Proof: bellhop.Proof{Kind: bellhop.ProofBearer, Secret: "two-two-two"}}},
		err: &web.Problem{Status: 429, Code: bellhop.Unavailable, Detail: "not accepted", After: 7}}
	r := httptest.NewRequest("POST", "/webhooks/site", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer two-two-two")
	w := httptest.NewRecorder()
	webhook.New(webhook.Options{House: hs, Clock: &clock{at: now}}).ServeHTTP(w, r)
	if w.Code != 429 || w.Header().Get("Retry-After") != "7" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}
