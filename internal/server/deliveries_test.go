package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// TestASecretOfTheConfigurationIsNowhereInADelivery, also where what was wrong
// quotes what was posted.
func TestASecretOfTheConfigurationIsNowhereInADelivery(t *testing.T) {
	addr := freeAddress(t)
	s := start(t, fmt.Sprintf(`
web: {listen: %q}
people: {alice: {ssh: alice}}
services:
  site:
    jobs: {go: {run: "echo {env}", params: {env: {enum: [staging]}}}}
    webhooks:
      - {name: posted, bearer: {secret: s3cret-s3cret, when: {kind: go}}, job: go, args: {env: "{event.env}"}}
`, addr))
	alice := token(t, s, bellhop.Token{Name: "alice", As: "alice"})
	for _, body := range []string{`{"kind":"go","env":"s3cret-s3cret"}`, `{"kind":"s3cret-s3cret"}`} {
		posted(t, "http://"+addr+"/webhooks/site/posted", "s3cret-s3cret", body)
	}
	text := ""
	for end := time.Now().Add(30 * time.Second); strings.Count(text, `"delivery"`) < 2; time.Sleep(20 * time.Millisecond) {
		if _, text = network(t, "GET", "http://"+addr+"/v1/webhooks/site/posted/deliveries", alice, ""); time.Now().After(end) {
			t.Fatal(text)
		}
	}
	if strings.Contains(text, "s3cret-s3cret") || strings.Count(text, "***") < 2 {
		t.Errorf("the list has %s", text)
	}
}
