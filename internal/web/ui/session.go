package ui

import (
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// The cookie of a session. Over TLS its name has the prefix that keeps other
// hosts of a domain from setting it (RFC 6265bis 4.1.3.2).
const (
	cookiePlain = "bellhop"
	cookieTLS   = "__Host-bellhop"
	cookieAge   = 30 * 24 * time.Hour
)

// CSRF is the header and the field that every change must have.
const (
	csrfHeader = "X-CSRF-Token"
	csrfField  = "csrf"
)

// secure reports whether the browser came by TLS.
func (h *Handler) secure(r *http.Request) bool {
	return r.TLS != nil || h.opt.Secure
}

func (h *Handler) cookieName(r *http.Request) string {
	if h.secure(r) {
		return cookieTLS
	}
	return cookiePlain
}

func (h *Handler) setCookie(w http.ResponseWriter, r *http.Request, text string) {
	c := &http.Cookie{
		Name: h.cookieName(r), Value: text, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: h.secure(r), MaxAge: int(cookieAge.Seconds()),
	}
	if text == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// proof is what the browser shows of a session; "" = nothing.
func (h *Handler) proof(r *http.Request) string {
	c, err := r.Cookie(h.cookieName(r))
	if err != nil || len(c.Value) > 200 {
		return ""
	}
	return c.Value
}

// own is nil when a change comes from a page of the session: who can't read the
// pages can't know what they bring.
func own(r *http.Request, token string) error {
	got := r.Header.Get(csrfHeader)
	if got == "" {
		got = r.PostFormValue(csrfField)
	}
	if token != "" && subtle.ConstantTimeCompare([]byte(got), []byte(token)) == 1 && sameSite(r) {
		return nil
	}
	return &web.Problem{Status: http.StatusForbidden, Code: bellhop.NotAllowed, Detail: "this did not come from a page of yours, so nothing was done: reload the page, and try again"}
}

// sameSite reports whether a browser that says where a request was made says
// that it was here (Sec-Fetch-Site, Fetch Metadata).
func sameSite(r *http.Request) bool {
	s := r.Header.Get("Sec-Fetch-Site")
	return s == "" || s == "same-origin" || s == "none"
}
