package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// SecretUse is a place where secret:NAME stands for a sealed value.
type SecretUse struct {
	Name    string
	Setting string // the key of the setting; "" = a variable of env
	Pos     bellhop.Position
}

// envItem marks the values of env.
const envItem = "variable of env"

// Fault says what is wrong with the secret of that place.
func (u SecretUse) Fault(err error) bellhop.Fault {
	return bellhop.Fault{Pos: u.Pos, Message: err.Error()}
}

// secret takes note of a value that stands for a secret; ok is false where none
// may stand. The value stays secret:NAME, which whoever needs it resolves.
func (d *decoder) secret(n *yaml.Node, f field, val string) (ok bool) {
	name, is := strings.CutPrefix(val, bellhop.SecretPrefix)
	if !is {
		return !d.src.stored || d.sealed(n, f, val)
	}
	if f.mode != modeSecret {
		d.fault(n, "%s: no secret can stand here; secret:NAME is read in the values of env: and in the tokens of chats, the secrets of webhooks and sources and the addresses and passwords of brokers", f.key)
		return false
	}
	if err := bellhop.CheckName("secret", name); err != nil {
		d.fault(n, "%s: %v; write secret:NAME, as `bellhop secret list` shows it", f.key, err)
		return false
	}
	use := SecretUse{Name: name, Pos: at{src: d.src, node: n}.pos()}
	if f.item != envItem {
		use.Setting = f.key
	}
	if !slices.Contains(d.secrets, use) { // an alias repeats it
		d.secrets = append(d.secrets, use)
	}
	return true
}

func isSecret(val string) bool {
	_, ok := bellhop.SecretName(val)
	return ok
}
