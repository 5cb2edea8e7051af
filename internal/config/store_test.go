package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/config"
)

func TestPostgres(t *testing.T) {
	for _, c := range []struct{ name, written, shown string }{
		{"all of it", "postgres://alice:s%40cret@db.example.com:5433/bellhop?sslmode=verify-full", "postgres://alice@db.example.com:5433/bellhop"},
		{"the long name", "postgresql://db/bellhop", "postgresql://db/bellhop"},
		{"a socket", "postgres:///bellhop?host=/run/postgresql&user=alice&password=s3cret", "postgres:///bellhop"},
		{"IPv6", "postgres://alice@[::1]:5432/bellhop", "postgres://alice@[::1]:5432/bellhop"},
		{"by a variable", "${URL}", "postgres://bob@db/bellhop"},
		{"a part by a variable", "postgres://bob:${PASSWORD}@db/bellhop", "postgres://bob@db/bellhop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, map[string]string{"bellhop.yaml": "store: '" + c.written + "'\n"})
			env := map[string]string{"URL": "postgres://bob:hunter2@db/bellhop", "PASSWORD": "hunter2"}
			cfg, faults, err := config.Load(filepath.Join(dir, "bellhop.yaml"), options(env))
			if err != nil || len(faults) > 0 {
				t.Fatalf("%v\n%s", err, lines(faults))
			}
			whole := strings.NewReplacer("${URL}", env["URL"], "${PASSWORD}", env["PASSWORD"]).Replace(c.written)
			if cfg.Store != (config.Store{Kind: config.Postgres, URL: config.NewURL(whole)}) || cfg.Store.URL.Reveal() != whole {
				t.Errorf("got %q", cfg.Store.URL.Reveal())
			}
			if got := cfg.Store.String(); got != c.shown {
				t.Errorf("shown as %q, want %q", got, c.shown)
			}
		})
	}
	cfg := mustLoad(t, "store: sqlite:x.db\n")
	if got := cfg.Store.String(); got != "sqlite:"+filepath.Join(cfg.Home, "x.db") || cfg.Store.URL.Reveal() != "" || cfg.Store.URL.String() != "" {
		t.Errorf("SQLite's store is shown as %q", got)
	}
}

// However a configuration is printed, its store's password is not in it.
func TestThePasswordIsNotShown(t *testing.T) {
	cfg := mustLoad(t, "store: 'postgres://bob:hunter2@db/bellhop?password=hunter2'\n")
	var shown strings.Builder
	hidden := struct{ cfg config.Config }{*cfg} // where fmt can call no methods
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T", "%t"} {
		for _, v := range []any{cfg, *cfg, cfg.Store, &cfg.Store, cfg.Store.URL, hidden} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "store", cfg.Store, "url", cfg.Store.URL, "config", cfg)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "store", cfg.Store, "url", cfg.Store.URL, "config", *cfg)
	shown.WriteString(logged.String())
	for _, secret := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if i := strings.Index(shown.String(), secret); i >= 0 {
			t.Errorf("it is shown: ...%s", shown.String()[max(0, i-100):i+len(secret)])
		}
	}
	if !strings.Contains(shown.String(), "postgres://bob@db/bellhop") {
		t.Error("the rest of the address is not shown")
	}
}

// Nor is it in a fault, whatever is wrong with what stands there.
func TestNoFaultShowsAPassword(t *testing.T) {
	for _, store := range []string{
		"postgres://bob:hunter2@db", "postgres://bob:hunter2", "postgres://bob:hun%ter2@db/x", "postgres://bob:1/hunter2@db/x", "postgres://bob:1#hunter2@db/x",
		"postgres://bob:99999/hunter2@db/x", "postgres:bob:hunter2@db/x", "postgres:hunter2", "postgres://bob:hunter2@db/a/hunter2", "postgres://bob:hunter2@db:0/x",
		"postgres://bob:hunter2@db/x?sslmode=none", "postgres://b@d/x?a=%zz&password=hunter2", "postgres://bob:hunter2@db/x#hunter2", "postgres://bob: hunter2@db/x",
		"postgresql:/bob:hunter2@db/x", "psql://bob:hunter2@db/x", "bob:hunter2@db/x", "db password=hunter2", "sqlite://bob:hunter2@db/x", "Postgres://bob:hunter2@db/x",
		"${URL", "secret:hunter2",
	} {
		_, faults := load(t, "store: \""+store+"\"\n")
		if len(faults) == 0 {
			t.Errorf("%s has no fault", store)
		}
		if got := lines(faults); strings.Contains(got, "hunter") || strings.Contains(got, "ter2") || strings.Contains(got, "99999") {
			t.Errorf("%s: %s", store, got)
		}
	}
	for _, text := range []string{"store: [\"postgres://bob:hunter2@db/x\"]\n", "store: {url: \"postgres://bob:hunter2@db/x\"}\n", "store: !hunter2 x\nbto: y\n",
		"store: [postgres] //bob:hunter2@db/x\n", "store: \"postgres:\"//bob:hunter2@db/x\n"} {
		if _, faults := load(t, text); len(faults) == 0 || strings.Contains(lines(faults), "bob:hunter2") {
			t.Errorf("%s: %s", text, lines(faults))
		}
	}
}
