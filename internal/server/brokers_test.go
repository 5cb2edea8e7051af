package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestABrokerThatIsAway keeps no server from starting, and is told of in /readyz,
// without a password.
func TestABrokerThatIsAway(t *testing.T) {
	addr, away := freeAddress(t), freeAddress(t)
	begin := time.Now()
	start(t, fmt.Sprintf(`
web: {listen: %[1]q}
services:
  shop:
    jobs: {ship: {run: "true"}}
    brokers:
      - {name: a, redis: {url: "redis://:hunter2@%[2]s", stream: s}, job: ship}
      - {name: b, amqp: {url: "amqp://u:hunter2@%[2]s", queue: q}, job: ship}
      - {name: c, nats: {url: "nats://u:hunter2@%[2]s", stream: S}, job: ship}
`, addr, away))
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("the start took %s", took)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, body := get(t, "http://"+addr+"/readyz")
		good := status == 503 && strings.HasPrefix(body, "store: ok\n") && !strings.Contains(body, "hunter2")
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
}
