package config

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// Document is the YAML of one service as the store keeps it: services: with
// that service, and nothing else.
type Document struct {
	Service string
	Text    []byte
}

// fileText is a file as it was read.
type fileText struct {
	name, abs string
	data      []byte
}

const (
	storedPrefix = "store:" // before the service, in positions
	storedNoName = "yaml"   // where it is not known which service it is
)

// ServiceOf returns the service that a document is about, or what keeps it from
// being one.
func ServiceOf(text []byte) (string, []bellhop.Fault) {
	l := newLoader(Options{})
	src := l.document(storedNoName, text)
	if src == nil {
		return "", l.hide(l.faults.sorted(nil))
	}
	name := l.oneService(src)
	if len(l.faults.list) > 0 {
		return "", l.hide(l.faults.sorted(nil))
	}
	return name, nil
}

// WithStored is the configuration of the same files, as they were read then, and
// of these documents of the store. All of it is judged together.
func (c *Config) WithStored(docs []Document, opts Options) (*Config, []bellhop.Fault, error) {
	l := newLoader(opts)
	for _, f := range *c.texts {
		l.readText(f.name, f.abs, f.data)
	}
	for _, d := range docs {
		l.readStored(d)
	}
	return l.build(c.Path)
}

func (l *loader) document(name string, text []byte) *source {
	l.names = append(l.names, name)
	// What is no YAML is hidden by its lines too.
	l.stored[name] = &source{name: name, lines: splitLines(string(text)), stored: true}
	src := parse(name, text, l.faults)
	if src == nil {
		return nil
	}
	src.stored = true
	l.stored[name] = src
	return src
}

func (l *loader) readStored(doc Document) {
	src := l.document(storedPrefix+doc.Service, doc.Text)
	if src == nil {
		return
	}
	switch name := l.oneService(src); name {
	case "": // told already
	case doc.Service:
		l.take(src)
	default:
		l.faults.add(bellhop.Position{File: src.name}, "this is service "+shorten(name)+", kept as service "+doc.Service)
	}
}

// oneService returns the name of the service that a document is about; "" after
// a fault.
func (l *loader) oneService(src *source) string {
	fail := func(n *yaml.Node, format string, args ...any) string {
		l.fault(at{src: src, node: n}, format, args...)
		return ""
	}
	root := src.root
	if root.Kind != yaml.MappingNode {
		return fail(root, "this must be a mapping (lines of `key: value`) with services: in it, not %s", describe(root))
	}
	var services *yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch key := root.Content[i]; {
		case key.Kind != yaml.ScalarNode || key.Value != "services":
			return fail(key, "%s: the store keeps services alone, so services: is all that may stand here; the rest belongs in the file (bellhop.yaml)", describe(key))
		case services != nil:
			return fail(key, "services stands here twice; it was given in line %d already", services.Line)
		default:
			services = root.Content[i+1]
		}
	}
	if services == nil || services.Kind != yaml.MappingNode || len(services.Content) == 0 {
		return fail(root, "there is no service in it; write services: with one service, its jobs and its commands")
	}
	if len(services.Content) > 2 {
		return fail(services.Content[2], "the store keeps each service by itself, and this is a second one; send it in a request of its own")
	}
	key := services.Content[0]
	if err := bellhop.CheckName("service", key.Value); key.Kind != yaml.ScalarNode || err != nil {
		return fail(key, "%s is no name of a service; it begins with a letter and goes on with a-z, 0-9, _ and -, 63 characters at most", describe(key))
	}
	return key.Value
}

// sealed refuses in clear what belongs in the sealed store. The value is not
// told.
func (d *decoder) sealed(n *yaml.Node, f field, val string) (ok bool) {
	switch {
	case f.mode != modeSecret || val == "" && f.item == envItem:
	case f.key == "url" && f.item != envItem && !inAddress().MatchString(val) && !secretValue().MatchString(val): // an address may be a secret, and mostly is none
	case f.item != envItem:
		d.fault(n, "%s: a secret is not kept in clear in the store; seal it (bellhop secret set NAME) and write secret:NAME", f.key)
		return false
	case secretName(f.key) || secretValue().MatchString(val):
		d.fault(n, "env: %s looks like a secret, which is not kept in clear in the store; seal it (bellhop secret set NAME) and write secret:NAME", shorten(f.key))
		return false
	}
	return true
}

// noPassword refuses an address with a password in what the store keeps.
func (b *builder) noPassword(t text) {
	if t.src.stored && secretValue().MatchString(t.val) {
		b.fault(t.at, "script_url: a password or token is not kept in clear in the store; fetch the file in run: with what env: has from secret:NAME")
	}
}

// secretName reports whether a variable is called as secrets are. One that says
// where a secret is has none in it.
func secretName(name string) bool {
	words := strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool { return r == '_' })
	for len(words) > 0 && strings.Trim(words[len(words)-1], "0123456789") == "" { // TOKEN_2
		words = words[:len(words)-1]
	}
	if len(words) == 0 || slices.Contains(words, "PUBLIC") {
		return false
	}
	switch last := words[len(words)-1]; last {
	case "FILE", "PATH", "DIR", "NAME", "ID", "URL", "HOST", "LENGTH", "TTL":
		return false
	}
	for _, w := range words {
		switch w = strings.TrimRight(w, "0123456789"); {
		case slices.Contains([]string{"KEY", "KEYS", "PASS", "PWD", "PIN", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "PRIVATEKEY"}, w):
			return true
		}
		for _, end := range []string{"TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "APIKEY"} {
			if strings.HasSuffix(w, end) {
				return true
			}
		}
	}
	return false
}

// secretValue matches what is a secret, whatever it is called: addresses with a
// password, private keys, and tokens of well known makes.
func secretValue() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[\s,])[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@` +
		`|-----BEGIN [A-Z0-9 ]*PRIVATE KEY` +
		`|(?:^|[\s;?&])(?:password|passwd|pwd|token|access_token|secret|api_?key)=[^\s;&]` +
		`|^(?:xox[a-z]|xapp|glpat)-|^(?:gh[a-z]|github_pat|sk_live|rk_live)_|^AKIA[A-Z0-9]{12}|^bellhop\.[a-z][a-z0-9_-]*\.[A-Z2-7]{20}|^Bearer\s`)
}

// inAddress matches an address with somebody in it: to some brokers, that is a
// token.
func inAddress() *regexp.Regexp { return regexp.MustCompile(`://[^/@\s,]*@`) }

// hide takes what may be secrets out of the faults of documents: what is wrong
// with a value is mostly told with the value.
func (l *loader) hide(faults []bellhop.Fault) []bellhop.Fault {
	for i, f := range faults {
		src := l.stored[f.Pos.File]
		if src == nil {
			continue
		}
		for n := f.Pos.Line - 1; n <= f.Pos.Line+1; n++ {
			for _, m := range clearValue().FindAllStringSubmatch(src.line(n), -1) {
				if _, ok := bellhop.SecretName(strings.Trim(m[1], `"' ,}]`)); ok {
					continue
				}
				faults[i].Message = withoutWords(faults[i].Message, m[1])
			}
		}
	}
	return faults
}

// clearValue finds what stands behind a key that is called as secrets are.
func clearValue() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:token|secret|password|passwd|pass|pwd|key|credentials?)[a-z0-9_]*["']?\s*:\s*(.+)$`)
}

// withoutWords hides the words of a value in a message.
func withoutWords(message, value string) string {
	for _, w := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\"'{}[],:*&!#|>", r) }) {
		if len(w) >= 4 && w != "secret" {
			message = strings.ReplaceAll(message, w, "***")
		}
	}
	return message
}
