package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// described is the OpenAPI document of a server, with objects that may have
// nothing that is not said of them.
type described struct {
	t      *testing.T
	addr   string
	token  string
	schema *jsonschema.Compiler
	left   map[string]bool // answers that the document has; false = seen
	keys   int
}

func describe(t *testing.T, addr, token string) *described {
	t.Helper()
	d := &described{t: t, addr: addr, token: token, schema: jsonschema.NewCompiler(), left: map[string]bool{}}
	status, body := d.send("GET", "/v1/openapi.json", "")
	if status != http.StatusOK {
		t.Fatal(status, string(body))
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(doc)
	if err := d.schema.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.(map[string]any)["paths"].(map[string]any) {
		for method, op := range methods.(map[string]any) {
			for status, answer := range op.(map[string]any)["responses"].(map[string]any) {
				content, _ := answer.(map[string]any)["content"].(map[string]any)
				if content["application/json"] != nil {
					d.left[strings.ToUpper(method)+" "+path+" "+status] = true
				}
			}
		}
	}
	return d
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, of := range v {
			closeObjects(of)
		}
	case []any:
		for _, of := range v {
			closeObjects(of)
		}
	}
}

func (d *described) send(method, path, body string) (int, []byte) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://"+d.addr+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	d.keys++
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Idempotency-Key", "key-"+strconv.Itoa(d.keys))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, b
}

// answers sends a request to an endpoint and holds the answer against what the
// document says of it.
func (d *described) answers(endpoint, path, body string) map[string]any {
	d.t.Helper()
	method, at, _ := strings.Cut(endpoint, " ")
	status, answer := d.send(method, path, body)
	media, place := "application/json", strconv.Itoa(status)
	if status >= 400 {
		media, place = "application/problem+json", "default"
	}
	key := endpoint + " " + place
	if _, has := d.left[key]; !has && status < 400 {
		d.t.Errorf("%s answers %d, which the document does not have: %s", endpoint, status, answer)
		return nil
	}
	d.left[key] = false
	esc := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "%2B")
	schema, err := d.schema.Compile(fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%s/content/%s/schema", esc.Replace(at), strings.ToLower(method), place, esc.Replace(media)))
	if err != nil {
		d.t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		d.t.Fatalf("%s: %v: %s", endpoint, err, answer)
	}
	if err := schema.Validate(v); err != nil {
		d.t.Errorf("%s %s answers what the document does not say: %v\n%s", method, path, err, answer)
	}
	m, _ := v.(map[string]any)
	return m
}

// TestAnswersAreAsDocumented sends a real server a request for each answer
// that the OpenAPI document has.
func TestAnswersAreAsDocumented(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(`
web: {listen: %q}
people:
  alice: {ssh: alice, groups: [ops]}
  bob: {ssh: bob, groups: [ops]}
access: {admins: [{person: alice}]}
sources: {irc: {description: The bot}}
services:
  site:
    description: The site
    jobs:
      hello: {run: "echo hello {who}", params: {who: {default: world, help: Whom to greet}}, report: {stdout: true}, help: Says hello}
      fail: {run: "echo oh >&2; exit 3", on_failure: {notify: alice}}
      slow: {run: sleep 60}
      held: {run: echo approved, approve: {by: ops, count: 2, self: true}}
    commands:
      - {command: "say [who]", job: hello, aliases: ["greet [who]"]}
    schedules:
      - {cron: "0 9 * * *", job: hello, name: morning}
    webhooks:
      - {name: posted, bearer: {secret: s3cret-s3cret}, job: hello, args: {who: "{event.who}"}}
    sources:
      - {name: seen, source: irc, when: {kind: seen}, job: hello, args: {who: "{event.who}"}}
`, addr))
	client := &api.Client{Socket: s.Socket(), Source: "ask", Session: api.NewKey()}
	t.Cleanup(client.Close)
	token, err := client.CreateToken(t.Context(), bellhop.Token{Name: "ci", As: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	d := describe(t, addr, token)
	const of = "/v1/runs"
	done := d.answers("POST /v1/{service}/{job}", "/v1/site/hello?wait=60s", `{"who": "docs"}`)["run"].(map[string]any)["id"].(string)
	failed := d.answers("POST /v1/{service}/{job}", "/v1/site/fail?wait=60s", ``)["run"].(map[string]any)["id"].(string)
	slow := d.answers("POST /v1/{service}/{job}", "/v1/site/slow", ``)["run"].(map[string]any)["id"].(string)
	d.answers("POST "+of, of, `{"text": "site say hello"}`)
	d.answers("POST "+of, of, `{"text": "in 1h site say hello"}`)
	d.answers("POST "+of, of, `{"text": "help"}`)
	d.answers("POST "+of, of, `{"service": "site", "job": "slow"}`)
	d.answers("POST "+of, of, `{"service": "site", "job": "nothing"}`)
	held := d.answers("POST /v1/{service}/{job}", "/v1/site/held", ``)["run"].(map[string]any)["id"].(string)
	d.answers("POST /v1/runs/{id}/approve", of+"/"+held+"/approve", `{"reason": "fine"}`)
	d.answers("POST /v1/pause", "/v1/pause", `{"service": "site", "job": "fail"}`)
	d.answers("POST /v1/suppress", "/v1/suppress", `{"service": "site", "job": "hello", "until": "2h"}`)
	waits := d.answers("POST /v1/runs", of, `{"service": "site", "job": "hello"}`)["accepted"].(map[string]any)["run"].(string)
	d.answers("GET /v1/runs/{id}", of+"/"+waits, "")
	d.answers("GET /v1/runs/{id}/why", of+"/"+waits+"/why", "")
	d.answers("GET /v1/suppressions", "/v1/suppressions", "")
	d.answers("GET /v1/status", "/v1/status", "")
	d.answers("GET /v1/runs", of+"?limit=3", "")
	d.answers("GET /v1/runs", of+"?state=failed&mine=true", "")
	d.answers("GET /v1/runs", of+"?verdict=FAIL&source=api&arg=env%3Dprod", "")
	d.answers("GET /v1/runs/{id}", of+"/"+done, "")
	d.answers("GET /v1/runs/{id}", of+"/"+failed, "")
	d.answers("GET /v1/runs/{id}", of+"/"+held, "")
	d.answers("GET /v1/runs/{id}", of+"/zzzzzz", "")
	second := d.answers("POST /v1/{service}/{job}", "/v1/site/held", ``)["run"].(map[string]any)["id"].(string)
	d.answers("POST /v1/runs/{id}/deny", of+"/"+second+"/deny", `{"reason": "no"}`)
	d.answers("POST /v1/runs/{id}/cancel", of+"/"+slow+"/cancel", "")
	d.answers("POST /v1/runs/{id}/retry", of+"/"+done+"/retry", `{"args": {"who": "again"}}`)
	d.answers("POST /v1/unsuppress", "/v1/unsuppress", `{"service": "site", "job": "hello"}`)
	d.answers("POST /v1/resume", "/v1/resume", `{"service": "site", "job": "fail"}`)
	d.answers("GET /v1/services", "/v1/services", "")
	d.answers("GET /v1/schedules", "/v1/schedules", "")
	d.answers("POST /v1/schedules/{service}/{name}/pause", "/v1/schedules/site/morning/pause", "")
	d.answers("GET /v1/schedules", "/v1/schedules", "")
	d.answers("POST /v1/schedules/{service}/{name}/resume", "/v1/schedules/site/morning/resume", "")
	d.answers("POST /v1/schedules/{service}/{name}/run", "/v1/schedules/site/morning/run", "")
	d.answers("POST /v1/schedules/{service}/{name}/run", "/v1/schedules/site/evening/run", "")
	d.answers("GET /v1/webhooks", "/v1/webhooks", "")
	for _, body := range []string{`{"who": "one"}`, `{"whom": "two"}`} {
		posted(t, "http://"+addr+"/webhooks/site/posted", "s3cret-s3cret", body)
	}
	const came = "/v1/webhooks/site/posted/deliveries"
	for deadline := time.Now().Add(30 * time.Second); ; { // they are written after the answer
		list := d.answers("GET /v1/webhooks/{service}/{name}/deliveries", came, "")["deliveries"].([]any)
		if len(list) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(list)
		}
	}
	d.answers("GET /v1/webhooks/{service}/{name}/deliveries/{n}", came+"/1", "")
	d.answers("POST /v1/webhooks/{service}/{name}/deliveries/{n}/replay", came+"/1/replay", "")
	d.answers("GET /v1/why", "/v1/why?text=site+say+hello", "")
	d.answers("GET /v1/version", "/v1/version", "")
	d.answers("GET /v1/openapi.json", "/v1/openapi.json", "")
	d.answers("POST /v1/reload", "/v1/reload", "")
	d.answers("POST /v1/tokens", "/v1/tokens", `{"name": "other", "as": "bob", "allow": ["site"]}`)
	d.answers("GET /v1/tokens", "/v1/tokens", "")
	d.answers("DELETE /v1/tokens/{name}", "/v1/tokens/other", "")
	d.answers("POST /v1/yaml", "/v1/yaml", "services: {deploys: {jobs: {deploy: {run: echo deployed}}}}")
	d.answers("POST /v1/yaml", "/v1/yaml", "services: {deploys: {jobs: {deploy: {rnu: echo deployed}}}}")
	d.answers("GET /v1/yaml", "/v1/yaml", "")
	d.answers("DELETE /v1/yaml/{service}", "/v1/yaml/deploys", "")
	d.answers("GET /v1/yaml/{service}/history", "/v1/yaml/deploys/history", "")
	d.answers("GET /v1/audit", "/v1/audit?limit=50", "")
	d.answers("GET /v1/audit/verify", "/v1/audit/verify", "")
	d.ofSources(client)
	for answer, unseen := range d.left {
		if unseen {
			t.Errorf("no request of this test is answered as in %q", answer)
		}
	}
}

// ofSources sends what outside sources do.
func (d *described) ofSources(client *api.Client) {
	d.t.Helper()
	var err error
	if d.token, err = client.CreateToken(d.t.Context(), bellhop.Token{Name: "bot", Source: "irc"}); err != nil {
		d.t.Fatal(err)
	}
	d.answers("PUT /v1/sources/{source}", "/v1/sources/irc", `{"shows": {"length": 400, "edits": true}}`)
	d.answers("PUT /v1/sources/{source}", "/v1/sources/slack", ``)
	for _, body := range []string{
		`{"key": "1", "person": "eve", "text": "site say"}`, `{"key": "2", "person": "eve", "text": "help"}`, `{"key": "3", "person": "eve", "text": "site nothing"}`,
		`{"key": "4", "person": "eve", "channel": "c", "text": "hello there"}`, `{"key": "5", "person": "eve", "text": "site say hello"}`,
		`{"key": "6", "person": "eve", "service": "site", "job": "hello"}`, `{"key": "7", "person": "eve", "service": "site", "job": "nothing"}`,
		`{"key": "8", "data": {"kind": "seen", "who": "eve"}}`, `{"key": "9", "data": {"kind": "seen"}}`, `{"key": "10", "data": {"kind": "other"}}`, `{"key": "11"}`,
	} {
		d.answers("POST /v1/events", "/v1/events", body)
	}
	report := func() string {
		for deadline := time.Now().Add(30 * time.Second); ; {
			about := d.answers("PUT /v1/sources/{source}", "/v1/sources/irc", ``)["reports"].(map[string]any)
			if id, ok := about["oldest"].(string); ok {
				return id
			}
			if time.Now().After(deadline) {
				d.t.Fatal(about)
			}
		}
	}()
	const ack = "POST /v1/sources/{source}/reports/{report}/ack"
	d.answers(ack, "/v1/sources/irc/reports/"+report+"/ack", `{"reference": "m-1"}`)
	d.answers(ack, "/v1/sources/irc/reports/77/ack", ``)
}

// posted posts an event to a webhook that wants a token.
func posted(t *testing.T, url, token, body string) {
	t.Helper()
	r, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
