package ui

import (
	"context"
	"net/http"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Folk is who may do what, and what is tried out. It changes nothing, and is
// recorded nowhere.
type Folk interface {
	// Try says what would become of a line. as is for admins: anybody, by a name
	// of people: or an identity; "" = whoever asks.
	Try(ctx context.Context, p bellhop.Person, as, text string) (Trial, error)
	Webhooks(ctx context.Context, p bellhop.Person) ([]bellhop.WebhookInfo, error)
	// TryHook says what a webhook that the person sees would make of JSON.
	TryHook(ctx context.Context, p bellhop.Person, service, name, event string, body []byte) (Trial, error)
	Rights(ctx context.Context, p bellhop.Person, as string) (Rights, error)
	// Access is who there is, and all services with their rules, for admins.
	Access(ctx context.Context, p bellhop.Person) (bellhop.Access, []bellhop.Service, error)
	// Sessions are the person's own, for admins everybody's.
	Sessions(ctx context.Context, p bellhop.Person) ([]bellhop.Session, error)
}

// Trial is what would become of a line, or of an event.
type Trial struct {
	Fault        string // why nothing would: it is not understood, or not for the webhook
	Action       bellhop.Action
	Service, Job string
	Command      string // as it is said
	Args         bellhop.Args
	Missing      []bellhop.Param // what would be asked back
	Confirm      bellhop.Confirm
	Foretold     *bellhop.Foretold // what the gate says; nil = it was not asked
	Gate         []string          // or in words, of a webhook
	Hints        []string
}

// tryData is the playground.
type tryData struct {
	Text, As          string
	Hook, Event, JSON string
	Hooks             []bellhop.WebhookInfo
	People            []bellhop.Member // for admins
	Trial             *Trial
	OfHook            bool
}

func (h *Handler) tryRoutes() {
	h.get("/try", h.try)
	h.post("/try", h.tried)
}

func (h *Handler) try(v *view) error {
	d, err := h.tryForm(v)
	if err != nil {
		return err
	}
	d.Text, d.As, d.Hook = v.query("text"), v.query("as"), v.query("hook")
	return v.show("Try", tryPage(v.page, d))
}

func (h *Handler) tryForm(v *view) (d tryData, err error) {
	v.page.Still = true
	if d.Hooks, err = h.house.Webhooks(v.ctx(), v.person); err != nil || !v.page.Admin {
		return d, err
	}
	access, _, err := h.house.Access(v.ctx(), v.person)
	d.People = access.People
	return d, err
}

func (h *Handler) tried(v *view) error {
	d, err := h.tryForm(v)
	if err != nil {
		return err
	}
	d.Text, d.As = strings.TrimSpace(v.r.PostFormValue("text")), strings.TrimSpace(v.r.PostFormValue("as"))
	d.Hook, d.Event, d.JSON = v.r.PostFormValue("hook"), strings.TrimSpace(v.r.PostFormValue("event")), v.r.PostFormValue("json")
	var t Trial
	if d.Hook != "" {
		service, name, _ := strings.Cut(d.Hook, "/")
		d.OfHook = true
		t, err = h.house.TryHook(v.ctx(), v.person, service, name, d.Event, []byte(d.JSON))
	} else {
		t, err = h.house.Try(v.ctx(), v.person, d.As, d.Text)
	}
	status := http.StatusOK
	switch code := bellhop.CodeOf(err); {
	case err == nil:
	case code == bellhop.Invalid || code == bellhop.NotFound:
		t, status = Trial{Fault: err.Error()}, http.StatusUnprocessableEntity
	default:
		return err
	}
	d.Trial = &t
	v.page.Title = "Try"
	return v.page.show(v.w, v.r, status, tryPage(v.page, d))
}

// verdict is what a trial came to, in a few words, and how it is shown.
func (t Trial) verdict(ofHook bool) (text, class string) {
	f := t.Foretold
	switch {
	case t.Fault != "" && ofHook:
		return "It would do nothing", "bad"
	case t.Fault != "":
		return "It would not be understood", "bad"
	case f != nil && !f.Decision.Allowed:
		return "It would be refused", "bad"
	case ofHook:
		return "It would ask for a run", "ok"
	case len(t.Missing) > 0:
		return "It would ask back", "ask"
	case f != nil && f.Approval != "":
		return "It would wait to be approved by " + f.Approval, "ask"
	case f != nil && f.Hold != nil:
		return "It would wait", "ask"
	case t.Confirm != bellhop.ConfirmNone:
		return "It would ask whether it is meant", "ask"
	}
	return "It would be done", "ok"
}

// does says what a line means.
func (t Trial) does() string {
	what := strings.TrimSpace(t.Service + " " + t.Job)
	switch {
	case t.Action == bellhop.ActionRun || t.Action == "":
		return what
	case what == "":
		return string(t.Action)
	}
	return string(t.Action) + ": " + what
}
