package secret_test

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/secret"
)

func TestExportAndImport(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	p.set(v, "token", "hunter2x")
	p.set(v, "bytes", "\xff\xfe binary \x01\n")
	id, public, err := secret.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := secret.ParseRecipient(public)
	if err != nil {
		t.Fatal(err)
	}
	file, err := v.Export(t.Context(), nil, to)
	if err != nil || bytes.Contains(file, []byte("hunter2x")) || !bytes.HasPrefix(file, []byte("-----BEGIN AGE ENCRYPTED FILE-----\n")) || secret.Passworded(file) {
		t.Fatalf("%s, %v", file, err)
	}
	entries, err := secret.Decode(file, id)
	if err != nil || len(entries) != 2 || entries[0].Name != "bytes" || entries[1].Name != "token" {
		t.Fatalf("%+v, %v", entries, err)
	}

	other := newPlace(t)
	w := other.open()
	if warnings, err := w.Import(t.Context(), entries, false, "bob"); err != nil || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	other.want(w, "token", "hunter2x")
	other.want(w, "bytes", "\xff\xfe binary \x01\n")
	if list, _ := w.List(t.Context()); list[0].By != "bob" {
		t.Errorf("it says by %s", list[0].By)
	}
	other.set(w, "token", "of its own")
	if err := w.Remove(t.Context(), "bytes"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Import(t.Context(), entries, false, "bob")
	wantError(t, err, bellhop.Conflict, "token", "--replace")
	if list, _ := w.List(t.Context()); len(list) != 1 {
		t.Errorf("a part was imported: %v", list)
	}
	if _, err := w.Import(t.Context(), entries, true, "bob"); err != nil {
		t.Fatal(err)
	}
	other.want(w, "token", "hunter2x")

	some, err := v.Export(t.Context(), []string{"token"}, to)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := secret.Decode(some, id); err != nil || len(entries) != 1 {
		t.Errorf("%+v, %v", entries, err)
	}
	_, err = v.Export(t.Context(), []string{"none"}, to)
	wantError(t, err, bellhop.NotFound, "none")
}

func TestExportsThatCantBeOpened(t *testing.T) {
	p := newPlace(t)
	v := p.open()
	_, public, _ := secret.NewIdentity()
	to, _ := secret.ParseRecipient(public)
	_, err := v.Export(t.Context(), nil, to)
	wantError(t, err, bellhop.NotFound, "no secrets")
	p.set(v, "token", "hunter2x")
	file, err := v.Export(t.Context(), nil, to)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := secret.NewIdentity()
	for name, bad := range map[string][]byte{"for another": file, "not an export": []byte("hello"), "cut off": file[:len(file)/2], "empty": nil} {
		if _, err := secret.Decode(bad, other); bellhop.CodeOf(err) != bellhop.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = secret.ParseRecipient("alice")
	wantError(t, err, bellhop.Invalid, "age1")
	_, err = secret.ParseIdentities(strings.NewReader("hello"))
	wantError(t, err, bellhop.Invalid, "age-keygen")
}

func TestPassphrase(t *testing.T) {
	to, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(8) // the scripts in e2e take the time that it takes
	file, err := secret.Encode([]secret.Entry{{Name: "token", Value: []byte("hunter2x")}}, to)
	if err != nil || !secret.Passworded(file) {
		t.Fatalf("%s, %v", file, err)
	}
	id, _ := secret.WithPassphrase("correct horse")
	if got, err := secret.Decode(file, id); err != nil || string(got[0].Value) != "hunter2x" {
		t.Errorf("%+v, %v", got, err)
	}
	id, _ = secret.WithPassphrase("wrong")
	_, err = secret.Decode(file, id)
	wantError(t, err, bellhop.Invalid, "can't be opened")
}
