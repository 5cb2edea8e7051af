package api

import (
	"context"
	"net/http"

	"github.com/bellhop-io/bellhop"
)

func (h *Handler) login(w http.ResponseWriter, r *http.Request, c caller) error {
	l, err := h.front.Login(r.Context(), c.person)
	if err != nil {
		return err
	}
	return reply(w, l)
}

// Login makes a link to the web page for whoever asks.
func (c *Client) Login(ctx context.Context) (bellhop.Login, error) {
	return call[bellhop.Login](ctx, c, http.MethodPost, "/v1/login", nil, nil)
}
