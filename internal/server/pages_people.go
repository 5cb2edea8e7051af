package server

import (
	"context"
	"slices"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/ui"
)

// Try and TryHook are what is tried out (ui.Folk).
func (p pages) Try(ctx context.Context, who bellhop.Person, as, text string) (ui.Trial, error) {
	return p.s.try(ctx, who, as, text)
}

func (p pages) TryHook(ctx context.Context, who bellhop.Person, service, name, event string, body []byte) (ui.Trial, error) {
	if !slices.ContainsFunc(p.s.engine.WebhooksFor(ctx, who), func(w bellhop.WebhookInfo) bool { return w.Service == service && w.Name == name }) {
		return ui.Trial{}, bellhop.Errorf(bellhop.NotFound, "there is no webhook %.60s/%.60s that you may see", service, name)
	}
	all, err := TryWebhooks(ctx, p.s.config.Load(), service, name, Posted{Event: event, Body: body})
	if bellhop.CodeOf(err) == bellhop.Invalid {
		return ui.Trial{Service: service, Fault: p.s.seals.hidden.Text(err.Error())}, nil
	}
	if err != nil {
		return ui.Trial{}, err
	}
	mask := p.s.seals.hidden.Text
	v := all[0]
	return ui.Trial{
		Action: bellhop.ActionRun, Service: service, Job: v.Webhook.Job, Args: v.Args.Masked(mask), Fault: mask(v.Why), Gate: v.Gate, Hints: v.Hints,
	}, nil
}

// Rights, Access and Sessions are who may do what, and who is here (ui.Folk).
func (p pages) Rights(ctx context.Context, who bellhop.Person, as string) (ui.Rights, error) {
	of, known, list, err := p.s.engine.Rights(ctx, who, as)
	return ui.Rights{Who: of, Known: known, List: list}, err
}

func (p pages) Access(ctx context.Context, who bellhop.Person) (bellhop.Access, []bellhop.Service, error) {
	return p.s.engine.AccessFor(ctx, who)
}
