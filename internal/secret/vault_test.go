package secret_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/secret"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// place is a configuration's folder with a store.
type place struct {
	t     *testing.T
	home  string
	store *bellhop.Store
	env   map[string]string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	home := t.TempDir()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(home, "bellhop.db"), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Admin.Close() })
	return &place{t: t, home: home, store: store, env: map[string]string{}}
}

// elsewhere is another folder with the same store, as Postgres allows.
func (p *place) elsewhere() *place {
	other := *p
	other.home, other.env = p.t.TempDir(), map[string]string{}
	return &other
}

func (p *place) options() secret.Options {
	return secret.Options{Store: p.store.Secrets, Values: p.store.Values, Home: p.home,
		Getenv: func(name string) (string, bool) { v, ok := p.env[name]; return v, ok }}
}

func (p *place) open() *secret.Vault {
	p.t.Helper()
	v, err := secret.Open(p.t.Context(), p.options())
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

func (p *place) refused(code bellhop.Code, words ...string) {
	p.t.Helper()
	_, err := secret.Open(p.t.Context(), p.options())
	wantError(p.t, err, code, words...)
}

func (p *place) key() string { return filepath.Join(p.home, ".bellhop", "key") }

func (p *place) set(v *secret.Vault, name, value string) {
	p.t.Helper()
	if _, err := v.Set(p.t.Context(), name, value, "alice"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) want(v *secret.Vault, name, value string) {
	p.t.Helper()
	got, err := v.Reveal(p.t.Context(), []string{name})
	if err != nil || got[name] != value {
		p.t.Errorf("%s is %q (%v), want %q", name, got[name], err, value)
	}
}

func wantError(t *testing.T, err error, code bellhop.Code, words ...string) {
	t.Helper()
	if bellhop.CodeOf(err) != code {
		t.Fatalf("got %v, want an error of code %q", err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestSecretsAreSealed(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.set(v, "token", "hunter2x")
	p.set(v, "other", "a value of several\nlines\n")
	p.want(v, "token", "hunter2x")
	p.want(p.open(), "other", "a value of several\nlines\n")
	all, err := p.store.Secrets.Secrets(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	for _, s := range all {
		if strings.Contains(string(s.Sealed), "hunter2x") {
			t.Errorf("%s is not sealed", s.Name)
		}
	}
	if all[0].By != "alice" || all[0].Updated.IsZero() {
		t.Errorf("who set it, and when, is %+v", all[0])
	}
	p.set(v, "token", "hunter3x")
	p.want(v, "token", "hunter3x")
	again, _ := p.store.Secrets.Secret(t.Context(), "", "other")
	p.set(v, "other", "a value of several\nlines\n")
	if now, _ := p.store.Secrets.Secret(t.Context(), "", "other"); string(now.Sealed) == string(again.Sealed) {
		t.Error("the same value is sealed to the same bytes")
	}
}

func TestMissingSecret(t *testing.T) {
	v := newPlace(t).open()
	_, err := v.Reveal(t.Context(), []string{"token"})
	wantError(t, err, bellhop.NotFound, "there is no secret token", "bellhop secret set token")
	wantError(t, v.Remove(t.Context(), "token"), bellhop.NotFound, "token")
}

func TestRemove(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.set(v, "token", "hunter2x")
	if err := v.Remove(t.Context(), "token"); err != nil {
		t.Fatal(err)
	}
	if list, err := v.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// TestRowsCantBeSwapped: who may write to the store, and has no key, must not
// have a job given another's secret.
func TestRowsCantBeSwapped(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.set(v, "staging", "hunter2x")
	p.set(v, "production", "hunter3x")
	s, err := p.store.Secrets.Secret(t.Context(), "", "production")
	if err != nil {
		t.Fatal(err)
	}
	own, err := p.store.Secrets.Secret(t.Context(), "bellhop", "audit")
	if err != nil {
		t.Fatal(err)
	}
	sealed := s.Sealed
	flipped := append([]byte(nil), sealed...)
	flipped[len(flipped)-1] ^= 1
	for name, bad := range map[string][]byte{"another's": sealed, "another owner's": own.Sealed, "altered": flipped, "short": sealed[:10], "empty": {}, "of no version": append([]byte{9}, sealed[1:]...)} {
		s.Name, s.Sealed = "staging", bad
		if err := p.store.Secrets.PutSecret(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		_, err = v.Reveal(t.Context(), []string{"staging"})
		if err == nil {
			t.Fatalf("%s passes", name)
		}
		wantError(t, err, bellhop.Conflict, "secret staging can't be opened", "bellhop secret set staging")
	}
	p.want(v, "production", "hunter3x")
	if got, err := v.All(t.Context()); len(got) != 1 || err == nil {
		t.Errorf("of all, %q are known, and %v is told", got, err)
	}
}

func TestWhatIsBoundIsUnambiguous(t *testing.T) {
	seen := map[string][2]string{}
	for _, pair := range [][2]string{{"", "ab"}, {"a", "b"}, {"ab", ""}, {"a/", "b"}, {"a", "/b"}, {"", "a/b"}, {"a\x00", "b"}, {"a", "\x00b"}} {
		b := secret.Bound(pair[0], pair[1])
		if other, twice := seen[b]; twice {
			t.Errorf("%q and %q are bound alike", pair, other)
		}
		seen[b] = pair
	}
}

func TestValuesThatCantBe(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	for _, c := range []struct{ name, value, says string }{
		{"token", "", "empty"},
		{"token", "a\x00b", "NUL"},
		{"token", strings.Repeat("x", secret.MaxValue+1), "at most 32768"},
		{"Token", "hunter2x", "a name begins with a letter"},
		{"", "hunter2x", "needs a name"},
	} {
		_, err := v.Set(t.Context(), c.name, c.value, "alice")
		wantError(t, err, bellhop.Invalid, c.says)
	}
	for value, warns := range map[string]bool{"12345": true, "123456": false, "üüüüü": true} {
		if warning, err := v.Set(t.Context(), "token", value, "alice"); err != nil || (warning != "") != warns {
			t.Errorf("%q: warned %q, %v", value, warning, err)
		}
	}
}

func TestKeyFile(t *testing.T) {
	p := newPlace(t)
	p.set(p.open(), "token", "hunter2x")
	info, err := os.Stat(p.key())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o660, 0o604} {
		if err := os.Chmod(p.key(), mode); err != nil {
			t.Fatal(err)
		}
		p.refused(bellhop.NotAllowed, p.key(), "chmod 600", "secret rotate")
	}
	if err := os.Chmod(p.key(), 0o400); err != nil {
		t.Fatal(err)
	}
	p.want(p.open(), "token", "hunter2x")
	text, _ := os.ReadFile(p.key())
	for _, bad := range []string{"", "short", string(text[:20])} {
		write(t, p.key(), bad)
		p.refused(bellhop.Invalid, p.key(), "does not hold a key")
	}
	if err := os.Remove(p.key()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.key(), 0o700); err != nil {
		t.Fatal(err)
	}
	p.refused(bellhop.Invalid, "is not a file")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	_ = os.Remove(path)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNoNewKeyWhileSecretsAreSealed: a key that is lost must be missed, not
// replaced.
func TestNoNewKeyWhileSecretsAreSealed(t *testing.T) {
	p := newPlace(t)
	p.open() // nobody has set anything, and yet the audit trail's key is there
	s, err := p.store.Secrets.Secret(t.Context(), "bellhop", "audit")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.key(), p.key()+".away"); err != nil {
		t.Fatal(err)
	}
	p.refused(bellhop.Invalid, "sealed with the master key "+s.KeyID, "there is no master key here", p.key())
	if _, err := os.Stat(p.key()); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a new key was made")
	}
	other := p.elsewhere()
	other.refused(bellhop.Invalid, "sealed with the master key "+s.KeyID)
	write(t, p.key(), strings.Repeat("ab", 32))
	p.refused(bellhop.Invalid, "sealed with the master key "+s.KeyID, "the master key here is ")
}

func TestKeyFromTheEnvironment(t *testing.T) {
	raw := []byte("0123456789abcdef0123456789abcde\xff")
	p := newPlace(t)
	p.env["BELLHOP_KEY"] = hex.EncodeToString(raw)
	p.set(p.open(), "token", "hunter2x")
	if _, err := os.Stat(p.key()); !errors.Is(err, os.ErrNotExist) {
		t.Error("a key file was made")
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		p.env["BELLHOP_KEY"] = enc.EncodeToString(raw) + "\n"
		p.want(p.open(), "token", "hunter2x")
	}
	p.env["BELLHOP_KEY"] = "short"
	p.refused(bellhop.Invalid, "BELLHOP_KEY does not hold a key")
	p.env["BELLHOP_KEY"] = ""
	p.env["BELLHOP_KEY_FILE"] = "other.key"
	p.refused(bellhop.Invalid, filepath.Join(p.home, "other.key"))
	write(t, filepath.Join(p.home, "other.key"), hex.EncodeToString(raw))
	p.want(p.open(), "token", "hunter2x")
}

// TestTwoServersBeginAtOnce: the second one must not seal with a key of its own.
func TestTwoServersBeginAtOnce(t *testing.T) {
	p := newPlace(t)
	first := p.open()
	p.set(first, "token", "hunter2x")
	// The other one looked before anything was there.
	blind := p.elsewhere()
	o := blind.options()
	o.Store = blindfold{o.Store}
	_, err := secret.Open(t.Context(), o)
	wantError(t, err, bellhop.Invalid, "has begun with the master key", "copy its key file")
	if _, err := os.Stat(blind.key()); !errors.Is(err, os.ErrNotExist) {
		t.Error("the key that it made is still there")
	}
	p.want(p.open(), "token", "hunter2x")
}

// blindfold is a store in which nothing is seen yet.
type blindfold struct{ sealed }

type sealed = bellhop.Secrets

func (blindfold) Secrets(context.Context) ([]bellhop.SealedSecret, error) { return nil, nil }

func (blindfold) Secret(context.Context, string, string) (bellhop.SealedSecret, error) {
	return bellhop.SealedSecret{}, bellhop.Errorf(bellhop.NotFound, "unseen")
}

func TestLookingMakesNothing(t *testing.T) {
	p := newPlace(t)
	o := p.options()
	o.Look = true
	v, err := secret.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.home, ".bellhop")); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was made")
	}
	if all, err := v.All(t.Context()); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	p.set(p.open(), "token", "hunter2x")
	if v, err = secret.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	p.want(v, "token", "hunter2x")
}

func TestResolve(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.set(v, "token", "hunter2x")
	for setting, want := range map[string]string{"secret:token": "hunter2x", "plain": "plain", "": "", "secret:": "secret:"} {
		if got, err := secret.Resolve(t.Context(), v, setting); err != nil || got != want {
			t.Errorf("%q is %q, %v", setting, got, err)
		}
	}
	_, err := secret.Resolve(t.Context(), v, "secret:none")
	wantError(t, err, bellhop.NotFound, "none")
}
