package bellhop

import (
	"context"
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
	// they were read: was is what Secrets returned then.
	Reseal(ctx context.Context, was, now []SealedSecret) error
}

// Vault opens secrets for what may use them.
type Vault interface {
	// Reveal returns the values of secrets by name. NotFound names one that is
	// missing.
	Reveal(ctx context.Context, names []string) (map[string]string, error)
}

// SecretPrefix begins a value that stands for a secret: secret:NAME.
const SecretPrefix = "secret:"
