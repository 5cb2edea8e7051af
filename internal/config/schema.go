package config

import (
	"encoding/json"
	"reflect"
	"strconv"
)

// Schema returns the JSON Schema (2020-12) of a configuration file, for
// editors. It is made from the types that files are decoded into, so it can't
// disagree with them on keys, words and shapes.
func Schema() []byte {
	s := structSchema(reflect.TypeFor[fileRaw]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "https://bellhop.io/schema/bellhop.json"
	s["title"] = "Bellhop configuration"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil { // plain data
		panic("config: a schema that can't be written as JSON: " + err.Error())
	}
	return append(b, '\n')
}

// structSchema describes a mapping with known keys.
func structSchema(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for _, f := range fieldsOf(t) {
		p := typeSchema(t.Field(f.index).Type, f)
		if f.doc != "" {
			p["description"] = f.doc
		}
		if f.def != "" {
			p["default"] = plainDefault(f.def)
		}
		properties[f.key] = p
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// typeSchema describes what a field or an item may be.
func typeSchema(t reflect.Type, f field) map[string]any {
	if l, ok := reflect.New(t).Interface().(leaf); ok {
		return l.schema(f)
	}
	s := structSchema(t)
	s["type"] = []string{"object", "null"}
	return s
}

func plainDefault(s string) any {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if s == "true" || s == "false" {
		return s == "true"
	}
	return s
}

const (
	// namePattern is what CheckName allows.
	namePattern = `^[a-z][a-z0-9_-]{0,62}$`
	// variable matches what holds ${VAR}: its value is not known to an editor.
	variable = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`
)

func (t *text) schema(f field) map[string]any {
	switch {
	case f.key == "concurrency":
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "integer", "minimum": 1, "maximum": maxSlots},
			map[string]any{"type": "string", "pattern": `^([1-9][0-9]*|unlimited|[^{}$]*(\{[a-z][a-z0-9_.-]*\}[^{}$]*)+)$`},
		}}
	case len(f.enum) > 0 && f.mode == modeSetting:
		return map[string]any{"anyOf": []any{map[string]any{"enum": f.enum}, map[string]any{"type": "string", "pattern": variable}}}
	case f.key == "on":
		return map[string]any{"type": []string{"string", "integer"}, "minimum": 1, "maximum": 255, "pattern": `^(0*[1-9][0-9]{0,2}|timeout|not_started)$|` + variable}
	case f.key == "min" || f.key == "max":
		return map[string]any{"type": []string{"string", "number"}}
	case f.key == "sha256":
		return map[string]any{"type": "string", "pattern": `^[0-9A-Fa-f]{64}$|` + variable}
	case f.key == "script_url":
		return map[string]any{"type": "string", "pattern": `^https?://.|` + variable}
	case f.key == "store":
		return map[string]any{"type": "string", "pattern": `^sqlite:.|^postgres(ql)?://[^/]*/.|` + variable}
	}
	return map[string]any{"type": "string"}
}

func (b *flag) schema(field) map[string]any {
	return map[string]any{"type": []string{"boolean", "string"}, "pattern": `^(true|false|yes|no|on|off)$|` + variable}
}

func (i *number) schema(field) map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": 1, "pattern": `^[1-9][0-9]*$|` + variable}
}

func (s *span) schema(field) map[string]any {
	return map[string]any{"type": []string{"string", "integer"}, "maximum": 0, "minimum": 0,
		"pattern": `^[0-9]+d$|^([0-9]+d)?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$|` + variable}
}

func (s *size) schema(field) map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": 1, "maximum": maxSize,
		"pattern": `^[0-9]+ *([kKmMgGtT]?[bB]?|[kKmMgGtT][iI][bB])$|` + variable}
}

func scalarTypes() []string { return []string{"string", "number", "boolean", "null"} }

func (l *literal) schema(field) map[string]any {
	return map[string]any{"type": append(scalarTypes(), "array"), "items": map[string]any{"type": scalarTypes()}}
}

func (a *codeRaw) schema(field) map[string]any { return map[string]any{"type": scalarTypes()} }

func (e *envRaw) schema(field) map[string]any {
	return map[string]any{"type": []string{"string", "number", "boolean"}}
}

func (s *script) schema(field) map[string]any {
	return map[string]any{"type": []string{"string", "array"}, "minLength": 1, "minItems": 1, "items": map[string]any{"type": scalarTypes()}}
}

func (l *list[T]) schema(f field) map[string]any {
	return map[string]any{"type": []string{"array", "null"}, "items": typeSchema(reflect.TypeFor[T](), field{key: f.item, mode: f.mode})}
}

func (m *dict[T]) schema(f field) map[string]any {
	names := map[string]any{"pattern": namePattern}
	switch f.item {
	case "variable":
		names = map[string]any{"pattern": `^[A-Za-z_][A-Za-z0-9_]*$`, "not": map[string]any{"pattern": "^BELLHOP_"}}
	case "condition": // a path, in the words of whoever sends
		names = map[string]any{"minLength": 1}
	case "parameter", "argument":
		names = map[string]any{"pattern": `^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*$`, "maxLength": 63}
	}
	return map[string]any{"type": []string{"object", "null"}, "propertyNames": names,
		"additionalProperties": typeSchema(reflect.TypeFor[T](), field{key: f.item})}
}
