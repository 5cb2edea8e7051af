package secret

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/mask"
)

// MaxValue is the longest value, in bytes.
const MaxValue = 32 << 10

// Set writes a secret. by is the principal who sets it. The warning, unless "",
// is for who did.
func (v *Vault) Set(ctx context.Context, name, value, by string) (warning string, err error) {
	if err := check(name, value); err != nil {
		return "", err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.load(ctx); err != nil { // what is sealed under a former key is lost to others
		return "", err
	}
	if err := v.put(ctx, name, value, by); err != nil {
		return "", err
	}
	if !mask.Masked(value) {
		warning = "secret " + name + " is shorter than 6 characters, so it is not masked in output: that would hit innocent text. Better make it longer"
	}
	return warning, nil
}

// put seals a value and writes it. When another server changes the master key
// meanwhile, it is sealed anew, or not there: under the former key nobody could
// open it, or begin. v.mu is held.
func (v *Vault) put(ctx context.Context, name, value, by string) error {
	for range rotateTries {
		s := v.sealed("", name, []byte(value), by)
		if err := v.opt.Store.PutSecret(ctx, s); err != nil {
			return err
		}
		all, err := v.opt.Store.Secrets(ctx)
		if err != nil {
			return err
		}
		others := slices.DeleteFunc(all, func(o bellhop.SealedSecret) bool { return o.KeyID == s.KeyID })
		if len(others) == 0 {
			return nil
		}
		ring, err := loadKeys(v.opt.Home, v.opt.Getenv)
		if err == nil {
			if ring.rotated(others) {
				err = ring.adopt(false)
			}
			err = cmp.Or(err, ring.missing(others))
		}
		if err != nil {
			_ = v.opt.Store.RemoveSecret(ctx, "", name)
			return bellhop.Errorf(bellhop.Conflict, "the master key was changed meanwhile, so secret %s is not set; set it again then: %w", name, err)
		}
		v.ring = ring
	}
	return bellhop.Errorf(bellhop.Conflict, "the master key is changed again and again; set secret %s later", name)
}

// check refuses what no secret can be.
func check(name, value string) error {
	if err := bellhop.CheckName("secret", name); err != nil {
		return bellhop.Errorf(bellhop.Invalid, "%w", err)
	}
	switch {
	case value == "":
		return bellhop.Errorf(bellhop.Invalid, "the value of secret %s is empty; hand it over on stdin: printf %%s VALUE | bellhop secret set %[1]s", name)
	case len(value) > MaxValue:
		return bellhop.Errorf(bellhop.Invalid, "the value of secret %s has %d bytes; at most %d fit into a process's environment", name, len(value), MaxValue)
	case strings.ContainsRune(value, 0):
		return bellhop.Errorf(bellhop.Invalid, "the value of secret %s holds a NUL byte, which no process can be given; encode it, by base64 say", name)
	}
	return nil
}

// Remove removes a secret, or NotFound.
func (v *Vault) Remove(ctx context.Context, name string) error {
	err := v.opt.Store.RemoveSecret(ctx, "", name)
	if bellhop.CodeOf(err) == bellhop.NotFound {
		return bellhop.Errorf(bellhop.NotFound, "there is no secret %.60q; bellhop secret list shows those that there are", name)
	}
	return err
}
