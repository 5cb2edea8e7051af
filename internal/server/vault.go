package server

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/mask"
	"github.com/bellhop-io/bellhop/internal/secret"
)

// learnEvery is how often the secrets of a shared store are looked at, which
// other servers may have changed.
const learnEvery = 30 * time.Second

// seals is what a server has for its secrets. vault is nil in a rehearsal.
type seals struct {
	vault  *secret.Vault
	hidden mask.Set // what the log and what is told of runs must not show
	audit  []byte   // key of the audit trail
	learn  sync.Mutex
}

// openVault opens the secrets, and makes sure that those which the
// configuration names are there.
func (s *Server) openVault(ctx context.Context, cfg *Loaded) error {
	if s.opt.rehearsal != nil {
		return nil
	}
	v, err := secret.Open(ctx, vaultOptions(s.store, cfg, s.clock))
	if err != nil {
		return err
	}
	s.seals.vault = v
	if s.seals.audit, err = v.AuditKey(ctx); err != nil {
		return err
	}
	s.learnSecrets(ctx)
	faults, err := secretFaults(ctx, v, cfg.Secrets)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return bellhop.Errorf(bellhop.Invalid, "the configuration names secrets that can't be had, so nothing was started:\n%s", faultLines(faults))
	}
	if s.store.Shared {
		s.learnOften()
	}
	return nil
}

func vaultOptions(store *bellhop.Store, cfg *Loaded, clock bellhop.Clock) secret.Options {
	o := secret.Options{Store: store.Secrets, Home: cfg.Home, Clock: clock}
	if store.Shared {
		o.Values = store.Values
	}
	return o
}

// learnSecrets has all secrets masked that there are now.
func (s *Server) learnSecrets(ctx context.Context) {
	s.seals.learn.Lock() // so that what is older never comes last
	defer s.seals.learn.Unlock()
	values, err := s.seals.vault.All(ctx)
	if err != nil {
		s.log.Error("a secret can't be read, so it is not masked", "error", err)
	}
	if bellhop.CodeOf(err) != bellhop.Unavailable { // else those that were known stay so
		s.seals.hidden.Replace(values)
	}
}

func (s *Server) learnOften() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			tick, stop := s.clock.NewTimer(learnEvery)
			select {
			case <-ctx.Done():
				stop()
				return
			case <-tick:
				s.learnSecrets(ctx)
			}
			stop()
		}
	}()
	s.onStop(func(context.Context) { cancel(); <-done })
}

// runVault is what opens the secrets of runs. In a rehearsal each has its own
// name for a value: nothing real is tried out with.
func (s *Server) runVault() bellhop.Vault {
	if s.opt.rehearsal != nil {
		return standIn{}
	}
	return s.seals.vault
}

type standIn struct{}

// Reveal returns secret:NAME for each.
func (standIn) Reveal(_ context.Context, names []string) (map[string]string, error) {
	values := make(map[string]string, len(names))
	for _, name := range names {
		values[name] = bellhop.SecretPrefix + name
	}
	return values, nil
}

// secretFaults returns a fault for each place that names a secret which can't
// be had. The error is for a store that can't be read now.
func secretFaults(ctx context.Context, v bellhop.Vault, uses []config.SecretUse) (faults []bellhop.Fault, err error) {
	known := map[string]error{}
	for _, use := range uses {
		bad, seen := known[use.Name]
		if !seen {
			_, bad = v.Reveal(ctx, []string{use.Name})
			if bellhop.CodeOf(bad) == bellhop.Unavailable || ctx.Err() != nil {
				return nil, bad
			}
			known[use.Name] = bad
		}
		if bad != nil {
			faults = append(faults, use.Fault(bad))
		}
	}
	return faults, nil
}

func faultLines(faults []bellhop.Fault) string {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// newFaults are those of a configuration that is to become the active one.
func (s *Server) newFaults(ctx context.Context, next *Loaded) ([]bellhop.Fault, error) {
	return secretFaults(ctx, s.runVault(), next.Secrets)
}

// tokens puts the values in the place of the secrets that a chat's settings
// name. They are read once, at start.
func (s *Server) tokens(ctx context.Context, k config.Slack) (config.Slack, error) {
	for _, t := range []struct {
		key, begins string
		at          *string
	}{{"app_token", "xapp-", &k.AppToken}, {"bot_token", "xoxb-", &k.BotToken}, {"signing_secret", "", &k.SigningSecret}} {
		name, is := bellhop.SecretName(*t.at)
		if !is || s.opt.rehearsal != nil {
			continue
		}
		value, err := secret.Resolve(ctx, s.seals.vault, *t.at)
		if err != nil {
			return k, err
		}
		if !strings.HasPrefix(value, t.begins) {
			return k, bellhop.Errorf(bellhop.Invalid, "secret %s does not begin with %s, so it is no %s; set it again: bellhop secret set %[1]s", name, t.begins, t.key)
		}
		*t.at = value
	}
	return k, nil
}
