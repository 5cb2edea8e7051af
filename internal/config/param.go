package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// params checks a job's declared parameters.
func (b *builder) params(raw dict[paramRaw]) []bellhop.Param {
	var params []bellhop.Param
	stdin := ""
	for _, e := range raw.items {
		if !isParamName(e.name) {
			b.fault(e.key, "parameter %s: a name begins with a letter a-z and goes on with a-z, 0-9 and _", shorten(e.name))
			continue
		}
		p := bellhop.Param{Name: e.name, Type: b.paramType(e), Dash: e.val.Dash.val, Help: e.val.Help.val}
		if as := e.val.As.or("env"); as != "env" {
			p.As = bellhop.PassAs(as)
		}
		if p.As == bellhop.AsStdin {
			if stdin != "" {
				b.fault(e.val.As.at, "as: stdin: parameter %q is the standard input already; use as: file for one of them", stdin)
			}
			stdin = p.Name
		}
		if p.As != bellhop.AsEnv && p.Type == bellhop.TypeList {
			b.fault(e.val.As.at, "as: %s takes one value, and a list has many; use type: string or json", p.As)
		}
		b.paramEnum(e.val, &p)
		b.paramPattern(e.val, &p)
		b.paramRange(e.val, &p)
		b.paramDefault(e.val, &p)
		params = append(params, p)
	}
	return params
}

// isParamName allows what a placeholder may name: words of letters, digits, _
// and -, joined by dots.
func isParamName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for word := range strings.SplitSeq(s, ".") {
		if bellhop.CheckName("parameter", word) != nil {
			return false
		}
	}
	return true
}

// paramType finds the type, and faults where keys contradict each other.
func (b *builder) paramType(e entry[paramRaw]) bellhop.ParamType {
	raw := e.val
	given := bellhop.ParamType(raw.Type.or(""))
	enum, pattern := raw.Enum.isSet(), raw.Pattern.isSet()
	plain := given == "" || given == bellhop.TypeString
	switch {
	case enum && pattern:
		b.fault(raw.Pattern.at, "parameter %q has both enum and pattern; keep one", e.name)
		return bellhop.TypeString
	case enum && !plain && given != bellhop.TypeEnum:
		b.fault(raw.Enum.at, "parameter %q: enum does not go with type: %s; leave the type out", e.name, given)
		return given
	case pattern && !plain && given != bellhop.TypePattern:
		b.fault(raw.Pattern.at, "parameter %q: pattern does not go with type: %s; leave the type out", e.name, given)
		return given
	case enum:
		return bellhop.TypeEnum
	case pattern:
		return bellhop.TypePattern
	case given == bellhop.TypeEnum:
		b.fault(raw.Type.at, "parameter %q is an enum without values; write enum: [a, b]", e.name)
		return bellhop.TypeString
	case given == bellhop.TypePattern:
		b.fault(raw.Type.at, "parameter %q has no pattern; write pattern: \"[a-z]+\", say", e.name)
		return bellhop.TypeString
	case given == "":
		return bellhop.TypeString
	}
	return given
}

func (b *builder) paramEnum(raw paramRaw, p *bellhop.Param) {
	if p.Type != bellhop.TypeEnum {
		return
	}
	if len(raw.Enum.items) == 0 && !raw.Enum.bad {
		b.fault(raw.Enum.at, "enum is empty; write the values allowed, such as [staging, production]")
	}
	for _, item := range raw.Enum.items {
		v := item.val
		switch {
		case item.bad:
		case slices.Contains(p.Enum, v):
			b.fault(item.at, "enum: %s stands there twice", shorten(v))
		case strings.HasPrefix(v, "-") && !p.Dash:
			b.fault(item.at, "enum: %s begins with -, which is refused unless the parameter says dash: true", shorten(v))
		default:
			p.Enum = append(p.Enum, v)
		}
	}
}

func (b *builder) paramPattern(raw paramRaw, p *bellhop.Param) {
	if p.Type != bellhop.TypePattern {
		return
	}
	p.Pattern = raw.Pattern.val
	if raw.Pattern.bad {
		return
	}
	if p.Pattern == "" {
		b.fault(raw.Pattern.at, "pattern is empty; write a regular expression, or remove the key")
		return
	}
	if _, err := regexp.Compile(`^(?:` + p.Pattern + `)$`); err != nil {
		b.fault(raw.Pattern.at, "pattern: %s", regexFault(p.Pattern, err))
		p.Pattern, p.Type = "", bellhop.TypeString
	}
}

// regexFault words an error of regexp for the text as it was written.
func regexFault(written string, err error) string {
	why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	if _, inner := regexp.Compile(written); inner != nil {
		why = strings.TrimPrefix(inner.Error(), "error parsing regexp: ")
	}
	return fmt.Sprintf("%s is not a regular expression (RE2): %s", shorten(written), why)
}

// paramRange checks min and max, by asking whether they are good values.
func (b *builder) paramRange(raw paramRaw, p *bellhop.Param) {
	bound := bellhop.Param{Name: "x", Type: p.Type, Dash: true}
	for _, m := range []struct {
		key  string
		t    text
		into *string
	}{{"min", raw.Min, &p.Min}, {"max", raw.Max, &p.Max}} {
		if !m.t.good() {
			continue
		}
		switch p.Type {
		case bellhop.TypeInt, bellhop.TypeNumber, bellhop.TypeDuration, bellhop.TypeDate:
			if err := bound.Check(bellhop.Text(m.t.val)); err != nil {
				b.fault(m.t.at, "%s: %s", m.key, strings.TrimPrefix(err.Error(), "x "))
				continue
			}
		case bellhop.TypeString:
			if n, err := strconv.ParseUint(m.t.val, 10, 31); err != nil || m.key == "max" && n == 0 {
				b.fault(m.t.at, "%s: %s is not a length in characters; of a string, min and max bound the length (type: int or number bounds a value)", m.key, shorten(m.t.val))
				continue
			}
		default:
			b.fault(m.t.at, "%s does not go with type: %s; it bounds int, number, duration, date, and the length of a string", m.key, p.Type)
			continue
		}
		*m.into = m.t.val
	}
	if p.Min != "" && p.Max != "" && b.crossed(*p) {
		b.fault(raw.Max.at, "max: %s is below min: %s, so no value is good", shorten(p.Max), shorten(p.Min))
		p.Min, p.Max = "", ""
	}
}

// crossed reports whether the greatest value allowed is below the least.
func (b *builder) crossed(p bellhop.Param) bool {
	if p.Type == bellhop.TypeString {
		lo, _ := strconv.Atoi(p.Min)
		hi, _ := strconv.Atoi(p.Max)
		return lo > hi
	}
	return bellhop.Param{Name: "x", Type: p.Type, Min: p.Min, Dash: true}.Check(bellhop.Text(p.Max)) != nil
}

func (b *builder) paramDefault(raw paramRaw, p *bellhop.Param) {
	if !raw.Default.good() {
		return
	}
	v := raw.Default.val
	if err := fixed(*p).Check(v); err != nil {
		b.fault(raw.Default.at, "default: %v", err)
	}
	p.Default = &v
}

// fixed is p for a value that the configuration gives: such a one may begin
// with -, since whoever wrote it knows the program.
func fixed(p bellhop.Param) bellhop.Param {
	p.Dash = true
	return p
}
