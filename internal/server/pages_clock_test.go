package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// The people of these tests.
var (
	root  = bellhop.Person{Identity: "ssh:root"}
	alice = bellhop.Person{Identity: "ssh:alice"}
	bob   = bellhop.Person{Identity: "ssh:bob"}
)

const peopled = `
web: {listen: "127.0.0.1:0"}
people:
  root: {ssh: root}
  alice: {ssh: alice, groups: [ops]}
  bob: {ssh: bob}
access: {admins: [{person: root}]}
`

// markup is what must come out as text wherever it is shown.
const markup = `<b onload=x>"'&`

// TestPageOfSchedules shows each one what they may have done, and lets them take
// back what they have put off themselves.
func TestPageOfSchedules(t *testing.T) {
	s := start(t, peopled+`
services:
  deploys:
    allow: [{group: ops}, {person: root}]
    jobs:
      deploy: {run: "echo {x}"}
    commands:
      - {command: "deploy [x]", job: deploy}
    schedules:
      - {name: morning, cron: "0 6 * * 1-5", timezone: Europe/London, job: deploy, args: {x: a}}
      - {name: never, cron: "@daily", job: deploy, args: {x: a}, paused: true}
  open:
    jobs:
      hello: {run: "echo {x}"}
    commands:
      - {command: "hello [x]", job: hello}
    schedules:
      - {name: noon, cron: "0 12 * * *", job: hello, args: {x: a}}
`)
	const path = "/schedules"
	a := visit(t, s, alice)
	a.sees(path, "0 6 * * 1-5", "Europe/London", "/services/deploys/deploy", "paused", "0 12 * * *")
	b := visit(t, s, bob)
	hides(t, "bob's page", b.sees(path, "0 12 * * *"), "0 6 * * 1-5", "deploys", "morning")
	visit(t, s, bellhop.Person{}).refused(http.MethodGet, path, nil, http.StatusSeeOther)

	if status, body := a.post("/ask", url.Values{"text": {"in 20m open hello " + markup}, "key": {api.NewKey()}}); status >= 400 {
		t.Fatalf("%d %s", status, body)
	}
	page := a.sees(path, "&lt;b onload=x&gt;", "for alice", "Take back")
	hides(t, "the page", page, "<b onload")
	id := regexp.MustCompile(`/later/([a-z0-9]+)/take-back`).FindStringSubmatch(page)
	if id == nil {
		t.Fatal("nothing can be taken back:", page)
	}
	hides(t, "bob's page", b.sees(path), "onload", id[1])
	back := "/later/" + id[1] + "/take-back"
	b.refused(http.MethodPost, back, nil, http.StatusForbidden)
	visit(t, s, bellhop.Person{}).refused(http.MethodPost, back, nil, http.StatusUnauthorized)
	r := visit(t, s, root)
	r.sees(path, "for alice")
	a.refused(http.MethodPost, back, url.Values{"csrf": {r.csrf}}, http.StatusForbidden)
	a.sees(path, id[1])
	a.refused(http.MethodPost, back, nil, http.StatusSeeOther)
	hides(t, "the page afterwards", a.sees(path), id[1])
	for who, v := range map[string]*visitor{"alice": a, "bob": b} { // what is for admins is not offered
		hides(t, "the page of "+who, v.sees(path, `href="/hooks"`), `href="/audit"`, `href="/secrets"`, `href="/settings"`)
	}
	r.sees(path, `href="/audit"`, `href="/secrets"`, `href="/settings"`)

	const morning = "/schedules/deploys/morning"
	for _, what := range []string{"/pause", "/resume", "/run"} {
		b.refused(http.MethodPost, morning+what, nil, http.StatusNotFound) // nor is there one for him
		visit(t, s, bellhop.Person{}).refused(http.MethodPost, morning+what, nil, http.StatusUnauthorized)
		a.refused(http.MethodPost, morning+what, url.Values{"csrf": {b.csrf}}, http.StatusForbidden)
	}
	a.refused(http.MethodPost, "/schedules/deploys/nothing/run", nil, http.StatusNotFound)
	a.refused(http.MethodPost, morning+"/sing", nil, http.StatusNotFound)
	hides(t, "before", a.sees(path, morning+"/pause", morning+"/run"), morning+"/resume", "by alice")
	a.refused(http.MethodPost, morning+"/pause", nil, http.StatusSeeOther)
	hides(t, "paused", a.sees(path, morning+"/resume", "by alice"), morning+"/pause")
	a.refused(http.MethodPost, morning+"/resume", nil, http.StatusSeeOther)
	hides(t, "resumed", a.sees(path, morning+"/pause"), morning+"/resume")
	hides(t, "runs so far", a.sees("/runs"), `id="run-`)
	for range 2 { // the same form twice is once
		a.refused(http.MethodPost, morning+"/run", url.Values{"key": {"one-form"}}, http.StatusSeeOther)
	}
	if page := a.sees("/runs", `id="run-`); strings.Count(page, `id="run-`) != 1 {
		t.Errorf("asked for once, it has other than one run: %s", page)
	}
}
