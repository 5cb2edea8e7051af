package config

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// expand replaces ${VAR} by the environment's value and $$ by a dollar in a
// setting. It works on the parsed scalar, so a value can't change the file's
// structure, and what it puts in is not looked at again.
func (d *decoder) expand(n *yaml.Node, key string) (string, bool) {
	s := n.Value
	if !strings.Contains(s, "$") {
		return s, true
	}
	var b strings.Builder
	ok := true
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			i++
		case '{':
			if d.src.stored {
				d.faultIn(n, i, "%s: ${NAME} is read from the server's environment, which is not for what the store has; write secret:NAME (bellhop secret set NAME), or $${ for the signs themselves", key)
				return "", false
			}
			end := strings.IndexByte(s[i:], '}')
			if end < 0 || !isEnvName(s[i+2:i+end]) {
				d.faultIn(n, i, "%s: ${ is not followed by a variable's name and }; write ${NAME}, or $${ for the signs themselves", key)
				return "", false
			}
			name := s[i+2 : i+end]
			val, found := d.getenv(name)
			if !found {
				d.faultIn(n, i, "%s: the environment variable %s is not set; set it where `bellhop` is started, or write $${%s} for the text itself", key, name, name)
				ok = false
			}
			b.WriteString(val)
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String(), ok
}

// faultIn is a fault at the byte offset within a scalar's value.
func (d *decoder) faultIn(n *yaml.Node, offset int, format string, args ...any) {
	pos := d.src.within(n, offset)
	d.fault(&yaml.Node{Line: pos.Line, Column: pos.Col}, format, args...)
}

func isEnvName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 255
}
