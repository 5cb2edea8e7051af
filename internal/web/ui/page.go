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
type link struct{ path, name, icon string }

// links are the pages that everybody has; what is on them is for the engine to
// say.
var links = []link{
	{"/", "Now", "pulse"},
	{"/ask", "Ask", "chat"},
	{"/runs", "Runs", "list"},
	{"/services", "Services", "box"},
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
