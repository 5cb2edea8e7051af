package bellhop

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Delivery is one event that was posted to a webhook and proven, and what
// became of it.
type Delivery struct {
	Service string    `json:"service"`
	Name    string    `json:"name"` // of the webhook
	N       int64     `json:"n"`    // from 1, of the webhook's deliveries
	At      time.Time `json:"at"`
	From    string    `json:"from"`            // address
	Event   string    `json:"event,omitempty"` // its kind, as its sender names it
	ID      string    `json:"id,omitempty"`    // as its sender names it
	// What became of it is one of these: a run, why it was not for the webhook,
	// or what was wrong.
	Run     RunID  `json:"run,omitempty"`
	Ignored string `json:"ignored,omitempty"`
	Error   string `json:"error,omitempty"`
	// Header are those that say what the event is, by their canonical names,
	// and never those that prove who sent it.
	Header map[string]string `json:"header,omitempty"`
	Body   []byte            `json:"body,omitempty"`   // what was posted, or the beginning of it
	Size   int               `json:"size"`             // of all that was posted, in bytes
	Cut    bool              `json:"cut,omitempty"`    // Body is not all of it
	Masked bool              `json:"masked,omitempty"` // secrets in it became ***
}

// DeliveryID names a delivery: SERVICE/NAME/N.
func (d *Delivery) DeliveryID() string { return fmt.Sprintf("%s/%s/%d", d.Service, d.Name, d.N) }

// ParseDeliveryID reads what DeliveryID writes.
func ParseDeliveryID(s string) (service, name string, n int64, err error) {
	parts := strings.Split(strings.ToLower(s), "/")
	if len(parts) == 3 {
		n, err = strconv.ParseInt(parts[2], 10, 64)
		if err == nil && n > 0 && CheckName("service", parts[0]) == nil && CheckName("webhook", parts[1]) == nil {
			return parts[0], parts[1], n, nil
		}
	}
	return "", "", 0, Errorf(Invalid, "%.80q is no delivery; one is SERVICE/NAME/NUMBER, as bellhop webhook list has them", s)
}

// Replayable returns nil when a delivery is kept as it was posted.
func (d *Delivery) Replayable() error {
	switch {
	case d.Cut:
		return Errorf(Conflict, "%s can't be replayed: it has %d bytes, of which the first %d are kept; have its sender post it again", d.DeliveryID(), d.Size, len(d.Body))
	case d.Masked:
		return Errorf(Conflict, "%s can't be replayed: there was a secret in it, which is not kept; have its sender post it again", d.DeliveryID())
	}
	return nil
}

// WebhookInfo is what is shown of a webhook.
type WebhookInfo struct {
	Service string    `json:"service"`
	Name    string    `json:"name"`
	Path    string    `json:"path"` // where its events are posted
	Proof   ProofKind `json:"proof"`
	Repo    string    `json:"repo,omitempty"`
	Events  []string  `json:"events,omitempty"`
	Job     string    `json:"job"`
}

// Path is where events for a webhook are posted.
func (w *Webhook) Path() string {
	if !w.Named { // it has no name that stays
		return "/webhooks/" + w.Service
	}
	return "/webhooks/" + w.Service + "/" + w.Name
}
