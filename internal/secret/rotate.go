package secret

import (
	"context"
	"os"

	"github.com/bellhop-io/bellhop"
)

// Rotated says what a rotation came to.
type Rotated struct {
	Old  string `json:"old"` // the ids of the keys
	New  string `json:"new"`
	Env  bool   `json:"env,omitempty"` // the keys come from the environment
	File string `json:"file,omitempty"`
}

// rotateTries is how often secrets may change while all are sealed anew.
const rotateTries = 5

// Rotate changes the master key: a new one is written beside the old, all
// secrets are sealed anew in one change, then the new one takes the old one's
// place. Whatever it is interrupted at, both keys are there until the store has
// been told to go by the new one, and the next Open goes on from there.
func (v *Vault) Rotate(ctx context.Context) (r Rotated, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.load(ctx); err != nil { // ends one that was interrupted at its last step
		return r, err
	}
	ring := &v.ring
	r = Rotated{Old: ring.current.id(), Env: ring.file == "", File: ring.file}
	if err := ring.prepare(); err != nil {
		return r, err
	}
	r.New = ring.next.id()
	if err := v.opt.cut("prepared"); err != nil {
		return r, err
	}
	if err := v.reseal(ctx); err != nil {
		return r, err
	}
	if err := v.opt.cut("resealed"); err != nil {
		return r, err
	}
	if err := ring.adopt(false); err != nil {
		return r, err
	}
	if err := v.opt.cut("adopted"); err != nil {
		return r, err
	}
	if v.opt.Values != nil {
		_, err = v.opt.Values.Put(ctx, claimSpace, claimKey, []byte(r.New), -1, 0, v.opt.Clock.Now())
	}
	return r, err
}

// prepare makes the next key, unless an interrupted rotation has left one.
func (r *keyring) prepare() error {
	switch {
	case r.next != nil && *r.next != *r.current:
		return nil
	case r.file == "":
		return bellhop.Errorf(bellhop.Invalid, "the master key is in %s, where it can't be replaced; set %s to the new one beside it (openssl rand -base64 32 makes one) where `bellhop` is started, and rotate then", EnvKey, EnvNewKey)
	}
	k := newKey()
	if err := makeKeyFile(r.file+nextSuffix, k); err != nil {
		return err
	}
	r.next = &k
	return nil
}

// reseal seals all secrets under the next key, in one change.
func (v *Vault) reseal(ctx context.Context) (err error) {
	for range rotateTries {
		was, failed := v.opt.Store.Secrets(ctx)
		if failed != nil {
			return failed
		}
		now := make([]bellhop.SealedSecret, len(was))
		for i, s := range was {
			value, err := v.unseal(s)
			if err != nil {
				return err
			}
			now[i] = s
			now[i].KeyID, now[i].Sealed = v.ring.next.id(), v.ring.next.seal(s.Owner, s.Name, value)
		}
		if err = v.opt.Store.Reseal(ctx, was, now); bellhop.CodeOf(err) != bellhop.Conflict {
			return err
		}
	}
	return err
}

func removeKeyFile(path string) error { return os.Remove(path) }
