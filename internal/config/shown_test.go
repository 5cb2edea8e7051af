package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
)

// TestShownHidesSecrets has secrets stand in a file in every way that YAML
// knows, and lets nobody see one. What is no secret stays as it is written.
func TestShownHidesSecrets(t *testing.T) {
	const (
		secret = "hunter2-is-secret"
		aside  = "correct-horse-battery" // stands where no value is
	)
	for name, c := range map[string]struct {
		text string
		keep []string
	}{
		"plain":         {`bearer: {secret: ` + secret + `}`, []string{"bearer: {secret: ***}"}},
		"double":        {`bearer: {secret: "` + secret + `", when: {a: b}}`, []string{"when: {a: b}"}},
		"escaped":       {`bearer: {secret: "\x68unter2-is-secret", when: {a: b}}`, []string{"when: {a: b}"}},
		"single":        {`bearer: {secret: 'it''s ` + secret + `'}`, nil},
		"two lines":     {"bearer:\n          secret: \"hunter2-is\n            -secret\"\n          when: {a: b}", []string{"when: {a: b}"}},
		"literal":       {"bearer:\n          secret: |\n            " + secret + "\n            more-of-it\n          when: {a: b}", []string{"secret: |", "when: {a: b}"}},
		"folded":        {"bearer:\n          secret: >-\n            " + secret + "\n          when: {a: b}", []string{"when: {a: b}"}},
		"tagged":        {`bearer: {secret: !!str ` + secret + `}`, nil},
		"anchored":      {"bearer: {secret: &s " + secret + "}\n        on_repeat: merge", []string{"on_repeat: merge"}},
		"said twice":    {"bearer: {secret: " + secret + "} # is " + secret, nil},
		"comment":       {"bearer: {secret: \"secret:hook\"} # the old secret: " + secret, []string{`secret: "secret:hook"`}},
		"sealed":        {`bearer: {secret: "secret:hook"}`, []string{`secret: "secret:hook"`}},
		"variable":      {`bearer: {secret: "${HOOK}"}`, []string{`secret: "${HOOK}"`}},
		"half variable": {`bearer: {secret: "${HOOK}` + secret + `"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			text := `
# An old token: ` + aside + `
store: sqlite:bellhop.db
web: {listen: "127.0.0.1:8080"}
services:
  site:
    env: {SITE_TOKEN: ` + secret + `, MODE: fast, OTHER_TOKEN: "${HOOK}", ADDRESS: "https://u:` + secret + `@example.org/"}
    jobs:
      build:
        run: |
          curl --oauth token=` + aside + ` https://u:` + aside + `@example.org/ # and on
          echo {x}
        params: {x: {default: none}}
    webhooks:
      - name: pushed
        job: build
        ` + c.text + "\n"
			got := shownOf(t, text)
			for _, part := range []string{secret, "hunter2", "more-of-it", aside} {
				if strings.Contains(got, part) {
					t.Errorf("it shows %q:\n%s", part, got)
				}
			}
			for _, keep := range append(c.keep, "sqlite:bellhop.db", "MODE: fast", `OTHER_TOKEN: "${HOOK}"`, "echo {x}", "name: pushed", "job: build", "example.org/ # and on") {
				if !strings.Contains(got, keep) {
					t.Errorf("it does not show %q:\n%s", keep, got)
				}
			}
			if a, b := strings.Count(got, "\n"), strings.Count(text, "\n"); a != b {
				t.Errorf("it has %d lines, want %d:\n%s", a, b, got)
			}
		})
	}
}

// TestShownHidesWhatIsInAddresses has passwords stand in addresses.
func TestShownHidesWhatIsInAddresses(t *testing.T) {
	for name, c := range map[string]struct{ store, want string }{
		"password":     {"postgres://bell:hunter2@db/bellhop", "store: ***"},
		"variable":     {"postgres://bell:${PW}@db/bellhop", "store: postgres://bell:${PW}@db/bellhop"},
		"nobody":       {"postgres://bell@db/bellhop", "store: postgres://bell@db/bellhop"},
		"query":        {"postgres://db/bellhop?user=a&password=hunter2", "store: ***"},
		"all variable": {"${STORE}", "store: ${STORE}"},
	} {
		t.Run(name, func(t *testing.T) {
			got := shownText("store: " + c.store + "\nservices: {a: {jobs: {b: {run: 'true'}}}}\n")
			if first, _, _ := strings.Cut(got, "\n"); first != c.want {
				t.Errorf("%s\nwant %s", first, c.want)
			}
		})
	}
}

func shownText(text string) string { return config.ShownService([]byte(text)) }

func shownOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bellhop.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, faults, err := config.Load(path, config.Options{Getenv: func(string) (string, bool) { return "from-outside", true }, Compilers: map[string]bellhop.Compiler{"shell": compiler{}}})
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	all := cfg.Shown()
	if len(all) != 1 || all[0].Name != path {
		t.Fatalf("%+v", all)
	}
	return all[0].Text
}

// FuzzShown has any text shown: it never fails, and a secret that the
// configuration has is not in it.
func FuzzShown(f *testing.F) {
	f.Add("chats: {slack: {bot_token: xoxb-1-23456789}}")
	f.Add("store: postgres://a:b@c/d\nservices:\n  a: {env: {TOKEN: |\n    x\n    y}}")
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "xyzzy-plugh-12345"
		got := shownText(text + "\nchats:\n  slack:\n    bot_token: " + secret + "\n")
		if strings.Contains(got, secret) {
			t.Errorf("it shows the secret:\n%s", got)
		}
	})
}
