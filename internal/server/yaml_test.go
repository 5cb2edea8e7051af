package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// kept is a service as it is sent.
func kept(name, says string) string {
	return fmt.Sprintf(`services:
  %s:
    jobs:
      say: {run: "echo %s", concurrency: unlimited, report: {stdout: true}}
    commands: [{command: say, job: say}]
`, name, says)
}

// yamlClient sends services, and asks for them.
type yamlClient struct {
	*raw
	s *server.Server
}

func (c yamlClient) put(text string, header ...string) (status int, body string, y api.YAML) {
	c.t.Helper()
	status, body, head := c.do("POST", "/v1/yaml", text, append(header, "Content-Type: application/yaml")...)
	if status == http.StatusOK {
		if err := json.Unmarshal([]byte(body), &y); err != nil {
			c.t.Fatal(err)
		}
		if want := fmt.Sprintf("%q", fmt.Sprint(y.Version)); head.Get("ETag") != want {
			c.t.Errorf("the ETag is %s, want %s", head.Get("ETag"), want)
		}
	}
	return status, body, y
}

func (c yamlClient) mustPut(text string, version int64) {
	c.t.Helper()
	if status, body, y := c.put(text); status != http.StatusOK || y.Version != version {
		c.t.Fatalf("%d %s, want version %d", status, body, version)
	}
}

// says has a service's job done and returns what it wrote; "" when there is no
// such service.
func (c yamlClient) says(service string) string {
	c.t.Helper()
	ask, err := client(c.t, c.s).Ask(c.t.Context(), api.NewKey(), service+" say")
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return ""
	}
	if err != nil {
		c.t.Fatal(err)
	}
	_, body, _ := c.do("GET", "/v1/runs/"+ask.Accepted.Run.String()+"/output?follow=true", "")
	return strings.TrimSpace(body)
}

func yamlOf(t *testing.T, s *server.Server) yamlClient { return yamlClient{dial(t, s), s} }

func (c yamlClient) audited() string {
	c.t.Helper()
	_, body, _ := c.do("GET", "/v1/audit?limit=1000", "")
	return body
}

func TestAServiceOfTheStoreIsActiveAtOnce(t *testing.T) {
	c := yamlOf(t, start(t, echo))
	if c.says("deploys") != "" {
		t.Fatal("it is there already")
	}
	c.mustPut(kept("deploys", "one"), 1)
	if got := c.says("deploys"); got != "one" {
		t.Errorf("it says %q", got)
	}
	c.mustPut(kept("deploys", "one"), 1) // the same again
	c.mustPut(kept("deploys", "two"), 2)
	c.mustPut(kept("other", "three"), 1)
	if a, b := c.says("deploys"), c.says("other"); a != "two" || b != "three" {
		t.Errorf("they say %q and %q", a, b)
	}
	for path, want := range map[string]string{"": kept("deploys", "two"), "?version=1": kept("deploys", "one"), "?version=2": kept("deploys", "two")} {
		if status, body, head := c.do("GET", "/v1/yaml/deploys"+path, ""); status != 200 || body != want || head.Get("Content-Type") != "application/yaml" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for path, want := range map[string]int{"/deploys?version=3": 404, "/deploys?version=x": 400, "/nothing": 404, "/nothing/history": 404, "/example": 404} {
		if status, body, _ := c.do("GET", "/v1/yaml"+path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, body, _ := c.do("GET", "/v1/yaml", ""); !regexp.MustCompile(`\{"services":\[\{"service":"deploys","version":2,"by":"local:\w+","at":"20[^"]*Z","bytes":\d+\},\{"service":"other","version":1,`).MatchString(body) {
		t.Error(body)
	}
	if status, body, _ := c.do("DELETE", "/v1/yaml/deploys", ""); status != 200 || !strings.Contains(body, `"version":3`) || c.says("deploys") != "" || c.says("other") != "three" {
		t.Errorf("%d %s", status, body)
	}
	if _, body, _ := c.do("GET", "/v1/yaml", ""); strings.Contains(body, "deploys") {
		t.Error(body)
	}
	if status, _, _ := c.do("DELETE", "/v1/yaml/deploys", ""); status != 404 {
		t.Error(status)
	}
	if status, body, _ := c.do("GET", "/v1/yaml/deploys", ""); status != 404 {
		t.Errorf("%d %s", status, body)
	}
	c.mustPut(kept("deploys", "two"), 4)
	_, body, _ := c.do("GET", "/v1/yaml/deploys/history", "")
	if got := regexp.MustCompile(`"version":\d+|"removed":true`).FindAllString(body, -1); !slices.Equal(got, []string{`"version":4`, `"version":3`, `"removed":true`, `"version":2`, `"version":1`}) {
		t.Error(body)
	}
	trail := c.audited()
	for _, detail := range []string{"service deploys version 1", "service deploys version 2", "service other version 1", "service deploys version 3, which removes it", "service deploys version 4"} {
		if want := `"action":"yaml","principal":"local:\w+","identity":"local:\w+","source":"local","service":"\w+","allowed":true,"rule":"admin","detail":"` + detail + `"`; len(regexp.MustCompile(want).FindAllString(trail, -1)) != 1 {
			t.Errorf("the trail has not once %q: %s", detail, trail)
		}
	}
}

func TestAFaultyServiceIsRefusedAndNothingIsKept(t *testing.T) {
	const hidden = "hunter2hunter2"
	var log strings.Builder
	c := yamlOf(t, startLogged(t, "people: {alice: {ssh: alice}}\n"+echo, &log))
	c.mustPut(kept("first", "one"), 1)
	t.Setenv("SERVER_VARIABLE", hidden)
	for _, tt := range []struct {
		name, text, want string
		status           int
		header           []string
	}{
		{"a fault", kept("deploys", "x") + "    tiemout: 5m\n", `store:deploys:6:5: unknown key`, 400, nil},
		{"no YAML", "services: [", `yaml:1:\d+: `, 400, nil},
		{"two faults", "services: {deploys: {jobs: {a: {run: x, t: 1}, b: {run: y, t: 2}}}}", `store:deploys:1:\d+: .*\\nstore:deploys:1:\d+: `, 400, nil},
		{"a setting", "lease: 1s\n" + kept("deploys", "x"), `yaml:1:1: .*belongs in the file`, 400, nil},
		{"shadowing", kept("example", "x"), `store:example:2:3: service example is defined in [^ ]*bellhop.yaml:\d+, and what a file defines the store may not shadow`, 400, nil},
		{"a phrase of others", "services: {deploys: {jobs: {a: {run: x}}, prefix: none, commands: [{command: example hello, job: a}]}}", `store:deploys:`, 400, nil},
		{"a phrase of another of the store", "services: {deploys: {jobs: {a: {run: x}}, prefix: none, commands: [{command: first say, job: a}]}}", `store:deploys:`, 400, nil},
		{"a script", "services: {deploys: {jobs: {a: {run: \"eval '{x}'\"}}}}", `store:deploys:1:`, 400, nil},
		{"a person", "services: {deploys: {allow: [{person: bob}], jobs: {a: {run: x}}}}", `store:deploys:1:\d+: .*bob`, 400, nil},
		{"a secret that is not set", "services: {deploys: {jobs: {a: {run: x, env: {A: \"secret:none\"}}}}}", `store:deploys:1:\d+: .*none`, 400, nil},
		{"a cron", "services: {deploys: {jobs: {a: {run: x}}, schedules: [{cron: 61 * * * *, job: a}]}}", `store:deploys:1:\d+: `, 400, nil},
		{"the environment", "services: {deploys: {jobs: {a: {run: x, env: {A: \"${SERVER_VARIABLE}\"}}}}}", `store:deploys:1:\d+: .*secret:NAME`, 400, nil},
		{"a secret in clear", "services: {deploys: {jobs: {a: {run: x, env: {API_TOKEN: " + hidden + "}}}}}", `store:deploys:1:\d+: .*bellhop secret set`, 400, nil},
		{"a webhook's secret in clear", "services: {deploys: {jobs: {a: {run: x}}, webhooks: [{job: a, github: {secret: " + hidden + "}}]}}", `store:deploys:1:\d+: .*bellhop secret set`, 400, nil},
		{"a form", kept("deploys", "x"), `--data-binary`, 400, []string{"Content-Type: application/x-www-form-urlencoded"}},
		{"a wrong version", kept("deploys", "x"), `has no version 3`, 409, []string{"If-Match: \"3\""}},
		{"no version", kept("deploys", "x"), `If-Match is`, 400, []string{"If-Match: \"x\""}},
		{"one that is there", kept("first", "x"), `has version 1 by now`, 409, []string{"If-None-Match: *"}},
		{"too much", kept("deploys", "x") + "#" + strings.Repeat("x", 1_000_000), `1000000 are taken`, 413, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := tt.header
			if len(header) == 0 || !strings.HasPrefix(header[0], "Content-Type") {
				header = append(header, "Content-Type: text/plain; charset=utf-8")
			}
			status, body, _ := c.do("POST", "/v1/yaml", tt.text, header...)
			if status != tt.status || !regexp.MustCompile(tt.want).MatchString(body) || strings.Contains(body, hidden) {
				t.Errorf("%d %s\nwant %d %s", status, body, tt.status, tt.want)
			}
		})
	}
	if _, body, _ := c.do("GET", "/v1/yaml", ""); strings.Count(body, `"service":`) != 1 || c.says("deploys") != "" || c.says("first") != "one" || c.says("example") != "" {
		t.Error(body)
	}
	if status, body, _ := c.do("GET", "/v1/yaml/deploys/history", ""); status != 404 {
		t.Errorf("%d %s", status, body)
	}
	if trail := c.audited(); strings.Contains(trail, hidden) || strings.Contains(trail, "service deploys") {
		t.Error(trail)
	}
	if strings.Contains(log.String(), hidden) {
		t.Error(log.String())
	}
	if status, body, _ := c.put(kept("first", "two"), "If-Match: \"1\""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := c.put(kept("deploys", "x"), "If-None-Match: *"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := c.do("DELETE", "/v1/yaml/first", "", "If-Match: \"1\""); status != 409 {
		t.Errorf("%d %s", status, body)
	}
}

// startLogged is start with a log.
func startLogged(t *testing.T, text string, log *strings.Builder) *server.Server {
	t.Helper()
	return startIn(t, t.TempDir(), text, slog.New(slog.NewTextHandler(log, nil)))
}

// startIn starts a server in a folder, which may have been one's before.
func startIn(t *testing.T, folder, text string, log *slog.Logger) *server.Server {
	t.Helper()
	path := filepath.Join(folder, "bellhop.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	giveKey(t, folder)
	loaded, faults, err := server.Load(path)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	s := server.New(server.Options{Config: loaded, Version: "test", Log: log})
	if _, err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(context.Background(), 0) })
	return s
}

// TestServicesOfTheStoreOutliveTheServer: one that the files define by then, or
// that does not go with them any more, is left out, and comes back.
func TestServicesOfTheStoreOutliveTheServer(t *testing.T) {
	folder := t.TempDir()
	s := startIn(t, folder, "people: {alice: {ssh: alice}}\n"+echo, slog.New(slog.DiscardHandler))
	c := yamlOf(t, s)
	c.mustPut(kept("deploys", "stored"), 1)
	c.mustPut(kept("other", "other"), 1)
	c.mustPut(strings.Replace(kept("alices", "hers"), "    jobs:", "    allow: [{person: alice}, {group: internal}]\n    jobs:", 1), 1)
	s.Stop(t.Context(), 0)

	s = startIn(t, folder, "people: {alice: {ssh: alice}}\n"+echo, slog.New(slog.DiscardHandler))
	c = yamlOf(t, s)
	if a, b, d := c.says("deploys"), c.says("other"), c.says("example"); a != "stored" || b != "other" || d != "" {
		t.Errorf("they say %q, %q and %q", a, b, d)
	}
	// The files define one too: a reload is refused, and names both.
	shadowed := echo + "  deploys:\n    jobs: {say: {run: echo file, report: {stdout: true}}}\n    commands: [{command: say, job: say}]\n"
	file := filepath.Join(folder, "bellhop.yaml")
	if err := os.WriteFile(file, []byte("people: {alice: {ssh: alice}}\n"+shadowed), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(t.Context()); err == nil || !regexp.MustCompile(`old one stays:\nstore:deploys:2:3: .*bellhop.yaml:\d+.*bellhop yaml rm deploys`).MatchString(err.Error()) {
		t.Error(err)
	}
	if got := c.says("deploys"); got != "stored" {
		t.Errorf("it says %q", got)
	}
	// What a change of a service is checked with is what was active, not what
	// nobody has loaded yet.
	c.mustPut(kept("other", "more"), 2)
	s.Stop(t.Context(), 0)

	// A start goes on with the files.
	var log strings.Builder
	s = startIn(t, folder, "people: {bob: {ssh: bob}}\n"+shadowed, slog.New(slog.NewTextHandler(&log, nil)))
	c = yamlOf(t, s)
	if a, b := c.says("deploys"), c.says("other"); a != "file" || b != "more" || c.says("alices") != "" {
		t.Errorf("they say %q and %q", a, b)
	}
	if !strings.Contains(log.String(), `level=ERROR msg="a service of the store is left out`) || !strings.Contains(log.String(), "service=alices") || !strings.Contains(log.String(), "service=deploys") {
		t.Error(log.String())
	}
	if _, body, _ := c.do("GET", "/v1/yaml", ""); strings.Count(body, `"left_out":"store:`) != 2 {
		t.Error(body)
	}
	// That keeps nobody from changing something else, or from reloading.
	c.mustPut(kept("other", "even more"), 3)
	if _, err := s.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if status, body, _ := c.put(kept("deploys", "again")); status != 400 || !strings.Contains(body, "may not shadow") {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := c.do("DELETE", "/v1/yaml/alices", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	// Without it in the files, it is there again.
	if err := os.WriteFile(file, []byte(echo), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if a, b := c.says("deploys"), c.says("other"); a != "stored" || b != "even more" {
		t.Errorf("they say %q and %q", a, b)
	}
	if _, body, _ := c.do("GET", "/v1/yaml", ""); strings.Contains(body, `"left_out"`) {
		t.Error(body)
	}
}

// TestOnlyAdminsChangeServices: others are refused, and that is recorded.
func TestOnlyAdminsChangeServices(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf("web: {listen: %q}\npeople: {alice: {ssh: alice}, bob: {ssh: bob}}\naccess: {admins: [{person: alice}]}\n", addr)+echo)
	c := yamlOf(t, s)
	c.mustPut(kept("deploys", "one"), 1)
	tokens := map[string]string{}
	for name, token := range map[string]bellhop.Token{
		"guest": {Name: "guest"}, "bob": {Name: "bob", As: "bob"}, "confined": {Name: "confined", As: "alice", Allow: []string{"example"}}, "alice": {Name: "alice", As: "alice"},
	} {
		text, err := client(t, s).CreateToken(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = text
	}
	for name, token := range tokens {
		for _, r := range [][3]string{
			{"POST", "/v1/yaml", kept("mine", name)}, {"GET", "/v1/yaml", ""}, {"GET", "/v1/yaml/deploys", ""}, {"GET", "/v1/yaml/deploys/history", ""}, {"DELETE", "/v1/yaml/deploys", ""},
		} {
			req, err := http.NewRequestWithContext(t.Context(), r[0], "http://"+addr+r[1], strings.NewReader(r[2]))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if want := map[bool]int{true: 200, false: 403}[name == "alice"]; resp.StatusCode != want {
				t.Errorf("%s: %s %s: %d", name, r[0], r[1], resp.StatusCode)
			}
		}
	}
	if got := c.says("mine"); got != "alice" {
		t.Errorf("it says %q", got)
	}
	if n := len(regexp.MustCompile(`"action":"yaml"[^}]*"allowed":false`).FindAllString(c.audited(), -1)); n != 15 {
		t.Errorf("%d refusals are recorded: %s", n, c.audited())
	}
}

// TestManyChangeServicesAtOnce: each version is one change, and the last is
// active.
func TestManyChangeServicesAtOnce(t *testing.T) {
	c := yamlOf(t, start(t, echo))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 30 {
				if status, body, _ := c.do("POST", "/v1/yaml", kept("deploys", fmt.Sprintf("v%d-%d", i, n)), "Content-Type: application/yaml"); status != 200 {
					t.Errorf("%d %s", status, body)
				}
			}
		})
	}
	wg.Wait()
	_, body, _ := c.do("GET", "/v1/yaml/deploys/history", "")
	var got struct{ Versions []api.YAML }
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Versions) != 100 || got.Versions[0].Version != 120 || got.Versions[99].Version != 21 {
		t.Errorf("%v %d versions", err, len(got.Versions))
	}
	_, text, _ := c.do("GET", "/v1/yaml/deploys", "")
	if said := c.says("deploys"); !strings.Contains(text, "echo "+said+`"`) {
		t.Errorf("it says %q, and is\n%s", said, text)
	}
	for version, want := range map[int]int{20: 404, 21: 200} {
		if status, _, _ := c.do("GET", fmt.Sprintf("/v1/yaml/deploys?version=%d", version), ""); status != want {
			t.Errorf("version %d: %d", version, status)
		}
	}
}

// TestServersOfAStoreHaveItsServices: what one is sent, the others have soon,
// but where their own files say otherwise.
func TestServersOfAStoreHaveItsServices(t *testing.T) {
	t.Setenv("BELLHOP_KEY", strings.Repeat("5a", 32))
	text := "store: " + pgtest.URL(t) + "\n" + echo
	a, b := yamlOf(t, start(t, text)), yamlOf(t, start(t, text))
	soon := func(c yamlClient, service, want string) {
		t.Helper()
		for c.says(service) != want {
			if t.Context().Err() != nil {
				t.Fatalf("%s does not say %q", service, want)
			}
		}
	}
	a.mustPut(kept("deploys", "one"), 1)
	soon(b, "deploys", "one")
	b.mustPut(kept("deploys", "two"), 2)
	soon(a, "deploys", "two")
	for name, c := range map[string]yamlClient{"a": a, "b": b} { // the same configuration
		got, err := client(t, c.s).Ask(t.Context(), "status", "status")
		if err != nil || got.Status.Config != nil {
			t.Errorf("%s says that it has another configuration than the newest: %v", name, err)
		}
	}
	third := yamlOf(t, start(t, text+"  other:\n    jobs: {say: {run: echo file, report: {stdout: true}}}\n    commands: [{command: say, job: say}]\n"))
	soon(third, "deploys", "two")
	a.mustPut(kept("other", "stored"), 1)
	a.mustPut(kept("last", "last"), 1)
	soon(third, "last", "last")
	if got := third.says("other"); got != "file" {
		t.Errorf("it says %q", got)
	}
	if _, body, _ := third.do("GET", "/v1/yaml", ""); strings.Count(body, `"left_out":"store:other`) != 1 {
		t.Error(body)
	}
	if status, body, _ := a.do("DELETE", "/v1/yaml/deploys", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	soon(b, "deploys", "")
	soon(third, "deploys", "")

	// Changes at all of them at once: each is a version, or told to try again.
	var wg sync.WaitGroup
	done := make(chan int64, 100)
	for i, c := range []yamlClient{a, b, third} {
		for n := range 10 {
			wg.Go(func() {
				status, body, _ := c.do("POST", "/v1/yaml", kept("racy", fmt.Sprintf("v%d-%d", i, n)), "Content-Type: application/yaml")
				var y api.YAML
				if err := json.Unmarshal([]byte(body), &y); status == 200 && err == nil {
					done <- y.Version
				} else if status != 409 {
					t.Errorf("%d %s", status, body)
				}
			})
		}
	}
	wg.Wait()
	close(done)
	versions := []int64{}
	for v := range done {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	for i, v := range versions {
		if v != int64(i+1) {
			t.Fatalf("the versions are %v", versions)
		}
	}
	_, newest, _ := a.do("GET", "/v1/yaml/racy", "")
	for _, c := range []yamlClient{a, b, third} {
		soon(c, "racy", regexp.MustCompile(`echo (v\d+-\d+)`).FindStringSubmatch(newest)[1])
	}
}

// TestAServerDiesWhileAServiceIsSent: before the head is written there is
// nothing, and behind it a version that is taken up.
func TestAServerDiesWhileAServiceIsSent(t *testing.T) {
	folder := t.TempDir()
	s := startIn(t, folder, echo, slog.New(slog.DiscardHandler))
	c := yamlOf(t, s)
	for range 3 {
		if err := s.Shelve(t.Context(), "deploys", []byte(kept("deploys", "lost")), false); err != nil {
			t.Fatal(err)
		}
	}
	if status, body, _ := c.do("GET", "/v1/yaml/deploys/history", ""); status != 404 {
		t.Errorf("%d %s", status, body)
	}
	c.mustPut(kept("deploys", "one"), 1)
	if n, err := s.Shelved(t.Context()); err != nil || n != 2 {
		t.Errorf("%d values are left, %v", n, err)
	}
	if err := s.Shelve(t.Context(), "deploys", []byte(kept("deploys", "two")), true); err != nil {
		t.Fatal(err)
	}
	if got := c.says("deploys"); got != "one" {
		t.Errorf("it says %q", got)
	}
	c.mustPut(kept("deploys", "two"), 2) // who had no answer sends it again
	if got := c.says("deploys"); got != "two" {
		t.Errorf("it says %q", got)
	}
	if err := s.Shelve(t.Context(), "deploys", []byte(kept("deploys", "three")), true); err != nil {
		t.Fatal(err)
	}
	s.Stop(t.Context(), 0)
	c = yamlOf(t, startIn(t, folder, echo, slog.New(slog.DiscardHandler)))
	if got := c.says("deploys"); got != "three" {
		t.Errorf("it says %q", got)
	}
}

// TestServersChangeServicesOneAtATime: whoever comes while another does is told.
func TestServersChangeServicesOneAtATime(t *testing.T) {
	t.Setenv("BELLHOP_KEY", strings.Repeat("5a", 32))
	text := "store: " + pgtest.URL(t) + "\n" + echo
	s, c := start(t, text), yamlOf(t, start(t, text))
	unlock, err := s.LockShelf(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status, body, _ := c.put(kept("deploys", "one")); status != 409 || !strings.Contains(body, "another server of this store") {
		t.Errorf("%d %s", status, body)
	}
	unlock()
	c.mustPut(kept("deploys", "one"), 1)
}

// TestAReloadThatAServiceDoesNotGoWithIsRefused, whatever it misses.
func TestAReloadThatAServiceDoesNotGoWithIsRefused(t *testing.T) {
	folder := t.TempDir()
	s := startIn(t, folder, "people: {alice: {ssh: alice}}\n"+echo, slog.New(slog.DiscardHandler))
	c := yamlOf(t, s)
	c.mustPut("services: {deploys: {allow: [{person: alice}], jobs: {say: {run: echo x}}}}", 1)
	if err := os.WriteFile(filepath.Join(folder, "bellhop.yaml"), []byte("people: {bob: {ssh: bob}}\n"+echo), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, body, _ := c.do("POST", "/v1/reload", ""); status != 400 || !strings.Contains(body, `store:deploys:1:`) || !strings.Contains(body, "alice") {
		t.Errorf("%d %s", status, body)
	}
}

// TestABrokerOfAStoredServiceIsFollowed as soon as the service is there, and no
// longer.
func TestABrokerOfAStoredServiceIsFollowed(t *testing.T) {
	addr, away := freeAddress(t), freeAddress(t)
	s := start(t, fmt.Sprintf("web: {listen: %q}\npeople: {alice: {ssh: alice}}\n", addr)+echo)
	c, shown := yamlOf(t, s), token(t, s, bellhop.Token{Name: "all", As: "alice"})
	c.mustPut(fmt.Sprintf("services: {shop: {jobs: {ship: {run: \"true\"}}, brokers: [{name: a, redis: {url: \"redis://%s\", stream: s}, job: ship}]}}", away), 1)
	told := func(want bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			_, body := network(t, "GET", "http://"+addr+"/readyz", shown, "")
			if strings.Contains(body, "broker:shop/a: the Redis server: ") == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("/readyz: %s", body)
			}
		}
	}
	told(true)
	if status, body, _ := c.do("DELETE", "/v1/yaml/shop", ""); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	told(false)
}
