package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Deliveries are values: each webhook has keptDeliveries places, which are used
// in turn, so that there are never more. The number of the last one says which
// is next.
const (
	deliverySpace  = "delivery"
	deliveryNumber = "delivery_number"
	keptDeliveries = 100
	// maxDelivery is how much of what was posted is kept, in bytes.
	maxDelivery = 128 << 10
	// deliveryAge is how long one is kept at most: those of a webhook that is
	// not there any more go, too.
	deliveryAge = 365 * 24 * time.Hour
	maxHeader   = 200 // bytes of what is kept of a header
)

func deliveryKey(service, name string, n int64) string {
	return fmt.Sprintf("%s/%s/%02d", service, name, n%keptDeliveries)
}

// KeepDeliveries writes down what came to one webhook, in the order in which it
// came. Secrets in it are hidden, and what is too long is cut off; at most
// keptDeliveries at a time.
func (e *Engine) KeepDeliveries(ctx context.Context, service, name string, list []bellhop.Delivery) error {
	last, err := e.numberDeliveries(ctx, service, name, len(list))
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, len(list))
	places := make(chan struct{}, 16)
	for i := range list { // at once, so that they share commits
		d := list[i]
		d.Service, d.Name, d.N = service, name, last-int64(len(list)-1-i)
		places <- struct{}{}
		all.Go(func() {
			errs[i] = e.putDelivery(ctx, d)
			<-places
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (e *Engine) putDelivery(ctx context.Context, d bellhop.Delivery) error {
	e.trimDelivery(&d)
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = e.store.Values.Put(ctx, deliverySpace, deliveryKey(d.Service, d.Name, d.N), b, -1, deliveryAge, e.clock.Now())
	return err
}

// numberDeliveries takes the next n numbers, and returns the last of them.
func (e *Engine) numberDeliveries(ctx context.Context, service, name string, n int) (last int64, err error) {
	key := service + "/" + name
	for range 20 {
		now := e.clock.Now()
		v, err := e.store.Values.Get(ctx, deliveryNumber, key, now)
		if err != nil && bellhop.CodeOf(err) != bellhop.NotFound {
			return 0, err
		}
		if v.Version != 0 {
			if last, err = strconv.ParseInt(string(v.Value), 10, 64); err != nil {
				return 0, bellhop.Errorf(bellhop.Internal, "the number of deliveries of %s can't be read: %w", key, err)
			}
		}
		last += int64(n)
		_, err = e.store.Values.Put(ctx, deliveryNumber, key, strconv.AppendInt(nil, last, 10), v.Version, deliveryAge, now)
		if err == nil || bellhop.CodeOf(err) != bellhop.Conflict {
			return last, err
		}
		last = 0 // another server was faster
	}
	return 0, bellhop.Errorf(bellhop.Unavailable, "too many servers write deliveries of %s at once", key)
}

// trimDelivery makes of a delivery what may be kept of it. It is masked before
// it is cut, so that no secret is cut in two.
func (e *Engine) trimDelivery(d *bellhop.Delivery) {
	text := e.maskText(string(d.Body))
	if text != string(d.Body) {
		d.Masked, d.Body = true, []byte(text)
	}
	if len(d.Body) > maxDelivery {
		d.Cut, d.Body = true, d.Body[:maxDelivery]
	}
	short := func(s string) string { return strings.ToValidUTF8(cutBytes(e.maskText(s), maxHeader), "\ufffd") }
	d.Event, d.ID, d.Ignored, d.From = short(d.Event), short(d.ID), short(d.Ignored), short(d.From)
	d.Error = cutBytes(e.maskText(d.Error), 5*maxHeader)
	header := make(map[string]string, len(d.Header))
	for k, v := range d.Header {
		header[k] = short(v)
		d.Masked = d.Masked || e.maskText(v) != v
	}
	d.Header = header
}

func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}

// WebhooksFor lists the webhooks whose job a person may have done with some
// arguments at least.
func (e *Engine) WebhooksFor(ctx context.Context, p bellhop.Person) []bellhop.WebhookInfo {
	out := []bellhop.WebhookInfo{}
	cat := e.active.Load()
	admin := e.admin(ctx, e.Identify(p)).Allowed
	for i := range cat.Services {
		for j := range cat.Services[i].Webhooks {
			w := &cat.Services[i].Webhooks[j]
			if !admin && !e.SeesJob(ctx, p, w.Service, w.Job) {
				continue
			}
			out = append(out, bellhop.WebhookInfo{
				Service: w.Service, Name: w.Name, Path: w.Path(), Proof: w.Proof.Kind, Repo: w.Repo, Events: w.Events, Job: w.Job,
			})
		}
	}
	return out
}

// webhookFor returns a webhook whose deliveries a person may see: an admin, or
// somebody internal who may have its job done whatever the arguments are. A
// delivery may hold any of them, and all else that was posted, which is not for
// guests though the job be. A refusal is recorded.
func (e *Engine) webhookFor(ctx context.Context, p bellhop.Person, service, name string) (*bellhop.Webhook, error) {
	who := e.Identify(p)
	if e.admin(ctx, who).Allowed {
		return e.webhook(service, name)
	}
	w, err := e.webhook(service, name)
	r := request{service: service}
	if err == nil {
		r.job = w.Job
	}
	a := &ask{Invocation: &bellhop.Invocation{Action: bellhop.SourceWebhook, Service: service, Job: r.job, Person: who.Person, Reason: "deliveries of " + cut(service+"/"+name, maxRefusedText)}, who: who}
	if !who.Internal {
		d := bellhop.Decision{Rule: "not internal", Reason: "what was posted to webhooks is shown to those alone whom the configuration knows (people:), not to " + who.Principal()}
		return nil, e.refused(ctx, a, d, refusal(d))
	}
	if _, refused := e.allow(ctx, a, r); refused != nil { // whether there is such a webhook is nobody's business either
		return nil, refused
	}
	return w, err
}

func (e *Engine) webhook(service, name string) (*bellhop.Webhook, error) {
	all := e.Webhooks(service)
	if i := slices.IndexFunc(all, func(w bellhop.Webhook) bool { return w.Name == name }); i >= 0 {
		return &all[i], nil
	}
	return nil, bellhop.Errorf(bellhop.NotFound, "there is no webhook %.60s/%.60s in the configuration; bellhop webhook list shows those that there are", service, name)
}

// Deliveries lists what came to a webhook, newest first, without what was
// posted.
func (e *Engine) Deliveries(ctx context.Context, p bellhop.Person, service, name string) ([]bellhop.Delivery, error) {
	if _, err := e.webhookFor(ctx, p, service, name); err != nil {
		return nil, err
	}
	const page = 20 // each may be large
	list := []bellhop.Delivery{}
	prefix := service + "/" + name + "/"
	for after := ""; ; {
		got, err := e.store.Values.List(ctx, deliverySpace, prefix, after, page, e.clock.Now())
		if err != nil {
			return nil, err
		}
		for _, v := range got {
			d, err := readDelivery(v)
			if err != nil {
				return nil, err
			}
			d.Body = nil
			list, after = append(list, d), v.Key
		}
		if len(got) < page {
			break
		}
	}
	slices.SortFunc(list, func(a, b bellhop.Delivery) int { return int(b.N - a.N) })
	return list, nil
}

func readDelivery(v bellhop.Stored) (d bellhop.Delivery, err error) {
	if err := json.Unmarshal(v.Value, &d); err != nil {
		return d, bellhop.Errorf(bellhop.Internal, "delivery %s can't be read: %w", v.Key, err)
	}
	return d, nil
}

// Delivery returns one, and the webhook that it came to.
func (e *Engine) Delivery(ctx context.Context, p bellhop.Person, service, name string, n int64) (bellhop.Delivery, *bellhop.Webhook, error) {
	w, err := e.webhookFor(ctx, p, service, name)
	if err != nil {
		return bellhop.Delivery{}, nil, err
	}
	v, err := e.store.Values.Get(ctx, deliverySpace, deliveryKey(service, name, n), e.clock.Now())
	if err != nil && bellhop.CodeOf(err) != bellhop.NotFound {
		return bellhop.Delivery{}, nil, err
	}
	if err == nil {
		d, err := readDelivery(v)
		if err != nil || d.N == n {
			return d, w, err
		}
	}
	return bellhop.Delivery{}, nil, bellhop.Errorf(bellhop.NotFound, "there is no delivery %s/%s/%d, or not any more: the last %d of a webhook are kept, for a year", service, name, n, keptDeliveries)
}

// HookFor is the invocation for which a person replays a delivery of a webhook:
// in their own name, and always a run of its own. args are not checked yet.
func (e *Engine) HookFor(w *bellhop.Webhook, d *bellhop.Delivery, args bellhop.Args) (inv bellhop.Invocation, err error) {
	o, err := e.active.Load().offer(w.Service, w.Job)
	if err != nil {
		return inv, err
	}
	if args, err = o.job.Bind(args); err != nil {
		return inv, err
	}
	return bellhop.Invocation{
		Action: bellhop.ActionRun, Service: w.Service, Job: w.Job, Args: args, OnRepeat: bellhop.OnRepeatQueue, Reason: "replay of delivery " + d.DeliveryID(),
	}, nil
}
