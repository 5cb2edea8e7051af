package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// TestPageOfWebhooks shows what came to webhooks to those alone who may have
// their job done, as text, and has it done again for them.
func TestPageOfWebhooks(t *testing.T) {
	s := start(t, peopled+`
services:
  site:
    allow: [{group: ops}, {person: root}]
    jobs:
      build: {run: "echo {x}", params: {x: {default: none}}}
    webhooks:
      - name: pushed
        bearer: {secret: s3cret-of-the-hook}
        job: build
        args: {x: "{ref}"}
`)
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{"ref": markup, "deep": map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.WebAt()+"/webhooks/site/pushed", &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer s3cret-of-the-hook")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", markup)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatal(resp.Status)
	}
	a, b := visit(t, s, alice), visit(t, s, bob)
	a.sees("/hooks", "/hooks/site/pushed", "bearer", "/webhooks/site/pushed")
	hides(t, "bob's list", b.sees("/hooks"), "site", "pushed")
	const hook, delivery = "/hooks/site/pushed", "/hooks/site/pushed/1"
	written(t, a, delivery)
	list := a.sees(hook, `href="`+delivery+`"`, "/runs/")
	page := a.sees(delivery, "&lt;b onload=x&gt;", "&#34;deep&#34;: {\n", "Content-Type", "Replay")
	hides(t, "the pages", list+page, "<b onload", "s3cret-of-the-hook", "Authorization")

	b.refused(http.MethodGet, hook, nil, http.StatusForbidden)
	b.refused(http.MethodGet, "/hooks/site/nothing", nil, http.StatusForbidden) // nor whether there is one
	hides(t, "what bob is told", b.refused(http.MethodGet, delivery, nil, http.StatusForbidden), "onload", "deep")
	nobody := visit(t, s, bellhop.Person{})
	nobody.refused(http.MethodGet, delivery, nil, http.StatusSeeOther)
	nobody.refused(http.MethodPost, delivery+"/replay", nil, http.StatusUnauthorized)
	b.refused(http.MethodPost, delivery+"/replay", nil, http.StatusForbidden)
	a.refused(http.MethodPost, delivery+"/replay", url.Values{"csrf": {b.csrf}}, http.StatusForbidden)
	a.refused(http.MethodGet, "/hooks/site/pushed/2", nil, http.StatusNotFound)
	a.refused(http.MethodGet, "/hooks/site/pushed/x", nil, http.StatusBadRequest)
	runs := regexp.MustCompile(`id="run-([0-9a-z]+)"`)
	if _, all := a.get("/runs"); len(runs.FindAllString(all, -1)) != 1 {
		t.Errorf("what was refused had something done: %s", all)
	}
	for range 2 { // the same form twice is once
		a.refused(http.MethodPost, delivery+"/replay", url.Values{"key": {"one-form"}}, http.StatusSeeOther)
	}
	if _, all := a.get("/runs"); len(runs.FindAllString(all, -1)) != 2 {
		t.Errorf("replayed, there are not two runs: %s", all)
	}
}

// written waits until what came is written down, which is after it was answered.
func written(t *testing.T, v *visitor, path string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if status, _ := v.get(path); status == http.StatusOK {
			return
		}
	}
	t.Fatalf("%s is never there", path)
}
