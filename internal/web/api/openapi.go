package api

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/bellhop-io/bellhop/internal/web"
)

// operation says what an endpoint takes and answers. Types are those that it
// reads and writes, so that what is said of them is true.
type operation struct {
	about   string
	more    string // "" = nothing else to say
	query   []parameter
	header  []parameter
	body    any    // a value of the type; nil = none
	media   string // of the body; "" = application/json
	needed  bool   // the body may not be left out
	answers []answers
}

// parameter is one of a query or a header.
type parameter struct {
	name, about string
	schema      any // nil = a text
	needed      bool
}

// answers is what is answered with a status.
type answers struct {
	status int
	about  string
	body   any    // a value of the type
	media  string // "" = application/json
}

func ok(about string, body any) []answers {
	return []answers{{status: http.StatusOK, about: about, body: body}}
}

func (h *Handler) openapi(w http.ResponseWriter, _ *http.Request, _ caller) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(h.document())
	return err
}

// document makes the OpenAPI document of a handler's endpoints, once.
func (h *Handler) document() []byte {
	h.described.Do(func() { h.doc = document(h.patterns) })
	return h.doc
}

var placeInPath = regexp.MustCompile(`\{(\w+)\}`)

// document makes the OpenAPI document of endpoints
// (https://spec.openapis.org/oas/v3.1.1.html).
func document(patterns []string) []byte {
	s := newSchemas()
	paths := map[string]any{}
	all := operations()
	for _, pattern := range patterns {
		method, path, _ := strings.Cut(pattern, " ")
		op, known := all[pattern]
		if !known { // a test looks that there is none
			continue
		}
		item, _ := paths[path].(map[string]any)
		if item == nil {
			item = map[string]any{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = s.operation(op, method, path)
	}
	return s.finish(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Bellhop", "version": "1",
			"description": "Ask for runs, see them and their output, and decide of them. Every error is a problem document (RFC 9457) whose detail says what to do.",
			"license":     map[string]any{"name": "see the repository", "identifier": "Apache-2.0"},
		},
		"servers":  []any{map[string]any{"url": "/"}},
		"security": []any{map[string]any{"token": []any{}}},
		"paths":    paths,
	})
}

func (s *schemas) operation(op operation, method, path string) map[string]any {
	out := map[string]any{
		"operationId": operationID(method, path), "summary": op.about, "tags": []any{tagOf(path)},
	}
	if op.more != "" {
		out["description"] = op.more
	}
	var params []any
	for _, m := range placeInPath.FindAllStringSubmatch(path, -1) {
		params = append(params, map[string]any{"name": m[1], "in": "path", "required": true, "schema": s.inPath(m[1])})
	}
	add := func(in string, list []parameter) {
		for _, p := range list {
			schema := map[string]any{"type": "string"}
			if p.schema != nil {
				schema = s.of(reflect.TypeOf(p.schema))
			}
			one := map[string]any{"name": p.name, "in": in, "description": p.about, "schema": schema}
			if p.needed {
				one["required"] = true
			}
			params = append(params, one)
		}
	}
	add("query", op.query)
	add("header", op.header)
	if len(params) > 0 {
		out["parameters"] = params
	}
	if op.body != nil {
		out["requestBody"] = map[string]any{"required": op.needed, "content": s.content(op.media, op.body)}
	}
	responses := map[string]any{
		"default": map[string]any{"description": "It was not done; detail says why, and what to do.", "content": s.content("application/problem+json", web.Problem{})},
	}
	for _, a := range op.answers {
		r := map[string]any{"description": a.about}
		if a.body != nil {
			r["content"] = s.content(a.media, a.body)
		}
		responses[statusText(a.status)] = r
	}
	out["responses"] = responses
	return out
}

func (s *schemas) content(media string, body any) map[string]any {
	if media == "" {
		media = "application/json"
	}
	return map[string]any{media: map[string]any{"schema": s.of(reflect.TypeOf(body))}}
}

// operationID names an operation by its method and path: getRunsIdOutput.
func operationID(method, path string) string {
	id := strings.ToLower(method)
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/v1"), "/") {
		part = strings.Trim(part, "{}")
		part, _, _ = strings.Cut(part, ".")
		if part != "" {
			id += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return id
}

// tagOf groups operations by the first word of their path.
func tagOf(path string) string {
	word, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	if strings.HasPrefix(word, "{") {
		return "jobs"
	}
	return word
}

// described is the document of a handler, made when it is first wanted.
type described struct {
	sync.Once
	doc []byte
}
