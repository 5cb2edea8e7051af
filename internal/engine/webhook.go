package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Webhooks returns those of a service.
func (e *Engine) Webhooks(service string) []bellhop.Webhook {
	s := e.active.Load().services[service]
	if s == nil {
		return nil
	}
	return s.Webhooks
}

// Hook asks for the run that a webhook wants for an event, whose arguments are
// not checked yet. The same key again is the same run.
func (e *Engine) Hook(ctx context.Context, w *bellhop.Webhook, key string, args bellhop.Args) (bellhop.RunID, error) {
	inv, err := e.called(w.Principal(), w.Service, w.Job, w.ReportTo, bellhop.Invocation{Key: key, Args: args, Delay: w.Delay, OnRepeat: w.OnRepeat})
	if err != nil {
		return 0, err
	}
	a, err := e.Do(ctx, inv)
	if err != nil {
		return 0, err
	}
	return a.Accepted.Run, nil
}

// called is what an entry asks for that some program has called upon: inv has
// the rest, with arguments that are not checked yet.
func (e *Engine) called(principal, service, job, reportTo string, inv bellhop.Invocation) (bellhop.Invocation, error) {
	o, err := e.active.Load().offer(service, job)
	if err != nil {
		return inv, err
	}
	if inv.Args, err = o.job.Bind(inv.Args); err != nil {
		return inv, err
	}
	inv.Action, inv.Service, inv.Job, inv.Person = bellhop.ActionRun, service, job, bellhop.Person{Identity: principal}
	source, _, _ := strings.Cut(principal, ":")
	inv.Origin = bellhop.Origin{Source: source}
	if reportTo != "" {
		inv.Origin = e.tellTo(reportTo, e.clock.Now())[0].Origin
	}
	return inv, nil
}

// Unproven records that requests to webhooks of a service were refused.
func (e *Engine) Unproven(ctx context.Context, service string, from netip.Addr, times int, err error) {
	rec := &bellhop.AuditRecord{
		At: e.clock.Now(), Action: bellhop.SourceWebhook, Source: bellhop.SourceWebhook, Service: cut(service, maxRefusedText),
		Detail: fmt.Sprintf("from %s: %v", from, err),
	}
	if times > 1 {
		rec.Detail += fmt.Sprintf(" (%d times in the minute before)", times)
	}
	if failed := e.Record(ctx, rec); failed != nil {
		e.log.Error("a refusal could not be recorded", "action", rec.Action, "service", rec.Service, "error", failed)
	}
}

// TryHook says what would become of a webhook's run, without asking for it: its
// arguments as they were checked, and what the gate says.
func (e *Engine) TryHook(ctx context.Context, w *bellhop.Webhook, args bellhop.Args) (bellhop.Args, string, error) {
	o, err := e.active.Load().offer(w.Service, w.Job)
	if err != nil {
		return nil, "", err
	}
	if args, err = o.job.Bind(args); err != nil {
		return nil, "", err
	}
	inv := bellhop.Invocation{Action: bellhop.ActionRun, Service: w.Service, Job: w.Job, Args: args}
	who := bellhop.Person{Identity: w.Principal()}
	text, err := e.Explain(ctx, who, "", inv)
	return args, text, err
}
