package webtest

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// keyOf is the key of somebody, who is known by its comment.
func keyOf(t testing.TB, name string) ssh.Signer {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// authorized are the lines of authorized_keys for some people.
func authorized(t testing.TB, names ...string) string {
	t.Helper()
	var lines strings.Builder
	for _, name := range names {
		lines.WriteString(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(keyOf(t, name).PublicKey()))) + " " + name + "\n")
	}
	return lines.String()
}

var sshAt = regexp.MustCompile(`(?m)^ssh +(\S+)$`)

// says has somebody say something over SSH, and returns the answer.
func (w *world) says(name, text string) string {
	w.t.Helper()
	at := sshAt.FindStringSubmatch(w.said.String())
	if at == nil {
		w.t.Fatalf("the server does not say where SSH is: %s", w.said)
	}
	c, err := ssh.Dial("tcp", at[1], &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{ssh.PublicKeys(keyOf(w.t, name))},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // the server is this test's own
		Timeout:         patience,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	var bad bytes.Buffer
	s.Stderr = &bad
	out, err := s.Output(text)
	if err != nil {
		w.t.Fatalf("%s says %s: %v\n%s%s", name, text, err, out, &bad)
	}
	return string(out)
}

var linkIn = regexp.MustCompile(`http://\S+/login/\S+`)

// link is a link for logging in as somebody, "" = who runs the server.
func (w *world) link(name string) string {
	w.t.Helper()
	if name == "" {
		return w.bellhop("login")
	}
	said := w.says(name, "web")
	link := linkIn.FindString(said)
	if link == "" {
		w.t.Fatalf("web is answered without a link: %s", said)
	}
	return link
}

// loginAs has a browser log in as somebody who is known over SSH.
func (w *world) loginAs(p *browsertest.Page, name string) {
	w.t.Helper()
	p.Go(w.link(name))
	p.Click("main button.primary")
	p.Until(`document.title.startsWith("Now")`)
}

// hand is a session without a browser.
type hand struct {
	w    *world
	http *http.Client
	csrf string
}

// hand logs somebody in, with a browser that calls itself something.
func (w *world) hand(name, agent string) *hand {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	h := &hand{w: w, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	w.t.Cleanup(h.http.CloseIdleConnections)
	at := strings.TrimPrefix(w.link(name), w.url)
	if resp, body := h.send(http.MethodPost, at, nil, http.Header{"User-Agent": {agent}}); resp.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("no login as %q: %s %s", name, resp.Status, body)
	}
	_, page := h.send(http.MethodGet, "/services", nil, nil)
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		w.t.Fatalf("no page has a token: %s", page)
	}
	h.csrf = m[1]
	return h
}

func (h *hand) send(method, path string, form url.Values, header http.Header) (*http.Response, string) {
	h.w.t.Helper()
	req, err := http.NewRequestWithContext(h.w.t.Context(), method, h.w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		h.w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := h.http.Do(req)
	if err != nil {
		h.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return resp, string(b)
}

// post sends a form of a page of the session, which must be taken.
func (h *hand) post(path string, form url.Values) *http.Response {
	h.w.t.Helper()
	form.Set("csrf", h.csrf)
	resp, body := h.send(http.MethodPost, path, form, nil)
	if resp.StatusCode >= http.StatusBadRequest {
		h.w.t.Fatalf("%s: %s\n%s", path, resp.Status, body)
	}
	return resp
}
