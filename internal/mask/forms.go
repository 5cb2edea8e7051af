package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Masked reports whether a value is long enough to be masked.
func Masked(value string) bool { return utf8.RuneCountInString(value) >= Least }

// forms returns a value as it may be met: itself, without the line's end that
// shells take off, its lines, and all of it in the usual encodings. Of those,
// each is longer than the value, so that none hits innocent text.
func forms(value string) []string {
	if !Masked(value) {
		return nil
	}
	all := []string{value}
	plain := strings.TrimRight(value, "\r\n")
	for _, v := range []string{value, plain, plain + "\n"} { // the last is what echo and here-strings give
		if Masked(v) {
			all = append(all, based(v)...)
			all = append(all, escaped(v)...)
		}
	}
	all = append(all, strings.ReplaceAll(plain, "'", `'\''`)) // as set -x has it
	for line := range strings.SplitSeq(value, "\n") {
		all = append(all, strings.TrimSpace(line))
	}
	all = slices.DeleteFunc(all, func(s string) bool { return !Masked(s) })
	slices.Sort(all)
	return slices.Compact(all)
}

// widths are where programs break lines of base64: base64(1), and PEM.
var widths = [...]int{76, 64}

// based returns the base64 forms of a value: as a whole, broken into lines, and
// as a part of something longer (user:password).
func based(v string) []string {
	var all []string
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		whole := enc.EncodeToString([]byte(v))
		all = append(all, whole)
		for _, width := range widths {
			if len(whole) > width {
				lines := slices.Collect(chunks(whole, width))
				all = append(all, lines...)
				all = append(all, strings.Join(lines, "\n"), strings.Join(lines, "\r\n"))
			}
		}
	}
	for before := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			all = append(all, inner(enc, v, before))
		}
	}
	return all
}

// inner returns the letters of base64 that depend on v alone, when some bytes
// (modulo 3) come before it and others may follow.
func inner(enc *base64.Encoding, v string, before int) string {
	text := enc.EncodeToString(append(make([]byte, before), v...))
	first := [...]int{0, 2, 3}[before]
	last := (before + len(v)) * 8 / 6
	return text[first:last]
}

func chunks(s string, n int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > n {
			if !yield(s[:n]) {
				return
			}
			s = s[n:]
		}
		yield(s)
	}
}

// escaped returns a value as it stands in addresses and in JSON.
func escaped(v string) []string {
	const unreserved = "-_.~"
	all := []string{url.QueryEscape(v), url.PathEscape(v),
		percent(v, unreserved), percent(v, unreserved+"/"), // Python's quote
		percent(v, unreserved+"!*'()"), percent(v, unreserved+"!*'();/?:@&=+$,#")} // JavaScript's
	for _, s := range all {
		all = append(all, lowerPercent(s))
	}
	return append(all, jsonText(v, true), jsonText(v, false), strings.ReplaceAll(jsonText(v, false), "/", `\/`), jsonASCII(v))
}

// percent escapes all but letters, digits and those in keep.
func percent(v, keep string) string {
	var b strings.Builder
	for i := range len(v) {
		c := v[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// lowerPercent writes %2F as %2f.
func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// jsonText is a value as it stands within a JSON string.
func jsonText(v string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if err := enc.Encode(v); err != nil { // a string is always JSON
		return v
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}

// jsonASCII is jsonText with nothing but ASCII in it, as Python writes it.
func jsonASCII(v string) string {
	var b strings.Builder
	for _, r := range jsonText(v, false) {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
