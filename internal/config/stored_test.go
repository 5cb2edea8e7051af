package config_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/config"
)

const withFiles = `
bot: porter
include: [more.yaml]
people: {alice: {ssh: alice, groups: [ops]}}
services:
  site:
    jobs: {hello: {run: echo hello}}
    commands: [{command: hello, job: hello}]
web: {listen: "127.0.0.1:0"}
`

// stored loads a file, and adds documents of the store to it.
func stored(t testing.TB, docs ...string) (*config.Config, string) {
	t.Helper()
	cfg, faults := loadFiles(t, map[string]string{"bellhop.yaml": withFiles, "more.yaml": "services: {far: {jobs: {go: {run: echo go}}}}\n"})
	if len(faults) > 0 {
		t.Fatal(lines(faults))
	}
	var list []config.Document
	for i := 0; i < len(docs); i += 2 {
		list = append(list, config.Document{Service: docs[i], Text: []byte(docs[i+1])})
	}
	got, faults, err := cfg.WithStored(list, options(map[string]string{"SET": "s3same"}))
	if err != nil {
		t.Fatal(err)
	}
	return got, lines(faults)
}

func service(body string) string { return "services:\n  deploys:\n" + body }

func TestServicesOfTheStoreAreAddedToTheFiles(t *testing.T) {
	got, faults := stored(t, "deploys", service(`    allow: [{group: ops}]
    env: {MODE: fast, API_TOKEN: "secret:ci", KEY_FILE: /etc/key, EMPTY_SECRET: "", PRICE: "$$5"}
    jobs:
      deploy: {run: "echo ${HOME} {env}", params: {env: {enum: [staging]}}}
    webhooks:
      - {github: {secret: "secret:github"}, job: deploy, args: {env: staging}}
`))
	if faults != "" {
		t.Fatal(faults)
	}
	var names []string
	for _, s := range got.Catalog.Services {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"site", "far", "deploys"}) || got.Catalog.Bot != "porter" {
		t.Errorf("it has %q", names)
	}
	if len(got.Files) != 2 || len(got.Secrets) != 2 || got.Secrets[0].Pos.File != "store:deploys" {
		t.Errorf("its files are %q, its secrets %+v", got.Files, got.Secrets)
	}
	without, faultsOf, err := got.WithStored(nil, options(nil)) // and taken out again
	if err != nil || len(faultsOf) > 0 || len(without.Catalog.Services) != 2 {
		t.Errorf("%v %v, %d services", err, faultsOf, len(without.Catalog.Services))
	}
}

func TestWhatTheStoreMayNotHave(t *testing.T) {
	for _, tt := range []struct{ name, doc, want string }{
		{"a fault of its own", service("    jobs:\n      go: {run: echo, tiemout: 5m}\n"), `store:deploys:4:23: .*did you mean "timeout"`},
		{"another setting", "store: sqlite:other.db\n" + service("    jobs: {go: {run: echo}}\n"), "store:deploys:1:1: .*belongs in the file"},
		{"an include", service("    jobs: {go: {run: echo}}\n") + "include: [/etc/passwd]\n", "store:deploys:4:1: .*belongs in the file"},
		{"a merge", "<<: {include: [/etc/passwd]}\n" + service("    jobs: {go: {run: echo}}\n"), "store:deploys:1:1: .*belongs in the file"},
		{"two services", service("    jobs: {go: {run: echo}}\n") + "  other: {jobs: {go: {run: echo}}}\n", "store:deploys:4:3: .*a second one"},
		{"another service", "services: {other: {jobs: {go: {run: echo}}}}\n", "store:deploys:1:1: .*kept as service deploys"},
		{"no service", "services: {}\n", "store:deploys:1:1: .*no service in it"},
		{"nothing", "# nothing\n", "store:deploys:1:1: "},
		{"no mapping", "- a\n", "store:deploys:1:1: .*must be a mapping"},
		{"no YAML", "services: {deploys\n", "store:deploys:1:"},
		{"somebody who is not there", service("    allow: [{person: bob}]\n    jobs: {go: {run: echo}}\n"), "store:deploys:3:22: .*bob"},
		{"the environment in env", service("    env: {MODE: \"a ${SET}\"}\n    jobs: {go: {run: echo}}\n"), `store:deploys:3:20: .*\$\{NAME\} is read from the server's environment`},
		{"the environment in a setting", service("    dir: \"${SET}\"\n    jobs: {go: {run: echo}}\n"), `store:deploys:3:11: .*secret:NAME`},
		{"the environment in a secret", service("    jobs: {go: {run: echo}}\n    webhooks: [{bearer: {secret: \"${SET}\"}, job: go}]\n"), `store:deploys:4:35: .*secret:NAME`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, faults := stored(t, "deploys", tt.doc)
			if got != nil || !matches(faults, tt.want) || strings.Contains(faults, "s3same") {
				t.Errorf("the faults are\n%swant %s", faults, tt.want)
			}
		})
	}
}

// TestWhatAFileDefinesIsNotShadowed: both places are named.
func TestWhatAFileDefinesIsNotShadowed(t *testing.T) {
	for name, want := range map[string]string{"site": "bellhop.yaml:6", "far": "more.yaml:1"} {
		got, faults := stored(t, name, "services:\n  "+name+": {jobs: {mine: {run: echo mine}}}\n")
		if got != nil || !matches(faults, "^store:"+name+":2:3: .*"+want+".*bellhop yaml rm "+name) {
			t.Errorf("%s: %s", name, faults)
		}
	}
	if _, faults := stored(t, "a", "services: {a: {jobs: {go: {run: BAD}}}}\n", "b", "services: {b: {jobs: {go: {run: BAD}}}}\n"); !matches(faults, "(?s)^store:a:1:.*\nstore:b:1:") {
		t.Error(faults)
	}
}

// TestSecretsInClearAreRefused: and no fault tells them.
func TestSecretsInClearAreRefused(t *testing.T) {
	const hidden = "hunter2hunter2"
	for _, env := range []string{
		"API_TOKEN", "TOKEN_2", "GITHUBTOKEN", "secret", "DB_PASSWORD", "PGPASSWORD", "ssh_key", "AWS_ACCESS_KEY", "KEY1", "PASS", "CREDENTIALS",
	} {
		doc := service("    jobs: {go: {run: echo, env: {" + env + ": " + hidden + "}}}\n")
		if got, faults := stored(t, "deploys", doc); got != nil || !matches(faults, "store:deploys:3:.*bellhop secret set") || strings.Contains(faults, hidden) {
			t.Errorf("%s: %s", env, faults)
		}
	}
	for _, env := range []string{"KEYBOARD", "MODE", "PUBLIC_KEY", "TOKEN_FILE", "KEY_ID", "MONKEY", "PASSENGER", "SECRETARY"} {
		if _, faults := stored(t, "deploys", service("    jobs: {go: {run: echo, env: {"+env+": "+hidden+"}}}\n")); faults != "" {
			t.Errorf("%s: %s", env, faults)
		}
	}
	for _, value := range []string{
		"postgres://app:" + hidden + "@db/app", "host=db user=app password=" + hidden, "xoxb-" + hidden, "ghp_" + hidden, "Bearer " + hidden,
		"-----BEGIN OPENSSH PRIVATE KEY----- " + hidden, "bellhop.ci.OUJD4TZXPRRYNTZRARRHWD24OV" + hidden,
	} {
		if got, faults := stored(t, "deploys", service("    env: {OTHER: \""+value+"\"}\n    jobs: {go: {run: echo}}\n")); got != nil || !matches(faults, "store:deploys:3:.*bellhop secret set") || strings.Contains(faults, hidden) {
			t.Errorf("%s: %s", value, faults)
		}
	}
	for _, value := range []string{"postgres://db/app", "https://example.com/a:b@c", "a=b", "host:port@where"} {
		if _, faults := stored(t, "deploys", service("    env: {OTHER: \""+value+"\"}\n    jobs: {go: {run: echo}}\n")); faults != "" {
			t.Errorf("%s: %s", value, faults)
		}
	}
	for _, hook := range []string{
		"github: {secret: " + hidden + "}", "bearer: {secret: {" + hidden + "}}", "basic: {user: x, secret: [" + hidden + "]}", "gitlab: {secret: !" + hidden + "}",
		"github: {secret: *" + hidden + "}", "github: {secret: \"" + hidden + "\" x}", "github: {secret: {" + hidden + "} x}", "github: {secret: \"secret:" + strings.ToUpper(hidden) + "\"}",
		"stripe: {secret: \"" + hidden + "}",
	} {
		doc := service("    jobs: {go: {run: echo}}\n    webhooks:\n      - " + strings.Replace(hook, ": {", ":\n          ", 1))
		doc = strings.TrimSuffix(doc, "}") + "\n        job: go\n"
		if got, faults := stored(t, "deploys", doc); got != nil || faults == "" || strings.Contains(strings.ToLower(faults), hidden) {
			t.Errorf("%s: %s", doc, faults)
		}
	}
	for broker, want := range map[string]string{
		`redis: {url: "redis://redis.example.com:6379/0", password: "secret:redis", stream: orders}`:   "",
		`nats: {url: "nats://a:4222,nats://b:4222", token: "secret:nats", stream: orders, subject: a}`: "",
		`redis: {url: "secret:redis", stream: orders}`:                                                 "",
		`redis: {url: "redis://x:` + hidden + `@redis.example.com:6379/0", stream: orders}`:            "url: a secret",
		`nats: {url: "nats://a:4222,nats://` + hidden + `@b:4222", stream: orders, subject: a}`:        "url: a secret",
		`redis: {url: "redis://redis.example.com:6379/0", password: ` + hidden + `, stream: orders}`:   "password: a secret",
		`nats: {url: "nats://a:4222", token: ` + hidden + `, stream: orders, subject: a}`:              "token: a secret",
		`amqp: {url: "amqp://a:5672", user: me, password: "${SET}", queue: orders}`:                    `secret:NAME`,
	} {
		_, faults := stored(t, "deploys", service("    jobs: {go: {run: echo}}\n    brokers:\n      - {job: go, "+broker+"}\n"))
		if strings.Contains(faults, hidden) || want == "" && strings.Contains(faults, "secret") || want != "" && !matches(faults, "store:deploys:5:.*"+want) {
			t.Errorf("%s: %s", broker, faults)
		}
	}
	if got, faults := stored(t, "deploys", service("    jobs: {go: {run: ./x.sh, script_url: \"https://me:"+hidden+"@example.com/x.sh\"}}\n")); got != nil || !matches(faults, "store:deploys:3:.*script_url") || strings.Contains(faults, hidden) {
		t.Error(faults)
	}
}

func TestServiceOf(t *testing.T) {
	if name, faults := config.ServiceOf([]byte(service("    jobs: {go: {run: [}}\n"))); name != "" || !matches(lines(faults), "^yaml:3:") {
		t.Errorf("%q %s", name, lines(faults))
	}
	if name, faults := config.ServiceOf([]byte(service("    jobs: {go: {tiemout: 3}}\n"))); name != "deploys" || len(faults) > 0 { // the rest is judged with all others
		t.Errorf("%q %s", name, lines(faults))
	}
	for _, bad := range []string{"services: {Deploys: {}}\n", "services: {? [a] : {}}\n", "services: *x\n", "", "\xff", "services: {<<: {a: {}}}\n", "a: 1\n"} {
		if name, faults := config.ServiceOf([]byte(bad)); name != "" || len(faults) == 0 || faults[0].Pos.File != "yaml" {
			t.Errorf("%q: %q %s", bad, name, lines(faults))
		}
	}
}

// FuzzStored sends documents: whatever they hold, there are faults or a service
// of that name, and the environment is not read.
func FuzzStored(f *testing.F) {
	for _, doc := range []string{service("    jobs: {go: {run: echo ${SET}}}\n"), "services: {a: {env: {X: \"${SET}\"}}}", "services: {a: &a {jobs: *a}}", "services: {a: {env: {TOKEN: x}}}", "\xff", "[", "services: {a: "} {
		f.Add([]byte(doc))
	}
	base, faults := load(f, "people: {alice: {ssh: alice}}\nservices: {site: {jobs: {go: {run: echo}}}}\n")
	if len(faults) > 0 {
		f.Fatal(lines(faults))
	}
	opts := options(nil)
	opts.Getenv = func(name string) (string, bool) {
		f.Errorf("the environment was asked for %s", name)
		return "", false
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		name, faults := config.ServiceOf(text)
		if (name == "") != (len(faults) > 0) {
			t.Fatalf("%q %v", name, faults)
		}
		if name == "" {
			return
		}
		cfg, faults, err := base.WithStored([]config.Document{{Service: name, Text: text}}, opts)
		switch {
		case err != nil:
			t.Fatal(err)
		case cfg == nil:
			for _, f := range faults {
				if f.Pos.File != "store:"+name {
					t.Errorf("a fault of %s: %s", f.Pos.File, f)
				}
			}
			if len(faults) == 0 {
				t.Error("neither a configuration nor a fault")
			}
		case len(cfg.Catalog.Services) != 2 || cfg.Catalog.Services[1].Name != name || name == "site":
			t.Errorf("it has %d services", len(cfg.Catalog.Services))
		}
	})
}

func matches(text, pattern string) bool {
	return regexp.MustCompile("(?m)" + pattern).MatchString(text)
}
