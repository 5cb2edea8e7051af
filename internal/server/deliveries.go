package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/mask"
	"github.com/bellhop-io/bellhop/internal/payload"
	"github.com/bellhop-io/bellhop/internal/web/webhook"
)

// What may wait to be written down of deliveries. What comes beyond is not
// kept: a record that is looked at now and then must not hold up what it is of.
const (
	maxDeliveries     = 1000
	maxDeliveredBytes = 32 << 20
)

// deliveries writes down what came to webhooks, after it was answered.
type deliveries struct {
	s *Server

	mu    sync.Mutex
	queue []bellhop.Delivery
	bytes int
	lost  int

	wake chan struct{}
	end  chan struct{}
	done chan struct{}
}

// keepDeliveries begins.
func (s *Server) keepDeliveries() *deliveries {
	d := &deliveries{s: s, wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		for {
			select {
			case <-d.wake:
				d.write(context.Background())
			case <-d.end:
				d.write(context.Background()) // what came last
				return
			}
		}
	}()
	s.onStop(func(ctx context.Context) {
		close(d.end)
		select {
		case <-d.done:
		case <-ctx.Done():
		}
	})
	return d
}

// add takes what is to be written, and does not wait for that.
func (d *deliveries) add(list []bellhop.Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range list {
		if len(d.queue) >= maxDeliveries || d.bytes+len(list[i].Body) > maxDeliveredBytes {
			d.lost++
			continue
		}
		d.bytes += len(list[i].Body)
		d.queue = append(d.queue, list[i])
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// deliveryWrite is how long one turn of writing may take.
const deliveryWrite = 30 * time.Second

func (d *deliveries) write(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, deliveryWrite)
	defer cancel()
	d.mu.Lock()
	queue, lost := d.queue, d.lost
	d.queue, d.bytes, d.lost = nil, 0, 0
	d.mu.Unlock()
	if lost > 0 {
		d.s.log.Warn("more came to webhooks than could be written down, so that some deliveries are not listed; their runs are", "deliveries", lost)
	}
	slices.SortStableFunc(queue, func(a, b bellhop.Delivery) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	for len(queue) > 0 {
		service, name := queue[0].Service, queue[0].Name
		n := slices.IndexFunc(queue, func(x bellhop.Delivery) bool { return x.Service != service || x.Name != name })
		if n < 0 {
			n = len(queue)
		}
		batch := queue[max(0, n-100):n] // of more, those before would be pushed out at once
		d.s.hideProof(service, name, batch)
		if err := d.s.engine.KeepDeliveries(ctx, service, name, batch); err != nil {
			d.s.log.Warn("deliveries of a webhook could not be written down, so they are not listed; their runs are", "webhook", service+"/"+name, "deliveries", len(batch), "error", err)
		}
		queue = queue[n:]
	}
}

// hideProof hides the secret that a webhook has in the configuration itself:
// those of the store are hidden in any case.
func (s *Server) hideProof(service, name string, list []bellhop.Delivery) {
	for _, w := range s.engine.Webhooks(service) {
		if _, sealed := bellhop.SecretName(w.Proof.Secret); w.Name != name || sealed {
			continue
		}
		m := mask.New(w.Proof.Secret)
		for i := range list {
			d := &list[i]
			if text := m.Text(string(d.Body)); text != string(d.Body) {
				d.Body, d.Masked = []byte(text), true
			}
			for k, v := range d.Header {
				if text := m.Text(v); text != v {
					d.Header[k], d.Masked = text, true
				}
			}
			for _, text := range []*string{&d.Event, &d.ID, &d.Ignored, &d.Error} { // which quote it
				*text = m.Text(*text)
			}
		}
	}
}

// Webhooks lists those that a person may see (api.Webhooks).
func (f front) Webhooks(ctx context.Context, p bellhop.Person) ([]bellhop.WebhookInfo, error) {
	return f.s.engine.WebhooksFor(ctx, p), nil
}

// Deliveries lists what came to a webhook, newest first.
func (f front) Deliveries(ctx context.Context, p bellhop.Person, service, name string) ([]bellhop.Delivery, error) {
	return f.s.engine.Deliveries(ctx, p, service, name)
}

// Delivery returns one, with what was posted.
func (f front) Delivery(ctx context.Context, p bellhop.Person, service, name string, n int64) (bellhop.Delivery, error) {
	d, _, err := f.s.engine.Delivery(ctx, p, service, name, n)
	return d, err
}

// Replay asks for what a webhook wants for a delivery, as it is configured now.
func (f front) Replay(ctx context.Context, p bellhop.Person, source, session, key, service, name string, n int64) (bellhop.Answer, error) {
	d, w, err := f.s.engine.Delivery(ctx, p, service, name, n)
	if err != nil {
		return bellhop.Answer{}, err
	}
	if err := d.Replayable(); err != nil {
		return bellhop.Answer{}, err
	}
	header := http.Header{}
	for k, v := range d.Header {
		header.Set(k, v)
	}
	event, err := payload.Read(header.Get("Content-Type"), d.Body)
	if err != nil {
		return bellhop.Answer{}, err
	}
	if why := webhook.Unwanted(w, header, event); why != "" {
		return bellhop.Answer{}, bellhop.Errorf(bellhop.Conflict, "%s asks for nothing: %s, so it is not for webhook %s/%s as that is configured now", d.DeliveryID(), why, service, name)
	}
	args, err := event.Fill(w.Args)
	if err != nil {
		return bellhop.Answer{}, err
	}
	inv, err := f.s.engine.HookFor(w, &d, args)
	if err != nil {
		return bellhop.Answer{}, err
	}
	return f.Do(ctx, p, source, session, key, inv)
}
