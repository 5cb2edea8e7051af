package webtest

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// TestAskWatchCancel: log in, ask as one would in a chat, see the run come up
// on another page by itself, and cancel it.
func TestAskWatchCancel(t *testing.T) {
	w := newWorld(t, "")
	p := w.visitor()
	w.login(p)
	p.See("Nothing is happening.")
	other := p.Tab()
	other.Go(w.url + "/ask")
	other.Fill("#say", "example count to 1000")
	other.Keys("\r")
	other.See("accepted 000001")
	p.Show()
	p.See("to=1000")
	p.Click("#running-000001 .job")
	p.See("example count")
	p.Click(`form[action="/runs/000001/cancel"] button`)
	p.Until(`document.querySelector("#run .state").textContent.includes("cancelled")`)
}

// TestForm: what is wrong is said where it is wrong, and nothing is lost; what
// is right becomes a run with those arguments.
func TestForm(t *testing.T) {
	w := newWorld(t, "")
	p := w.visitor()
	w.login(p)
	p.Forgive("status of 422")
	p.Go(w.url + "/services/deploys/deploy")
	p.Do(`document.querySelector("#f-env").value = "staging"`)
	p.Fill("#f-version", "one point two")
	p.Click("form.ask button.primary")
	p.See("version")
	if got := p.Text("#e-version"); !strings.Contains(got, "v[0-9.]+") {
		t.Errorf("the fault is %q", got)
	}
	if got := browsertest.Eval[string](p, `document.querySelector("#f-version").value + " " + document.querySelector("#f-env").value`); got != "one point two staging" {
		t.Errorf("what was written is gone: %q", got)
	}
	p.Fill("#f-version", "v1.2")
	p.Click("form.ask button.primary")
	p.Until(`location.pathname === "/runs/000001"`)
	p.See("v1.2")
}

// TestServerGoesAndComes: a page that is open says that the server is away, and
// shows what happened when it is there again.
func TestServerGoesAndComes(t *testing.T) {
	w := newWorld(t, "")
	p := w.visitor()
	w.login(p)
	p.See("Nothing is happening.")
	p.Forgive("ERR_CONNECTION_REFUSED")
	p.Forgive("ERR_INCOMPLETE_CHUNKED_ENCODING")
	p.Forgive("ERR_EMPTY_RESPONSE")
	p.Forgive("ERR_CONNECTION_RESET")
	p.Forgive("ERR_SOCKET_NOT_CONNECTED")
	w.end(syscall.SIGKILL)
	p.Until(`!document.querySelector("#offline").hidden`)
	w.start()
	w.bellhop("ask", "--detach", "example say hello")
	p.Until(`document.querySelector("#offline").hidden`)
	p.See("example hello")
}

// TestHiddenTab: it gives its stream up, and catches up when it is shown.
func TestHiddenTab(t *testing.T) {
	w := newWorld(t, "")
	p := w.visitor()
	w.login(p)
	p.See("Nothing is happening.")
	p.Hide()
	w.bellhop("ask", "--detach", "example say hello")
	p.Show()
	p.See("example hello")
}

// TestNobody: without a session there is nothing but the way in.
func TestNobody(t *testing.T) {
	w := newWorld(t, "")
	for _, path := range []string{"/", "/runs", "/runs/000001", "/services", "/ask", "/live"} {
		for _, cookie := range []string{"", "x", "0000000000000000.x"} {
			resp := w.get(path, cookie)
			if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/login") {
				t.Errorf("%s with %q: %d %s", path, cookie, resp.StatusCode, to)
			}
		}
	}
}
