package server_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
	"github.com/bellhop-io/bellhop/internal/web/ui"
)

// gem is what only root may see.
const gem = "moonstone"

const guarded = peopled + `
services:
  open:
    jobs:
      hello: {run: "echo {x}"}
    commands:
      - {command: "hello [x]", job: hello}
  vault:
    description: about the ` + gem + `
    allow: [{person: root}]
    jobs:
      show: {run: "echo {x}"}
      move: {run: "echo {x}", approve: {by: ops}}
    commands:
      - {command: "show [x]", job: show, help: "` + gem + `"}
      - {command: "move [x]", job: move}
    schedules:
      - {name: nightly-` + gem + `, cron: "@daily", job: show, args: {x: a}}
    webhooks:
      - {name: pushed, bearer: {secret: s3cret-of-the-hook}, job: show, args: {x: "{ref}"}}
`

// row is what there is at a pattern, and what it is for whom may not have it.
type row struct {
	path string
	form url.Values // of a change
	want int        // what bob is answered
}

// TestEveryPageForWhomItIsNot: each page and each change, for nobody, for a
// person without rights, and from another site; nothing is shown of what is not
// theirs, and nothing is done.
func TestEveryPageForWhomItIsNot(t *testing.T) {
	s := start(t, guarded)
	c := asRoot(t, s)
	r, b, nobody := visit(t, s, root), visit(t, s, bob), visit(t, s, bellhop.Person{})
	for _, text := range []string{"vault show " + gem, "vault move " + gem, "in 2h vault show " + gem} {
		if status, body := r.post("/ask", url.Values{"text": {text}, "key": {api.NewKey()}}); status != http.StatusOK {
			t.Fatalf("%s: %d %s", text, status, body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.WebAt()+"/webhooks/vault/pushed", strings.NewReader(`{"ref": "`+gem+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer s3cret-of-the-hook")
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode >= 300 {
		t.Fatal(resp, err)
	} else {
		resp.Body.Close()
	}
	written(t, r, "/hooks/vault/pushed/1")
	if _, err := c.PutYAML(t.Context(), []byte("services:\n  kept:\n    allow: [{person: root}]\n    description: "+gem+"\n    jobs:\n      build: {run: echo}\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetSecret(t.Context(), gem, []byte("value")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateToken(t.Context(), bellhop.Token{Name: "robot", As: "bob"}); err != nil {
		t.Fatal(err)
	}
	one := func(page, expr string) string {
		m := regexp.MustCompile(expr).FindStringSubmatch(r.sees(page))
		if m == nil {
			t.Fatalf("%s has no %s", page, expr)
		}
		return m[1]
	}
	session := one("/me", `/sessions/([^"/]+)/end`)
	later := one("/schedules", `/later/([a-z0-9]+)/take-back`)
	run := one("/runs?state=succeeded&source=web", `id="run-([^"]+)"`)
	held := one("/runs?state=held", `id="run-([^"]+)"`)
	digest := one("/runs/"+held, `name="digest" value="([^"]+)"`)

	const no, none, ok, there = http.StatusForbidden, http.StatusNotFound, http.StatusOK, http.StatusSeeOther
	key := []string{api.NewKey()}
	rows := map[string][]row{
		"GET /{$}":                                {{"/", nil, ok}},
		"GET /{rest...}":                          {{"/nowhere", nil, none}},
		"GET /live":                               nil, // a stream, told apart below
		"GET /runs":                               {{"/runs", nil, ok}, {"/runs?service=vault", nil, 0}, {"/runs?arg=" + gem[:4], nil, ok}},
		"GET /runs/{id}":                          {{"/runs/" + run, nil, no}, {"/runs/" + held, nil, no}},
		"GET /runs/{id}/card":                     {{"/runs/" + run + "/card", nil, no}},
		"GET /runs/{id}/lines":                    {{"/runs/" + run + "/lines", nil, no}},
		"GET /runs/{id}/live":                     {{"/runs/" + run + "/live", nil, no}},
		"GET /runs/{id}/download":                 {{"/runs/" + run + "/download", nil, no}},
		"POST /runs/bulk":                         {{"/runs/bulk", url.Values{"what": {"cancel"}, "run": {held}}, 0}, {"/runs/bulk", url.Values{"what": {"retry"}, "run": {run}}, 0}},
		"POST /runs/{id}/{what}":                  {{"/runs/" + held + "/cancel", nil, no}, {"/runs/" + run + "/retry", nil, no}, {"/runs/" + held + "/approve", url.Values{"digest": {digest}}, no}, {"/runs/" + held + "/deny", url.Values{"digest": {digest}, "reason": {"x"}}, no}},
		"GET /services":                           {{"/services", nil, ok}},
		"GET /services/{service}":                 {{"/services/vault", nil, none}},
		"GET /services/{service}/{job}":           {{"/services/vault/show", nil, none}},
		"POST /services/{service}/{job}":          {{"/services/vault/show", url.Values{"arg.x": {"new"}, "key": key}, none}},
		"GET /ask":                                {{"/ask", nil, ok}},
		"POST /ask":                               {{"/ask", url.Values{"text": {"vault show new"}, "key": key}, 0}, {"/ask", url.Values{"text": {"cancel " + held}, "key": {api.NewKey()}}, 0}, {"/ask", url.Values{"text": {"logs " + run}, "key": {api.NewKey()}}, 0}},
		"GET /ask/complete":                       {{"/ask/complete?line=va", nil, ok}, {"/ask/complete?line=vault+", nil, ok}},
		"POST /logout":                            {{"/logout", nil, there}},
		"GET /schedules":                          {{"/schedules", nil, ok}},
		"POST /schedules/{service}/{name}/{what}": {{"/schedules/vault/nightly-" + gem + "/pause", nil, none}, {"/schedules/vault/nightly-" + gem + "/run", nil, none}},
		"POST /later/{id}/take-back":              {{"/later/" + later + "/take-back", nil, no}},
		"GET /hooks":                              {{"/hooks", nil, ok}},
		"GET /hooks/{service}/{name}":             {{"/hooks/vault/pushed", nil, no}},
		"GET /hooks/{service}/{name}/{n}":         {{"/hooks/vault/pushed/1", nil, no}},
		"POST /hooks/{service}/{name}/{n}/replay": {{"/hooks/vault/pushed/1/replay", nil, no}},
		"GET /audit":                              {{"/audit", nil, no}},
		"POST /audit/verify":                      {{"/audit/verify", nil, no}},
		"GET /secrets":                            {{"/secrets", nil, no}},
		"GET /settings":                           {{"/settings", nil, no}},
		"GET /settings/yaml/{service}":            {{"/settings/yaml/kept", nil, no}},
		"POST /settings/sessions/{id}/end":        {{"/settings/sessions/" + session + "/end", nil, none}},
		"POST /settings/tokens/{name}/remove":     {{"/settings/tokens/robot/remove", nil, no}},
		"GET /try":                                {{"/try", nil, ok}},
		"POST /try":                               {{"/try", url.Values{"text": {"vault show x"}, "as": {"root"}}, no}, {"/try", url.Values{"text": {"vault sho x"}}, ok}, {"/try", url.Values{"hook": {"vault/pushed"}, "json": {"{}"}}, 0}},
		"GET /me":                                 {{"/me", nil, ok}},
		"GET /people":                             {{"/people", nil, no}, {"/people?who=root", nil, no}},
		"POST /sessions/{id}/end":                 {{"/sessions/" + session + "/end", nil, none}},
	}
	open := []string{"GET /assets/", "GET /login", "GET /login/{code}", "POST /login/{code}"}

	h, err := ui.New(ui.Options{Output: &ui.Output{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range h.Patterns() {
		if _, known := rows[pattern]; !known && !slices.Contains(open, pattern) {
			t.Errorf("%s is new: say here what it is for whom may not have it", pattern)
		}
	}

	// state is all that a change could change, as root sees it.
	told := regexp.MustCompile(`id="run-[^"]+"|class="state [^"]+"|/later/[^"/]+/|/sessions/[^"/]+/|/tokens/[^"/]+/|/hooks/vault/pushed/[0-9]+"|(pause|resume)"`)
	state := func() string {
		var all []string
		for _, path := range []string{"/runs", "/runs/" + run, "/runs/" + held, "/schedules", "/hooks/vault/pushed", "/settings", "/me", "/people?who=bob"} {
			found := told.FindAllString(r.sees(path), -1)
			slices.Sort(found)
			all = append(all, path+": "+strings.Join(found, " "))
		}
		return strings.Join(all, "\n")
	}
	raw := func(v *visitor, method, path string, form url.Values, site string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, v.at+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if site != "" {
			req.Header.Set("Sec-Fetch-Site", site)
		}
		resp, err := v.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	with := func(form url.Values, token string) url.Values {
		own := url.Values{}
		for k, f := range form {
			own[k] = f
		}
		if token != "" {
			own.Set("csrf", token)
		}
		return own
	}
	before := state()
	for _, what := range []string{"run-" + run, "class=\"state held\"", "/later/" + later, "/sessions/" + session, "/tokens/robot", "/hooks/vault/pushed/1"} {
		if !strings.Contains(before, what) {
			t.Fatalf("root is not shown %s:\n%s", what, before)
		}
	}
	same := func(what string) {
		t.Helper()
		if after := state(); after != before {
			t.Errorf("%s has done something:\n%s\nbefore:\n%s", what, after, before)
			before = after
		}
	}
	for pattern, list := range rows {
		method, _, _ := strings.Cut(pattern, " ")
		for _, x := range list {
			stranger := http.StatusSeeOther
			if method == http.MethodPost {
				stranger = http.StatusUnauthorized
			}
			if status, body := raw(nobody, method, x.path, x.form, ""); status != stranger || strings.Contains(body, gem) {
				t.Errorf("nobody at %s: %d\n%s", pattern, status, body)
			}
			if method == http.MethodPost {
				for _, f := range []struct{ what, token, site string }{{"no token", "", ""}, {"another's token", b.csrf, ""}, {"another site", r.csrf, "cross-site"}, {"a neighbour's site", r.csrf, "same-site"}} {
					if status, _ := raw(r, method, x.path, with(x.form, f.token), f.site); status != no {
						t.Errorf("root at %s with %s: %d", x.path, f.what, status)
					}
				}
			}
			if pattern == "POST /logout" { // their own to do
				continue
			}
			status, body := raw(b, method, x.path, with(x.form, b.csrf), "")
			if x.want != 0 && status != x.want {
				t.Errorf("bob at %s: %d, want %d", x.path, status, x.want)
			}
			if strings.Contains(strings.ReplaceAll(body, url.QueryEscape(gem[:4]), ""), gem) {
				t.Errorf("bob is shown what is not his at %s %v:\n%s", x.path, x.form, body)
			}
		}
		if method == http.MethodPost {
			same(pattern)
		}
	}
	if resp, _ := raw(nobody, http.MethodGet, "/live", nil, ""); resp != http.StatusSeeOther {
		t.Errorf("nobody at /live: %d", resp)
	}
}
