package bellhop

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// SealedSecret is a secret as the store keeps it: nobody reads it without the
// master key, which is elsewhere.
type SealedSecret struct {
	Owner   string // "" = the installation
	Name    string
	KeyID   string // of the master key that sealed it
	Sealed  []byte
	Updated time.Time
	By      string // the principal who set it
}

// Secrets keeps sealed secrets.
type Secrets interface {
	// PutSecret writes one, in place of the one with its owner and name.
	PutSecret(ctx context.Context, s SealedSecret) error
	// Secret returns one, or NotFound.
	Secret(ctx context.Context, owner, name string) (SealedSecret, error)
	// Secrets returns all, by owner and name.
	Secrets(ctx context.Context) ([]SealedSecret, error)
	// RemoveSecret removes one; NotFound when it is not there.
	RemoveSecret(ctx context.Context, owner, name string) error
	// Reseal replaces all secrets by the same ones under another key, in one
	// change. Conflict when any of them was changed, added or removed since
	// they were read: was is what Secrets returned then. Invalid when now has
	// others than was. When now is what is there, nothing is to be done.
	Reseal(ctx context.Context, was, now []SealedSecret) error
}

// CheckReseal is what a store asks within the change that Secrets.Reseal is: has
// is what is there. done: now is there already. The error is Reseal's.
func CheckReseal(has, was, now []SealedSecret) (done bool, err error) {
	has, was, now = sortedSecrets(has), sortedSecrets(was), sortedSecrets(now)
	switch {
	case !slices.EqualFunc(was, now, sameSecret):
		return false, Errorf(Invalid, "other secrets were sealed anew than had been read; read them again and seal each")
	case slices.EqualFunc(has, now, sameSealing):
		return true, nil
	case !slices.EqualFunc(has, was, sameSealing):
		return false, Errorf(Conflict, "a secret was set or removed while all were sealed anew; read them again")
	}
	return false, nil
}

func sameSecret(a, b SealedSecret) bool { return a.Owner == b.Owner && a.Name == b.Name }

func sameSealing(a, b SealedSecret) bool {
	return sameSecret(a, b) && a.KeyID == b.KeyID && bytes.Equal(a.Sealed, b.Sealed) && a.By == b.By && a.Updated.UnixMicro() == b.Updated.UnixMicro()
}

// sortedSecrets returns a copy by owner and name.
func sortedSecrets(s []SealedSecret) []SealedSecret {
	return slices.SortedFunc(slices.Values(s), func(x, y SealedSecret) int {
		return cmp.Or(cmp.Compare(x.Owner, y.Owner), cmp.Compare(x.Name, y.Name))
	})
}

// Vault opens secrets for what may use them.
type Vault interface {
	// Reveal returns the values of secrets by name. NotFound names one that is
	// missing.
	Reveal(ctx context.Context, names []string) (map[string]string, error)
}

// SecretPrefix begins a value that stands for a secret: secret:NAME.
const SecretPrefix = "secret:"

// SecretName returns the name in a value that stands for a secret.
func SecretName(value string) (name string, ok bool) {
	name, ok = strings.CutPrefix(value, SecretPrefix)
	return name, ok && CheckName("secret", name) == nil
}

// SecretNames returns the secrets that a job's environment names, sorted, each
// once.
func (j Job) SecretNames() []string {
	var names []string
	for _, value := range j.Env {
		if name, ok := SecretName(value); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
