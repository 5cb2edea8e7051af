package webtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// much is a configuration in which there is something on every page.
const much = `
  texts:
    description: Texts of all kinds
    jobs:
      print:
        run: 'printf "%s\n" {lines}; printf "%s\n" {lines} >&2'
        params: {lines: {type: list, dash: true, help: any}}
        report: {stdout: true}
      fail: {run: 'echo {x} >&2; exit 3', params: {x: {dash: true, help: any}}}
      ask: {run: "echo {x}", params: {x: {dash: true}}, approve: {by: ops, within: 1h}}
    commands:
      - {command: "print [lines...]", help: Prints, job: print}
      - {command: "fail [x]", help: Fails, job: fail}
      - {command: "ask [x]", help: Needs an approval, job: ask}
    webhooks:
      - {name: came, bearer: {secret: a-secret-of-the-hook-0123456789}, job: ask, args: {x: "{event.x}"}}
`

// full is a server on which there is something on every page, with texts of
// others wherever a text of others may stand. It returns a session of root's.
func full(t *testing.T, texts []string) (*world, *hand) {
	t.Helper()
	w := newWorld(t, much)
	root, bob := w.hand("", "Mozilla/5.0 "+texts[0]), w.hand("bob", texts[0])
	for i := 1; i < min(len(texts), 8); i++ {
		w.hand("bob", texts[i])
	}
	key := 0
	form := func(pairs ...string) url.Values {
		key++
		f := url.Values{"key": {fmt.Sprintf("key-%d", key)}}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		return f
	}
	runAt := func(resp *http.Response) string {
		at := resp.Header.Get("Location")
		if !strings.HasPrefix(at, "/runs/") {
			t.Fatalf("no run was asked for: %s", at)
		}
		return at
	}
	root.post("/services/texts/print", form("arg.lines", strings.Join(texts, "\n")))
	for i, text := range texts {
		root.post("/services/texts/fail", form("arg.x", text))
		at := runAt(root.post("/services/texts/ask", form("arg.x", text)))
		if i > 0 { // the first goes on to wait
			_, page := bob.send(http.MethodGet, at, nil, nil)
			bob.post(at+"/deny", form("reason", text, "digest", digestIn(t, page)))
		}
		root.post("/ask", form("text", text))
		w.hook(text)
	}
	for i := range min(len(texts), 10) {
		if quoted := strings.ReplaceAll(texts[i], `"`, "'"); quoted != "" {
			root.post("/ask", form("text", `in 2h texts fail "`+quoted+`"`))
		}
	}
	root.post("/ask", form("text", "example count to 9999"))
	w.write("kept.yaml", "services:\n  kept:\n    description: "+quote(texts[0])+"\n    jobs:\n      build: {run: echo one, help: "+quote(texts[0])+"}\n")
	w.bellhop("yaml", "put", "kept.yaml")
	w.write("kept.yaml", "services:\n  kept:\n    description: "+quote(texts[len(texts)-1])+"\n    jobs:\n      build: {run: echo two}\n")
	w.bellhop("yaml", "put", "kept.yaml")
	w.bellhop("token", "create", "robot")
	return w, root
}

var digestField = regexp.MustCompile(`name="digest" value="([^"]*)"`)

func digestIn(t *testing.T, page string) string {
	t.Helper()
	m := digestField.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page asks for no approval: %s", page)
	}
	return m[1]
}

// quote is a text as YAML takes it: JSON is YAML.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// hook posts to the webhook.
func (w *world) hook(text string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/webhooks/texts/came", strings.NewReader(`{"x": `+quote(text)+`, `+quote(text)+`: [1]}`))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer a-secret-of-the-hook-0123456789")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Said", strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		w.t.Fatalf("the webhook: %s", resp.Status)
	}
}

// all are the pages that there are, of a full server.
var all = []string{
	"/", "/ask", "/runs", "/runs?state=failed&service=texts", "/runs?who=nobody", "/runs/000001", "/runs/000002", "/runs/000003", "/services", "/services/deploys", "/services/deploys/deploy",
	"/services/texts/print", "/try", "/schedules", "/hooks", "/hooks/texts/came", "/hooks/texts/came/1", "/people", "/people?who=bob", "/me", "/audit", "/secrets", "/settings", "/settings/yaml/kept", "/settings/yaml/kept?version=1",
}

// TestEveryPage: nothing is wider than the page, and axe finds no serious
// fault, light on a desk and dark on a phone.
func TestEveryPage(t *testing.T) {
	w, _ := full(t, []string{"hello there", "a longer text that has several words, to be broken where it must be", strings.Repeat("unbroken", 30)})
	p := w.visitor()
	w.login(p)
	script := axe(t)
	// Colours are the same on both, and so is what lies where in both schemes.
	for _, look := range []struct{ size, scheme string }{{"desk", "light"}, {"phone", "dark"}} {
		if look.size == "phone" {
			p.Phone()
		}
		p.Scheme(look.scheme)
		for _, path := range all {
			p.Go(w.url + path)
			p.Until(`document.readyState === "complete"`)
			if got := browsertest.Eval[int](p, `document.documentElement.scrollWidth - innerWidth`); got > 0 {
				t.Errorf("%s on a %s is %d pixels too wide", path, look.size, got)
			}
			if script == "" {
				continue
			}
			p.Do(script)
			for _, fault := range browsertest.Eval[[]string](p, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical").flatMap(v => v.nodes.slice(0, 3).map(n => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary.slice(0, 300))))`) {
				t.Errorf("%s, %s, on a %s: %s", path, look.scheme, look.size, fault)
			}
		}
	}
}

// axe is the script of axe-core, "" where it can't be had.
func axe(t *testing.T) string {
	t.Helper()
	must := os.Getenv("BELLHOP_TEST_REQUIRE") == "all"
	if _, err := exec.LookPath("npm"); err != nil {
		if must {
			t.Fatal("npm is not on PATH; install it with Node")
		}
		t.Log("npm is not on PATH; with it, axe looks at the pages, too")
		return ""
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", "axe", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ENOTFOUND") || strings.Contains(string(out), "EAI_AGAIN") {
			t.Logf("npm's registry can't be reached, so axe does not look at the pages: %s", out)
			return ""
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}
