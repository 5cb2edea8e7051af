package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/bellhop-io/bellhop"
)

// Webhooks is what came to webhooks, and what is asked for again. Who may see
// that is the engine's to say.
type Webhooks interface {
	Webhooks(ctx context.Context, p bellhop.Person) ([]bellhop.WebhookInfo, error)
	// Deliveries lists what came to one, newest first, without what was posted.
	Deliveries(ctx context.Context, p bellhop.Person, service, name string) ([]bellhop.Delivery, error)
	Delivery(ctx context.Context, p bellhop.Person, service, name string, n int64) (bellhop.Delivery, error)
	// Replay asks once more for what the webhook wants, in the person's name.
	Replay(ctx context.Context, p bellhop.Person, source, session, key, service, name string, n int64) (bellhop.Answer, error)
}

type (
	webhookList struct {
		Webhooks []bellhop.WebhookInfo `json:"webhooks"`
	}
	deliveryList struct {
		Deliveries []delivery `json:"deliveries"`
	}
	// delivery is bellhop.Delivery, with what was posted as text where it is
	// one.
	delivery struct {
		ID string `json:"delivery"` // SERVICE/NAME/N
		bellhop.Delivery
		Body   string `json:"body,omitempty"`
		Base64 bool   `json:"base64,omitempty"` // Body is that of what was posted
	}
)

func toDelivery(d bellhop.Delivery) delivery {
	out := delivery{ID: d.DeliveryID(), Delivery: d, Body: string(d.Body)}
	if out.Base64 = !utf8.Valid(d.Body); out.Base64 {
		out.Body = base64.StdEncoding.EncodeToString(d.Body)
	}
	return out
}

func (d delivery) back() (bellhop.Delivery, error) {
	out := d.Delivery
	out.Body = []byte(d.Body)
	if d.Base64 {
		b, err := base64.StdEncoding.DecodeString(d.Body)
		out.Body = b
		return out, err
	}
	return out, nil
}

func (h *Handler) handleWebhooks() {
	h.handle("GET /v1/webhooks", func(w http.ResponseWriter, r *http.Request, c caller) error {
		list, err := h.front.Webhooks(r.Context(), c.person)
		if err != nil {
			return err
		}
		return reply(w, webhookList{append([]bellhop.WebhookInfo{}, list...)})
	})
	h.handle("GET /v1/webhooks/{service}/{name}/deliveries", func(w http.ResponseWriter, r *http.Request, c caller) error {
		list, err := h.front.Deliveries(r.Context(), c.person, strings.ToLower(r.PathValue("service")), strings.ToLower(r.PathValue("name")))
		if err != nil {
			return err
		}
		out := deliveryList{make([]delivery, len(list))}
		for i, d := range list {
			out.Deliveries[i] = toDelivery(d)
		}
		return reply(w, out)
	})
	h.handle("GET /v1/webhooks/{service}/{name}/deliveries/{n}", func(w http.ResponseWriter, r *http.Request, c caller) error {
		service, name, n, err := deliveryAt(r)
		if err != nil {
			return err
		}
		d, err := h.front.Delivery(r.Context(), c.person, service, name, n)
		if err != nil {
			return err
		}
		return reply(w, toDelivery(d))
	})
	h.handle("POST /v1/webhooks/{service}/{name}/deliveries/{n}/replay", func(w http.ResponseWriter, r *http.Request, c caller) error {
		service, name, n, err := deliveryAt(r)
		if err != nil {
			return err
		}
		a, err := h.front.Replay(r.Context(), c.person, c.source, c.session, r.Header.Get(headerKey), service, name, n)
		if err != nil {
			return err
		}
		return reply(w, toAnswer(a))
	})
}

func webhookOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/webhooks": {about: "List the webhooks whose job one may have done", answers: ok("The webhooks.", webhookList{})},
		"GET /v1/webhooks/{service}/{name}/deliveries": {
			about: "List what came to a webhook, newest first", more: "The last 100, without what was posted.", answers: ok("The deliveries.", deliveryList{}),
		},
		"GET /v1/webhooks/{service}/{name}/deliveries/{n}": {about: "Show one delivery with what was posted", answers: ok("The delivery.", delivery{})},
		"POST /v1/webhooks/{service}/{name}/deliveries/{n}/replay": {
			about: "Ask again for what a webhook wants for a delivery", more: "In one's own name, with one's own rights: always a run of its own.",
			header: []parameter{keyHeader}, answers: ok("What it came to.", answer{}),
		},
	}
}

func deliveryAt(r *http.Request) (service, name string, n int64, err error) {
	return bellhop.ParseDeliveryID(r.PathValue("service") + "/" + r.PathValue("name") + "/" + r.PathValue("n"))
}

func deliveriesOf(service, name string) string {
	return "/v1/webhooks/" + url.PathEscape(service) + "/" + url.PathEscape(name) + "/deliveries"
}

func deliveryPath(id string) (string, error) {
	service, name, _, err := bellhop.ParseDeliveryID(id)
	if err != nil {
		return "", err
	}
	return deliveriesOf(service, name) + id[strings.LastIndexByte(id, '/'):], nil
}

// Webhooks lists the webhooks of which one may see what they ask for.
func (c *Client) Webhooks(ctx context.Context) ([]bellhop.WebhookInfo, error) {
	list, err := reading[webhookList](ctx, c, "/v1/webhooks")
	return list.Webhooks, err
}

// Deliveries lists what came to a webhook, newest first, without what was
// posted.
func (c *Client) Deliveries(ctx context.Context, service, name string) ([]bellhop.Delivery, error) {
	list, err := reading[deliveryList](ctx, c, deliveriesOf(service, name))
	out := make([]bellhop.Delivery, len(list.Deliveries))
	for i, d := range list.Deliveries {
		out[i] = d.Delivery
	}
	return out, err
}

// Delivery returns one, SERVICE/NAME/N, with what was posted.
func (c *Client) Delivery(ctx context.Context, id string) (bellhop.Delivery, error) {
	path, err := deliveryPath(id)
	if err != nil {
		return bellhop.Delivery{}, err
	}
	d, err := reading[delivery](ctx, c, path)
	if err != nil {
		return bellhop.Delivery{}, err
	}
	return d.back()
}

// Replay asks once more for what a webhook wants for a delivery.
func (c *Client) Replay(ctx context.Context, id string) (bellhop.Answer, error) {
	path, err := deliveryPath(id)
	if err != nil {
		return bellhop.Answer{}, err
	}
	a, err := patiently[answer](ctx, c, "POST", path+"/replay", keyed(NewKey()), nil)
	return a.back(), err
}

// DeliveryJSON is a delivery as the API shows it.
func DeliveryJSON(d bellhop.Delivery) any { return toDelivery(d) }
