package webtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// TestApproveInASecondBrowser: one asks, another one sees that it waits for
// them, and says yes; the first page shows that it runs, by itself.
func TestApproveInASecondBrowser(t *testing.T) {
	w := newWorld(t, "")
	one := w.visitor()
	w.login(one)
	one.Go(w.url + "/services/deploys/deploy?arg.env=production&arg.version=v1.2")
	one.Click("form.ask button.primary")
	one.Until(`location.pathname === "/runs/000001"`)
	one.See("needs approval")
	if browsertest.Eval[bool](one, `!!document.querySelector('form[action$="/approve"]')`) {
		t.Error("who asked may approve their own")
	}

	browser := browsertest.Start(t)
	other := browser.Visitor(t)
	w.loginAs(other, "bob")
	other.See("Waits for an approval")
	other.See("env=production")
	other.Click(`form[action="/runs/000001/approve"] button`)
	one.See("bob approved it")
	one.Until(`document.querySelector("#run .state").textContent.includes("running") || document.querySelector("#run .state").textContent.includes("succeeded")`)
	one.See("deploying production v1.2")

	stranger := browser.Visitor(t)
	w.loginAs(stranger, "carol")
	stranger.See("Nothing is happening.")
	stranger.Forgive("status of 403")
	stranger.Forgive("status of 404")
	stranger.Go(w.url + "/runs/000001")
	if text := stranger.Text("body"); strings.Contains(text, "v1.2") || strings.Contains(text, "production") {
		t.Errorf("carol is shown the run:\n%s", text)
	}
}

// TestAgain: what failed is asked for again as it was, and with other arguments.
func TestAgain(t *testing.T) {
	w := newWorld(t, "")
	w.bellhop("ask", "--detach", "deploys deploy staging v1.0")
	p := w.visitor()
	w.login(p)
	p.Go(w.url + "/runs/000001")
	p.Until(`document.querySelector("#run .state").textContent.includes("succeeded")`)
	p.Click(`form[action="/runs/000001/retry"] button`)
	p.See("000002")
	p.Go(w.url + "/runs/000002")
	p.See("000001")
	p.See("v1.0")
	p.Click("#run .head a.button")
	p.Until(`location.pathname === "/services/deploys/deploy"`)
	if got := browsertest.Eval[string](p, `document.querySelector("#f-env").value + " " + document.querySelector("#f-version").value`); got != "staging v1.0" {
		t.Errorf("the form has %q", got)
	}
	p.Fill("#f-version", "v2.0")
	p.Click("form.ask button.primary")
	p.Until(`location.pathname === "/runs/000003"`)
	p.See("v2.0")
}

// TestFilter: what is filtered by stands in the address, and the way back leads
// to what was before.
func TestFilter(t *testing.T) {
	w := newWorld(t, "")
	w.bellhop("ask", "--detach", "example say hello")
	w.bellhop("ask", "--detach", "example say hello bob")
	p := w.visitor()
	w.login(p)
	rows := func(n int) {
		t.Helper()
		p.Until(fmt.Sprintf(`document.querySelectorAll("table.runs tbody tr").length === %d`, n))
	}
	p.Go(w.url + "/runs")
	rows(2)
	p.Fill("input[name=arg]", "name=bob")
	p.Keys("\r")
	p.Until(`new URLSearchParams(location.search).get("arg") === "name=bob"`)
	rows(1)
	p.Reload()
	rows(1)
	if got := browsertest.Eval[string](p, `document.querySelector("input[name=arg]").value`); got != "name=bob" {
		t.Errorf("the field has %q", got)
	}
	p.Do(`history.back()`)
	p.Until(`location.search === ""`)
	rows(2)
	p.Go(w.url + "/runs?arg=name%3Dalice")
	p.See("No run is like that.")
}

// TestDark: the visitor's machine says what it prefers, the button overrules
// that, and it stays so.
func TestDark(t *testing.T) {
	w := newWorld(t, "")
	p := w.visitor()
	w.login(p)
	const dark = `getComputedStyle(document.body).color.match(/[\d.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) > 382` // letters are light
	want := func(is bool, what string) {
		t.Helper()
		if browsertest.Eval[bool](p, dark) != is {
			t.Errorf("%s: dark is %v", what, !is)
		}
	}
	p.Scheme("light")
	want(false, "a light machine")
	p.Scheme("dark")
	want(true, "a dark machine")
	p.Click("[data-theme-button]")
	want(false, "the button on a dark machine")
	p.Go(w.url + "/runs")
	want(false, "another page")
	p.Scheme("light")
	p.Click("[data-theme-button]")
	want(true, "the button on a light machine")
	p.Reload()
	want(true, "the page once more")
}
