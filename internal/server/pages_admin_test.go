package server_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
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

// TestPageOfSecrets tells admins which secrets there are and who uses them, and
// nobody what they are.
func TestPageOfSecrets(t *testing.T) {
	s := start(t, served)
	c := asRoot(t, s)
	const value = "s3cret-value-of-it"
	for _, name := range []string{"deploy", "hook", "spare"} {
		if _, err := c.SetSecret(t.Context(), name, []byte(value+name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.PutYAML(t.Context(), []byte(`
services:
  kept:
    jobs:
      build: {run: "echo {x}", params: {x: {default: none}}, env: {KEY: "secret:deploy"}}
    webhooks:
      - {name: pushed, bearer: {secret: "secret:hook"}, job: build}
`)); err != nil {
		t.Fatal(err)
	}
	r, a, nobody := visit(t, s, root), visit(t, s, alice), visit(t, s, bellhop.Person{})
	adminsAlone(t, a, nobody, []string{"/secrets"}, nil)
	page := r.sees("/secrets", "secret:deploy", "/services/kept/build", "secret:hook", "/hooks/kept/pushed", "secret:spare", "nobody", "bellhop secret set NAME")
	hides(t, "the page", page, value, "not set")
	if _, err := c.RemoveSecret(t.Context(), "deploy"); err != nil {
		t.Fatal(err)
	}
	r.sees("/secrets", "secret:deploy", "not set")
}

// asRoot speaks to a server as its admin.
func asRoot(t *testing.T, s *server.Server) *api.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	if err := s.ControlAs(path, root); err != nil {
		t.Fatal(err)
	}
	c := &api.Client{Socket: path, Source: "ask", Session: api.NewKey()}
	t.Cleanup(c.Close)
	return c
}

// TestPageOfSettings shows admins the configuration without its secrets, the
// versions of what the store has, sessions and tokens, and has these end.
func TestPageOfSettings(t *testing.T) {
	const literal = "literal-in-the-file"
	s := start(t, strings.Replace(served, "jobs:\n      hello:", "env: {SOME_TOKEN: "+literal+", MODE: fast} # <b onload=x>\n    jobs:\n      hello:", 1))
	c := asRoot(t, s)
	for _, text := range []string{"echo one", "echo two"} {
		if _, err := c.PutYAML(t.Context(), []byte("services:\n  kept:\n    jobs:\n      build: {run: "+text+"} # "+markup+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.CreateToken(t.Context(), bellhop.Token{Name: "robot", As: "bob"}); err != nil {
		t.Fatal(err)
	}
	r, a, nobody := visit(t, s, root), visit(t, s, alice), visit(t, s, bellhop.Person{})
	adminsAlone(t, a, nobody, []string{"/settings", "/settings/yaml/kept"}, []string{"/settings/tokens/robot/remove"})
	page := r.sees("/settings", "MODE: fast", "SOME_TOKEN: ***", "&lt;b onload=x&gt;", "kept", "by root", "robot", "as bob", "16 slots", "sqlite:")
	hides(t, "the page", page, literal, "<b onload")

	text := r.sees("/settings/yaml/kept", "- ", "echo one", "echo two", "What changed since version 1", "&lt;b onload=x&gt;")
	hides(t, "the versions", text, "<b onload")
	hides(t, "version 1", r.sees("/settings/yaml/kept?version=1", "echo one"), "echo two")
	r.refused(http.MethodGet, "/settings/yaml/kept?version=9", nil, http.StatusNotFound)
	r.refused(http.MethodGet, "/settings/yaml/kept?version=x", nil, http.StatusBadRequest)
	r.refused(http.MethodGet, "/settings/yaml/none", nil, http.StatusNotFound)

	r.refused(http.MethodPost, "/settings/tokens/robot/remove", url.Values{"csrf": {a.csrf}}, http.StatusForbidden)
	r.sees("/settings", "robot")
	r.refused(http.MethodPost, "/settings/tokens/robot/remove", nil, http.StatusSeeOther)
	hides(t, "the page afterwards", r.sees("/settings"), "robot")

	of := func(who string) string { // the session of somebody
		for _, x := range strings.Split(r.sees("/settings"), "<li>") {
			if m := regexp.MustCompile(`/settings/sessions/([a-z0-9]+)/end`).FindStringSubmatch(x); m != nil && strings.Contains(x, "<b>"+who+"</b>") {
				return m[1]
			}
		}
		t.Fatalf("%s has no session", who)
		return ""
	}
	own, other := of("root"), of("alice")
	a.refused(http.MethodPost, "/settings/sessions/"+own+"/end", nil, http.StatusNotFound) // nor is there one for her
	nobody.refused(http.MethodPost, "/settings/sessions/"+own+"/end", nil, http.StatusUnauthorized)
	r.refused(http.MethodPost, "/settings/sessions/"+other+"/end", nil, http.StatusSeeOther)
	a.refused(http.MethodGet, "/", nil, http.StatusSeeOther)
	r.refused(http.MethodPost, "/settings/sessions/"+own+"/end", nil, http.StatusSeeOther)
	r.refused(http.MethodGet, "/", nil, http.StatusSeeOther)
}
