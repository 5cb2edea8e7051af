package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// TestABrokerThatIsAway keeps no server from starting, and is told of in /readyz,
// without a password: to internal people as far as they see what it asks for,
// to others not by name.
func TestABrokerThatIsAway(t *testing.T) {
	addr, away := freeAddress(t), freeAddress(t)
	begin := time.Now()
	s := start(t, fmt.Sprintf(`
web: {listen: %[1]q}
people: {alice: {ssh: alice}, bob: {ssh: bob}, carol: {ssh: carol}}
access: {admins: [{person: alice}]}
services:
  other: {jobs: {x: {run: "true"}}, commands: [{command: x, job: x}]}
  shop:
    allow: [{person: alice}, {person: carol}]
    jobs: {ship: {run: "true"}}
    brokers:
      - {name: a, redis: {url: "redis://:hunter2@%[2]s", stream: s}, job: ship}
      - {name: b, amqp: {url: "amqp://u:hunter2@%[2]s", queue: q}, job: ship}
      - {name: c, nats: {url: "nats://u:hunter2@%[2]s", stream: S}, job: ship}
`, addr, away))
	all := token(t, s, bellhop.Token{Name: "all", As: "alice"})
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("the start took %s", took)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, body := network(t, "GET", "http://"+addr+"/readyz", all, "")
		good := status == 503 && strings.HasPrefix(body, "store: ready\n") && !strings.Contains(body, "hunter2")
		for _, want := range []string{"broker:shop/a: the Redis server: ", "broker:shop/b: the RabbitMQ server: ", "broker:shop/c: the NATS server: "} {
			good = good && strings.Contains(body, want)
		}
		if good {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("/readyz: %d %s", status, body)
		}
	}
	const nameless = "store: ready\nbrokers: not ready\n"
	for name, shown := range map[string]string{
		"nobody":               "",
		"a guest":              token(t, s, bellhop.Token{Name: "guest"}),
		"who sees another job": token(t, s, bellhop.Token{Name: "other", As: "bob"}),
	} {
		if status, body := network(t, "GET", "http://"+addr+"/readyz", shown, ""); status != 503 || body != nameless {
			t.Errorf("%s: %d %q", name, status, body)
		}
	}
	for name, c := range map[string]struct {
		token     string
		told, why int
	}{
		"an admin":             {all, 3, 3},
		"who sees its job":     {token(t, s, bellhop.Token{Name: "carol", As: "carol"}), 3, 0},
		"who sees another job": {token(t, s, bellhop.Token{Name: "bob", As: "bob"}), 0, 0},
		"a guest":              {token(t, s, bellhop.Token{Name: "stranger"}), 0, 0},
	} {
		_, body := network(t, "GET", "http://"+addr+"/v1/status", c.token, "")
		if told, why := strings.Count(body, `"name":"broker:shop/`), strings.Count(body, `"error":"the `); told != c.told || why != c.why || strings.Contains(body, "hunter2") || told > 0 && strings.Contains(body, `"since":"0001`) {
			t.Errorf("the status for %s: %s", name, body)
		}
	}
	if status, body := network(t, "GET", "http://"+addr+"/readyz", "bellhop.x.y", ""); status != 401 || strings.Contains(body, "broker") {
		t.Errorf("a token that is none: %d %s", status, body)
	}
}
