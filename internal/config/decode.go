package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// at is the place of a value: a node of a file. The zero at is nowhere: the
// value was not given.
type at struct {
	src  *source
	node *yaml.Node
	// bad says that the value has a fault that was told already, so that what
	// follows from it is not told again.
	bad bool
}

func (a *at) setAt(b at) { *a = b }
func (a at) place() at   { return a }

// isSet reports whether a value was given, right or wrong.
func (a at) isSet() bool { return a.node != nil }

// good reports whether a value was given that can be gone by.
func (a at) good() bool { return a.node != nil && !a.bad }

func (a at) line() string { return fmt.Sprintf("%s:%d", a.src.name, a.node.Line) }

func (a at) pos() bellhop.Position {
	if a.node == nil {
		return bellhop.Position{}
	}
	return a.src.clamp(bellhop.Position{File: a.src.name, Line: a.node.Line, Col: a.node.Column})
}

// leaf is a type that decodes itself.
type leaf interface {
	load(d *decoder, n *yaml.Node, f field, c *scope)
	schema(f field) map[string]any
}

// field is what a struct tag says of a key.
type field struct {
	key   string
	doc   string
	enum  []string
	mode  mode
	item  string // what an item of a list or dictionary is called
	def   string // default, for the schema
	index int
}

// mode says how the text of a scalar is taken.
type mode string

const (
	modeSetting mode = ""       // ${VAR} is replaced
	modeSecret  mode = "secret" // and secret:NAME may stand for a sealed value
	modePlain   mode = "plain"  // as written
	modeCode    mode = "code"   // as written, and a place where " #" cuts by mistake
)

// fieldsOf returns the keys of a struct type in the order of its fields.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		key := sf.Tag.Get("yaml")
		if key == "" {
			continue
		}
		f := field{key: key, doc: sf.Tag.Get("doc"), mode: mode(sf.Tag.Get("mode")), item: sf.Tag.Get("item"), def: sf.Tag.Get("def"), index: i}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		fields = append(fields, f)
	}
	return fields
}

// scope says where a key stands, for messages.
type scope struct {
	label string
	outer *scope
}

// String names the innermost two places: job "hello" of service "example".
func (c *scope) String() string {
	if c == nil || c.label == "" {
		return "the file"
	}
	if c.outer == nil || c.outer.label == "" {
		return c.label
	}
	return c.label + " of " + c.outer.label
}

// decoder walks the nodes of one file into the structs of model.go.
type decoder struct {
	src    *source
	faults *faultList
	getenv func(string) (string, bool)
	// budget is how many nodes may still be visited: the file's own, and some
	// more for aliases, which could multiply without end.
	budget int
	// aliases is how deep in aliases the walk is: what is found there was
	// mostly told where the anchor stands.
	aliases int
	secrets []SecretUse                 // that values stand for
	look    func(n *yaml.Node, f field) // unless nil, is shown every scalar
}

// aliasBudget is how many nodes aliases may add to a file's own.
const aliasBudget = 100_000

func newDecoder(s *source, faults *faultList, getenv func(string) (string, bool)) *decoder {
	return &decoder{src: s, faults: faults, getenv: getenv, budget: countNodes(s.root) + aliasBudget}
}

func countNodes(n *yaml.Node) int {
	sum := 1
	for _, c := range n.Content {
		sum += countNodes(c)
	}
	return sum
}

func (d *decoder) at(n *yaml.Node) at { return at{src: d.src, node: n} }

func (d *decoder) fault(n *yaml.Node, format string, args ...any) {
	pos := d.at(n).pos()
	if d.aliases > 0 && d.faults.has(pos) {
		return
	}
	d.faults.add(pos, fmt.Sprintf(format, args...))
}

// spend takes one node from the budget. The one that overdraws it is told of.
func (d *decoder) spend(n *yaml.Node) bool {
	d.budget--
	if d.budget == 0 {
		d.fault(n, "the aliases (*name) of this file multiply into more than %d values; write them out", aliasBudget)
	}
	return d.budget > 0
}

// resolve follows an alias.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	for hops := 0; n.Kind == yaml.AliasNode && n.Alias != nil && hops < 10; hops++ {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		d.checkTag(n)
	}
	return n
}

// checkTag refuses tags that mean nothing here.
func (d *decoder) checkTag(n *yaml.Node) bool {
	if n.Style&yaml.TaggedStyle == 0 || strings.HasPrefix(n.Tag, "!!") {
		return true
	}
	d.fault(n, "%s is read as a YAML tag, since it begins with !; quote the whole value if it belongs to it", shorten(n.Tag))
	return false
}

// value decodes n into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f field, c *scope) {
	if n.Kind == yaml.AliasNode {
		d.aliases++
		defer func() { d.aliases-- }()
	}
	n = d.resolve(n)
	if !d.spend(n) {
		return
	}
	if l, ok := v.Addr().Interface().(leaf); ok {
		l.load(d, n, f, c)
		return
	}
	d.mapping(n, v, c)
}

// mapping decodes a mapping into a struct. null is a mapping with no keys.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, c *scope) {
	place := d.at(n)
	defer func() {
		if p, ok := v.Addr().Interface().(interface{ setAt(at) }); ok {
			p.setAt(place)
		}
	}()
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		d.fault(n, "%s must be a mapping (lines of `key: value`), not %s%s", c, describe(n), d.meant(n, v))
		place.bad = true
		return
	}
	pairs, ok := d.pairs(n, c)
	if !ok {
		place.bad = true
		return
	}
	fields := fieldsOf(v.Type())
	for _, p := range pairs {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == p.key.Value })
		if i < 0 {
			d.fault(p.key, "%s", unknownKey(p.key.Value, fields, c))
			place.bad = true
			continue
		}
		f := fields[i]
		d.value(p.val, v.Field(f.index), f, &scope{label: f.key, outer: c})
	}
}

// meant guesses what a text in place of a mapping was to say.
func (d *decoder) meant(n *yaml.Node, v reflect.Value) string {
	if noSpace().MatchString(n.Value) {
		return "; is the space after the colon missing?"
	}
	short, ok := v.Addr().Interface().(interface{ shorthand(string) string })
	if !ok || strings.ContainsAny(n.Value, "\n") || len(n.Value) > 60 {
		return ""
	}
	key := short.shorthand(n.Value)
	if key == "" {
		return ""
	}
	val := n.Value
	if strings.ContainsAny(val, "{}[],:#\"'") || strings.IndexAny(val, "@*&!%|>`") == 0 {
		val = quoted(val)
	}
	return fmt.Sprintf("; did you mean {%s: %s}?", key, val)
}

func noSpace() *regexp.Regexp { return regexp.MustCompile(`^[a-z_]+:[^\s/]`) }

// pair is a key of a mapping and its value.
type pair struct{ key, val *yaml.Node }

// pairs returns a mapping's pairs in order, keys unique, merge keys (<<)
// resolved: what is written beside a << wins over what it brings.
func (d *decoder) pairs(n *yaml.Node, c *scope) ([]pair, bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		d.fault(n, "%s must be a mapping (lines of `key: value`), not %s", c, describe(n))
		return nil, false
	}
	m := merger{d: d, seen: map[string]*yaml.Node{}}
	m.own(n)
	for _, from := range m.merges {
		m.merge(from, 0)
	}
	return m.pairs, true
}

// merger gathers the pairs of one mapping.
type merger struct {
	d      *decoder
	seen   map[string]*yaml.Node
	pairs  []pair
	merges []*yaml.Node
}

func (m *merger) own(n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := m.d.resolve(n.Content[i]), n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			m.d.fault(key, "a key must be a plain word, not %s; quote it if { or [ belongs to it", describe(key))
		case key.Tag == "!!merge":
			m.merges = append(m.merges, val)
		case m.seen[key.Value] != nil:
			m.d.fault(key, "key %s stands here twice; it was given in line %d already", shorten(key.Value), m.seen[key.Value].Line)
		default:
			m.seen[key.Value] = key
			m.pairs = append(m.pairs, pair{key, val})
		}
	}
}

// maxMergeDepth ends a mapping that merges itself.
const maxMergeDepth = 10

func (m *merger) merge(n *yaml.Node, depth int) {
	n = m.d.resolve(n)
	if !m.d.spend(n) {
		return
	}
	switch {
	case depth > maxMergeDepth:
		m.d.fault(n, "<< merges go deeper than %d, or in a circle; write the keys out", maxMergeDepth)
	case n.Kind == yaml.SequenceNode && depth == 0:
		for _, item := range n.Content {
			m.merge(item, depth+1)
		}
	case n.Kind != yaml.MappingNode:
		m.d.fault(n, "<< merges a mapping (<<: *name), not %s", describe(n))
	default:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, val := m.d.resolve(n.Content[i]), n.Content[i+1]
			switch {
			case key.Kind != yaml.ScalarNode:
			case key.Tag == "!!merge":
				m.merge(val, depth+1)
			case m.seen[key.Value] == nil:
				m.seen[key.Value] = key
				m.pairs = append(m.pairs, pair{key, val})
			}
		}
	}
}

// describe says what a node is, for "expected x, not y".
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "nothing"
	case n.Kind == yaml.ScalarNode:
		return shorten(n.Value)
	}
	return "an alias"
}
