package webtest

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// TestScreenshots takes a picture of every page, of a made-up world in which
// there is something of everything, and of a new one in which there is nothing;
// no page may be wider than its window. With BELLHOP_TEST_SCREENSHOTS, a folder,
// the pictures stay there, light and dark, on a desktop and a phone.
func TestScreenshots(t *testing.T) {
	folder, all := os.Getenv("BELLHOP_TEST_SCREENSHOTS"), true
	if folder == "" {
		folder, all = t.TempDir(), false
	} else if !filepath.IsAbs(folder) {
		folder = filepath.Join("..", "..", folder)
	}
	g := &gallery{t: t, folder: folder, all: all}

	fresh := newWorld(t, "")
	p := fresh.visitor()
	p.Zone("Europe/London")
	g.shoot(p, "login", "/login", fresh)
	fresh.login(p)
	g.shoot(p, "new-now", "/", fresh)
	for _, name := range []string{"runs", "hooks", "secrets"} {
		g.shoot(p, "new-"+name, "/"+name, fresh)
	}

	w := demo(t)
	p = w.visitor()
	p.Zone("Europe/London")
	p.Forgive("status of 404")
	w.login(p)
	p.Go(w.url + "/runs/" + w.ids["failed"])
	p.Until(`document.querySelector("#run .state").textContent.includes("failed")`)
	for _, s := range []struct {
		name, path, see string
	}{
		{"now", "/", "Waits for an approval"},
		{"runs", "/runs", ""},
		{"runs-failed", "/runs?state=failed", ""},
		{"run-running", "/runs/" + w.ids["running"], "TestCart"},
		{"run-failed", "/runs/" + w.ids["failed"], "no space left"},
		{"run-held", "/runs/" + w.ids["held"], ""},
		{"services", "/services", ""},
		{"service", "/services/site", ""},
		{"job", "/services/site/deploy", ""},
		{"schedules", "/schedules", ""},
		{"hooks", "/hooks", ""},
		{"hook", "/hooks/site/merged", ""},
		{"delivery", "/hooks/site/merged/1", ""},
		{"people", "/people", ""},
		{"me", "/me", ""},
		{"audit", "/audit", ""},
		{"secrets", "/secrets", ""},
		{"settings", "/settings", ""},
		{"missing", "/runs/999999", ""},
	} {
		g.see = s.see
		g.shoot(p, s.name, s.path, &w.world)
	}
	p.Forgive("status of 422")
	p.Go(w.url + "/ask")
	for i, line := range []string{"network block 192.0.2.99", "site depoly staging", "figures sales 2026-10"} {
		p.Fill("#say", line)
		p.Keys("\r")
		p.Until(fmt.Sprintf(`document.querySelectorAll("#talk .turn").length > %d`, i))
	}
	p.See("4,310 orders")
	g.take(p, "ask")
	p.Go(w.url + "/try?text=site+deploy+production+v2.14.0")
	p.Click(`form[action="/try"] button.primary`)
	p.See("v2.14.0")
	g.take(p, "try")
}

// gallery takes the pictures.
type gallery struct {
	t      *testing.T
	folder string
	all    bool
	see    string // what is waited for before
}

func (g *gallery) shoot(p *browsertest.Page, name, path string, w *world) {
	g.t.Helper()
	p.Go(w.url + path)
	if g.see != "" {
		p.See(g.see)
	}
	g.take(p, name)
}

// take takes the pictures of what is shown.
func (g *gallery) take(p *browsertest.Page, name string) {
	g.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.Scheme(scheme)
		p.Until(`![...document.querySelectorAll("time[data-time]")].some((e) => / (UTC|GMT|BST)$/.test(e.textContent))`)
		path := filepath.Join(g.folder, name+"-"+scheme+".png")
		p.Shot(path)
		g.fits(p, name)
		if !g.all {
			break
		}
		small(g.t, path)
	}
	p.Scheme("light")
	p.Phone()
	if g.all && os.Getenv("BELLHOP_TEST_SCREENSHOTS_PHONE") != "" {
		p.Shot(filepath.Join(g.folder, name+"-phone.png"))
	}
	g.fits(p, name+", on a phone")
	p.Size(1280, 800)
}

// fits fails when a page is wider than what it is seen in.
func (g *gallery) fits(p *browsertest.Page, name string) {
	g.t.Helper()
	wide := browsertest.Eval[string](p, `(() => {
		const room = document.documentElement.clientWidth, over = [];
		if (document.documentElement.scrollWidth <= room) return "";
		for (const e of document.querySelectorAll("main *")) {
			if (e.getBoundingClientRect().right > room + 1) over.push(e.tagName + "." + e.className);
		}
		return document.documentElement.scrollWidth + " in " + room + ": " + over.slice(0, 8).join(" ");
	})()`)
	if wide != "" {
		g.t.Errorf("%s is too wide: %s", name, wide)
	}
}

// town is the made-up world.
type town struct {
	world
	ids map[string]string
}

var runNumber = regexp.MustCompile(`\b0[0-9a-z]{5}\b`)

func demo(t *testing.T) *town {
	t.Helper()
	w := &town{world: *unstarted(t, "demo.yaml", ""), ids: map[string]string{}}
	t.Cleanup(w.stop)
	script, err := os.ReadFile("testdata/tests.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(w.folder, "scripts"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("scripts/tests.sh", string(script))
	w.secret("hook", "let-me-in-to-the-site")
	w.secret("vault_key", "correct-horse-battery")
	w.start()
	bob := w.bellhop("token", "create", "bobs_laptop", "--as", "bob")
	detach := func(line string) string { return runNumber.FindString(w.bellhop("ask", "--detach", line)) }

	w.ids["failed"] = w.post(bob, "/v1/runs", `{"service": "backups", "job": "nightly", "args": {}}`)
	for i := range 3 {
		w.post(bob, "/v1/figures/sales?wait=30s", fmt.Sprintf(`{"month": "2026-0%d"}`, i+7))
		w.post(bob, "/v1/network/block?wait=30s", fmt.Sprintf(`{"ip": "192.0.2.%d"}`, i+7))
		w.post(bob, "/v1/site/deploy?wait=30s", fmt.Sprintf(`{"env": "staging", "version": "v2.1%d.0"}`, i+1))
	}
	w.ids["held"] = w.post(bob, "/v1/runs", `{"service": "site", "job": "deploy", "args": {"env": "production", "version": "v2.13.0"}}`)
	w.bellhop("pause", "site", "check")
	detach("site check www.example.com")
	w.bellhop("ask", "at 23:50 figures sales 2026-11")
	w.ids["running"] = w.post(bob, "/v1/runs", `{"service": "site", "job": "test", "args": {"n": 100000}}`)
	for _, body := range []string{`{"tag": "v2.14.0", "by": "carol", "title": "The cart remembers"}`, `{"tag": "two", "by": "carol"}`, `{"by": "bob"}`} {
		w.post("let-me-in-to-the-site", "/webhooks/site/merged", body)
	}
	w.post("let-me-in-to-the-site", "/webhooks/site/alarm", `{"host": "shop.example.com"}`)
	w.post("nothing", "/webhooks/site/alarm", `{"host": "shop.example.com"}`)
	return w
}

// secret seals a value.
func (w *world) secret(name, value string) {
	w.t.Helper()
	c := exec.Command(binary, "secret", "set", name)
	c.Dir, c.Stdin = w.folder, strings.NewReader(value)
	if out, err := c.CombinedOutput(); err != nil {
		w.t.Fatalf("bellhop secret set: %v\n%s", err, out)
	}
}

// post posts with a token, and returns the number of the run that came of it.
func (w *world) post(token, path, body string) string {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", path+body)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.HasPrefix(path, "/v1/") && resp.StatusCode >= 300 {
		w.t.Fatalf("%s: %d %s", path, resp.StatusCode, said)
	}
	if runNumber.Find(said) == nil && strings.HasPrefix(path, "/v1/") {
		w.t.Fatalf("%s: no run in %s", path, said)
	}
	return string(runNumber.Find(said))
}

// small writes a picture again with the 256 colours that it has most of, each
// other one as the nearest of them: a third of the bytes, and of flat colours
// and letters nobody sees it.
func small(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(from.At(x, y)).(color.RGBA) }
	b := from.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], bytes.Compare([]byte{a.R, a.G, a.B}, []byte{b.R, b.G, b.B}))
	})
	var p color.Palette
	for _, c := range most[:min(256, len(most))] {
		p = append(p, c)
	}
	to, index := image.NewPaletted(b, p), map[color.RGBA]uint8{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			i, ok := index[c]
			if !ok {
				i = uint8(p.Index(c))
				index[c] = i
			}
			to.SetColorIndex(x, y, i)
		}
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
