package config

import (
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// This file is what entries share that ask because of what other programs say.

// conditionRaw is a value, a list of values, or {not: ...}, {glob: ...},
// {exists: true}.
type conditionRaw struct {
	at
	cond bellhop.Condition
}

func (c *conditionRaw) load(d *decoder, n *yaml.Node, f field, s *scope) {
	c.at = d.at(n)
	if n.Kind != yaml.MappingNode {
		c.values(d, n, s)
		return
	}
	if len(n.Content) != 2 {
		c.wrong(d, n)
		return
	}
	key, val := n.Content[0].Value, d.resolve(n.Content[1])
	switch {
	case key == "not" && val.Kind == yaml.MappingNode:
		c.load(d, val, f, s)
		c.cond.Not = !c.cond.Not
	case key == "not":
		c.values(d, val, s)
		c.cond.Not = true
	case key == "glob" && val.Kind == yaml.ScalarNode:
		c.cond.Glob = val.Value
		if _, err := path.Match(val.Value, ""); err != nil || val.Value == "" {
			d.fault(val, "glob: %s is no pattern; write one such as release/*", shorten(val.Value))
			c.bad = true
		}
	case key == "exists" && (val.Value == "true" || val.Value == "false"):
		there := val.Value == "true"
		c.cond.Exists = &there
	default:
		c.wrong(d, n)
	}
}

func (c *conditionRaw) wrong(d *decoder, n *yaml.Node) {
	d.fault(n, "a condition is a value, a list of values, {not: ...}, {glob: \"release/*\"} or {exists: true}; a path is one key with dots in it: pull_request.merged: true")
	c.bad = true
}

func (c *conditionRaw) values(d *decoder, n *yaml.Node, s *scope) {
	var v several[literal]
	v.load(d, n, field{key: "when", item: "value"}, s)
	c.bad = v.bad
	for _, one := range v.items {
		if one.val.IsList() {
			c.wrong(d, n)
			return
		}
		c.cond.Any = append(c.cond.Any, one.val.Text)
	}
}

func (*conditionRaw) schema(field) map[string]any {
	scalar := map[string]any{"type": []string{"string", "number", "boolean"}}
	return map[string]any{"anyOf": []any{scalar, map[string]any{"type": "array", "items": scalar}, map[string]any{"type": "object", "minProperties": 1, "maxProperties": 1}}}
}

// conditions are those without a fault, by path from the event's root.
func conditions(raw dict[conditionRaw]) (all []bellhop.Condition) {
	for _, c := range raw.items {
		if c.val.bad {
			continue
		}
		cond := c.val.cond
		cond.Path = strings.TrimPrefix(c.name, "event.")
		all = append(all, cond)
	}
	return all
}

// eventArgs are the arguments that an entry has its job done with; the job is
// checked, and that it gets what it needs.
func (b *builder) eventArgs(what string, entry at, s *bellhop.Service, job text, raw dict[literal], good map[string]bool) bellhop.Args {
	j := b.askedJob(what, entry, s, job, good)
	if j == nil {
		return nil
	}
	args := bellhop.Args{}
	for _, a := range raw.items {
		p, ok := j.Param(a.name)
		switch {
		case !ok:
			b.fault(a.key, "args: %s", b.noParam(j, a.name))
		case a.val.good():
			args[a.name] = a.val.val
			b.misspelt(what, "args", a.val.at, a.val.val.String())
			if !filled(what, a.val.val.String()) {
				if err := fixed(p).Check(a.val.val); err != nil {
					b.fault(a.val.at, "args: %v", err)
				}
			}
		}
	}
	for _, p := range j.Params {
		if _, given := args[p.Name]; !given && p.Default == nil && !raw.bad {
			b.fault(job.at, "job %s needs %s, which args does not give; write %[2]s: \"{event.PATH}\", or a value", j.Name, p.Name)
		}
	}
	return args
}

// filled reports whether a template is filled from what comes. What a message
// is besides its payload, brokers alone know.
func filled(what, template string) bool {
	return strings.Contains(template, "{event.") || what == whatBroker && strings.Contains(template, "{message.")
}

// misspelt finds what a template was meant to be filled with, and is not.
// Whatever else stands in braces is text.
func (b *builder) misspelt(what, key string, where at, template string) {
	for _, m := range regexp.MustCompile(`\{([a-z]+)\.([^{}\s"']*)\}`).FindAllStringSubmatch(template, -1) {
		roots := []string{"event"}
		if what == whatBroker {
			roots = append(roots, "message")
		}
		root, part := m[1], m[2]
		near := nearest(root, roots)
		switch {
		case near != "" && near != root:
			b.fault(where, "%s: %s stands for nothing; did you mean {%s.%s}?", key, m[0], near, part)
		case near == "message" && part != "id" && part != "subject" && !strings.HasPrefix(part, "header."):
			b.fault(where, "%s: %s is not known of a message; what is: {message.id}, {message.subject}, {message.header.NAME}", key, m[0])
		}
	}
}
