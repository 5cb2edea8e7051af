package ui

import (
	"net/http"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web"
)

// loginHelp says how one logs in.
func (h *Handler) loginHelp(w http.ResponseWriter, r *http.Request) error {
	if proof := h.proof(r); proof != "" && h.known(r, proof) {
		http.Redirect(w, r, here(r.URL.Query().Get("to")), http.StatusSeeOther)
		return nil
	}
	p := h.blank(r)
	p.Title = "Log in"
	return p.show(w, r, http.StatusOK, loginHelp(p))
}

// loginAsk shows whom a link is for. It takes a click to use it up: chats look
// at links before people do.
func (h *Handler) loginAsk(w http.ResponseWriter, r *http.Request) error {
	code := r.PathValue("code")
	who, err := h.house.LookLink(r.Context(), code)
	if err != nil {
		return err
	}
	p := h.blank(r)
	p.Title = "Log in"
	return p.show(w, r, http.StatusOK, loginAsk(p, code, who))
}

// login opens a session. What another site has a browser post here is not
// done: it would be logged in as somebody else without knowing.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) error {
	if !sameSite(r) {
		return own(r, "")
	}
	text, _, err := h.house.OpenSession(r.Context(), r.PathValue("code"), bellhop.SessionAbout{Agent: r.UserAgent(), From: web.Client(r.Context()).String()})
	if err != nil {
		return err
	}
	if old := h.proof(r); old != "" {
		if p, s, err := h.house.SessionPerson(r.Context(), old); err == nil {
			_ = h.house.EndSession(r.Context(), p, s.ID)
		}
	}
	h.setCookie(w, r, text)
	http.Redirect(w, r, here(r.URL.Query().Get("to")), http.StatusSeeOther)
	return nil
}

func (h *Handler) logout(v *view) error {
	if err := h.house.EndSession(v.ctx(), v.person, v.s.ID); err != nil {
		return err
	}
	h.setCookie(v.w, v.r, "")
	http.Redirect(v.w, v.r, "/login", http.StatusSeeOther)
	return nil
}

// known reports whether a session goes on.
func (h *Handler) known(r *http.Request, proof string) bool {
	_, _, err := h.house.SessionPerson(r.Context(), proof)
	return err == nil
}
