package server

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/payload"
	"github.com/bellhop-io/bellhop/internal/web/webhook"
)

// Posted is what another program might post.
type Posted struct {
	Event  string // its kind; "" = as the headers say
	Header map[string]string
	Body   []byte
}

// Verdict is what a webhook would do with what was posted.
type Verdict struct {
	Webhook bellhop.Webhook
	// Why it would do nothing: it is not for this event, or what it makes of it
	// is wrong; "" = it would ask for a run.
	Why   string
	Args  bellhop.Args
	Gate  []string // what the gate would say, for people
	Hints []string
}

// TryWebhooks says what the webhooks of a service, or the one of a name, would
// do: by the code that would do it, without a server, a secret or a run. With
// service "" it is all webhooks that there are.
func TryWebhooks(ctx context.Context, cfg *Loaded, service, name string, in Posted) ([]Verdict, error) {
	header := http.Header{}
	for k, v := range in.Header {
		header.Set(k, v)
	}
	event, err := payload.Read(header.Get("Content-Type"), in.Body)
	if err != nil {
		return nil, err
	}
	e := engine.New(engine.Options{Store: &bellhop.Store{}, Bus: &bus.Local{}})
	e.Browse(cfg.Catalog)
	var out []Verdict
	for _, s := range cfg.Catalog.Services {
		if service != "" && s.Name != service {
			continue
		}
		for _, w := range s.Webhooks {
			if name == "" || w.Name == name {
				out = append(out, try(ctx, e, w, header.Clone(), in.Event, event))
			}
		}
	}
	if len(out) == 0 {
		return nil, bellhop.Errorf(bellhop.NotFound, "there is no webhook %.60s in the configuration; those that there are: %s", strings.Trim(service+"/"+name, "/"), webhookNames(cfg))
	}
	return out, nil
}

func webhookNames(cfg *Loaded) string {
	var names []string
	for _, s := range cfg.Catalog.Services {
		for _, w := range s.Webhooks {
			names = append(names, w.Service+"/"+w.Name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func try(ctx context.Context, e *engine.Engine, w bellhop.Webhook, header http.Header, kind string, event payload.Payload) Verdict {
	v := Verdict{Webhook: w}
	of := webhook.EventHeader(w.Proof.Kind)
	if of != "" && kind != "" {
		header.Set(of, kind)
	}
	if of != "" && header.Get(of) == "" && len(w.Events) > 0 {
		v.Hints = append(v.Hints, "which event it is stands in the header "+of+"; say it with --event")
	}
	if v.Why = webhook.Unwanted(&w, header, event); v.Why != "" {
		return v
	}
	args, err := event.Fill(w.Args)
	gate := ""
	if err == nil {
		args, gate, err = e.TryHook(ctx, &w, args)
	}
	if err != nil {
		v.Why = err.Error()
		return v
	}
	v.Args = args
	for l := range strings.SplitSeq(gate, "\n") {
		if !strings.HasPrefix(l, w.Principal()+" is known as ") { // which goes without saying
			v.Gate = append(v.Gate, l)
		}
	}
	return v
}
