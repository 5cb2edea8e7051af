package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/amqp"
	"github.com/bellhop-io/bellhop/internal/broker/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// user is who everybody is.
const user = "bellhop:hunter2hunter2"

// peer is a client of the test's own, which connects again when it must.
type peer struct {
	url  string
	mu   sync.Mutex
	conn *client.Connection
}

func (p *peer) channel() (*client.Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || p.conn.IsClosed() {
		conn, err := client.DialConfig(p.url, client.Config{Dial: client.DefaultDial(5 * time.Second), Heartbeat: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		p.conn = conn
	}
	return p.conn.Channel()
}

func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		_ = p.conn.Close()
	}
}

// publish returns when all are on the server's disk.
func (p *peer) publish(ctx context.Context, queue string, all ...client.Publishing) error {
	ch, err := p.channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	if err := ch.Confirm(false); err != nil {
		return err
	}
	var sent []*client.DeferredConfirmation
	for _, m := range all {
		m.DeliveryMode = client.Persistent
		one, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, m)
		if err != nil {
			return err
		}
		sent = append(sent, one)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, one := range sent {
		if ok, err := one.WaitContext(ctx); !ok || err != nil {
			return errors.Join(err, errors.New("not confirmed"))
		}
	}
	return nil
}

// launch starts a server of one's own. Its epmd is as well: the one that
// Erlang would start by itself would stay.
func launch(t *testing.T, more string) (*brokertest.Server, *peer, string) {
	t.Helper()
	brokertest.Program(t, "rabbitmq-server", "rabbitmq-server", "/usr/sbin/rabbitmq-server")
	program := brokertest.Program(t, "rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server") // not the one that changes the user
	folder, addr := brokertest.Folder(t), fmt.Sprintf("127.0.0.1:%d", brokertest.FreePort(t))
	for name, text := range map[string]string{
		"rabbitmq.conf": "listeners.tcp.1 = " + addr + "\ndefault_user = bellhop\ndefault_pass = hunter2hunter2\nlog.console = true\nlog.console.level = warning\nlog.file = false\n" +
			"vm_memory_high_watermark.relative = 0.8\ndisk_free_limit.absolute = 1MB\n" + more,
		"plugins": "[].\n",
		"run.sh":  fmt.Sprintf("epmd -port %[1]d -address 127.0.0.1 &\nERL_EPMD_PORT=%[1]d exec %[2]s\n", brokertest.FreePort(t), program),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(folder, name) }
	env := []string{
		"HOME=" + folder, "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_NODENAME=" + filepath.Base(folder) + "@localhost",
		"RABBITMQ_CONFIG_FILE=" + at("rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + at("plugins"), "RABBITMQ_MNESIA_BASE=" + at("mnesia"),
		"RABBITMQ_LOG_BASE=" + at("logs"), fmt.Sprintf("RABBITMQ_DIST_PORT=%d", brokertest.FreePort(t)), "RABBITMQ_PID_FILE=" + at("pid"),
		"RABBITMQ_FEATURE_FLAGS_FILE=" + at("flags"), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
	}
	p := &peer{url: "amqp://" + user + "@" + addr + "/"}
	t.Cleanup(p.close)
	s := brokertest.Launch(t, folder, []string{"sh", "run.sh"}, env, func() error {
		ch, err := p.channel()
		if err != nil {
			return err
		}
		return ch.Close()
	})
	return s, p, addr
}

func TestAMQP(t *testing.T) {
	certs, port := brokertest.Folder(t), brokertest.FreePort(t)
	brokertest.Certificate(t, certs)
	server, p, addr := launch(t, fmt.Sprintf("listeners.ssl.1 = 127.0.0.1:%d\nssl_options.cacertfile = %[2]s/ca.pem\nssl_options.certfile = %[2]s/cert.pem\nssl_options.keyfile = %[2]s/key.pem\n", port, certs))
	declare := func(t testing.TB, queue string, args client.Table) {
		t.Helper()
		ch, err := p.channel()
		if err == nil {
			defer ch.Close()
			_, err = ch.QueueDeclare(queue, true, false, false, false, args)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// all takes what is in a queue.
	all := func(t testing.TB, queue string) (list []client.Delivery) {
		t.Helper()
		ch, err := p.channel()
		if err != nil {
			t.Fatal(err)
		}
		defer ch.Close()
		for {
			d, ok, err := ch.Get(queue, true)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return list
			}
			list = append(list, d)
		}
	}
	rig := brokertest.Rig{
		Server: server, Address: addr, Subscribe: amqp.New(), NoIDs: true, Unseen: true,
		Broker: bellhop.Broker{Kind: bellhop.BrokerAMQP, URL: "amqp://" + user + "@" + addr + "/"},
		Make:   func(t testing.TB, name string) { declare(t, name, nil) },
		Publish: func(ctx context.Context, name string, numbers ...int) error {
			var list []client.Publishing
			for _, n := range numbers {
				list = append(list, client.Publishing{Body: []byte(fmt.Sprintf(`{"n":%d}`, n))})
			}
			return p.publish(ctx, name, list...)
		},
		Raw: func(ctx context.Context, name, body string) error {
			return p.publish(ctx, name, client.Publishing{Body: []byte(body), ContentType: "text/plain"})
		},
		Dead: func(t testing.TB, b *bellhop.Broker) map[string]string {
			dead := map[string]string{}
			for _, d := range all(t, b.DeadLetter) {
				dead[strings.TrimSuffix(strings.TrimPrefix(string(d.Body), `{"n":`), "}")] = fmt.Sprint(d.Headers["bellhop-reason"])
			}
			return dead
		},
		Left: func(t testing.TB, b *bellhop.Broker) int {
			ch, err := p.channel()
			if err != nil {
				return -1 // it is just starting
			}
			defer ch.Close()
			q, err := ch.QueueDeclarePassive(b.From, true, false, false, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			return q.Messages
		},
	}
	t.Run("the queue's own dead letter exchange", func(t *testing.T) {
		declare(t, "rejected", nil)
		declare(t, "rejecting", client.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "rejected"})
		b := rig.Broker
		b.From, b.MaxInFlight, b.Reject = "rejecting", 10, true
		sub, err := rig.Subscribe(t.Context(), &b, "a")
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		if err := p.publish(t.Context(), "rejecting", client.Publishing{Body: []byte("x"), MessageId: "m-1", Headers: client.Table{"a": int32(1), "b": client.Table{}}}); err != nil {
			t.Fatal(err)
		}
		ms, err := sub.Receive(t.Context(), 10)
		if err != nil || len(ms) != 1 || ms[0].ID != "rejecting/m-1" || ms[0].Subject != "rejecting" || len(ms[0].Headers) != 1 || ms[0].Headers["a"] != "1" {
			t.Fatalf("%+v, %v", ms, err)
		}
		if err := sub.DeadLetter(t.Context(), ms[0], "why"); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if list := all(t, "rejected"); len(list) == 1 && list[0].MessageId == "m-1" {
				break
			}
			if time.Now().After(end) {
				t.Fatal("it did not come to the dead letter exchange")
			}
		}
	})
	t.Run("TLS", func(t *testing.T) {
		b := rig.Broker
		b.URL, b.User, b.Password, b.From = fmt.Sprintf("amqps://127.0.0.1:%d", port), "bellhop", "hunter2hunter2", "rejecting"
		brokertest.Encrypted(t, rig.Subscribe, b, certs)
	})
	t.Run("a queue that is not there", func(t *testing.T) {
		b := rig.Broker
		b.From = "nowhere"
		if _, err := rig.Subscribe(t.Context(), &b, "a"); bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), "there is no such queue") {
			t.Error(err)
		}
	})
	brokertest.Run(t, rig)
}

// TestWhatIsPutAsideGoesNowhereElse: headers CC and BCC would have the server
// send it wherever a publisher likes, in Bellhop's name, such as to the queue
// that it came from.
func TestWhatIsPutAsideGoesNowhereElse(t *testing.T) {
	_, p, addr := launch(t, "")
	ctx := t.Context()
	ch, err := p.channel()
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close()
	for _, queue := range []string{"orders", "payroll"} {
		if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := ch.ExchangeDeclare("in", "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind("orders", "", "in", false, nil); err != nil {
		t.Fatal(err)
	}
	err = ch.PublishWithContext(ctx, "in", "", true, false, client.Publishing{
		MessageId: "m", Body: []byte("{"), DeliveryMode: client.Persistent, Headers: client.Table{"CC": []any{"payroll", "orders"}, "kind": "new"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := bellhop.Broker{
		Service: "example", Name: "b", Kind: bellhop.BrokerAMQP, URL: "amqp://" + user + "@" + addr, From: "orders", DeadLetter: "orders.dead", MaxInFlight: 10,
		OnInvalid: bellhop.OnInvalidDeadLetter,
	}
	sub, err := amqp.New()(ctx, &b, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	ms, err := sub.Receive(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.DeadLetter(ctx, ms[0], "it is no JSON"); err != nil {
		t.Fatal(err)
	}
	for queue, want := range map[string]int{"orders": 0, "payroll": 0, "orders.dead": 1} {
		n := 0
		for {
			d, ok, err := ch.Get(queue, true)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			n++
			if d.Headers["kind"] != "new" {
				t.Errorf("%s: %v", queue, d.Headers)
			}
		}
		if n != want {
			t.Errorf("%s has %d messages, not %d", queue, n, want)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if ms, err := sub.Receive(waiting, 1); err == nil {
		t.Errorf("it came again: %v", ms[0].Headers)
	}
}
