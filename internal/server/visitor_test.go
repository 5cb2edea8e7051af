package server_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/server"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// visitor is somebody who looks at the web page, as a browser does.
type visitor struct {
	tb   testing.TB
	http *http.Client
	at   string
	csrf string // "" = has not logged in
}

// visit logs somebody in to the page of a server; the zero Person does not.
func visit(tb testing.TB, s *server.Server, p bellhop.Person) *visitor {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	v := &visitor{tb: tb, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, at: s.WebAt()}
	tb.Cleanup(v.http.CloseIdleConnections)
	if p.Identity == "" {
		return v
	}
	path := filepath.Join(tb.TempDir(), "s")
	if err := s.ControlAs(path, p); err != nil {
		tb.Fatal(err)
	}
	c := &api.Client{Socket: path, Source: "ask", Session: api.NewKey()}
	defer c.Close()
	link, err := c.Login(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	u, err := url.Parse(link.Link)
	if err != nil {
		tb.Fatal(err)
	}
	if status, body := v.post(u.Path, nil); status != http.StatusSeeOther {
		tb.Fatalf("%s could not log in: %d %s", p.Identity, status, body)
	}
	_, page := v.get("/services")
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		tb.Fatalf("no page has a token: %s", page)
	}
	v.csrf = m[1]
	return v
}

func (v *visitor) get(path string) (int, string) {
	v.tb.Helper()
	return v.send(http.MethodGet, path, nil)
}

// post sends a form, with the token of the visitor's own session unless the
// form has one.
func (v *visitor) post(path string, form url.Values) (int, string) {
	v.tb.Helper()
	own := url.Values{"csrf": {v.csrf}}
	for k, f := range form {
		own[k] = f
	}
	return v.send(http.MethodPost, path, own)
}

func (v *visitor) send(method, path string, form url.Values) (int, string) {
	v.tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, v.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.tb.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.tb.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// sees fails unless a page is shown with all of some texts.
func (v *visitor) sees(path string, texts ...string) string {
	v.tb.Helper()
	status, body := v.get(path)
	if status != http.StatusOK {
		v.tb.Errorf("%s: %d, want 200", path, status)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			v.tb.Errorf("%s does not show %q:\n%s", path, text, body)
		}
	}
	return body
}

// refused fails unless a page, or a change, is answered with a status.
func (v *visitor) refused(method, path string, form url.Values, want int) string {
	v.tb.Helper()
	var status int
	var body string
	if method == http.MethodGet {
		status, body = v.get(path)
	} else {
		status, body = v.post(path, form)
	}
	if status != want {
		v.tb.Errorf("%s %s: %d, want %d", method, path, status, want)
	}
	return body
}

// hides fails when a text shows any of some words.
func hides(tb testing.TB, what, text string, words ...string) {
	tb.Helper()
	for _, w := range words {
		if strings.Contains(text, w) {
			tb.Errorf("%s shows %q:\n%s", what, w, text)
		}
	}
}
