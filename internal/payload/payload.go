// Package payload reads what other programs send, judges it by conditions and
// fills arguments from it. A payload is data: nothing in it is a template.
package payload

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Payload is what an event holds: any JSON, a form, a text, or fields.
type Payload struct {
	root    any
	message any // what is known of a message besides; nil: it is none
}

// field is a text that may be JSON: a path leads into it, and by itself it is
// as it was written.
type field string

// Fields is the payload of a message that consists of named texts. A path may
// lead on into one that is JSON.
func Fields(fields map[string]string) Payload {
	root := make(map[string]any, len(fields))
	for k, v := range fields {
		root[k] = field(v)
	}
	return Payload{root: root}
}

// Of is the payload with what is known of its message besides, for templates:
// {message.id}, {message.subject}, {message.header.NAME}.
func (p Payload) Of(m *bellhop.Message) Payload {
	about := map[string]any{}
	if m.ID != "" {
		about["id"] = m.ID
	}
	if m.Subject != "" {
		about["subject"] = m.Subject
	}
	headers := make(map[string]any, len(m.Headers))
	for k, v := range m.Headers {
		headers[k] = v
	}
	about["header"] = headers
	p.message = about
	return p
}

// Read reads a body by its media type: JSON ("" too), a form (GitHub's has its
// JSON in `payload`), or else a text, which is {"body": TEXT}. A JSON object or
// list that is called a form is JSON: curl -d calls everything one.
func Read(mediaType string, body []byte) (Payload, error) {
	kind, _, _ := mime.ParseMediaType(mediaType)
	switch {
	case kind == "application/x-www-form-urlencoded" && isJSON(body):
		return readJSON(body)
	case kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return Payload{}, bellhop.Errorf(bellhop.Invalid, "the body is no form: %w", err)
		}
		if p := form.Get("payload"); len(form) == 1 && p != "" {
			return readJSON([]byte(p))
		}
		root := make(map[string]any, len(form))
		for k, v := range form {
			root[k] = v[0]
			if len(v) > 1 {
				list := make([]any, len(v))
				for i := range v {
					list[i] = v[i]
				}
				root[k] = list
			}
		}
		return Payload{root: root}, nil
	case kind == "" || kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return readJSON(body)
	}
	return Payload{root: map[string]any{"body": string(body)}}, nil
}

func isJSON(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(b)
}

func readJSON(b []byte) (Payload, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // as written
	var p Payload
	if err := d.Decode(&p.root); err != nil {
		return p, bellhop.Errorf(bellhop.Invalid, "the body is no JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return p, bellhop.Errorf(bellhop.Invalid, "the body has something behind its JSON")
	}
	return p, nil
}

// At finds what stands at a dotted path; a number picks from a list.
func (p Payload) At(dotted string) (any, bool) { return at(p.root, dotted) }

func at(v any, dotted string) (any, bool) {
	if dotted == "" {
		return v, true
	}
	for step := range strings.SplitSeq(dotted, ".") {
		if f, ok := v.(field); ok {
			inner, err := readJSON([]byte(f))
			if err != nil {
				return nil, false
			}
			v = inner.root
		}
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// Word is a value as an argument has it: texts, numbers and the like as they
// are, nothing as "", the rest as JSON.
func Word(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case field:
		return string(x)
	case json.Number:
		return x.String()
	case bool:
		return strconv.FormatBool(x)
	}
	b, err := json.Marshal(v)
	if err != nil { // it came from JSON
		return ""
	}
	return string(b)
}

// Meets returns "" when the payload meets all conditions, else why not.
func (p Payload) Meets(all []bellhop.Condition) string {
	for i := range all {
		if c := &all[i]; p.meets(c) == c.Not {
			v, there := p.At(c.Path)
			if !there {
				return c.Path + " is not there"
			}
			return c.Path + " is " + strconv.Quote(Cut(Word(v)))
		}
	}
	return ""
}

// Cut shortens a text for an error that quotes it.
func Cut(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "..."
	}
	return s
}

func (p Payload) meets(c *bellhop.Condition) bool {
	v, there := p.At(c.Path)
	if c.Exists != nil {
		return there == *c.Exists
	}
	if !there {
		return false
	}
	one := func(v any) bool {
		s := Word(v)
		if c.Glob != "" {
			ok, err := path.Match(strings.ReplaceAll(c.Glob, "/", "\x00"), strings.ReplaceAll(s, "/", "\x00"))
			return err == nil && ok
		}
		for _, want := range c.Any {
			if s == want {
				return true
			}
		}
		return false
	}
	if list, ok := v.([]any); ok { // any of its words
		for _, w := range list {
			if one(w) {
				return true
			}
		}
		return false
	}
	return one(v)
}

// The marks begin places of a template that stand for a part of the payload, or
// for what is known of its message.
const (
	eventMark   = "{event."
	messageMark = "{message."
)

// Fill fills templates with what the payload has. What is not there is an
// Invalid error that names it.
func (p Payload) Fill(args bellhop.Args) (bellhop.Args, error) {
	filled := make(bellhop.Args, len(args))
	for name, v := range args {
		if v.IsList() {
			list := make([]string, len(v.List))
			for i, w := range v.List {
				s, err := p.fill("argument "+name, w)
				if err != nil {
					return nil, err
				}
				list[i] = s
			}
			filled[name] = bellhop.List(list...)
			continue
		}
		if whole, ok := strings.CutPrefix(v.Text, eventMark); ok && strings.Count(whole, "}") == 1 && strings.HasSuffix(whole, "}") {
			if got, _ := p.At(strings.TrimSuffix(whole, "}")); got != nil {
				if list, ok := got.([]any); ok {
					words := make([]string, len(list))
					for i := range list {
						words[i] = Word(list[i])
					}
					filled[name] = bellhop.List(words...)
					continue
				}
			}
		}
		s, err := p.fill("argument "+name, v.Text)
		if err != nil {
			return nil, err
		}
		filled[name] = bellhop.Text(s)
	}
	return filled, nil
}

// Key fills the template of a key.
func (p Payload) Key(template string) (string, error) { return p.fill("key", template) }

func (p Payload) fill(what, template string) (string, error) {
	var b strings.Builder
	for {
		i, root, mark := strings.Index(template, eventMark), p.root, eventMark
		if j := strings.Index(template, messageMark); p.message != nil && j >= 0 && (i < 0 || j < i) {
			i, root, mark = j, p.message, messageMark
		}
		if i < 0 {
			b.WriteString(template)
			return b.String(), nil
		}
		b.WriteString(template[:i])
		dotted, after, closed := strings.Cut(template[i+len(mark):], "}")
		if !closed {
			b.WriteString(template[i:])
			return b.String(), nil
		}
		v, there := at(root, dotted)
		if !there {
			return "", bellhop.Errorf(bellhop.Invalid, "%s wants %s%s, which this %s does not have", what, mark[1:], dotted, mark[1:len(mark)-1])
		}
		b.WriteString(Word(v))
		template = after
	}
}
