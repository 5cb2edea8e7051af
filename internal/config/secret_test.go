package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/config"
)

func TestSecretsInEnv(t *testing.T) {
	cfg, faults := loadFiles(t, map[string]string{"bellhop.yaml": `
services:
  ex:
    env: &both {ALL: "secret:all"}
    jobs:
      a: {run: "echo secret:none $ALL", env: {TOKEN: "secret:token", PLAIN: "a secret:none"}}
      b: {run: echo b, env: {ALL: plain}}
      c: {run: echo c, env: *both}
include: [more.yaml]
`, "more.yaml": `
services:
  more:
    jobs:
      d:
        run: echo d
        env:
          TOKEN: "secret:token"
`})
	if len(faults) > 0 {
		t.Fatal(lines(faults))
	}
	var got []string
	for _, u := range cfg.Secrets {
		got = append(got, fmt.Sprintf("%s %s:%d:%d", u.Name, u.Pos.File, u.Pos.Line, u.Pos.Col))
	}
	slices.Sort(got)
	want := "all bellhop.yaml:4:22\ntoken bellhop.yaml:6:54\ntoken more.yaml:8:18"
	if strings.Join(got, "\n") != want {
		t.Errorf("secrets stand at\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	for _, c := range []struct{ job, names, all string }{{"a", "all token", "secret:all"}, {"b", "", "plain"}, {"c", "all", "secret:all"}} {
		j, _ := cfg.Catalog.Services[0].Job(c.job)
		if j.Env["ALL"] != c.all || strings.Join(j.SecretNames(), " ") != c.names {
			t.Errorf("%s: ALL is %q, and it names %q", c.job, j.Env["ALL"], j.SecretNames())
		}
	}
}

// TestWhereSecretsStandIsNoDifference: comments move places.
func TestWhereSecretsStandIsNoDifference(t *testing.T) {
	text := "services: {s: {jobs: {j: {run: x, env: {T: \"secret:t\"}}}}}\n"
	a, _ := loadFiles(t, map[string]string{"bellhop.yaml": text})
	b, _ := loadFiles(t, map[string]string{"bellhop.yaml": "# a comment\n" + text})
	b.Path, b.Home, b.Files, b.Store = a.Path, a.Home, a.Files, a.Store
	if a.Digest() != b.Digest() {
		t.Error("the digests differ")
	}
}

// TestSecretInASettingOfAChat: a key with mode:"secret".
func TestSecretInASettingOfAChat(t *testing.T) {
	env := func(name string) (string, bool) { return "secret:other", name == "VIA" }
	for _, c := range []struct{ file, val, name, fault string }{
		{"token: xoxb-plain\n", "xoxb-plain", "", ""},
		{"token: secret:slack\n", "secret:slack", "slack", ""},
		{"token: \"${VIA}\"\n", "secret:other", "other", ""},
		{"token: secret:Slack\n", "", "", "bellhop.yaml:1:8: token: secret \"Slack\": a name begins with"},
	} {
		val, uses, faults := config.ReadToken(c.file, env)
		name := ""
		if len(uses) > 0 {
			name = uses[0].Name
		}
		if val != c.val || name != c.name || (len(faults) > 0) != (c.fault != "") || !strings.HasPrefix(lines(faults), c.fault) {
			t.Errorf("%q is %q, secret %q, %s", c.file, val, name, lines(faults))
		}
	}
}
