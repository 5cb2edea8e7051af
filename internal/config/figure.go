package config

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// digit is a whole number from 0 to 9.
type digit struct {
	at
	val int
}

func (i *digit) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	i.at = d.at(n)
	if !ok {
		i.bad = true
		return
	}
	if len(val) != 1 || val[0] < '0' || val[0] > '9' {
		d.fault(n, "%s: %s is not a whole number from 0 to 9 (9 goes first)", f.key, shorten(val))
		i.bad = true
		return
	}
	i.val = int(val[0] - '0')
}

func (i *digit) schema(field) map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": 0, "maximum": 9, "pattern": `^[0-9]$|` + variable}
}

// decimal is a number that may have a fraction, not below zero.
type decimal struct {
	at
	val float64
}

func (v *decimal) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	v.at = d.at(n)
	if !ok {
		v.bad = true
		return
	}
	if strings.Trim(val, "0123456789.") != "" {
		val = "?" + val // no sign, exponent, infinity or hexadecimal
	}
	x, err := strconv.ParseFloat(val, 64)
	if err != nil {
		d.fault(n, "%s: %s is not a number such as 2 or 0.5", f.key, shorten(strings.TrimPrefix(val, "?")))
		v.bad = true
	}
	v.val = x
}

func (v *decimal) schema(field) map[string]any {
	return map[string]any{"type": []string{"number", "string"}, "minimum": 0, "pattern": `^[0-9]*\.?[0-9]+$|^[0-9]+\.$|` + variable}
}

// forEver is how an age that never comes is kept.
const forEver = time.Duration(-1)

// maxAge bounds ages, so that what is reckoned with them stays a date.
const maxAge = 100 * 365 * 24 * time.Hour

// age is how long something is kept: a duration, or never.
type age struct {
	at
	val time.Duration // forEver for never
}

func (a *age) load(d *decoder, n *yaml.Node, f field, c *scope) {
	if n.Kind == yaml.ScalarNode && n.Value == "never" {
		a.at, a.val = d.at(n), forEver
		return
	}
	var s span
	s.load(d, n, f, c)
	a.at, a.val = s.at, s.val
	switch {
	case !a.good():
	case a.val == 0:
		d.fault(n, "%s: 0 is too short; write how long it is kept, such as 90d, or never for what is never deleted", f.key)
		a.bad = true
	case a.val > maxAge:
		d.fault(n, "%s: %s is longer than 100 years; write never for what is never deleted", f.key, shorten(n.Value))
		a.bad = true
	}
}

func (a *age) schema(f field) map[string]any {
	return map[string]any{"type": "string", "pattern": `^never$|` + (&span{}).schema(f)["pattern"].(string)}
}

// capacity is a number of bytes that may be very large, or unlimited.
type capacity struct {
	at
	val int64 // 0 for unlimited
}

// minCapacity and maxCapacity are 1 MB and 1 PB.
const (
	minCapacity = 1000 * 1000
	maxCapacity = 1000 * 1000 * 1000 * 1000 * 1000
)

func (k *capacity) load(d *decoder, n *yaml.Node, f field, c *scope) {
	val, ok := d.scalar(n, f)
	k.at = d.at(n)
	if !ok {
		k.bad = true
		return
	}
	if val == "unlimited" {
		return
	}
	v, ok := parseSize(val)
	switch {
	case !ok:
		d.fault(n, "%s: %s is not a size such as 500MB, 5GB or unlimited", f.key, shorten(val))
		k.bad = true
	case v < minCapacity || v > maxCapacity:
		d.fault(n, "%s: %s is out of range; it may be from 1MB to 1000TB, or unlimited", f.key, shorten(val))
		k.bad = true
	}
	k.val = v
}

func (k *capacity) schema(field) map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": minCapacity, "maximum": maxCapacity,
		"pattern": `^unlimited$|^[0-9]+ *([kKmMgGtT]?[bB]?|[kKmMgGtT][iI][bB])$|` + variable}
}

// several is one thing, or a list of them.
type several[T any] struct {
	at
	items []T
}

func (s *several[T]) load(d *decoder, n *yaml.Node, f field, c *scope) {
	s.at = d.at(n)
	if n.Kind != yaml.SequenceNode {
		var v T
		d.value(n, reflect.ValueOf(&v).Elem(), field{key: f.key, mode: f.mode}, c)
		s.items = []T{v}
		return
	}
	var l list[T]
	l.load(d, n, f, c)
	s.items, s.bad = l.items, l.bad
	if len(n.Content) == 0 {
		d.fault(n, "%s is an empty list; write something into it, or remove the key", f.key)
		s.bad = true
	}
}

func (s *several[T]) schema(f field) map[string]any {
	one := typeSchema(reflect.TypeFor[T](), field{key: f.item, mode: f.mode})
	return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "minItems": 1, "items": one}}}
}

// between reports whether a number lies in a range, ends included.
func between(x, least, most float64) bool {
	return !math.IsNaN(x) && x >= least && x <= most
}
