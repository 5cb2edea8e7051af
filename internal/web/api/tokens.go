package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/bellhop-io/bellhop"
)

// Tokens is what an admin may have done with tokens.
type Tokens interface {
	CreateToken(ctx context.Context, p bellhop.Person, t bellhop.Token) (text string, err error)
	Tokens(ctx context.Context, p bellhop.Person) ([]bellhop.Token, error)
	RemoveToken(ctx context.Context, p bellhop.Person, name string) error
}

type (
	tokenMade struct {
		Token string `json:"token"` // told once
	}
	tokenList struct {
		Tokens []bellhop.Token `json:"tokens"`
	}
)

func (h *Handler) handleTokens() {
	h.handle("POST /v1/tokens", func(w http.ResponseWriter, r *http.Request, c caller) error {
		t, err := readBody[bellhop.Token](r)
		if err != nil {
			return err
		}
		text, err := h.front.CreateToken(r.Context(), c.person, t)
		if err != nil {
			return err
		}
		return reply(w, tokenMade{text})
	})
	h.handle("GET /v1/tokens", func(w http.ResponseWriter, r *http.Request, c caller) error {
		list, err := h.front.Tokens(r.Context(), c.person)
		if err != nil {
			return err
		}
		return reply(w, tokenList{append([]bellhop.Token{}, list...)})
	})
	h.handle("DELETE /v1/tokens/{name}", func(w http.ResponseWriter, r *http.Request, c caller) error {
		if err := h.front.RemoveToken(r.Context(), c.person, r.PathValue("name")); err != nil {
			return err
		}
		return reply(w, struct{}{})
	})
}

// CreateToken makes a token and returns the text that proves it.
func (c *Client) CreateToken(ctx context.Context, t bellhop.Token) (string, error) {
	made, err := call[tokenMade](ctx, c, http.MethodPost, "/v1/tokens", nil, t)
	return made.Token, err
}

// Tokens lists tokens by name.
func (c *Client) Tokens(ctx context.Context) ([]bellhop.Token, error) {
	list, err := reading[tokenList](ctx, c, "/v1/tokens")
	return list.Tokens, err
}

// RemoveToken ends a token at once.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/v1/tokens/"+url.PathEscape(name), nil, nil)
	return err
}
