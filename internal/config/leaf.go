package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// text is a scalar as text. Numbers, yes, and dates stay as they are written.
type text struct {
	at
	val string
}

func (t *text) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	t.at = d.at(n)
	if !ok {
		t.bad = true
		return
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, val) {
		d.fault(n, "%s", notOneOf(f.key, val, f.enum))
		val = f.enum[0]
	}
	t.val = val
}

func notOneOf(key, val string, options []string) string {
	s := fmt.Sprintf("%s: %s is not one of: %s", key, shorten(val), strings.Join(options, ", "))
	near := nearest(val, options)
	if key == "missed" && strings.EqualFold(val, "none") { // which is near to `one`, and means the contrary
		near = "skip"
	}
	if near != "" {
		s += fmt.Sprintf("; did you mean %q?", near)
	}
	return s
}

// or returns the text, or def when it was not given or is no good.
func (t text) or(def string) string {
	if !t.good() {
		return def
	}
	return t.val
}

// flag is true or false.
type flag struct {
	at
	val bool
}

func (b *flag) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	b.at = d.at(n)
	if !ok {
		b.bad = true
		return
	}
	switch strings.ToLower(val) {
	case "true", "yes", "on":
		b.val = true
	case "false", "no", "off":
	default:
		d.fault(n, "%s: %s is neither true nor false", f.key, shorten(val))
		b.bad = true
	}
}

// number is a whole number.
type number struct {
	at
	val int
}

func (i *number) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	i.at = d.at(n)
	if !ok {
		i.bad = true
		return
	}
	v, err := strconv.Atoi(val)
	if err != nil || v < 1 || v > math.MaxInt32 {
		d.fault(n, "%s: %s is not a whole number of at least 1", f.key, shorten(val))
		i.bad = true
	}
	i.val = v
}

// span is a duration of zero or more.
type span struct {
	at
	val time.Duration
}

func (s *span) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	s.at = d.at(n)
	if !ok {
		s.bad = true
		return
	}
	v, err := bellhop.ParseDuration(val)
	_, digits := strconv.Atoi(val)
	switch {
	case digits == nil && val != "0" && v == 0:
		d.fault(n, "%s: %s has no unit; write %ss for seconds, or such as 5m, 2h, 1d", f.key, shorten(val), strings.TrimLeft(val, "+-"))
		s.bad = true
	case err != nil:
		d.fault(n, "%s: %s is not a duration such as 90s, 1h30m or 2d", f.key, shorten(val))
		s.bad = true
	case v < 0:
		d.fault(n, "%s: %s is negative; a duration is 0s or longer", f.key, shorten(val))
		s.bad = true
	}
	s.val = v
}

// size is a number of bytes.
type size struct {
	at
	val int64
}

// maxSize is the largest size that anything may have: 1 GiB.
const maxSize = 1 << 30

func (s *size) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	s.at = d.at(n)
	if !ok {
		s.bad = true
		return
	}
	v, ok := parseSize(val)
	switch {
	case !ok:
		d.fault(n, "%s: %s is not a size such as 65536, 64KB or 10MiB", f.key, shorten(val))
	case v < 1 || v > maxSize:
		d.fault(n, "%s: %s is out of range; it may be from 1 byte to 1GiB", f.key, shorten(val))
	}
	s.val = v
}

// parseSize reads bytes with an optional unit: kB and the like are powers of
// 1000, KiB and the like of 1024, in any letter case.
func parseSize(s string) (int64, bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	v, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil {
		return 0, false
	}
	unit := int64(1)
	switch strings.ToLower(strings.TrimSpace(s[digits:])) {
	case "", "b":
	case "kb", "k":
		unit = 1000
	case "mb", "m":
		unit = 1000 * 1000
	case "gb", "g":
		unit = 1000 * 1000 * 1000
	case "tb", "t":
		unit = 1000 * 1000 * 1000 * 1000
	case "kib":
		unit = 1 << 10
	case "mib":
		unit = 1 << 20
	case "gib":
		unit = 1 << 30
	case "tib":
		unit = 1 << 40
	default:
		return 0, false
	}
	if v > math.MaxInt64/unit {
		return math.MaxInt64, true
	}
	return v * unit, true
}

// literal is a value as it is written: a text or a list of texts.
type literal struct {
	at
	val bellhop.Value
}

func (l *literal) load(d *decoder, n *yaml.Node, f field, c *scope) {
	f.mode = modeCode
	if n.Kind != yaml.SequenceNode {
		val, ok := d.scalar(n, f)
		l.at = d.at(n)
		l.val, l.bad = bellhop.Text(val), !ok
		return
	}
	l.at, l.val = d.at(n), bellhop.List()
	for _, item := range n.Content {
		item = d.resolve(item)
		if !d.spend(item) {
			return
		}
		val, ok := d.scalar(item, f)
		l.val.List = append(l.val.List, val)
		l.bad = l.bad || !ok
	}
}

// script is what a job runs: a script line or a list of arguments.
type script struct {
	at
	line  text
	items []text
}

func (s *script) isList() bool { return s.node != nil && s.node.Kind == yaml.SequenceNode }

func (s *script) load(d *decoder, n *yaml.Node, f field, c *scope) {
	s.at = d.at(n)
	if n.Kind != yaml.SequenceNode {
		s.line.load(d, n, f, c)
		if s.line.good() && strings.TrimSpace(s.line.val) == "" {
			d.fault(n, "run is empty; write the command to run, such as run: echo Hello")
		}
		return
	}
	if len(n.Content) == 0 {
		d.fault(n, "run is an empty list; write the program and its arguments, such as [./deploy.sh, \"{env}\"]")
	}
	f.key = "this item of run"
	for i, item := range n.Content {
		var t text
		item = d.resolve(item)
		if !d.spend(item) {
			return
		}
		t.load(d, item, f, c)
		if i == 0 && t.good() && t.val == "" {
			d.fault(item, "the first item of run is the program to run, and it is empty")
		}
		s.items = append(s.items, t)
	}
}

// scalar returns the text of a scalar that f takes. Without ok, a fault says
// why there is none.
func (d *decoder) scalar(n *yaml.Node, f field) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fault(n, "%s", d.notScalar(n, f))
		return "", false
	case d.look != nil:
		d.look(n, f)
		return n.Value, true
	case !d.checkTag(n):
		return "", false
	case n.Tag == "!!null" && (n.Value == "" || f.mode != modeCode):
		d.fault(n, "%s has no value; write one after the colon, or remove the key (\"\" is the empty text)", f.key)
		return "", false
	}
	switch f.mode {
	case modeSetting, modeSecret:
		val, ok := d.expand(n, f.key)
		return val, ok && d.secret(n, f, val)
	case modeCode:
		d.checkCut(n, f)
	}
	return n.Value, true
}

// notScalar explains a mapping or list where one value belongs: mostly a { or
// [ that was not quoted.
func (d *decoder) notScalar(n *yaml.Node, f field) string {
	if n.Style&yaml.FlowStyle == 0 {
		return fmt.Sprintf("%s takes one value, not %s", f.key, describe(n))
	}
	sign := "{"
	if n.Kind == yaml.SequenceNode {
		sign = "["
	}
	written := d.src.flowText(n)
	if written == "" || f.key == "store" || f.mode == modeSecret { // a password may be in it
		written = "..."
	}
	return fmt.Sprintf("%s became %s, because %s begins one in YAML; quote the value: %s", f.key, describe(n), sign, quoted(written))
}

// quoted puts a value into the quotes that need the least care.
func quoted(s string) string {
	if strings.ContainsAny(s, `"\`) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return `"` + s + `"`
}

// flowText returns the source of a { } or [ ] that ends in the line it begins
// in, else "".
func (s *source) flowText(n *yaml.Node) string {
	line := []rune(s.line(n.Line))
	if n.Column-1 >= len(line) {
		return ""
	}
	line = line[n.Column-1:]
	depth := 0
	for i, r := range line {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth == 0 {
			if i == 0 || i > 60 {
				return ""
			}
			return string(line[:i+1])
		}
	}
	return ""
}
