package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/web"
)

// maxBody is the largest request body, in bytes: the longest line of all, with
// each byte of it escaped as JSON may do.
const maxBody = 8 << 20

// Front is what the API needs of the server. Each call is made for a person,
// and judged by the engine.
type Front interface {
	Desk(p bellhop.Person, source, session string) chat.Desk
	Do(ctx context.Context, p bellhop.Person, source, session, key string, inv bellhop.Invocation) (bellhop.Answer, error)
	Runs(ctx context.Context, p bellhop.Person, f bellhop.RunFilter) ([]bellhop.Run, error)
	Run(ctx context.Context, p bellhop.Person, id bellhop.RunID) (bellhop.Run, error)
	// Bind checks a job's arguments and fills in defaults, for somebody who may
	// have it done.
	Bind(ctx context.Context, p bellhop.Person, service, job string, args bellhop.Args) (bellhop.Args, error)
	Output(ctx context.Context, p bellhop.Person, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error
	Look
	Admin
}

// Look is what somebody may see of everything.
type Look interface {
	Search(ctx context.Context, p bellhop.Person, s bellhop.RunSearch) (bellhop.RunPage, error)
	Services(ctx context.Context, p bellhop.Person) ([]bellhop.Service, error)
	// Watch calls fn with runs that have changed, which are not to be changed, and
	// with none from time to time.
	Watch(ctx context.Context, p bellhop.Person, after bellhop.RunID, fn func([]*bellhop.Run) error) error
	// Login makes a link to the web page that is good once, for whoever asks.
	Login(ctx context.Context, p bellhop.Person) (bellhop.Login, error)
	Webhooks
}

// Admin is what only who runs the server may have done.
type Admin interface {
	Server() Server
	Reload(ctx context.Context, p bellhop.Person) (Reloaded, error)
	Backup(ctx context.Context, p bellhop.Person, path string) error
	Handover(ctx context.Context, p bellhop.Person) (Server, error)
	Secrets(ctx context.Context, p bellhop.Person) (Secrets, error)
	Tokens
	YAMLs
	Trail
}

// Trail is the audit trail, for admins.
type Trail interface {
	Audit(ctx context.Context, p bellhop.Person, f bellhop.AuditFilter) (recs []bellhop.AuditRecord, next int64, err error)
	VerifyAudit(ctx context.Context, p bellhop.Person) (AuditCheck, error)
}

// Handler serves the API.
type Handler struct {
	front  Front
	person func(*http.Request) (bellhop.Person, error)
	public bool
	log    *slog.Logger
	mux    *http.ServeMux

	sources Sources // nil = there are none

	patterns []string // of the endpoints
	described

	watchers watchers
	texts    texts
	waiting  atomic.Int64 // requests that wait for the end of a run

	mu   sync.Mutex
	acks map[ackKey]chan struct{} // deliveries that wait for their ack
}

// ackKey is a report on its way to a session.
type ackKey struct {
	principal string
	session   string
	report    int64
}

// NewHandler returns a handler. person tells who makes a request, from the
// connection that it came by.
func NewHandler(front Front, person func(*http.Request) (bellhop.Person, error), log *slog.Logger) *Handler {
	h := newHandler(front, person, log)
	h.handle("GET /v1/complete", h.complete)
	h.handle("GET /v1/reports", h.reports)
	h.handle("POST /v1/reports/{id}/ack", h.ack)
	h.handle("POST /v1/backup", h.backup)
	h.handle("POST /v1/handover", h.handover)
	h.handle("POST /v1/login", h.login)
	h.handleSecrets()
	return h
}

// NewPublic returns a handler for programs that ask over a network: without
// what takes a place on this machine, and without secrets. Whoever asks has no
// connection that reports could come by.
func NewPublic(front Front, person func(*http.Request) (bellhop.Person, error), sources Sources, log *slog.Logger) *Handler {
	h := newHandler(front, person, log)
	h.public = true
	h.handleSources(sources)
	h.handle("POST /v1/{service}/{job}", h.askJob)
	h.handle("GET /v1/openapi.json", h.openapi)
	return h
}

func newHandler(front Front, person func(*http.Request) (bellhop.Person, error), log *slog.Logger) *Handler {
	h := &Handler{front: front, person: person, log: log, mux: http.NewServeMux(), acks: make(map[ackKey]chan struct{})}
	h.handle("POST /v1/runs", h.ask)
	h.handle("GET /v1/runs", h.runs)
	h.handle("GET /v1/runs/{id}", h.run)
	h.handle("GET /v1/runs/{id}/output", h.output)
	h.handle("GET /v1/runs/{id}/why", h.why)
	h.handle("POST /v1/runs/{id}/cancel", h.cancel)
	h.handle("POST /v1/runs/{id}/retry", h.retry)
	h.handle("POST /v1/runs/{id}/approve", h.vote(bellhop.ActionApprove))
	h.handle("POST /v1/runs/{id}/deny", h.vote(bellhop.ActionDeny))
	h.handle("GET /v1/why", h.explain)
	h.handle("GET /v1/audit", h.audit)
	h.handle("GET /v1/audit/verify", h.verify)
	h.handle("POST /v1/suppress", h.hold(bellhop.ActionSuppress))
	h.handle("POST /v1/unsuppress", h.hold(bellhop.ActionUnsuppress))
	h.handle("POST /v1/pause", h.hold(bellhop.ActionPause))
	h.handle("POST /v1/resume", h.hold(bellhop.ActionResume))
	h.handle("GET /v1/suppressions", h.suppressions)
	h.handle("GET /v1/schedules", h.schedules)
	h.handle("POST /v1/schedules/{service}/{name}/pause", h.schedule(bellhop.ActionPauseSchedule))
	h.handle("POST /v1/schedules/{service}/{name}/resume", h.schedule(bellhop.ActionResumeSchedule))
	h.handle("POST /v1/schedules/{service}/{name}/run", h.schedule(bellhop.ActionRunSchedule))
	h.handle("GET /v1/services", h.services)
	h.handle("GET /v1/watch", h.watch)
	h.handle("GET /v1/status", h.status)
	h.handle("GET /v1/version", h.version)
	h.handle("POST /v1/reload", h.reload)
	h.handleTokens()
	h.handleWebhooks()
	h.handleYAML()
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, bellhop.Errorf(bellhop.NotFound, "there is nothing at %s %.80q", r.Method, r.URL.Path))
	})
	return h
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	h.mux.ServeHTTP(w, r)
}

// caller is who makes a request, by which session.
type caller struct {
	person          bellhop.Person
	source, session string
}

type endpoint func(w http.ResponseWriter, r *http.Request, c caller) error

// handle adds an endpoint whose errors become problem documents.
func (h *Handler) handle(pattern string, fn endpoint) {
	h.patterns = append(h.patterns, pattern)
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c := caller{source: r.Header.Get(headerSource), session: r.Header.Get(headerSession)}
		if h.public {
			c = caller{source: bellhop.SourceAPI}
		}
		var err error
		if c.person, err = h.person(r); err == nil {
			switch {
			case !h.public && c.source != "" && c.source != "ask" && c.source != "console":
				err = bellhop.Errorf(bellhop.Invalid, "%s is %.40q; it may be ask or console", headerSource, c.source)
			case !utf8.ValidString(r.Header.Get(headerKey)):
				err = bellhop.Errorf(bellhop.Invalid, "the header %s is not UTF-8", headerKey)
			case len(c.session) > 128:
				err = bellhop.Errorf(bellhop.Invalid, "%s is longer than 128 bytes", headerSession)
			case strings.HasPrefix(c.session, bellhop.OutsideSession("")):
				err = bellhop.Errorf(bellhop.Invalid, "%s is that of an outside source; make up another", headerSession)
			default:
				if c.source == "" {
					c.source = "ask"
				}
				err = fn(w, r, c)
			}
		}
		h.failed(w, r, err)
	})
}

// failed answers with an error, unless it is nil.
func (h *Handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		// The client has left, or the server is stopping. No answer must look
		// like consent, so the connection is cut.
		panic(http.ErrAbortHandler)
	default:
		h.fail(w, err)
	}
}

func (h *Handler) fail(w http.ResponseWriter, err error) {
	if p := web.ProblemOf(err); p.Status >= 500 {
		h.log.Warn("a request failed", "code", p.Code, "error", err)
	}
	web.Fail(w, err)
}

func reply(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// readBody reads the one JSON value that a body is. Nothing may be read in two
// ways: what follows, a name that comes twice, bytes that are no text.
func readBody[T any](r *http.Request) (v T, err error) {
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = strict(text, &v)
	}
	if err != nil {
		return v, bellhop.Errorf(bellhop.Invalid, "the request's body is not the JSON expected here: %w", err)
	}
	return v, nil
}

func strict(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return worded(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows it")
	}
	if !utf8.Valid(text) {
		return errors.New("it is not UTF-8")
	}
	return once(json.NewDecoder(bytes.NewReader(text)))
}

// worded says in words of Bellhop's what encoding/json found, by the names that
// the client has sent.
func worded(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kinds := map[reflect.Kind]string{
			reflect.String: "a text", reflect.Bool: "true or false", reflect.Slice: "a list", reflect.Array: "a list",
			reflect.Map: "an object", reflect.Struct: "an object", reflect.Float64: "a number",
		}
		had := map[string]string{"string": "a text", "number": "a number", "bool": "true or false", "array": "a list", "object": "an object"}
		want, got := cmp.Or(kinds[t.Type.Kind()], "a whole number"), t.Value
		if word, ok := had[got]; ok {
			got = word
		}
		return fmt.Errorf("%.80s is %.40s; expected %s", cmp.Or(t.Field, "it"), got, want)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		if strings.Contains(err.Error(), "max depth") { // the one that encoding/json words so
			return errors.New("it is nested to a depth that nobody needs")
		}
		return fmt.Errorf("it stops being JSON at byte %d", s.Offset)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("there is no field %.60s here; the API's description (GET /v1/openapi.json) has those that there are", name)
	}
	return err
}

// once returns an error when a name comes twice in an object: in the same case,
// or, where fields are meant by them, in another.
func once(dec *json.Decoder) error {
	var names []map[string]bool // of each object that is open; nil = a list
	key := false                // a name comes next, in an object
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{':
				names, key = append(names, map[string]bool{}), true
				continue
			case '[':
				names, key = append(names, nil), false
				continue
			}
			names = names[:len(names)-1]
		case string:
			if key {
				of, name := names[len(names)-1], t
				if len(names) == 1 {
					name = strings.ToLower(t)
				}
				if of[name] {
					return fmt.Errorf("%.40q stands in it twice", t)
				}
				of[name], key = true, false
				continue
			}
		}
		key = len(names) > 0 && names[len(names)-1] != nil
	}
}

func (h *Handler) ask(w http.ResponseWriter, r *http.Request, c caller) error {
	body, err := readBody[askBody](r)
	if err != nil {
		return err
	}
	switch {
	case body.Job != "" && body.Text != "":
		return bellhop.Errorf(bellhop.Invalid, "text and job both say what is asked for; send one of them")
	case body.Job != "":
		inv, err := h.ofJob(r, c, body)
		if err != nil {
			return err
		}
		return h.do(w, r, c, inv)
	}
	a, err := h.front.Desk(c.person, c.source, c.session).Ask(r.Context(), r.Header.Get(headerKey), body.Text)
	if err != nil {
		return err
	}
	return reply(w, toAnswer(a))
}

// do has an invocation done and replies what it came to.
func (h *Handler) do(w http.ResponseWriter, r *http.Request, c caller, inv bellhop.Invocation) error {
	a, err := h.front.Do(r.Context(), c.person, c.source, c.session, r.Header.Get(headerKey), inv)
	if err != nil {
		return err
	}
	return reply(w, toAnswer(a))
}

func (h *Handler) cancel(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := bellhop.ParseRunID(r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.do(w, r, c, bellhop.Invocation{Action: bellhop.ActionCancelRun, Run: id})
}

// retryBody may be left out.
type retryBody struct {
	Args bellhop.Args `json:"args,omitempty"` // those that differ from the old run's
}

func (h *Handler) retry(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := bellhop.ParseRunID(r.PathValue("id"))
	if err != nil {
		return err
	}
	var body retryBody
	if r.ContentLength != 0 {
		if body, err = readBody[retryBody](r); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return h.do(w, r, c, bellhop.Invocation{Action: bellhop.ActionRetry, Run: id, Args: body.Args})
}

func (h *Handler) runs(w http.ResponseWriter, r *http.Request, c caller) error {
	s, err := parseSearch(r, c.person)
	if err != nil {
		return err
	}
	found, err := h.pageOf(r.Context(), c.person, s)
	if err != nil {
		return err
	}
	got := page{Runs: make([]object, len(found.Runs)), Next: found.Next}
	for i, r := range found.Runs {
		got.Runs[i] = toObject(r)
	}
	return reply(w, got)
}

// pageOf lists a page by what stores have an index for, or searches for it.
func (h *Handler) pageOf(ctx context.Context, p bellhop.Person, s bellhop.RunSearch) (bellhop.RunPage, error) {
	if s.Rare() {
		return h.front.Search(ctx, p, s)
	}
	runs, err := h.front.Runs(ctx, p, s.RunFilter)
	page := bellhop.RunPage{Runs: runs}
	if err == nil && len(runs) == s.Limit {
		page.Next = runs[len(runs)-1].ID
	}
	return page, err
}

// parseSearch reads the query of a page of runs.
func parseSearch(r *http.Request, p bellhop.Person) (s bellhop.RunSearch, err error) {
	if s.RunFilter, err = parseFilter(r, p); err != nil {
		return s, err
	}
	q := r.URL.Query()
	for _, v := range q["verdict"] {
		verdict, err := bellhop.ParseVerdict(v)
		if err != nil {
			return s, err
		}
		s.Verdicts = append(s.Verdicts, verdict)
	}
	s.Source, s.Arg = q.Get("source"), bellhop.ParseArgPrefix(q.Get("arg"))
	return s, nil
}

// maxPage is how many runs a page holds at most.
const maxPage = 1000

// parseFilter reads the query of a list of runs.
func parseFilter(r *http.Request, p bellhop.Person) (f bellhop.RunFilter, err error) {
	q := r.URL.Query()
	f.Service, f.Job = q.Get("service"), q.Get("job")
	for _, s := range q["state"] {
		state, err := bellhop.ParseState(s)
		if err != nil {
			return f, err
		}
		f.States = append(f.States, state)
	}
	for _, at := range []struct {
		name string
		to   *time.Time
	}{{"since", &f.Since}, {"until", &f.Until}} {
		s := q.Get(at.name)
		if s == "" {
			continue
		}
		if *at.to, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return f, bellhop.Errorf(bellhop.Invalid, "%s is %.40q; it takes a time such as 2026-01-31T15:04:05Z", at.name, s)
		}
	}
	if s := q.Get("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil || f.Limit < 0 {
			return f, bellhop.Errorf(bellhop.Invalid, "limit is %.40q; it takes a whole number, 0 for as many as a page holds", s)
		}
	}
	if f.Limit == 0 || f.Limit > maxPage {
		f.Limit = maxPage
	}
	if s := q.Get("before"); s != "" {
		if f.Before, err = bellhop.ParseRunID(s); err != nil {
			return f, err
		}
	}
	if q.Get("mine") == "true" {
		f.Principal = p.Principal()
	}
	return f, nil
}

func (h *Handler) run(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := bellhop.ParseRunID(r.PathValue("id"))
	if err != nil {
		return err
	}
	got, err := h.front.Run(r.Context(), c.person, id)
	if err != nil {
		return err
	}
	return reply(w, toObject(got))
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request, c caller) error {
	a, err := h.front.Do(r.Context(), c.person, c.source, c.session, "", bellhop.Invocation{Action: bellhop.ActionStatus})
	if err != nil {
		return err
	}
	return reply(w, toStatus(a.Status))
}

func (h *Handler) complete(w http.ResponseWriter, r *http.Request, c caller) error {
	words, err := h.front.Desk(c.person, c.source, c.session).Complete(r.Context(), r.URL.Query().Get("line"))
	if err != nil {
		return err
	}
	return reply(w, append([]string{}, words...))
}

// publicVersion is what whoever has a token is told of the server.
type publicVersion struct {
	Version string `json:"version"`
	Zone    string `json:"zone"`
}

func (h *Handler) version(w http.ResponseWriter, _ *http.Request, _ caller) error {
	s := h.front.Server()
	if h.public { // where and what it works is nothing for whoever has a token
		return reply(w, publicVersion{Version: s.Version, Zone: s.Zone})
	}
	return reply(w, s)
}

func (h *Handler) reload(w http.ResponseWriter, r *http.Request, c caller) error {
	got, err := h.front.Reload(r.Context(), c.person)
	if err != nil {
		return err
	}
	return reply(w, got)
}

func (h *Handler) backup(w http.ResponseWriter, r *http.Request, c caller) error {
	body, err := readBody[struct {
		Path string `json:"path"`
	}](r)
	if err != nil {
		return err
	}
	if err := h.front.Backup(r.Context(), c.person, body.Path); err != nil {
		return err
	}
	return reply(w, struct{}{})
}

func (h *Handler) handover(w http.ResponseWriter, r *http.Request, c caller) error {
	s, err := h.front.Handover(r.Context(), c.person)
	if err != nil {
		return err
	}
	return reply(w, s)
}
