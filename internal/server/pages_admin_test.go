package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// adminsAlone fails unless pages and changes are refused to everybody but
// admins.
func adminsAlone(t *testing.T, others, nobody *visitor, pages, changes []string) {
	t.Helper()
	for _, path := range pages {
		others.refused(http.MethodGet, path, nil, http.StatusForbidden)
		nobody.refused(http.MethodGet, path, nil, http.StatusSeeOther)
	}
	for _, path := range changes {
		others.refused(http.MethodPost, path, nil, http.StatusForbidden)
		nobody.refused(http.MethodPost, path, nil, http.StatusUnauthorized)
	}
}

const served = peopled + `
services:
  open:
    jobs:
      hello: {run: "echo {x}"}
    commands:
      - {command: "hello [x]", job: hello}
  closed:
    allow: [{person: root}]
    jobs:
      hello: {run: "echo {x}"}
    commands:
      - {command: "hello [x]", job: hello}
`

// TestPageOfAudit searches the trail for admins, page by page, and verifies it.
func TestPageOfAudit(t *testing.T) {
	s := start(t, served)
	r, a, nobody := visit(t, s, root), visit(t, s, alice), visit(t, s, bellhop.Person{})
	adminsAlone(t, a, nobody, []string{"/audit"}, []string{"/audit/verify"})
	r.refused(http.MethodPost, "/audit/verify", url.Values{"csrf": {a.csrf}}, http.StatusForbidden)
	for _, text := range []string{"open hello " + markup, "closed hello secretly"} {
		a.post("/ask", url.Values{"text": {text}, "key": {api.NewKey()}})
	}
	page := r.sees("/audit", "closed hello", "&lt;b onload=x&gt;", "service closed", "refused", "/audit?who=alice")
	hides(t, "the page", page, "<b onload")
	refused := r.sees("/audit?refused=1&who=alice&service=closed", "closed hello")
	hides(t, "what was refused", refused, "onload", ">allowed<", "allowed\n")
	r.sees("/audit?who=nobody", "No record is like that.")
	r.refused(http.MethodGet, "/audit?run=no+id", nil, http.StatusBadRequest)
	r.refused(http.MethodGet, "/audit?job=hello", nil, http.StatusBadRequest)
	r.refused(http.MethodGet, "/audit?after=x", nil, http.StatusBadRequest)
	for range 60 {
		a.refused(http.MethodGet, "/audit", nil, http.StatusForbidden)
	}
	seen, path := 0, "/audit?who=alice&refused=1"
	for pages := 0; path != ""; pages++ {
		body := r.sees(path)
		seen += strings.Count(body, "<tr>") - 1
		_, rest, more := strings.Cut(body, `<a href="/audit?after=`)
		next, _, _ := strings.Cut(rest, `"`)
		if path = ""; more && pages < 5 {
			path = "/audit?after=" + strings.ReplaceAll(next, "&amp;", "&")
			if !strings.Contains(path, "who=alice") || !strings.Contains(path, "refused=1") {
				t.Errorf("the next page is of another search: %s", path)
			}
		}
	}
	if seen != 63 { // the page, the verification, what was closed, and 60 more
		t.Errorf("%d records on all pages, want 63", seen)
	}
	if status, body := r.post("/audit/verify", nil); status != http.StatusOK || !strings.Contains(body, "The trail is as it was written") {
		t.Errorf("%d %s", status, body)
	}
}
