package config

import (
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// builder makes a Config of what was read, and finds the faults that the
// shape of a file does not show.
type builder struct {
	*loader
	home  string
	spans []spans // by service
	// harmless holds faults that leave the rest of their command as it is.
	harmless map[bellhop.Position]bool
	known    known // what rules may name
	zone     *time.Location
	shared   map[share]at // where brokers take their messages from
}

// config returns an error only when a compiler is missing, a fault of the
// caller.
func (b *builder) config(raw *fileRaw) (*Config, error) {
	cfg := &Config{
		Store:    b.store(raw.Store),
		Timezone: raw.Timezone.val,
		Location: b.location(raw.Timezone),
		Runner:   Runner{Slots: 16, KillAfter: b.positive("kill_after", raw.Runner.KillAfter, 5*time.Second)},
		Lease:    b.lease(raw.Lease),
		Grace:    30 * time.Second,
		Log:      Log{Level: logLevel(raw.Log.Level.or("info")), Format: raw.Log.Format.or("text")},
		Chats:    b.chats(raw.Chats),
		Web:      b.web(raw.Web),
		Catalog:  &bellhop.Catalog{Bot: b.bot(raw.Bot), Keep: b.keep(raw.Keep)},
	}
	cfg.Catalog.Page = cfg.Web != nil
	cfg.Sources = b.sources(raw.Sources, cfg.Chats, cfg.Web)
	for _, s := range cfg.Sources {
		cfg.Catalog.Sources = append(cfg.Catalog.Sources, s.Name)
	}
	cfg.Catalog.Access = b.access(raw, cfg.Chats, cfg.Catalog.Sources)
	if raw.Timezone.good() {
		cfg.Catalog.Zone = cfg.Location
	}
	if raw.Runner.Slots.good() {
		cfg.Runner.Slots = raw.Runner.Slots.val
		if cfg.Runner.Slots > maxSlots {
			b.fault(raw.Runner.Slots.at, "slots: %d is more than %d processes at a time", cfg.Runner.Slots, maxSlots)
		}
	}
	if raw.Grace.good() {
		cfg.Grace = raw.Grace.val
	}
	b.zone = cfg.Location
	for _, e := range raw.Services.items {
		s, err := b.service(e, cfg.Catalog)
		if err != nil {
			return nil, err
		}
		cfg.Catalog.Services = append(cfg.Catalog.Services, s)
	}
	b.webPaths(raw.Chats, cfg.Web)
	b.callbacks(raw, cfg.Web)
	b.posted(raw, cfg.Web)
	b.slackChannels(cfg.Chats, cfg.Catalog.Services)
	cfg.Catalog.Digest = catalogDigest(cfg.Catalog, cfg.Timezone)
	return cfg, nil
}

// maxSlots bounds runner.slots.
const maxSlots = 10_000

func (b *builder) bot(t text) string {
	name := t.or("bellhop")
	if err := bellhop.CheckName("bot", strings.ToLower(name)); err != nil {
		b.fault(t.at, "%v", err)
	}
	return name
}

// path makes a path absolute: a relative one starts at the folder of the file
// that was asked for.
func (b *builder) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(b.home, p)
}

func (b *builder) location(t text) *time.Location {
	if !t.good() {
		return time.Local
	}
	loc, err := time.LoadLocation(t.val)
	if err != nil || t.val == "" || t.val == "Local" {
		b.fault(t.at, "timezone: %s is not a time zone that is known; write a name such as Europe/London, America/New_York or UTC", shorten(t.val))
		return time.Local
	}
	return loc
}

func (b *builder) lease(s span) time.Duration {
	if !s.good() {
		return 30 * time.Second
	}
	if s.val < time.Second {
		b.fault(s.at, "lease: %s is too short; a lease lasts at least 1s", s.val)
	}
	return s.val
}

// positive is for durations where zero would mean nothing sensible.
func (b *builder) positive(key string, s span, def time.Duration) time.Duration {
	if !s.good() {
		return def
	}
	if s.val == 0 {
		b.fault(s.at, "%s: 0 is too short; write a duration such as 90s, 1h30m or 2d", key)
	}
	return s.val
}

func logLevel(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// takenSources begin identities and principals of Bellhop's own.
func takenSources() []string {
	return []string{"api", "broker", "collector", "console", "local", "node", "schedule", "source", "web", "webhook"}
}

func (b *builder) chats(raw dict[chatRaw]) []Chat {
	var chats []Chat
	for _, e := range raw.items {
		b.checkName("chat", e.name, e.key)
		if slices.Contains(takenSources(), e.name) {
			b.fault(e.key, "chat %q: Bellhop uses that name itself; choose another, and say kind: ssh in it", e.name)
		}
		kind := e.val.Kind.or(e.name)
		if e.val.Kind.bad || e.val.bad && kind != "ssh" && kind != "slack" {
			continue
		}
		c := Chat{Name: e.name, Kind: kind, Pos: e.key.pos()}
		switch kind {
		case "ssh":
			c.SSH = b.ssh(e)
		case "slack":
			c.Slack = b.slack(e)
		default:
			b.fault(e.key, "chat %s: its kind is not known; write kind: ssh or kind: slack in it", shorten(e.name))
			continue
		}
		for _, other := range chats {
			if c.SSH != nil && other.SSH != nil && other.SSH.Listen == c.SSH.Listen && !strings.HasSuffix(c.SSH.Listen, ":0") {
				b.fault(e.key, "chat %q listens on %s, as chat %q does; give one of them another port", c.Name, c.SSH.Listen, other.Name)
			}
		}
		chats = append(chats, c)
	}
	return chats
}

func (b *builder) ssh(e entry[chatRaw]) *SSH {
	c := e.val
	s := &SSH{
		Listen:         c.Listen.or("127.0.0.1:2222"),
		AuthorizedKeys: b.path(c.AuthorizedKeys.val),
		TrustedUserCA:  b.path(c.TrustedUserCA.val),
		HostKey:        b.path(c.HostKey.or(".bellhop/ssh_host_ed25519_key")),
	}
	if !c.AuthorizedKeys.isSet() && !c.TrustedUserCA.isSet() {
		s.AuthorizedKeys = b.path("authorized_keys")
	}
	for key, t := range map[string]text{"authorized_keys": c.AuthorizedKeys, "trusted_user_ca": c.TrustedUserCA, "host_key": c.HostKey} {
		if t.good() && t.val == "" {
			b.fault(t.at, "%s is empty; write the name of a file, or remove the key", key)
		}
	}
	for key, a := range map[string]at{
		"app_token": c.AppToken.at, "bot_token": c.BotToken.at, "signing_secret": c.SigningSecret.at, "events": c.Events.at, "reactions": c.Reactions.at,
		"catch_up": c.CatchUp.at, "thread": c.Thread.at, "hear": c.Hear.at, "refuse": c.Refuse.at, "auto_join": c.AutoJoin.at, "api_url": c.APIURL.at,
	} {
		if a.isSet() {
			b.fault(a, "%s belongs to a chat of kind slack; remove it", key)
		}
	}
	if c.Listen.rules.isSet() {
		b.fault(c.Listen.at, "listen: a chat of kind ssh listens on host:port, not to rules; write one such as 127.0.0.1:2222")
		return s
	}
	if why := checkListen(s.Listen); why != "" {
		b.fault(c.Listen.at, "listen: %s %s; write host:port, such as 127.0.0.1:2222 (this machine only) or 0.0.0.0:2222 (every network)", shorten(s.Listen), why)
	}
	return s
}

func checkListen(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "has no port"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "has no port between 0 and 65535"
	}
	return ""
}

// checkName reports a name that may not be one, and how it could be written.
func (b *builder) checkName(kind, name string, key at) bool {
	err := bellhop.CheckName(kind, name)
	if err == nil {
		return true
	}
	better := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), " ", "_")
	if better != name && bellhop.CheckName(kind, better) == nil {
		b.fault(key, "%v; write %s", err, better)
		return false
	}
	b.fault(key, "%v", err)
	return false
}
