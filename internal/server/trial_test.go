package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/server"
)

const tried = `
web: {listen: "127.0.0.1:0"}
people:
  alice: {ssh: alice, groups: [ops]}
services:
  site:
    restricted: true
    jobs:
      deploy: {run: "echo {env}", params: {env: {enum: [staging, production]}}, approve: {by: ops}}
    webhooks:
      - {name: push, gitlab: {secret: "${BELLHOP_TEST_NOT_SET}", event: Push Hook, when: {ref: main}}, job: deploy, args: {env: "{event.env}"}, report_to: alice}
      - {name: any, bearer: {secret: "secret:nosuch"}, job: deploy, args: {env: production}, delay: 1m}
`

// TestWebhooksAreTriedOut without what a server needs: no secret is there, nor
// a store.
func TestWebhooksAreTriedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bellhop.yaml")
	if err := os.WriteFile(path, []byte(tried), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, faults, err := server.LoadToTry(path)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	for _, tt := range []struct {
		name, event, body, want string
	}{
		{"push", "Push Hook", `{"ref":"main","env":"staging"}`, ": staging Yes: webhook:site/push may.|Decided by: webhook site push (bellhop.yaml:11)|It would wait to be approved by ops. alice"},
		{"push", "Push Hook", `{"ref":"other","env":"staging"}`, `ref is "other": - `},
		{"push", "Tag Push Hook", `{"ref":"main","env":"staging"}`, "event Tag Push Hook is not wanted: - "},
		{"push", "", `{"ref":"main"}`, "it does not say which event it is: - which event it is stands in the header X-Gitlab-Event; say it with --event"},
		{"push", "Push Hook", `{"ref":"main","env":"moon"}`, `env expects one of staging, production, not "moon": - `},
		{"any", "", `[]`, ": production Yes: webhook:site/any may.|Decided by: webhook site any (bellhop.yaml:12)|It would wait to be approved by ops. "},
	} {
		all, err := server.TryWebhooks(t.Context(), cfg, "site", tt.name, server.Posted{Event: tt.event, Body: []byte(tt.body)})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		v := all[0]
		env := "-"
		if v.Args != nil {
			env = v.Args["env"].Text
		}
		got := fmt.Sprintf("%s: %s %s", v.Why, env, strings.Join(append(v.Gate, v.Hints...), "|"))
		if v.Why == "" {
			got += " " + v.Webhook.ReportTo
		}
		if got != tt.want {
			t.Errorf("%s %s: %s", tt.name, tt.body, got)
		}
	}
	if all, err := server.TryWebhooks(t.Context(), cfg, "", "", server.Posted{Body: []byte(`{}`)}); err != nil || len(all) != 2 {
		t.Errorf("all: %+v, %v", all, err)
	}
	if _, err := os.ReadDir(filepath.Join(filepath.Dir(path), ".bellhop")); err == nil {
		t.Error("something was made beside the configuration")
	}
}
