package api

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Secret is a secret without its value.
type Secret struct {
	Name    string    `json:"name"`
	Updated time.Time `json:"updated"`
	By      string    `json:"by"` // the principal who set it
	// UsedBy names jobs (SERVICE JOB), and settings with their place.
	UsedBy []string `json:"used_by,omitempty"`
}

// SecretEntry is a secret with its value, on its way into the store.
type SecretEntry struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// Rotated says what a change of the master key came to. Old and New are the
// names of the keys.
type Rotated struct {
	Old  string `json:"old"`
	New  string `json:"new"`
	Env  bool   `json:"env,omitempty"` // the keys come from the environment
	File string `json:"file,omitempty"`
	// Servers are those of a shared store that are alive: each needs the key.
	Servers []string `json:"servers,omitempty"`
}

// Secrets is what an admin may have done with secrets. Values go in and never
// come out, but sealed for an age public key. The texts that come back besides
// are warnings.
type Secrets interface {
	Secrets(ctx context.Context) ([]Secret, error)
	SetSecret(ctx context.Context, name string, value []byte) (warnings []string, err error)
	RemoveSecret(ctx context.Context, name string) (warnings []string, err error)
	RotateKey(ctx context.Context) (Rotated, error)
	ExportSecrets(ctx context.Context, names []string, to string) ([]byte, error)
	ImportSecrets(ctx context.Context, entries []SecretEntry, replace bool) (warnings []string, err error)
}

type (
	secretList struct {
		Secrets []Secret `json:"secrets"`
	}
	secretBody struct {
		Value []byte `json:"value"`
	}
	secretDone struct {
		Warnings []string `json:"warnings,omitempty"`
	}
	exportBody struct {
		Names []string `json:"names,omitempty"`
		To    string   `json:"to"` // an age public key
	}
	exported struct {
		Age string `json:"age"`
	}
	importBody struct {
		Secrets []SecretEntry `json:"secrets"`
		Replace bool          `json:"replace,omitempty"`
	}
)

// secrets has fn done with what the caller may do with secrets, and replies
// what it returns.
func (h *Handler) secrets(fn func(ctx context.Context, s Secrets, r *http.Request) (any, error)) endpoint {
	return func(w http.ResponseWriter, r *http.Request, c caller) error {
		s, err := h.front.Secrets(r.Context(), c.person)
		if err != nil {
			return err
		}
		got, err := fn(r.Context(), s, r)
		if err != nil {
			return err
		}
		return reply(w, got)
	}
}

// handleSecrets adds the endpoints that are about secrets.
func (h *Handler) handleSecrets() {
	h.handle("GET /v1/secrets", h.secrets(func(ctx context.Context, s Secrets, _ *http.Request) (any, error) {
		list, err := s.Secrets(ctx)
		return secretList{append([]Secret{}, list...)}, err
	}))
	h.handle("PUT /v1/secrets/{name}", h.secrets(func(ctx context.Context, s Secrets, r *http.Request) (any, error) {
		body, err := readBody[secretBody](r)
		if err != nil {
			return nil, err
		}
		warnings, err := s.SetSecret(ctx, r.PathValue("name"), body.Value)
		return secretDone{warnings}, err
	}))
	h.handle("DELETE /v1/secrets/{name}", h.secrets(func(ctx context.Context, s Secrets, r *http.Request) (any, error) {
		warnings, err := s.RemoveSecret(ctx, r.PathValue("name"))
		return secretDone{warnings}, err
	}))
	h.handle("POST /v1/secrets/rotate", h.secrets(func(ctx context.Context, s Secrets, _ *http.Request) (any, error) {
		return s.RotateKey(ctx)
	}))
	h.handle("POST /v1/secrets/export", h.secrets(func(ctx context.Context, s Secrets, r *http.Request) (any, error) {
		body, err := readBody[exportBody](r)
		if err != nil {
			return nil, err
		}
		sealed, err := s.ExportSecrets(ctx, body.Names, body.To)
		return exported{string(sealed)}, err
	}))
	h.handle("POST /v1/secrets/import", h.secrets(func(ctx context.Context, s Secrets, r *http.Request) (any, error) {
		body, err := readBody[importBody](r)
		if err != nil {
			return nil, err
		}
		warnings, err := s.ImportSecrets(ctx, body.Secrets, body.Replace)
		return secretDone{warnings}, err
	}))
}

// The client's side of it.
var _ Secrets = (*Client)(nil)

// Secrets lists secrets.
func (c *Client) Secrets(ctx context.Context) ([]Secret, error) {
	got, err := reading[secretList](ctx, c, "/v1/secrets")
	return got.Secrets, err
}

// SetSecret writes a secret.
func (c *Client) SetSecret(ctx context.Context, name string, value []byte) ([]string, error) {
	got, err := call[secretDone](ctx, c, "PUT", "/v1/secrets/"+url.PathEscape(name), nil, secretBody{value})
	return got.Warnings, err
}

// RemoveSecret removes a secret.
func (c *Client) RemoveSecret(ctx context.Context, name string) ([]string, error) {
	got, err := call[secretDone](ctx, c, "DELETE", "/v1/secrets/"+url.PathEscape(name), nil, nil)
	return got.Warnings, err
}

// RotateKey changes the master key.
func (c *Client) RotateKey(ctx context.Context) (Rotated, error) {
	return call[Rotated](ctx, c, "POST", "/v1/secrets/rotate", nil, nil)
}

// ExportSecrets seals secrets for an age public key.
func (c *Client) ExportSecrets(ctx context.Context, names []string, to string) ([]byte, error) {
	got, err := call[exported](ctx, c, "POST", "/v1/secrets/export", nil, exportBody{names, to})
	return []byte(got.Age), err
}

// ImportSecrets writes secrets.
func (c *Client) ImportSecrets(ctx context.Context, entries []SecretEntry, replace bool) ([]string, error) {
	got, err := call[secretDone](ctx, c, "POST", "/v1/secrets/import", nil, importBody{entries, replace})
	return got.Warnings, err
}
