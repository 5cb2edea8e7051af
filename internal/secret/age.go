package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/bellhop-io/bellhop"
)

// Entry is a secret with its value, on its way from one store to another.
type Entry struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// export is what is sealed by age, as JSON.
type export struct {
	Version int     `json:"bellhop_secrets"`
	Secrets []Entry `json:"secrets"`
}

// Recipient is whom an export is sealed for, and Identity what opens it.
type (
	Recipient = age.Recipient
	Identity  = age.Identity
)

// ParseRecipient reads an age public key (age1...).
func ParseRecipient(text string) (Recipient, error) {
	rs, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil || len(rs) != 1 {
		return nil, bellhop.Errorf(bellhop.Invalid, "%.80q is not an age public key; it begins with age1, and age-keygen makes one", text)
	}
	return rs[0], nil
}

// ParseIdentities reads a file of age's private keys, as age-keygen writes it.
func ParseIdentities(file io.Reader) ([]Identity, error) {
	ids, err := age.ParseIdentities(file)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the identity is not a file of private keys as age-keygen writes it: %w", err)
	}
	return ids, nil
}

// NewIdentity makes a key pair for one hand-over: public is what ParseRecipient
// reads.
func NewIdentity() (id Identity, public string, err error) {
	own, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, "", err
	}
	return own, own.Recipient().String(), nil
}

// ForPassphrase returns whom an export is for that a passphrase opens.
func ForPassphrase(pass string) (Recipient, error) { return age.NewScryptRecipient(pass) }

// WithPassphrase returns what opens an export that is sealed with a passphrase.
func WithPassphrase(pass string) (Identity, error) { return age.NewScryptIdentity(pass) }

// Export seals secrets for age recipients; no names = all. NotFound names one
// that is missing.
func (v *Vault) Export(ctx context.Context, names []string, to ...Recipient) ([]byte, error) {
	if len(names) == 0 {
		all, err := v.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			names = append(names, s.Name)
		}
	}
	values, err := v.Reveal(ctx, names)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for name, value := range values {
		entries = append(entries, Entry{name, []byte(value)})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return Encode(entries, to...)
}

// Encode writes an export.
func Encode(entries []Entry, to ...Recipient) ([]byte, error) {
	if len(entries) == 0 {
		return nil, bellhop.Errorf(bellhop.NotFound, "there are no secrets to export")
	}
	text, err := json.Marshal(export{Version: 1, Secrets: entries})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	plate := armor.NewWriter(&out)
	w, err := age.Encrypt(plate, to...)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the export can't be sealed: %w", err)
	}
	if _, err = w.Write(text); err == nil {
		if err = w.Close(); err == nil {
			err = plate.Close()
		}
	}
	return out.Bytes(), err
}

// Passworded reports whether an export is sealed with a passphrase, as opposed
// to a public key.
func Passworded(file []byte) bool {
	header := make([]byte, 100)
	n, _ := io.ReadFull(unarmored(file), header)
	return bytes.Contains(header[:n], []byte("\n-> scrypt "))
}

func unarmored(file []byte) io.Reader {
	if bytes.HasPrefix(bytes.TrimSpace(file), []byte(armor.Header)) {
		return armor.NewReader(bytes.NewReader(file))
	}
	return bytes.NewReader(file)
}

// Decode reads an export.
func Decode(file []byte, ids ...Identity) ([]Entry, error) {
	r, err := age.Decrypt(unarmored(file), ids...)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the export can't be opened: %w", err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "the export is damaged: %w", err)
	}
	var e export
	if err := json.Unmarshal(text, &e); err != nil || e.Version != 1 {
		return nil, bellhop.Errorf(bellhop.Invalid, "the file is sealed by age, and does not hold secrets that this version of Bellhop has exported")
	}
	return e.Secrets, nil
}

// Import writes secrets. Unless they may be replaced, none is written when one
// of them is there already (Conflict).
func (v *Vault) Import(ctx context.Context, entries []Entry, replace bool, by string) (warnings []string, err error) {
	has, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	var there []string
	for _, e := range entries {
		if err := check(e.Name, string(e.Value)); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(has, func(s bellhop.SealedSecret) bool { return s.Name == e.Name }) {
			there = append(there, e.Name)
		}
	}
	if len(there) > 0 && !replace {
		return nil, bellhop.Errorf(bellhop.Conflict, "there already: %s; --replace puts the imported values in their place", strings.Join(there, ", "))
	}
	for _, e := range entries {
		warning, err := v.Set(ctx, e.Name, string(e.Value), by)
		if err != nil {
			return warnings, err
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return warnings, nil
}
