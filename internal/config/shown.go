package config

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// ShownFile is a file of a configuration as admins may be shown it.
type ShownFile struct {
	Name string // as people know it
	Text string
}

// hiddenText stands for what is not shown.
const hiddenText = "***"

// Shown returns the files as they were read, line by line, but for secrets that
// stand in them: each is hidden, in comments too. ${NAME} and secret:NAME are as
// they are written.
func (c *Config) Shown() []ShownFile {
	files := make([]ShownFile, 0, len(*c.texts))
	for _, f := range *c.texts {
		files = append(files, ShownFile{f.name, shown(f.data)})
	}
	return files
}

// ShownService is Shown for the text of a service that the store keeps.
func ShownService(text []byte) string { return shown(text) }

func shown(data []byte) string {
	src := parse("", data, &faultList{})
	if src == nil { // nobody knows what is in it
		return hiddenText
	}
	h := &hider{src: src, lines: slices.Clone(src.lines)}
	d := newDecoder(src, &faultList{}, func(string) (string, bool) { return "", true })
	d.look = h.look
	var raw fileRaw
	d.value(src.root, reflect.ValueOf(&raw).Elem(), field{}, nil)
	h.gather(src.root)
	slices.SortFunc(h.starts, func(a, b place) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col)) })
	h.hideValues()
	h.hideLines()
	return h.rest(strings.Join(h.lines, "\n"))
}

// hider takes secrets out of the lines of a file.
type hider struct {
	src    *source
	lines  []string
	secret []*yaml.Node // what is hidden
	starts []place      // of all nodes, in the order of the file
}

// place is where something begins: a line from 1 and a byte in it from 0.
type place struct{ line, col int }

// look takes note of a value that is a secret in clear.
func (h *hider) look(n *yaml.Node, f field) {
	val := environment().ReplaceAllString(n.Value, "")
	var secret bool
	switch _, sealed := bellhop.SecretName(n.Value); {
	case sealed:
	case f.key == "store" && f.mode == modeSetting, f.mode == modeSecret && f.key == "url" && f.item != envItem:
		secret = openAddress().MatchString(val) || f.key != "store" && tokenAddress().MatchString(val) || secretValue().MatchString(val)
	case f.mode != modeSecret:
	case f.item == envItem:
		secret = secretName(f.key) && strings.ContainsFunc(val, isWord) || secretValue().MatchString(val)
	default:
		secret = strings.ContainsFunc(val, isWord)
	}
	if secret && !slices.Contains(h.secret, n) {
		h.secret = append(h.secret, n)
	}
}

func isWord(r rune) bool { return !strings.ContainsRune(" \t\r\n:/@.,;-_", r) }

// environment matches ${NAME}.
func environment() *regexp.Regexp { return regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`) }

// openAddress matches an address with a password, of which variables were taken
// out; tokenAddress one with somebody and no password, which may be a token.
func openAddress() *regexp.Regexp  { return regexp.MustCompile(`://[^/@\s:,]*:[^/@\s,]+@`) }
func tokenAddress() *regexp.Regexp { return regexp.MustCompile(`://[^/@\s:,]+@`) }

func (h *hider) gather(n *yaml.Node) {
	if n.Line > 0 && n.Line <= len(h.lines) {
		line := h.lines[n.Line-1]
		h.starts = append(h.starts, place{n.Line, len(line) - len(afterRunes(line, n.Column-1))})
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && calledSecret().MatchString(n.Content[i-1].Value) {
			val := c
			if val.Kind == yaml.AliasNode && val.Alias != nil {
				val = val.Alias
			}
			if val.Kind == yaml.ScalarNode { // whatever place it has, or has not
				h.look(val, field{key: n.Content[i-1].Value, mode: modeSecret})
			}
		}
		h.gather(c)
	}
}

// calledSecret matches keys whose values are secrets wherever they stand.
func calledSecret() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:token|secret|password|passwd)$`)
}

// hideValues hides each value in its place, from the end of the file on, so that
// what is still to be hidden stays where it was.
func (h *hider) hideValues() {
	type value struct {
		at   place
		rest string
		n    *yaml.Node
	}
	var all []value
	for _, n := range h.secret {
		line, rest := h.src.begin(n)
		if line < 1 || line > len(h.lines) {
			continue // hidden by its text
		}
		all = append(all, value{place{line, len(h.src.line(line)) - len(rest)}, rest, n})
	}
	slices.SortFunc(all, func(a, b value) int {
		return cmp.Or(cmp.Compare(b.at.line, a.at.line), cmp.Compare(b.at.col, a.at.col))
	})
	for _, v := range all {
		if written := asWritten(v.n); written != "" && strings.HasPrefix(v.rest, written) {
			line := h.lines[v.at.line-1]
			h.lines[v.at.line-1] = line[:v.at.col] + hiddenText + line[v.at.col+len(written):]
			continue
		}
		h.hideUntilNext(v.at, v.rest)
	}
}

// asWritten is a value as it stands in one line; "" = it may stand in several,
// or otherwise.
func asWritten(n *yaml.Node) string {
	switch {
	case n.Value == "" || strings.ContainsAny(n.Value, "\n\r") || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return ""
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return `"` + n.Value + `"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		return "'" + strings.ReplaceAll(n.Value, "'", "''") + "'"
	}
	return n.Value
}

// hideUntilNext hides all from a place to where the next value begins.
func (h *hider) hideUntilNext(from place, rest string) {
	next := place{len(h.lines) + 1, 0}
	if i := slices.IndexFunc(h.starts, func(p place) bool { return p.line > from.line || p.line == from.line && p.col > from.col }); i >= 0 {
		next = h.starts[i]
	}
	block := strings.HasPrefix(rest, "|") || strings.HasPrefix(rest, ">")
	first := h.lines[from.line-1]
	switch {
	case next.line == from.line:
		h.lines[from.line-1] = first[:from.col] + hiddenText + " " + first[next.col:]
	case !block:
		h.lines[from.line-1] = first[:from.col] + hiddenText
	}
	for n := from.line + 1; n < next.line && n <= len(h.lines); n++ {
		line := h.lines[n-1]
		if text := strings.TrimLeft(line, " \t"); text != "" {
			h.lines[n-1] = line[:len(line)-len(text)] + hiddenText
		}
	}
	if next.line > from.line && next.line <= len(h.lines) {
		line := h.lines[next.line-1]
		if before := line[:next.col]; strings.Trim(before, " \t-?") != "" {
			h.lines[next.line-1] = hiddenText + " " + line[next.col:]
		}
	}
}

// hideLines hides what is a secret wherever it stands: in scripts, and in
// comments, where a setting may have been put aside.
func (h *hider) hideLines() {
	key := false
	for i, line := range h.lines {
		switch {
		case strings.Contains(line, "PRIVATE KEY-----"):
			key = strings.Contains(line, "-----BEGIN ") && !strings.Contains(line, "-----END ")
			h.lines[i] = hiddenText
			continue
		case key:
			h.lines[i] = hiddenText
			continue
		}
		line = inText().ReplaceAllString(line, "${1}${2}${3}"+hiddenText)
		if at := comment().FindStringIndex(line); at != nil {
			said := clearValue().ReplaceAllStringFunc(line[at[0]:], func(all string) string {
				m := clearValue().FindStringSubmatch(all)
				val := strings.Trim(m[1], `"' ,}]`)
				if _, sealed := bellhop.SecretName(val); sealed || environment().ReplaceAllString(val, "") == "" {
					return all
				}
				return strings.TrimSuffix(all, m[1]) + hiddenText
			})
			line = line[:at[0]] + said
		}
		h.lines[i] = line
	}
}

// comment matches where one may begin.
func comment() *regexp.Regexp { return regexp.MustCompile(`(?:^|\s)#`) }

// inText matches secrets of well known makes in a line; its first group stays.
func inText() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(://[^/@\s:,]*:)[^/@\s,$*{][^/@\s,]*` +
		`|((?:password|passwd|pwd|token|access_token|secret|api_?key)=)[^\s;&"'${*][^\s;&"']*` +
		`|\b(?:xox[a-z]|xapp|glpat)-[a-z0-9-]{6,}|\b(?:gh[a-z]|github_pat|sk_live|rk_live)_[a-z0-9_]{6,}|\bAKIA[A-Z0-9]{12,}|\bbellhop\.[a-z][a-z0-9_-]*\.[A-Z2-7]{20,}` +
		`|(\bBearer\s+)[a-z0-9._~+/=-]{8,}`)
}

// rest hides what of the values is there still: the same text in another place.
func (h *hider) rest(text string) string {
	const long = 8 // a shorter one may be a word like any other
	for _, n := range h.secret {
		for line := range strings.SplitSeq(n.Value, "\n") {
			if line = strings.TrimSpace(line); len(line) >= long {
				text = strings.ReplaceAll(text, line, hiddenText)
			}
		}
	}
	return text
}
