package config

import (
	"reflect"

	"github.com/bellhop-io/bellhop"
)

// ReadToken reads a file of one key, token, which a secret may stand for, as in
// the settings of a chat that has one.
func ReadToken(file string, getenv func(string) (string, bool)) (string, []SecretUse, []bellhop.Fault) {
	var faults faultList
	src := parse("bellhop.yaml", []byte(file), &faults)
	if src == nil {
		return "", nil, faults.list
	}
	var raw struct {
		at
		Token text `yaml:"token" mode:"secret"`
	}
	d := newDecoder(src, &faults, getenv)
	d.value(src.root, reflect.ValueOf(&raw).Elem(), field{}, nil)
	return raw.Token.val, d.secrets, faults.list
}
