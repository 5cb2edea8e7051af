package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/mask"
	"github.com/bellhop-io/bellhop/internal/secret"
	"github.com/bellhop-io/bellhop/internal/store/postgres"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// Secrets is what an admin may do with secrets (api.Secrets): through a running
// server, or without one.
type Secrets struct {
	vault  *secret.Vault
	store  *bellhop.Store
	config func() *Loaded
	person bellhop.Person
	by     string
	record func(context.Context, *bellhop.AuditRecord) error
	learn  func(context.Context)
	clock  bellhop.Clock
	close  func()
}

var _ api.Secrets = (*Secrets)(nil)

// Secrets is for admins. A refusal is recorded.
func (f front) Secrets(ctx context.Context, p bellhop.Person) (api.Secrets, error) {
	s := f.s
	x := &Secrets{
		vault: s.seals.vault, store: s.store, config: s.config.Load, person: p, by: s.engine.Identify(p).Principal(),
		record: s.engine.Record, learn: s.learnSecrets, clock: s.clock,
	}
	if err := s.engine.MayManage(ctx, p, bellhop.AuditSecret); err != nil {
		return nil, err
	}
	if x.vault == nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "there are no secrets in a rehearsal")
	}
	return x, nil
}

// OpenSecrets opens the store of a configuration without a server, for whoever
// may read its key. Conflict: a server has it. Close it afterwards.
func OpenSecrets(ctx context.Context, cfg *Loaded, p bellhop.Person) (_ *Secrets, err error) {
	var store *bellhop.Store
	if cfg.Store.Kind == config.Postgres {
		store, err = postgres.Open(ctx, postgres.Options{URL: cfg.Store.URL.Reveal()})
	} else {
		store, err = sqlite.Open(ctx, sqlite.Options{Path: cfg.Store.Path, Clock: bellhop.SystemClock{}})
	}
	if err != nil {
		return nil, err
	}
	cfg = cfg.WithStored(ctx, store)
	x := &Secrets{
		store: store, config: func() *Loaded { return cfg }, person: p, by: principal(cfg, p), learn: func(context.Context) {}, clock: bellhop.SystemClock{},
		close: func() { _ = store.Admin.Close() },
	}
	if x.vault, err = secret.Open(ctx, vaultOptions(store, cfg, x.clock)); err != nil {
		x.Close()
		return nil, err
	}
	x.record = x.ownChain()
	return x, nil
}

// principal is the name that records keep of a person.
func principal(cfg *Loaded, p bellhop.Person) string {
	e := engine.New(engine.Options{Store: &bellhop.Store{}, Bus: &bus.Local{}})
	e.Browse(cfg.Catalog)
	return e.Identify(p).Principal()
}

// Close lets go of the store, unless it is a server's.
func (x *Secrets) Close() {
	if x.close != nil {
		x.close()
	}
}

// ownChain records in a chain of its own, which begins with the first record.
func (x *Secrets) ownChain() func(context.Context, *bellhop.AuditRecord) error {
	begun := false
	return func(ctx context.Context, rec *bellhop.AuditRecord) error {
		if !begun {
			key, err := x.vault.AuditKey(ctx)
			if err == nil {
				err = x.store.Audit.Begin(ctx, serverName(), key, x.clock.Now())
			}
			if err != nil {
				return err
			}
			begun = true
		}
		return x.store.Audit.Append(ctx, []bellhop.AuditRecord{*rec})
	}
}

// about is what the trail says of something that is done with secrets.
func (x *Secrets) about(detail string) *bellhop.AuditRecord {
	return &bellhop.AuditRecord{
		At: x.clock.Now(), Action: bellhop.AuditSecret, Principal: x.by, Identity: x.person.Identity, Source: x.person.Source(),
		Allowed: true, Detail: detail,
	}
}

// note records what is about to be done: what can't be recorded is not done.
func (x *Secrets) note(ctx context.Context, format string, args ...any) error {
	return x.record(ctx, x.about(fmt.Sprintf(format, args...)))
}

// Secrets lists secrets and who uses them, never their values.
func (x *Secrets) Secrets(ctx context.Context) ([]api.Secret, error) {
	list, err := x.vault.List(ctx)
	out := make([]api.Secret, len(list))
	for i, s := range list {
		out[i] = api.Secret{Name: s.Name, Updated: s.Updated, By: s.By, UsedBy: x.usedBy(s.Name)}
	}
	return out, err
}

// usedBy names the jobs whose environment has a secret, and the other places
// that name it.
func (x *Secrets) usedBy(name string) []string {
	var out []string
	cfg := x.config()
	for _, s := range cfg.Catalog.Services {
		for _, j := range s.Jobs {
			if slices.Contains(j.SecretNames(), name) {
				out = append(out, j.Service+" "+j.Name)
			}
		}
	}
	for _, u := range cfg.Secrets {
		if u.Name == name && u.Setting != "" {
			out = append(out, fmt.Sprintf("%s (%s:%d)", u.Setting, u.Pos.File, u.Pos.Line))
		}
	}
	return out
}

// SetSecret writes a secret.
func (x *Secrets) SetSecret(ctx context.Context, name string, value []byte) ([]string, error) {
	if err := bellhop.CheckName("secret", name); err != nil {
		return nil, bellhop.Errorf(bellhop.Invalid, "%w", err)
	}
	if err := x.note(ctx, "set %s", name); err != nil {
		return nil, err
	}
	warning, err := x.vault.Set(ctx, name, string(value), x.by)
	x.learn(ctx)
	if warning == "" {
		return nil, err
	}
	return []string{warning}, err
}

// RemoveSecret removes a secret.
func (x *Secrets) RemoveSecret(ctx context.Context, name string) ([]string, error) {
	if err := x.note(ctx, "remove %.60s", name); err != nil {
		return nil, err
	}
	if err := x.vault.Remove(ctx, name); err != nil {
		return nil, err
	}
	x.learn(ctx)
	if users := x.usedBy(name); len(users) > 0 {
		return []string{fmt.Sprintf("secret %s is still named by %s: their runs are not started, and no server starts until it is set or no longer named", name, strings.Join(users, ", "))}, nil
	}
	return nil, nil
}

// RotateKey changes the master key.
func (x *Secrets) RotateKey(ctx context.Context) (api.Rotated, error) {
	if err := x.note(ctx, "rotate the master key"); err != nil {
		return api.Rotated{}, err
	}
	r, err := x.vault.Rotate(ctx)
	out := api.Rotated{Old: r.Old, New: r.New, Env: r.Env, File: r.File}
	if err == nil && x.store.Shared {
		out.Servers, err = x.store.Cluster.Alive(ctx)
	}
	return out, err
}

// ExportSecrets seals secrets for an age public key; no names = all.
func (x *Secrets) ExportSecrets(ctx context.Context, names []string, to string) ([]byte, error) {
	recipient, err := secret.ParseRecipient(to)
	if err != nil {
		return nil, err
	}
	what := "all"
	if len(names) > 0 {
		what = strings.Join(names, ", ")
	}
	if err := x.note(ctx, "export %.1000s", what); err != nil {
		return nil, err
	}
	return x.vault.Export(ctx, names, recipient)
}

// ImportSecrets writes secrets; unless they may be replaced, none when one of
// them is there already.
func (x *Secrets) ImportSecrets(ctx context.Context, entries []api.SecretEntry, replace bool) ([]string, error) {
	list, names := make([]secret.Entry, len(entries)), make([]string, len(entries))
	for i, e := range entries {
		list[i], names[i] = secret.Entry(e), e.Name
	}
	if err := x.note(ctx, "import %.1000s", strings.Join(names, ", ")); err != nil {
		return nil, err
	}
	warnings, err := x.vault.Import(ctx, list, replace, x.by)
	x.learn(ctx)
	return warnings, err
}

// CheckSecrets looks whether a configuration's secrets are set. The note says
// why that could not be seen.
func CheckSecrets(ctx context.Context, cfg *Loaded) (faults []bellhop.Fault, note string) {
	if len(cfg.Secrets) == 0 {
		return nil, ""
	}
	var names []string
	for _, u := range cfg.Secrets {
		names = append(names, u.Name)
	}
	slices.Sort(names)
	unseen := fmt.Sprintf("whether its secrets are set (%s) could not be seen: ", strings.Join(slices.Compact(names), ", "))
	store, err := OpenForReading(ctx, cfg)
	if err != nil {
		return nil, unseen + err.Error()
	}
	if store == nil {
		return nil, unseen + "there is no store yet; `bellhop secret set NAME` makes it"
	}
	defer func() { _ = store.Admin.Close() }()
	o := vaultOptions(store, cfg, nil)
	o.Look = true
	v, err := secret.Open(ctx, o)
	if err == nil {
		faults, err = secretFaults(ctx, v, cfg.Secrets)
	}
	if err != nil {
		return nil, unseen + err.Error()
	}
	return faults, ""
}

// Look returns what a store that is only read needs: what hides its secrets,
// and the key of its audit trail. When the secrets can't be opened, everything
// is hidden, and the error says why.
func Look(ctx context.Context, cfg *Loaded, store *bellhop.Store) (hide func(string) string, auditKey []byte, err error) {
	nothing := func(text string) string { return text }
	all, err := store.Secrets.Secrets(ctx)
	if err != nil || len(all) == 0 {
		return nothing, nil, err
	}
	o := vaultOptions(store, cfg, nil)
	o.Look = true
	v, err := secret.Open(ctx, o)
	var values []string
	if err == nil {
		if auditKey, err = v.AuditKey(ctx); err == nil {
			values, err = v.All(ctx)
		}
	}
	if err != nil && slices.ContainsFunc(all, func(s bellhop.SealedSecret) bool { return s.Owner == "" }) {
		return hideAll, auditKey, err
	}
	return mask.New(values...).Text, auditKey, nil
}

// hideAll hides a text, unless there is none.
func hideAll(text string) string {
	if text == "" {
		return ""
	}
	return mask.Stars
}
