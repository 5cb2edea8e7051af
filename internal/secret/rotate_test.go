package secret_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/secret"
)

// ids returns the keys that something is sealed with.
func (p *place) ids() map[string]int {
	p.t.Helper()
	all, err := p.store.Secrets.Secrets(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	ids := map[string]int{}
	for _, s := range all {
		ids[s.KeyID]++
	}
	return ids
}

func (p *place) auditKey(v *secret.Vault) []byte {
	p.t.Helper()
	k, err := v.AuditKey(p.t.Context())
	if err != nil || len(k) != 32 {
		p.t.Fatalf("the audit trail's key has %d bytes, %v", len(k), err)
	}
	return k
}

func TestRotate(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.set(v, "token", "hunter2x")
	before, _ := os.ReadFile(p.key())
	audit := p.auditKey(v)
	was, _ := p.store.Secrets.Secret(t.Context(), "", "token")
	r, err := v.Rotate(t.Context())
	if err != nil || r.Old != was.KeyID || r.New == r.Old {
		t.Fatalf("%+v, %v", r, err)
	}
	if ids := p.ids(); len(ids) != 1 || ids[r.New] != 2 {
		t.Errorf("sealed with %v, want %s", ids, r.New)
	}
	after, _ := os.ReadFile(p.key())
	if _, err := os.Stat(p.key() + ".next"); bytes.Equal(before, after) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key file is as it was, or the next is left: %v", err)
	}
	if info, _ := os.Stat(p.key()); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	now, _ := p.store.Secrets.Secret(t.Context(), "", "token")
	if !now.Updated.Equal(was.Updated) || now.By != was.By {
		t.Errorf("it says %v by %s, and was set %v by %s", now.Updated, now.By, was.Updated, was.By)
	}
	for _, v := range []*secret.Vault{v, p.open()} {
		p.want(v, "token", "hunter2x")
		if !bytes.Equal(p.auditKey(v), audit) {
			t.Error("the audit trail's key is another")
		}
	}
	p.set(v, "more", "hunter3x")
	p.want(p.open(), "more", "hunter3x")
	write(t, p.key(), string(before))
	p.refused(bellhop.Invalid, r.New)
}

var errCut = errors.New("the power is gone")

// TestRotateIsCutAnywhere ends a rotation at each of its steps, also within the
// change of the store, whose answer is lost. Whoever comes next opens
// everything, and rotates.
func TestRotateIsCutAnywhere(t *testing.T) {
	for _, step := range []string{"prepared", "not written", "written", "resealed", "adopted"} {
		t.Run(step, func(t *testing.T) {
			p := newPlace(t)
			p.set(p.open(), "token", "hunter2x")
			audit := p.auditKey(p.open())
			o := p.options().Cut(func(at string) error {
				if at == step {
					return errCut
				}
				return nil
			})
			if strings.HasSuffix(step, "written") {
				o.Store = &torn{sealed: o.Store, write: step == "written"}
			}
			v, err := secret.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Rotate(t.Context()); !errors.Is(err, errCut) {
				t.Fatalf("it was not cut: %v", err)
			}
			if len(p.ids()) != 1 {
				t.Errorf("sealed with %v", p.ids())
			}
			p.want(v, "token", "hunter2x") // who goes on without a restart
			left := files(t, p)
			look := p.options()
			look.Look = true
			if v, err = secret.Open(t.Context(), look); err != nil {
				t.Fatal(err)
			}
			p.want(v, "token", "hunter2x")
			if now := files(t, p); now != left {
				t.Errorf("a look made %s of %s", now, left)
			}
			v = p.open()
			if pending := step == "prepared" || step == "not written"; strings.Contains(files(t, p), ".next") != pending {
				t.Errorf("the next key's file waits: %t, want %t", !pending, pending)
			}
			p.want(v, "token", "hunter2x")
			p.set(v, "more", "hunter3x")
			if r, err := v.Rotate(t.Context()); err != nil || p.ids()[r.New] != 3 {
				t.Errorf("rotated to %+v, %v; sealed with %v", r, err, p.ids())
			}
			v = p.open()
			p.want(v, "more", "hunter3x")
			if !bytes.Equal(p.auditKey(v), audit) {
				t.Error("the audit trail's key is another")
			}
		})
	}
}

// files lists the key files.
func files(t *testing.T, p *place) string {
	t.Helper()
	list, err := filepath.Glob(p.key() + "*")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}

// torn is a store whose answer to one change is lost.
type torn struct {
	sealed
	write bool // it is written all the same
}

func (s *torn) Reseal(ctx context.Context, was, now []bellhop.SealedSecret) error {
	if s.write {
		if err := s.sealed.Reseal(ctx, was, now); err != nil {
			return err
		}
	}
	return bellhop.Errorf(bellhop.Unavailable, "no answer: %w", errCut)
}

// TestRotateWhileSecretsAreSet takes in what is set meanwhile.
func TestRotateWhileSecretsAreSet(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.set(v, "token", "hunter2x")
	o := p.options()
	o.Store = &late{sealed: o.Store, do: func() { p.set(p.open(), "token", "hunter3x") }}
	other, err := secret.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := other.Rotate(t.Context())
	if err != nil || p.ids()[r.New] != 2 {
		t.Fatalf("%+v, %v, %v", r, err, p.ids())
	}
	p.want(p.open(), "token", "hunter3x")
	p.want(v, "token", "hunter3x") // which has read the old key only
	p.set(v, "token", "hunter4x")
	p.want(p.open(), "token", "hunter4x")
	if len(p.ids()) != 1 {
		t.Errorf("sealed with %v", p.ids())
	}
}

// late does something between two calls.
type late struct {
	sealed
	do func()
}

func (s *late) Reseal(ctx context.Context, was, now []bellhop.SealedSecret) error {
	if do := s.do; do != nil {
		s.do = nil
		do()
	}
	return s.sealed.Reseal(ctx, was, now)
}

// TestSetWhileAnotherServerRotates: a record under the former key would keep
// everybody from starting.
func TestSetWhileAnotherServerRotates(t *testing.T) {
	for name, copied := range map[string]bool{"the new key is here": true, "the new key is elsewhere": false} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			v := p.open()
			p.set(v, "token", "hunter2x")
			here := p.elsewhere()
			text, _ := os.ReadFile(p.key())
			if err := os.MkdirAll(here.home+"/.bellhop", 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, here.key(), string(text))
			o := here.options()
			o.Store = &between{sealed: o.Store, do: func() {
				if _, err := v.Rotate(t.Context()); err != nil {
					t.Error(err)
				}
				if copied {
					text, _ := os.ReadFile(p.key())
					write(t, here.key(), string(text))
				}
			}}
			mine, err := secret.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = mine.Set(t.Context(), "more", "hunter3x", "alice")
			if len(p.ids()) != 1 {
				t.Errorf("sealed with %v", p.ids())
			}
			if copied {
				if err != nil {
					t.Fatal(err)
				}
				p.want(p.open(), "more", "hunter3x")
			} else {
				wantError(t, err, bellhop.Conflict, "the master key was changed meanwhile", "secret more is not set")
			}
			p.want(p.open(), "token", "hunter2x")
		})
	}
}

// between does something right before a secret is written.
type between struct {
	sealed
	do func()
}

func (s *between) PutSecret(ctx context.Context, one bellhop.SealedSecret) error {
	if do := s.do; do != nil && one.Owner == "" {
		s.do = nil
		do()
	}
	return s.sealed.PutSecret(ctx, one)
}

func TestRotateAKeyOfTheEnvironment(t *testing.T) {
	one, two := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	p := newPlace(t)
	p.env["BELLHOP_KEY"] = one
	v := p.open()
	p.set(v, "token", "hunter2x")
	_, err := v.Rotate(t.Context())
	wantError(t, err, bellhop.Invalid, "BELLHOP_NEW_KEY")
	p.env["BELLHOP_NEW_KEY"] = two
	r, err := v.Rotate(t.Context())
	if err != nil || !r.Env || p.ids()[r.New] != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	p.set(p.open(), "more", "hunter3x") // with both
	p.env["BELLHOP_KEY"] = two
	delete(p.env, "BELLHOP_NEW_KEY")
	p.want(p.open(), "token", "hunter2x")
	p.want(p.open(), "more", "hunter3x")
	p.env["BELLHOP_KEY"] = one
	p.refused(bellhop.Invalid, r.New)
}
