package secret

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/bellhop-io/bellhop"
)

// Options are what a Vault is made of. Store and Home are needed.
type Options struct {
	Store bellhop.Secrets
	// Values keeps two servers that begin at once on one new store from making
	// a master key each; nil = there is one process.
	Values bellhop.Values
	Home   string                      // the configuration's folder
	Getenv func(string) (string, bool) // nil = the process's environment
	Clock  bellhop.Clock               // nil = the machine's
	Look   bool                        // only looks are taken: nothing is made or written
	cut    func(step string) error     // a test's: fails as if everything ended there
}

// Vault seals and opens the secrets of a store (bellhop.Vault). It may be used
// by several goroutines at once.
type Vault struct {
	opt Options

	mu   sync.RWMutex
	ring keyring
}

// The record that the key of the audit trail is.
const (
	ownOwner  = "bellhop"
	auditName = "audit"
)

// Open finds the master key, and makes one when nothing is sealed yet. Invalid
// names the key that something is sealed with and that is not there.
func Open(ctx context.Context, o Options) (*Vault, error) {
	if o.Getenv == nil {
		o.Getenv = osEnv
	}
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.cut == nil {
		o.cut = func(string) error { return nil }
	}
	v := &Vault{opt: o}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.load(ctx); err != nil {
		return nil, err
	}
	if o.Look {
		return v, nil
	}
	_, err := v.auditKey(ctx) // so that something is sealed from now on
	return v, err
}

// load reads the keys, and ends a rotation that was interrupted. v.mu is held.
func (v *Vault) load(ctx context.Context) error {
	ring, err := loadKeys(v.opt.Home, v.opt.Getenv)
	if err != nil {
		return err
	}
	sealed, err := v.opt.Store.Secrets(ctx)
	if err != nil {
		return err
	}
	if ring.rotated(sealed) {
		if err := ring.adopt(v.opt.Look); err != nil {
			return err
		}
	}
	if err := ring.missing(sealed); err != nil {
		return err
	}
	if len(sealed) == 0 && !v.opt.Look {
		if err := v.begin(ctx, &ring); err != nil {
			return err
		}
	}
	v.ring = ring
	return nil
}

// begin makes the first master key, unless there is one, and makes sure that no
// other server of the store begins with another.
func (v *Vault) begin(ctx context.Context, ring *keyring) error {
	made := false
	if ring.current == nil {
		k := newKey()
		err := makeKeyFile(ring.file, k)
		switch {
		case bellhop.CodeOf(err) == bellhop.Conflict: // another process of this folder was faster
			if ring.current, err = fileKey(ring.file); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			ring.current, made = &k, true
		}
	}
	other, err := v.claim(ctx, ring.current.id())
	if err != nil || other == "" {
		return err
	}
	if made {
		_ = removeKeyFile(ring.file)
	}
	return bellhop.Errorf(bellhop.Invalid, "the store has begun with the master key %s, on another server; copy its key file to %s, or set %s", other, cmp.Or(ring.file, "this one"), EnvKey)
}

// The value that names the key a store has begun with.
const (
	claimSpace = "secret"
	claimKey   = "master"
)

// claim has the store begin with a key. other is the one that it has begun
// with, unless it is this one.
func (v *Vault) claim(ctx context.Context, id string) (other string, err error) {
	if v.opt.Values == nil {
		return "", nil
	}
	now := v.opt.Clock.Now()
	_, err = v.opt.Values.Put(ctx, claimSpace, claimKey, []byte(id), 0, 0, now)
	if bellhop.CodeOf(err) != bellhop.Conflict {
		return "", err
	}
	got, err := v.opt.Values.Get(ctx, claimSpace, claimKey, now)
	if err != nil || string(got.Value) == id {
		return "", err
	}
	return string(got.Value), nil
}

// AuditKey returns the key of the audit trail. It stays the same when the
// master key is changed.
func (v *Vault) AuditKey(ctx context.Context) ([]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.auditKey(ctx)
}

// auditKey makes the audit trail's key from the master key, once: servers that
// begin at once make the same.
func (v *Vault) auditKey(ctx context.Context) ([]byte, error) {
	s, err := v.opt.Store.Secret(ctx, ownOwner, auditName)
	if err == nil {
		return v.unseal(s)
	}
	if bellhop.CodeOf(err) != bellhop.NotFound || v.ring.current == nil {
		return nil, err
	}
	made := v.ring.current.derive(nil, "bellhop audit", 32)
	if v.opt.Look {
		return made, nil
	}
	return made, v.opt.Store.PutSecret(ctx, v.sealed(ownOwner, auditName, made, ownOwner))
}

func (v *Vault) sealed(owner, name string, value []byte, by string) bellhop.SealedSecret {
	k := v.ring.current
	return bellhop.SealedSecret{Owner: owner, Name: name, KeyID: k.id(), Sealed: k.seal(owner, name, value), Updated: v.opt.Clock.Now(), By: by}
}

// unseal opens a record. v.mu is held, at least for reading.
func (v *Vault) unseal(s bellhop.SealedSecret) ([]byte, error) {
	k, ok := v.ring.by(s.KeyID)
	if !ok {
		return nil, v.ring.missing([]bellhop.SealedSecret{s})
	}
	value, err := k.open(s.Owner, s.Name, s.Sealed)
	if err != nil && s.Owner != "" {
		return nil, bellhop.Errorf(bellhop.Invalid, "the record %s of %s can't be opened: it was altered in the store, or is that of another; restore a backup: %w", s.Name, s.Owner, err)
	}
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Conflict, "secret %s can't be opened: its record in the store was altered, or is that of another secret; set it again: bellhop secret set %[1]s: %w", s.Name, err)
	}
	return value, nil
}

// Reveal returns the values of secrets (bellhop.Vault).
func (v *Vault) Reveal(ctx context.Context, names []string) (map[string]string, error) {
	values := make(map[string]string, len(names))
	for _, name := range names {
		s, err := v.opt.Store.Secret(ctx, "", name)
		if bellhop.CodeOf(err) == bellhop.NotFound {
			return nil, bellhop.Errorf(bellhop.NotFound, "there is no secret %s; set it: bellhop secret set %[1]s", name)
		}
		if err != nil {
			return nil, err
		}
		value, err := v.openAny(ctx, s)
		if err != nil {
			return nil, err
		}
		values[name] = string(value)
	}
	return values, nil
}

// openAny opens a record; when its key is not known, the keys are read again:
// another process may have changed them.
func (v *Vault) openAny(ctx context.Context, s bellhop.SealedSecret) ([]byte, error) {
	v.mu.RLock()
	_, known := v.ring.by(s.KeyID)
	if known {
		defer v.mu.RUnlock()
		return v.unseal(s)
	}
	v.mu.RUnlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.load(ctx); err != nil {
		return nil, err
	}
	return v.unseal(s)
}

// List returns the secrets that people have set, by name, without their values.
func (v *Vault) List(ctx context.Context) ([]bellhop.SealedSecret, error) {
	all, err := v.opt.Store.Secrets(ctx)
	return slices.DeleteFunc(all, func(s bellhop.SealedSecret) bool { return s.Owner != "" }), err
}

// All returns the values of all secrets, for what masks them. What can't be
// opened is left out, and told by the error.
func (v *Vault) All(ctx context.Context) (values []string, err error) {
	all, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		value, failed := v.openAny(ctx, s)
		if failed != nil {
			err = cmp.Or(err, failed)
			continue
		}
		values = append(values, string(value))
	}
	return values, err
}

// Resolve returns a setting's value: what secret:NAME stands for, anything else
// as it is.
func Resolve(ctx context.Context, v bellhop.Vault, setting string) (string, error) {
	name, ok := bellhop.SecretName(setting)
	if !ok {
		return setting, nil
	}
	values, err := v.Reveal(ctx, []string{name})
	return values[name], err
}
