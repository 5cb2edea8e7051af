package server_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
)

const folk = peopled + `
services:
  open:
    jobs:
      hello: {run: "echo {x}"}
      lock: {run: echo, allow: [{group: ops}]}
    commands:
      - {command: "hello [x]", job: hello, delay: 20s}
      - {command: "lock", job: lock}
    webhooks:
      - {name: push, bearer: {secret: abc-token-of-the-hook-0123456789}, job: hello, args: {x: "{event.x}"}}
  deploys:
    allow: [{group: ops}, {person: root}]
    jobs:
      ship: {run: "echo {env}", params: {env: {enum: [staging, production]}}, approve: {by: ops, when: {env: production}}}
    commands:
      - {command: "ship [env]", job: ship}
`

// trials counts what the trail has of a server.
func records(t *testing.T, v *visitor) int {
	t.Helper()
	_, body := v.get("/audit")
	return strings.Count(body, "<tr")
}

// tries posts a form of the playground, and returns the verdict and the page.
func (v *visitor) tries(form url.Values, want string) string {
	v.tb.Helper()
	_, body := v.post("/try", form)
	m := regexp.MustCompile(`(?s)<h2 id="t-verdict">.*?</svg>(.*?)</h2>`).FindStringSubmatch(body)
	if m == nil || strings.TrimSpace(html.UnescapeString(m[1])) != want {
		v.tb.Errorf("%v: %q, want %q\n%s", form, m, want, body)
	}
	return body
}

// TestPageOfTrials has lines and events understood and judged, and nothing
// done.
func TestPageOfTrials(t *testing.T) {
	s := start(t, folk)
	r, a, b := visit(t, s, root), visit(t, s, alice), visit(t, s, bob)
	before := records(t, r)
	say := func(text string) url.Values { return url.Values{"text": {text}} }

	a.tries(say("open hello world"), "It would be done")
	if body := a.tries(say("@bellhop open hello "+markup), "It would be done"); strings.Contains(body, markup) || strings.Count(body, html.EscapeString(markup)) < 2 {
		t.Errorf("markup is not shown as text:\n%s", body)
	}
	if body := a.tries(say("open helo x"), "It would not be understood"); !strings.Contains(body, "Did you mean `open hello [x]`") {
		t.Errorf("no near miss:\n%s", body)
	}
	a.tries(say("deploys ship staging"), "It would be done")
	a.tries(say("deploys ship production"), "It would wait to be approved by ops")
	if body := a.tries(say("deploys ship"), "It would ask back"); !strings.Contains(body, "is missing") {
		t.Errorf("what is missing is not said:\n%s", body)
	}
	a.tries(say("deploys ship moon"), "It would not be understood")
	for _, text := range []string{"deploys ship", "deploys ship moon", "deploys ship staging"} {
		hides(t, "bob's trial of "+text, b.tries(say(text), "It would be refused"), "staging,", "production", "is missing")
	}
	r.tries(url.Values{"text": {"deploys ship staging"}, "as": {"bob"}}, "It would be refused")
	r.tries(url.Values{"text": {"deploys ship staging"}, "as": {"ssh:alice"}}, "It would be done")
	r.tries(url.Values{"text": {"status"}, "as": {"nobody"}}, "It would not be understood")
	for _, v := range []*visitor{a, b} {
		hides(t, "a refusal", v.refused(http.MethodPost, "/try", url.Values{"text": {"deploys ship staging"}, "as": {"root"}}, http.StatusForbidden), "staging")
		hides(t, "the form", v.sees("/try", "What somebody says"), `name="as"`)
	}

	hook := func(name, json string) url.Values { return url.Values{"hook": {name}, "json": {json}} }
	if body := a.tries(hook("open/push", `{"x": "<i>"}`), "It would ask for a run"); !strings.Contains(body, "&lt;i&gt;") || strings.Contains(body, "abc-token") {
		t.Errorf("a webhook's trial:\n%s", body)
	}
	a.tries(hook("open/push", `{"y": 1}`), "It would do nothing")
	a.tries(hook("open/push", `{`), "It would do nothing")
	a.tries(hook("open/other", `{}`), "It would do nothing")

	if after := records(t, r); after != before {
		t.Errorf("the trail has %d rows, and had %d before", after, before)
	}
	if page := r.sees("/runs"); strings.Contains(page, `class="job"`) {
		t.Errorf("something was run:\n%s", page)
	}
	visit(t, s, bellhop.Person{}).refused(http.MethodGet, "/try", nil, http.StatusSeeOther)
	visit(t, s, bellhop.Person{}).refused(http.MethodPost, "/try", say("status"), http.StatusUnauthorized)
	a.refused(http.MethodPost, "/try", url.Values{"csrf": {b.csrf}, "text": {"status"}}, http.StatusForbidden)
}

// TestPagesOfPeople shows each one what they may do, and admins what everybody
// may.
func TestPagesOfPeople(t *testing.T) {
	s := start(t, folk)
	r, a, b := visit(t, s, root), visit(t, s, alice), visit(t, s, bob)
	a.sees("/me", "ssh:alice", "ops", "/services/deploys/ship", "/services/open/lock", "approved by ops when env=production", "bellhop.yaml:", "this one")
	body := b.sees("/me", "ssh:bob", "/services/open/hello", "deploys is not for bob", "open lock is not for bob")
	hides(t, "bob's page", body, "ship", "production", "ssh:alice", "ssh:root", `href="/people"`)
	for _, v := range []*visitor{a, b} {
		for _, path := range []string{"/people", "/people?who=alice", "/people?who=nobody"} {
			hides(t, path, v.refused(http.MethodGet, path, nil, http.StatusForbidden), "ssh:root")
		}
	}
	visit(t, s, bellhop.Person{}).refused(http.MethodGet, "/me", nil, http.StatusSeeOther)
	visit(t, s, bellhop.Person{}).refused(http.MethodGet, "/people", nil, http.StatusSeeOther)

	r.sees("/people", "ssh:alice", "allow group ops", "allow root", "open to everybody", "approved by ops, when env is production", "bellhop.yaml:")
	r.sees("/people?who=bob", "What bob may do", "deploys is not for bob", "ship", "Where bob has logged in")
	r.sees("/people?who="+url.QueryEscape("slack:T1/U9"), "a guest")
	r.refused(http.MethodGet, "/people?who=nobody", nil, http.StatusNotFound)
	hides(t, "a page", r.sees("/people?who="+url.QueryEscape("ssh:"+markup)), markup)
}

// TestSessionsAreEndedOnThePage ends one's own, and as an admin others'.
func TestSessionsAreEndedOnThePage(t *testing.T) {
	s := start(t, folk)
	r, a, again, b := visit(t, s, root), visit(t, s, alice), visit(t, s, alice), visit(t, s, bob)
	ends := regexp.MustCompile(`action="(/sessions/[^"]+/end)"`)
	list := func(v *visitor, path string, n int) (all []string) {
		t.Helper()
		for _, m := range ends.FindAllStringSubmatch(v.sees(path), -1) {
			all = append(all, m[1])
		}
		if len(all) != n {
			t.Fatalf("%s has %d sessions, want %d", path, len(all), n)
		}
		return all
	}
	own := list(a, "/me", 2)
	list(r, "/people?who=alice", 2)
	for _, path := range own {
		b.refused(http.MethodPost, path, nil, http.StatusNotFound)
		a.refused(http.MethodPost, path, url.Values{"csrf": {b.csrf}}, http.StatusForbidden)
	}
	list(a, "/me", 2)
	mine := regexp.MustCompile(`(?s)this one.*?action="(/sessions/[^"]+/end)"`).FindStringSubmatch(again.sees("/me"))[1]
	a.refused(http.MethodPost, mine, url.Values{"back": {"https://evil.example"}}, http.StatusSeeOther)
	again.refused(http.MethodGet, "/me", nil, http.StatusSeeOther)
	r.refused(http.MethodPost, list(r, "/people?who=bob", 1)[0], nil, http.StatusSeeOther)
	b.refused(http.MethodGet, "/me", nil, http.StatusSeeOther)
	a.refused(http.MethodPost, list(a, "/me", 1)[0], nil, http.StatusSeeOther)
	a.refused(http.MethodGet, "/me", nil, http.StatusSeeOther)
}
