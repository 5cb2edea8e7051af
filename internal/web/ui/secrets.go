package ui

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

// Secret is what is shown of one: never its value.
type Secret struct {
	Name    string
	Set     bool // else something names it that is not there
	Updated time.Time
	By      string
	Jobs    []JobName             // whose environment has it
	Hooks   []bellhop.WebhookInfo // that are proven with it
	Places  []string              // settings that name it, with file and line
}

// JobName is a job of a service.
type JobName struct{ Service, Job string }

func (h *Handler) secretsRoutes() { h.get("/secrets", h.secrets) }

func (h *Handler) secrets(v *view) error {
	list, err := h.house.SecretList(v.ctx(), v.person)
	if err != nil {
		return err
	}
	v.page.Still = true
	return v.show("Secrets", secretsPage(v.page, list))
}
