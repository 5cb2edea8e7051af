package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/web/api"
	"github.com/bellhop-io/bellhop/internal/web/ui"
)

// Verify looks whether the audit trail is as it was written (ui.Trail).
func (p pages) Verify(ctx context.Context, who bellhop.Person) (ui.AuditCheck, error) {
	check, err := p.s.engine.VerifyAudit(ctx, who)
	return ui.AuditCheck(check), err
}

// SecretList lists secrets, and those that something names though they are not
// set (ui.Holdings).
func (p pages) SecretList(ctx context.Context, who bellhop.Person) ([]ui.Secret, error) {
	if err := p.s.engine.MayManage(ctx, who, bellhop.AuditSecret); err != nil {
		return nil, err
	}
	all := map[string]*ui.Secret{}
	of := func(name string) *ui.Secret {
		if all[name] == nil {
			all[name] = &ui.Secret{Name: name}
		}
		return all[name]
	}
	if v := p.s.seals.vault; v != nil {
		list, err := v.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			x := of(s.Name)
			x.Set, x.Updated, x.By = true, s.Updated, s.By
		}
	}
	cfg := p.s.config.Load()
	for _, svc := range cfg.Catalog.Services {
		for _, j := range svc.Jobs {
			for _, name := range j.SecretNames() {
				x := of(name)
				x.Jobs = append(x.Jobs, ui.JobName{Service: j.Service, Job: j.Name})
			}
		}
		for i := range svc.Webhooks {
			w := &svc.Webhooks[i]
			if name, is := bellhop.SecretName(w.Proof.Secret); is {
				x := of(name)
				x.Hooks = append(x.Hooks, bellhop.WebhookInfo{Service: w.Service, Name: w.Name})
			}
		}
	}
	for _, u := range cfg.Secrets { // secret: is that of a webhook, which is told of by its name
		if x := of(u.Name); u.Setting != "" && (u.Setting != "secret" || len(x.Hooks) == 0) {
			x.Places = append(x.Places, fmt.Sprintf("%s (%s:%d)", u.Setting, u.Pos.File, u.Pos.Line))
		}
	}
	list := make([]ui.Secret, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[name])
	}
	return list, nil
}

// auditSettings is the action of who looks at the configuration and may not.
const auditSettings = "settings"

// Settings is the active configuration, and what is known of the server.
func (p pages) Settings(ctx context.Context, who bellhop.Person) (ui.Settings, error) {
	if err := p.s.engine.MayManage(ctx, who, auditSettings); err != nil {
		return ui.Settings{}, err
	}
	cfg := p.s.config.Load()
	got := ui.Settings{Digest: cfg.Catalog.Digest, Restart: startOnly(p.s.opt.Config, cfg), Facts: p.facts(ctx, cfg)}
	if a := p.s.activated.Load(); a != nil {
		got.Since, got.By = a.at, a.by
	}
	for _, f := range cfg.Shown() {
		got.Files = append(got.Files, ui.File{Name: f.Name, Text: p.s.seals.hidden.Text(f.Text)})
	}
	if p.s.opt.rehearsal != nil { // which keeps no services
		return got, nil
	}
	kept, err := p.YAMLs(ctx, who)
	for _, k := range kept {
		got.Kept = append(got.Kept, shownVersion(k))
	}
	return got, err
}

// facts are what is known of the server.
func (p pages) facts(ctx context.Context, cfg *Loaded) []ui.Fact {
	s := p.s
	started := s.opt.Config // what a start reads is as it was then
	facts := []ui.Fact{
		{Name: "Version", Value: s.opt.Version},
		{Name: "Name", Value: s.name},
		{Name: "Started", Value: s.started.In(cfg.Location).Format(time.DateTime + " MST")},
		{Name: "Configuration", Value: cfg.Path},
		{Name: "Store", Value: started.Store.String()},
		{Name: "Time zone", Value: cfg.Location.String()},
		{Name: "Runner", Value: fmt.Sprintf("%d slots, lease %s, grace %s", started.Runner.Slots, started.Lease, started.Grace)},
		{Name: "Web", Value: s.pageURL()},
	}
	var chats []string
	for _, c := range started.Chats {
		chats = append(chats, c.Name+" ("+c.Kind+")")
	}
	if len(chats) > 0 {
		facts = append(facts, ui.Fact{Name: "Chats", Value: strings.Join(chats, ", ")})
	}
	if s.store.Shared {
		if alive, err := s.store.Cluster.Alive(ctx); err == nil {
			facts = append(facts, ui.Fact{Name: "Servers of the store", Value: strings.Join(alive, ", ")})
		}
	}
	return facts
}

func shownVersion(k api.YAML) ui.Version {
	return ui.Version{Service: k.Service, Number: k.Version, By: k.By, At: k.At, Bytes: k.Bytes, Removed: k.Removed, LeftOut: k.LeftOut}
}

// Versions lists those of a service that the store has, newest first.
func (p pages) Versions(ctx context.Context, who bellhop.Person, service string) ([]ui.Version, error) {
	list, err := p.YAMLHistory(ctx, who, service)
	if err != nil {
		return nil, err
	}
	out := make([]ui.Version, len(list))
	for i, k := range list {
		out[i] = shownVersion(k)
	}
	return out, nil
}

// VersionText returns the YAML of a version.
func (p pages) VersionText(ctx context.Context, who bellhop.Person, service string, version int64) (string, error) {
	text, _, err := p.YAMLText(ctx, who, service, version)
	if err != nil {
		return "", err
	}
	return p.s.seals.hidden.Text(config.ShownService(text)), nil
}

// Sessions lists those of the web page.
func (p pages) Sessions(ctx context.Context, who bellhop.Person) ([]bellhop.Session, error) {
	return p.s.engine.Sessions(ctx, who)
}
