package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
)

// Hooks is what somebody may see of webhooks.
type Hooks interface {
	Webhooks(ctx context.Context, p bellhop.Person) ([]bellhop.WebhookInfo, error)
	// Deliveries lists what came to one, newest first, without bodies.
	Deliveries(ctx context.Context, p bellhop.Person, service, name string) ([]bellhop.Delivery, error)
	Delivery(ctx context.Context, p bellhop.Person, service, name string, n int64) (bellhop.Delivery, error)
	// Replay asks for what a webhook wants for a delivery, as it is configured now.
	Replay(ctx context.Context, p bellhop.Person, source, session, key, service, name string, n int64) (bellhop.Answer, error)
}

func (h *Handler) hooksRoutes() {
	h.get("/hooks", h.hooks)
	h.get("/hooks/{service}/{name}", h.hook)
	h.get("/hooks/{service}/{name}/{n}", h.delivery)
	h.post("/hooks/{service}/{name}/{n}/replay", h.replay)
}

func (h *Handler) hooks(v *view) error {
	list, err := h.house.Webhooks(v.ctx(), v.person)
	if err != nil {
		return err
	}
	v.page.Still = true
	return v.show("Webhooks", hooksPage(v.page, list))
}

// hookPath is the page of a webhook.
func hookPath(service, name string) string {
	return "/hooks/" + url.PathEscape(service) + "/" + url.PathEscape(name)
}

func deliveryPath(d bellhop.Delivery) string {
	return hookPath(d.Service, d.Name) + "/" + strconv.FormatInt(d.N, 10)
}

// hookData is a webhook with what came to it.
type hookData struct {
	Service, Name string
	Info          *bellhop.WebhookInfo // nil = it is not shown
	Came          []bellhop.Delivery   // newest first
}

func (h *Handler) hook(v *view) error {
	d := hookData{Service: strings.ToLower(v.r.PathValue("service")), Name: strings.ToLower(v.r.PathValue("name"))}
	var err error
	if d.Came, err = h.house.Deliveries(v.ctx(), v.person, d.Service, d.Name); err != nil {
		return err
	}
	all, err := h.house.Webhooks(v.ctx(), v.person)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(all, func(w bellhop.WebhookInfo) bool { return w.Service == d.Service && w.Name == d.Name }); i >= 0 {
		d.Info = &all[i]
	}
	return v.show("Webhook "+d.Service+" "+d.Name, hookPage(v.page, d))
}

// deliveryData is one delivery, and the run that it brought.
type deliveryData struct {
	bellhop.Delivery
	Made *bellhop.Run // nil = there is none, or it is not kept any more
	Key  string       // of the form that replays it
}

// find reads the delivery that a path names.
func (v *view) findDelivery() (service, name string, n int64, err error) {
	return bellhop.ParseDeliveryID(v.r.PathValue("service") + "/" + v.r.PathValue("name") + "/" + v.r.PathValue("n"))
}

func (h *Handler) delivery(v *view) error {
	service, name, n, err := v.findDelivery()
	if err != nil {
		return err
	}
	d := deliveryData{Key: newKey()}
	if d.Delivery, err = h.house.Delivery(v.ctx(), v.person, service, name, n); err != nil {
		return err
	}
	if d.Run != 0 {
		switch r, err := h.house.Run(v.ctx(), v.person, d.Run); bellhop.CodeOf(err) {
		case "":
			d.Made = &r
		case bellhop.NotFound, bellhop.NotAllowed:
		default:
			return err
		}
	}
	return v.show("Delivery "+d.DeliveryID(), deliveryPage(v.page, d))
}

func (h *Handler) replay(v *view) error {
	service, name, n, err := v.findDelivery()
	if err != nil {
		return err
	}
	a, err := h.house.Replay(v.ctx(), v.person, Source, v.s.ID, v.key(), service, name, n)
	if err != nil {
		return err
	}
	to := hookPath(service, name)
	if a.Accepted != nil {
		to = "/runs/" + a.Accepted.Run.String()
	}
	return v.did(v.page.style().AnswerText(a), to)
}

// bodyText is what was posted, for people: JSON with a value on each line.
func bodyText(d bellhop.Delivery) string {
	var b bytes.Buffer
	if json.Indent(&b, d.Body, "", "  ") == nil {
		return string(chat.CleanJSON(b.Bytes()))
	}
	if !utf8.Valid(d.Body) && !d.Cut {
		return fmt.Sprintf("(%d bytes that are no text)", len(d.Body))
	}
	return chat.CleanText(strings.ToValidUTF8(string(d.Body), "\ufffd"))
}

// headerNames are those of a delivery, sorted.
func headerNames(d bellhop.Delivery) []string {
	names := make([]string, 0, len(d.Header))
	for n := range d.Header {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// wants says which events a webhook is for.
func wants(w bellhop.WebhookInfo) string {
	var say []string
	if len(w.Events) > 0 {
		say = append(say, strings.Join(w.Events, ", "))
	}
	if w.Repo != "" {
		say = append(say, "of "+w.Repo)
	}
	return strings.Join(say, " ")
}

// sizeText is a number of bytes as people say it.
func sizeText(n int) string {
	if n < 1024 {
		return count(n, "byte")
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/1024)
}
