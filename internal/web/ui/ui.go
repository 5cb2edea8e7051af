package ui

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// Options are what the pages are made of.
type Options struct {
	House  House
	Output *Output // what runs write; its Stands is set here
	// Secure: browsers come by TLS, though the server has none: a proxy has.
	Secure bool
	Clock  bellhop.Clock
	Log    *slog.Logger
}

// Handler serves the pages.
type Handler struct {
	opt    Options
	house  House
	mux    *http.ServeMux
	assets *assets
	output *Output

	patterns []string
}

// New returns a handler.
func New(o Options) (*Handler, error) {
	a, err := readAssets()
	if err != nil {
		return nil, err
	}
	h := &Handler{opt: o, house: o.House, mux: http.NewServeMux(), assets: a, output: o.Output}
	h.output.Stands = h.stands
	h.handle("GET "+assetsPath, a.ServeHTTP)
	h.open("GET /login", h.loginHelp)
	h.open("GET /login/{code}", h.loginAsk)
	h.open("POST /login/{code}", h.login)
	h.get("/", h.now)
	h.get("/live", h.live)
	h.get("/runs", h.runs)
	h.post("/runs/bulk", h.bulk)
	h.get("/runs/{id}", h.run)
	h.get("/runs/{id}/card", h.card)
	h.get("/runs/{id}/lines", h.written(h.output.Lines))
	h.get("/runs/{id}/live", h.written(h.output.Live))
	h.get("/runs/{id}/download", h.written(h.output.Download))
	h.post("/runs/{id}/{what}", h.act)
	h.get("/services", h.services)
	h.get("/services/{service}", h.service)
	h.get("/services/{service}/{job}", h.job)
	h.post("/services/{service}/{job}", h.ask)
	h.get("/ask", h.talk)
	h.post("/ask", h.say)
	h.get("/ask/complete", h.complete)
	h.post("/logout", h.logout)
	h.schedulesRoutes()
	h.hooksRoutes()
	h.auditRoutes()
	h.secretsRoutes()
	h.settingsRoutes()
	h.get("/{rest...}", func(v *view) error {
		return bellhop.Errorf(bellhop.NotFound, "there is no page %.80q", v.r.URL.Path)
	})
	h.tryRoutes()
	h.peopleRoutes()
	return h, nil
}

func (h *Handler) handle(pattern string, fn http.HandlerFunc) {
	h.patterns = append(h.patterns, pattern)
	h.mux.HandleFunc(pattern, fn)
}

// Patterns are those of all that is served, as http.ServeMux writes them.
func (h *Handler) Patterns() []string { return slices.Clone(h.patterns) }

// Mount has the pages served where nothing else is: handle is the server's own
// (web.Server.Handle).
func (h *Handler) Mount(handle func(pattern string, h http.Handler)) { handle("/", h) }

// policy is what a page may load and do: of this host alone, and nothing that
// stands in the page itself (CSP 3).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	h.mux.ServeHTTP(w, r)
}

// view is one request of somebody who has logged in.
type view struct {
	w      http.ResponseWriter
	r      *http.Request
	h      *Handler
	person bellhop.Person
	s      bellhop.Session
	who    bellhop.Principal
	page   Page
}

func (v *view) ctx() context.Context { return v.r.Context() }

func (v *view) zone() *time.Location { return v.page.zone() }

func (v *view) query(name string) string { return strings.TrimSpace(v.r.URL.Query().Get(name)) }

// do has something done, in the person's name.
func (v *view) do(key string, inv bellhop.Invocation) (bellhop.Answer, error) {
	a, err := v.h.house.Do(v.ctx(), v.person, Source, v.s.ID, key, inv)
	v.page.now = v.h.opt.Clock.Now() // what was just asked for is not to come
	return a, err
}

// show writes a page.
func (v *view) show(title string, body templ.Component) error {
	v.page.Title = title
	return v.page.show(v.w, v.r, http.StatusOK, body)
}

// part reports whether a page asks for a piece of another one (htmx).
func part(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// get adds a page for who has logged in.
func (h *Handler) get(path string, fn func(*view) error) {
	pattern := "GET " + path
	if strings.HasSuffix(path, "/") {
		pattern += "{$}"
	}
	h.handle(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, false, fn) })
}

// post adds a change.
func (h *Handler) post(path string, fn func(*view) error) {
	h.handle("POST "+path, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, true, fn) })
}

// open adds a page for everybody.
func (h *Handler) open(pattern string, fn func(http.ResponseWriter, *http.Request) error) {
	h.handle(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := fn(w, r); err != nil {
			h.fail(w, r, h.blank(r), err)
		}
	})
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, change bool, fn func(*view) error) {
	v := &view{w: w, r: r, h: h, page: h.blank(r)}
	var err error
	if err = h.enter(v); err != nil {
		h.stranger(w, r, err)
		return
	}
	v.who = h.house.Who(v.person)
	v.page.Who, v.page.Token, v.page.Admin = v.who, v.s.Token, h.house.Manages(r.Context(), v.person)
	if change {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err = r.ParseForm(); err != nil {
			err = bellhop.Errorf(bellhop.Invalid, "the form can't be read: %w", err)
		} else {
			err = own(r, v.s.Token)
		}
	}
	if err == nil {
		err = fn(v)
	}
	if err != nil {
		h.fail(w, r, v.page, err)
	}
}

// maxForm is the largest form, in bytes: the longest argument, with each byte
// of it escaped as forms do.
const maxForm = 4 << 20

// enter tells who makes a request.
func (h *Handler) enter(v *view) (err error) {
	text := h.proof(v.r)
	if text == "" {
		return errStranger
	}
	v.person, v.s, err = h.house.SessionPerson(v.ctx(), text)
	if bellhop.CodeOf(err) == bellhop.NotAllowed {
		h.setCookie(v.w, v.r, "")
	}
	if err != nil || !v.s.Stale {
		return err
	}
	renewed, err := h.house.RotateSession(v.ctx(), text)
	if err != nil { // it is good for a while yet
		h.opt.Log.Warn("a session could not be renewed", "session", v.s.ID, "error", err)
		return nil
	}
	if renewed != "" {
		h.setCookie(v.w, v.r, renewed)
	}
	return nil
}

var errStranger = bellhop.Errorf(bellhop.NotAllowed, "log in first")

// stranger answers who has not logged in: people are shown how to, and come
// back to where they wanted to go.
func (h *Handler) stranger(w http.ResponseWriter, r *http.Request, err error) {
	if bellhop.CodeOf(err) != bellhop.NotAllowed {
		h.fail(w, r, h.blank(r), err)
		return
	}
	if r.Method != http.MethodGet || part(r) || strings.Contains(r.Header.Get("Accept"), "text/event-stream") || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("HX-Refresh", "true")
		web.Fail(w, &web.Problem{Status: http.StatusUnauthorized, Code: bellhop.NotAllowed, Detail: "log in first: bellhop login, or @" + h.house.About().Bot + " web in a chat"})
		return
	}
	to := "/login"
	if r.URL.Path != "/" {
		to += "?to=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// fail shows what went wrong, and what to do.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, p Page, err error) {
	if r.Context().Err() != nil { // who asked has left
		panic(http.ErrAbortHandler)
	}
	problem := web.ProblemOf(err)
	if problem.Status >= http.StatusInternalServerError {
		h.opt.Log.Warn("a page failed", "path", pathOf(r), "code", problem.Code, "error", err)
	}
	if part(r) {
		w.Header().Set("HX-Retarget", "#flash")
		w.Header().Set("HX-Reswap", "innerHTML")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(problem.Status)
		_ = flash(problem.Detail).Render(r.Context(), w)
		return
	}
	p.Title = problem.Title
	if e := p.show(w, r, problem.Status, failed(problem, p.Token != "")); e != nil && !errors.Is(e, context.Canceled) {
		h.opt.Log.Debug("a page was not read to its end", "path", pathOf(r), "error", e)
	}
}

// pathOf is what the log is told of a request: of a login link, nothing that
// opens it.
func pathOf(r *http.Request) string {
	if r.PathValue("code") != "" {
		return "/login/***"
	}
	return r.URL.Path
}

// blank is the page of nobody.
func (h *Handler) blank(r *http.Request) Page {
	return Page{About: h.house.About(), Path: r.URL.Path, URI: r.URL.RequestURI(), assets: h.assets, now: h.opt.Clock.Now()}
}

// here is a path of this server, to go on to; else "/".
func here(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, "\\") {
		return "/"
	}
	return path
}
