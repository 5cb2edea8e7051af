package webtest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/browsertest"
)

// payloads are texts that are more than text wherever a page forgets that they
// are not. Each sets window.xss, or makes an element that no page has.
var payloads = []string{
	`<script>window.xss=1</script>`, `</script><script>window.xss=1</script>`, `"><script>window.xss=1</script>`, `'><script>window.xss=1</script>`, `</title><script>window.xss=1</script>`,
	`</textarea><script>window.xss=1</script>`, `--><script>window.xss=1</script><!--`, `]]><script>window.xss=1</script>`, `</style><script>window.xss=1</script>`, `</select><img src=x onerror=window.xss=1>`,
	`<img src=x onerror=window.xss=1>`, `"><img src=x onerror=window.xss=1>`, `<img src="x" onerror="window.xss=1">`, `<IMG SRC=x ONERROR=window.xss=1>`, `<img/src=x/onerror=window.xss=1>`,
	`<svg onload=window.xss=1>`, `<svg><script>window.xss=1</script></svg>`, `"><svg/onload=window.xss=1>`, `<svg><animate onbegin=window.xss=1 attributeName=x dur=1s>`, `<svg><a xlink:href="javascript:window.xss=1"><text>x</text></a></svg>`,
	`<body onload=window.xss=1>`, `<iframe src="javascript:parent.xss=1"></iframe>`, `<iframe srcdoc="<script>parent.xss=1</script>"></iframe>`, `<object data="data:text/html,<script>xss=1</script>"></object>`, `<embed src="javascript:xss=1">`,
	`<a href="javascript:window.xss=1">x</a>`, `javascript:window.xss=1`, `JaVaScRiPt:window.xss=1//`, `data:text/html,<script>window.xss=1</script>`, `<form action="javascript:window.xss=1"><button>x</button></form>`,
	`" onmouseover="window.xss=1" x="`, `' onfocus='window.xss=1' autofocus='`, `x onclick=window.xss=1`, `" autofocus onfocus=window.xss=1 "`, "` onload=window.xss=1 `",
	`<style>*{display:none}</style>`, `<div style="background:url(javascript:window.xss=1)">x</div>`, `" style="position:fixed;inset:0" x="`, `<link rel=stylesheet href=//evil.example/x.css>`, `<meta http-equiv=refresh content="0;url=//evil.example">`,
	`{{constructor.constructor('window.xss=1')()}}`, `${window.xss=1}`, `<%= window.xss=1 %>`, `#{window.xss=1}`, `<div hx-get="/logout" hx-trigger="load" hx-on:load="window.xss=1">x</div>`,
	"\x1b[31m<img src=x onerror=window.xss=1>\x1b[0m", "\u202e<script>window.xss=1</script>", "\uff1cscript\uff1ewindow.xss=1\uff1c/script\uff1e", `&lt;script&gt;window.xss=1&lt;/script&gt;`, `&#60;img src=x onerror=window.xss=1&#62;`,
	`<base href="//evil.example/">`, `<math><mtext><table><mglyph><style><img src=x onerror=window.xss=1>`,
}

// made finds, in a document, what no page of Bellhop has: elements, attributes
// and addresses that came of a text.
const made = `const made = (d) => [...d.querySelectorAll("*")].flatMap((e) => {
  const bad = [];
  const drawn = ["svg", "path", "circle", "rect", "g", "title", "line"];
  if (e.namespaceURI === "http://www.w3.org/2000/svg" ? !drawn.includes(e.localName) : ["img", "iframe", "object", "embed", "style", "base", "math", "video", "audio", "template"].includes(e.localName)) bad.push("an element");
  if (e.localName === "script" && !(e.getAttribute("src") || "").startsWith("/assets/")) bad.push("a script");
  if (e.localName === "meta" && e.hasAttribute("http-equiv")) bad.push("a meta");
  if (e.localName === "link" && !e.getAttribute("href").startsWith("/assets/")) bad.push("a link");
  for (const a of e.attributes) {
    if (/^on|^hx-on|^srcdoc$/i.test(a.name)) bad.push("an attribute");
    if (/^(href|src|action|formaction|hx-get|hx-post|xlink:href|data-url|data-live|data-download)$/.test(a.name) && !/^[\/#?]([^\/]|$)/.test(a.value) && a.value !== "") bad.push("an address");
  }
  return bad.map((b) => b + ": " + e.outerHTML.slice(0, 200));
});`

// TestMarkupIsText: what others wrote is shown as they wrote it, and does
// nothing, on every page and in every field.
func TestMarkupIsText(t *testing.T) {
	if len(payloads) < 50 {
		t.Fatalf("%d payloads", len(payloads))
	}
	w, root := full(t, payloads)
	p := w.visitor()
	for _, status := range []string{"400", "403", "404", "422"} {
		p.Forgive("status of " + status)
	}
	w.login(p)
	clean := func(what string) {
		t.Helper()
		for _, m := range browsertest.Eval[[]string](p, `(() => {`+made+` return made(document).concat(window.xss ? ["a script ran"] : []) })()`) {
			t.Errorf("%s: a text made %s", what, m)
		}
	}
	for _, path := range all {
		p.Go(w.url + path)
		p.Until(`document.readyState === "complete"`)
		clean(path)
	}

	// As they were written, but for what no page shows (escapes and marks of
	// direction), and for quotes, which a list of runs escapes.
	shown := func(path, of string, texts []string) {
		t.Helper()
		p.Go(w.url + path)
		for _, text := range texts {
			if strings.ContainsAny(text, "\x1b\u202e\"") {
				continue
			}
			if !browsertest.Eval[bool](p, fmt.Sprintf(`document.querySelector(%q).textContent.includes(%q)`, of, text)) {
				t.Errorf("%s does not show %q", path, text)
			}
		}
	}
	shown("/runs?service=texts&job=fail", "#runs", payloads[len(payloads)-20:])
	shown("/audit?service=texts&job=ask", "main", payloads[len(payloads)-8:])

	p.Go(w.url + "/runs/000001")
	p.See(payloads[0])
	p.See("xlink:href")
	clean("the output")

	// What is asked for in the address, on every page that reads it.
	for _, path := range []string{
		"/runs?service=", "/runs?who=", "/runs?arg=", "/runs?state=", "/runs?verdict=", "/runs?since=", "/runs?before=", "/runs?source=", "/audit?who=", "/audit?run=", "/audit?since=", "/audit?after=", "/people?who=",
		"/ask?say=", "/try?text=", "/services/texts/fail?arg.x=", "/settings/yaml/kept?version=", "/login?to=", "/runs/", "/services/", "/services/texts/", "/hooks/texts/", "/settings/yaml/", "/login/", "/",
	} {
		var urls []string
		for _, text := range payloads {
			text = strings.ReplaceAll(text, "\x1b", "")
			if strings.Contains(path, "?") {
				urls = append(urls, path+url.QueryEscape(text))
			} else {
				urls = append(urls, path+url.PathEscape(text))
			}
		}
		for _, m := range browsertest.Eval[[]string](p, `(async () => {`+made+`
  const bad = [];
  for (const u of `+quoteAll(urls)+`) {
    const r = await fetch(u, {headers: {Accept: "text/html"}, redirect: "follow"});
    const d = new DOMParser().parseFromString(await r.text(), "text/html");
    for (const m of made(d)) bad.push(u + ": " + m);
    if (r.status >= 500) bad.push(u + ": " + r.status);
  }
  return bad.slice(0, 5) })()`) {
			t.Errorf("a text made: %s", m)
		}
	}

	// What is tried, said and denied comes back in the answer.
	for _, text := range payloads {
		for path, form := range map[string]url.Values{
			"/try": {"text": {text}}, "/try?as": {"text": {"status"}, "as": {text}}, "/try?hook": {"hook": {"texts/came"}, "json": {`{"x": ` + quote(text) + `}`}, "event": {text}},
			"/ask": {"text": {text}, "key": {"said-" + fmt.Sprint(len(text))}}, "/services/texts/print": {"arg.lines": {""}, "arg.x": {text}}, "/services/deploys/deploy": {"arg.env": {text}, "arg.version": {text}},
		} {
			form.Set("csrf", root.csrf)
			resp, body := root.send(http.MethodPost, path, form, nil)
			if resp.StatusCode >= http.StatusInternalServerError {
				t.Errorf("%s with %q: %s", path, text, resp.Status)
			}
			if strings.ContainsAny(text, "<") && strings.Contains(body, text) {
				t.Errorf("%s gives %q back as it is", path, text)
			}
		}
	}
	p.Go(w.url + "/ask")
	for _, text := range payloads[10:14] {
		p.Fill("#say", text)
		p.Keys("\r")
		p.Until(fmt.Sprintf(`document.querySelector("#talk .turn .said").textContent === %q`, text))
	}
	clean("the conversation")
}

func quoteAll(texts []string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = quote(text)
	}
	return "[" + strings.Join(all, ",") + "]"
}
