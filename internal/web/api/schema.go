package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat/outside"
)

// schemas makes JSON Schemas (2020-12, as OpenAPI 3.1 has them) of the types
// that are read and written, by their json tags.
type schemas struct {
	named map[string]any
	types map[string]reflect.Type // by the name that it has there
}

func newSchemas() *schemas { return &schemas{map[string]any{}, map[string]reflect.Type{}} }

// finish adds what the document refers to, and writes it.
func (s *schemas) finish(doc map[string]any) []byte {
	doc["components"] = map[string]any{
		"schemas":         s.named,
		"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer", "description": "A token that an admin makes: bellhop token create NAME"}},
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil { // maps, lists and texts
		panic("api: the OpenAPI document can't be written: " + err.Error())
	}
	return b
}

// inPath is the schema of a place in a path.
func (s *schemas) inPath(name string) map[string]any {
	if name == "id" {
		return s.of(reflect.TypeFor[bellhop.RunID]())
	}
	return map[string]any{"type": "string"}
}

// publicNames are the names of types that are called otherwise in the code.
var publicNames = map[reflect.Type]string{
	reflect.TypeFor[object]():  "Run",
	reflect.TypeFor[run]():     "RunInDetail",
	reflect.TypeFor[askBody](): "Request",

	reflect.TypeFor[outside.Event]():    "SourceEvent",
	reflect.TypeFor[outside.Reply]():    "SourceReply",
	reflect.TypeFor[outside.Question](): "SourceQuestion",
	reflect.TypeFor[outside.File]():     "SourceFile",
	reflect.TypeFor[outside.Fed]():      "SourceRun",
	reflect.TypeFor[outside.Shows]():    "SourceShows",
}

// enums are the words that a text may be.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[bellhop.State]():   {"held", "waiting", "running", "succeeded", "failed", "cancelled", "timed_out"},
	reflect.TypeFor[bellhop.Verdict](): {"SUCCESS", "FIXED", "FAIL", "REGRESSION", "ERROR", "ABORTED"},
	reflect.TypeFor[bellhop.How]():     {string(bellhop.Created), string(bellhop.Merged), string(bellhop.Repeated), string(bellhop.Rejected)},
}

// of returns the schema of a type, or a reference to it.
func (s *schemas) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[bellhop.RunID]():
		return map[string]any{"type": "string", "description": "The id of a run.", "examples": []any{"00002a"}}
	case reflect.TypeFor[bellhop.Value]():
		return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}}
	case reflect.TypeFor[bellhop.Channel]():
		return map[string]any{"type": "string"}
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "In nanoseconds."}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	case reflect.TypeFor[[]byte]():
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	}
	if words := enums[t]; words != nil {
		return map[string]any{"type": "string", "enum": anys(words)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Int32:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.object(t)
	case reflect.Interface:
		return map[string]any{}
	}
	panic("api: there is no schema for " + t.String())
}

func (s *schemas) object(t reflect.Type) map[string]any {
	name := publicNames[t]
	if name == "" && t.Name() != "" {
		name = strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	}
	ref := map[string]any{"$ref": "#/components/schemas/" + name}
	switch known := s.types[name]; {
	case name == "":
	case known == t:
		return ref
	case known != nil:
		panic("api: " + known.String() + " and " + t.String() + " are both called " + name + " in the OpenAPI document")
	default:
		s.types[name] = t
	}
	fields := map[string]field{}
	gather(t, 0, fields)
	properties := map[string]any{}
	var required []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		f := fields[key]
		properties[key] = s.of(f.Type)
		if !f.optional {
			required = append(required, key)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = anys(required)
	}
	if name == "" {
		return schema
	}
	s.named[name] = schema
	return ref
}

// field is one that is written under a key.
type field struct {
	reflect.StructField
	depth    int
	optional bool
}

// gather collects the fields of a struct as encoding/json does: those of
// embedded ones too, unless one further out has the key.
func gather(t reflect.Type, depth int, into map[string]field) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && key == "":
			gather(f.Type, depth+1, into)
			continue
		case !f.IsExported() || key == "-":
			continue
		case key == "":
			key = f.Name
		}
		if has, ok := into[key]; !ok || depth < has.depth {
			into[key] = field{f, depth, strings.Contains(options, "omit")}
		}
	}
}

func anys(words []string) []any {
	out := make([]any, len(words))
	for i := range words {
		out[i] = words[i]
	}
	return out
}

func statusText(status int) string { return strconv.Itoa(status) }
