package webtest

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHeaders: what keeps pages, assets and cookies safe is with each of them.
func TestHeaders(t *testing.T) {
	w := newWorld(t, "")
	h := w.hand("", "test")
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	want := func(path, name, value string, r *http.Response) {
		t.Helper()
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s: %s is %q, want %q", path, name, got, value)
		}
	}
	assets := map[string]bool{}
	for _, path := range append([]string{"/login", "/nothing", "/runs/000009", "/login/x"}, all...) {
		resp, body := h.send(http.MethodGet, path, nil, nil)
		want(path, "Content-Security-Policy", policy, resp)
		want(path, "X-Content-Type-Options", "nosniff", resp)
		want(path, "Cache-Control", "no-store", resp)
		want(path, "Referrer-Policy", "same-origin", resp)
		for _, m := range regexp.MustCompile(`"(/assets/[^"]+)"`).FindAllStringSubmatch(body, -1) {
			assets[m[1]] = true
		}
	}
	if len(assets) < 6 {
		t.Errorf("the pages have the assets %v", assets)
	}
	for path := range assets {
		resp, _ := h.send(http.MethodGet, path, nil, nil)
		want(path, "Cache-Control", "public, max-age=31536000, immutable", resp)
		want(path, "X-Content-Type-Options", "nosniff", resp)
		want(path, "Content-Security-Policy", policy, resp)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %s, %q", path, resp.Status, resp.Header.Get("Content-Type"))
		}
	}
}

// TestCookies: scripts don't see the cookie, other sites don't send it, and
// over TLS no other host can set it.
func TestCookies(t *testing.T) {
	for _, tc := range []struct {
		name, more, cookie string
		secure             bool
	}{{"plain", "", "bellhop", false}, {"behind a proxy with TLS", "url: https://bellhop.example.org, ", "__Host-bellhop", true}} {
		t.Run(tc.name, func(t *testing.T) {
			w := unstarted(t, "bellhop.yaml", "")
			text, err := os.ReadFile(filepath.Join(w.folder, "bellhop.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			w.write("bellhop.yaml", strings.Replace(string(text), "web: {", "web: {"+tc.more, 1))
			w.start()
			link := regexp.MustCompile(`^https?://[^/]+`).ReplaceAllString(w.bellhop("login"), w.url)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			cookies := resp.Cookies()
			if len(cookies) != 1 {
				t.Fatalf("%s: %v", resp.Status, cookies)
			}
			if c := cookies[0]; c.Name != tc.cookie || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != tc.secure || c.Path != "/" || c.Domain != "" || strings.Contains(link, c.Value) {
				t.Errorf("the cookie is %v", c)
			}
		})
	}
}
