package secret

import (
	"os"
	"path/filepath"

	"github.com/bellhop-io/bellhop"
)

// The environment variables that a master key may come from.
const (
	EnvKey     = "BELLHOP_KEY"      // the key itself
	EnvNewKey  = "BELLHOP_NEW_KEY"  // beside it, what rotate changes to
	EnvKeyFile = "BELLHOP_KEY_FILE" // another key file; a relative path starts at the configuration's folder
)

// keyring is the master keys that are known here.
type keyring struct {
	file    string // the key file; "" = they come from the environment
	current *key   // nil = there is none yet
	next    *key   // of a rotation that was begun; nil = none
}

// loadKeys reads what keys there are.
func loadKeys(home string, getenv func(string) (string, bool)) (r keyring, err error) {
	if text, ok := getenv(EnvKey); ok && text != "" {
		if r.current, err = envKey(EnvKey, text); err != nil {
			return r, err
		}
		if text, ok := getenv(EnvNewKey); ok && text != "" {
			r.next, err = envKey(EnvNewKey, text)
		}
		return r, err
	}
	r.file = keyFile(home, getenv)
	if r.current, err = fileKey(r.file); err != nil {
		return r, err
	}
	r.next, err = fileKey(r.file + nextSuffix)
	return r, err
}

func keyFile(home string, getenv func(string) (string, bool)) string {
	file, ok := getenv(EnvKeyFile)
	if !ok || file == "" {
		file = filepath.Join(".bellhop", "key")
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(home, file)
	}
	return file
}

func envKey(name, text string) (*key, error) {
	k, ok := parseKey(text)
	if !ok {
		return nil, bellhop.Errorf(bellhop.Invalid, "%s does not hold a key: it takes 32 bytes in base64 (openssl rand -base64 32 makes one), or 64 hex digits", name)
	}
	return &k, nil
}

func fileKey(path string) (*key, error) {
	k, ok, err := readKeyFile(path)
	if !ok {
		return nil, err
	}
	return &k, nil
}

// by returns the key with an id.
func (r *keyring) by(id string) (key, bool) {
	for _, k := range []*key{r.current, r.next} {
		if k != nil && k.id() == id {
			return *k, true
		}
	}
	return key{}, false
}

// rotated reports whether all secrets are sealed under the next key already: a
// rotation was interrupted at its last step.
func (r *keyring) rotated(sealed []bellhop.SealedSecret) bool {
	if r.next == nil || len(sealed) == 0 {
		return false
	}
	id := r.next.id()
	for _, s := range sealed {
		if s.KeyID != id {
			return false
		}
	}
	return true
}

// adopt makes the next key the current one, in the file too unless only looks
// are taken.
func (r *keyring) adopt(look bool) error {
	if r.file != "" && !look {
		if err := adoptKeyFile(r.file); err != nil {
			return err
		}
	}
	r.current, r.next = r.next, nil
	return nil
}

// missing says which keys are not known that something is sealed with; nil =
// none.
func (r *keyring) missing(sealed []bellhop.SealedSecret) error {
	for _, s := range sealed {
		if _, ok := r.by(s.KeyID); ok {
			continue
		}
		have := "there is no master key here"
		if r.current != nil {
			have = "the master key here is " + r.current.id()
		}
		where := "put that key back: into " + EnvKey + ", where it was"
		if r.file != "" {
			where = "put that key back: into " + r.file + ", or " + EnvKey
		}
		return bellhop.Errorf(bellhop.Invalid, "the store's secrets are sealed with the master key %s, and %s; %s. Without it they can't be read, and a new key is not made while they are there", s.KeyID, have, where)
	}
	return nil
}

// osEnv is the process's environment.
func osEnv(name string) (string, bool) { return os.LookupEnv(name) }
