package ui

import (
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/bellhop-io/bellhop"
)

// Page is what stands round what a page shows.
type Page struct {
	Title string
	About About
	Who   bellhop.Principal
	Token string // of the session; "" = nobody has logged in
	Admin bool   // the engine lets them manage
	Path  string
	URI   string
	// Still: what is shown doesn't change by itself.
	Still bool
	// Output: what runs write is shown.
	Output bool

	assets *assets
	now    time.Time
}

func (p Page) show(w http.ResponseWriter, r *http.Request, status int, body templ.Component) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	return layout(p, body).Render(r.Context(), w)
}

// asset is the path of a file.
func (p Page) asset(name string) string { return p.assets.path[name] }

// link is one of the pages to go to.
type link struct {
	path, name, icon string
	admin            bool // it is for admins alone
}

// links are the pages that there are, in groups; what is on them is for the
// engine to say.
var links = [][]link{
	{
		{path: "/", name: "Now", icon: "pulse"},
		{path: "/ask", name: "Ask", icon: "chat"},
		{path: "/runs", name: "Runs", icon: "list"},
		{path: "/services", name: "Services", icon: "box"},
	},
	{
		{path: "/schedules", name: "Schedules", icon: "clock"},
		{path: "/hooks", name: "Webhooks", icon: "hook"},
	},
	{
		{path: "/audit", name: "Audit", icon: "scroll", admin: true},
		{path: "/secrets", name: "Secrets", icon: "key", admin: true},
		{path: "/settings", name: "Settings", icon: "gear", admin: true},
	},
}

// nav is the groups of links that are shown to whoever looks.
func (p Page) nav() (shown [][]link) {
	for _, group := range links {
		var own []link
		for _, l := range group {
			if !l.admin || p.Admin {
				own = append(own, l)
			}
		}
		if len(own) > 0 {
			shown = append(shown, own)
		}
	}
	return shown
}

// at reports whether a page is the one shown, or one below it.
func (p Page) at(path string) bool {
	if path == "/" {
		return p.Path == "/"
	}
	return p.Path == path || strings.HasPrefix(p.Path, path+"/")
}

// headers are what htmx sends with each request.
func (p Page) headers() string { return `{"` + csrfHeader + `":"` + p.Token + `"}` }

// htmx is its configuration: nothing in it needs eval or styles of its own, and
// nothing of a page stays in the browser's storage.
const htmx = `{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true,"historyCacheSize":0,"refreshOnHistoryMiss":true}`
