package api

import (
	"context"
	"net/http"
	"time"
)

// Login is a link to the web page.
type Login struct {
	Link    string    `json:"link"` // good once
	Expires time.Time `json:"expires"`
}

func (h *Handler) login(w http.ResponseWriter, r *http.Request, c caller) error {
	link, expires, err := h.front.Login(r.Context(), c.person)
	if err != nil {
		return err
	}
	return reply(w, Login{link, expires})
}

// Login makes a link to the web page for whoever asks.
func (c *Client) Login(ctx context.Context) (Login, error) {
	return call[Login](ctx, c, http.MethodPost, "/v1/login", nil, nil)
}
