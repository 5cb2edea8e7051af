package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	client "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/brokertest"
	"github.com/bellhop-io/bellhop/internal/broker/redis"
)

// TestMain lets the client's own dialling end, which it looks after once a second.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func subscribe() bellhop.Subscribe {
	return redis.New(redis.Options{Clock: bellhop.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
}

// launch starts a server that forgets nothing when it is killed, and a client of
// its own.
func launch(t *testing.T, more ...string) (*brokertest.Server, *client.Client, string) {
	t.Helper()
	program := brokertest.Program(t, "redis-server", "redis-server", "valkey-server")
	folder, port := brokertest.Folder(t), strconv.Itoa(brokertest.FreePort(t))
	subscribe() // which has the client be quiet
	c := client.NewClient(&client.Options{Addr: "127.0.0.1:" + port, Username: "bellhop", Password: "hunter2hunter2", DialerRetries: 1})
	t.Cleanup(func() { _ = c.Close() })
	conf := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsave \"\"\nappendonly yes\nappendfsync always\nuser default off\nuser bellhop on >hunter2hunter2 ~* &* +@all\n", port, folder)
	if err := os.WriteFile(folder+"/redis.conf", []byte(conf+strings.Join(more, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := brokertest.Launch(t, folder, []string{program, "redis.conf"}, nil, func() error { return c.Ping(context.Background()).Err() })
	return s, c, "127.0.0.1:" + port
}

func TestRedis(t *testing.T) {
	server, c, addr := launch(t)
	add := func(ctx context.Context, name string, fields []map[string]any) error {
		p := c.Pipeline()
		for _, f := range fields {
			p.XAdd(ctx, &client.XAddArgs{Stream: name, Values: f})
		}
		_, err := p.Exec(ctx)
		return err
	}
	brokertest.Run(t, brokertest.Rig{
		Server: server, Address: addr, Subscribe: subscribe(), Claims: true,
		Broker: bellhop.Broker{Kind: bellhop.BrokerRedis, URL: "redis://bellhop:hunter2hunter2@" + addr + "/0"},
		Make:   func(testing.TB, string) {},
		Publish: func(ctx context.Context, name string, numbers ...int) error {
			var fields []map[string]any
			for _, n := range numbers {
				fields = append(fields, map[string]any{"n": n})
			}
			return add(ctx, name, fields)
		},
		Raw: func(ctx context.Context, name, body string) error {
			return add(ctx, name, []map[string]any{{"raw": body}})
		},
		Dead: func(t testing.TB, b *bellhop.Broker) map[string]string {
			list, err := c.XRange(t.Context(), b.DeadLetter, "-", "+").Result()
			if err != nil {
				t.Fatal(err)
			}
			dead := map[string]string{}
			for _, m := range list {
				what := m.Values["n"]
				if what == nil {
					what = m.Values["raw"]
				}
				dead[fmt.Sprint(what)] = fmt.Sprint(m.Values["bellhop.reason"])
			}
			return dead
		},
		Left: func(t testing.TB, b *bellhop.Broker) int {
			groups, err := c.XInfoGroups(t.Context(), b.From).Result()
			if err != nil || len(groups) != 1 {
				t.Fatal(groups, err)
			}
			return int(groups[0].Pending + groups[0].Lag)
		},
	})
}

func TestTLS(t *testing.T) {
	certs, port := brokertest.Folder(t), brokertest.FreePort(t)
	brokertest.Certificate(t, certs)
	launch(t, fmt.Sprintf("tls-port %d", port), "tls-auth-clients no", "tls-ca-cert-file "+certs+"/ca.pem", "tls-cert-file "+certs+"/cert.pem", "tls-key-file "+certs+"/key.pem")
	brokertest.Encrypted(t, subscribe(), bellhop.Broker{
		Kind: bellhop.BrokerRedis, URL: fmt.Sprintf("rediss://127.0.0.1:%d", port), User: "bellhop", Password: "hunter2hunter2", From: "s", Group: "g",
	}, certs)
}

// TestUnixSocket and a database of its own.
func TestUnixSocket(t *testing.T) {
	folder := brokertest.Folder(t)
	_, c, _ := launch(t, "unixsocket "+folder+"/s")
	b := bellhop.Broker{Kind: bellhop.BrokerRedis, URL: "unix://" + folder + "/s?db=3", User: "bellhop", Password: "hunter2hunter2", From: "s", Group: "g", OnlyNew: true, ClaimAfter: time.Minute}
	in3 := func(do func(client.Pipeliner)) {
		t.Helper()
		if _, err := c.TxPipelined(t.Context(), func(p client.Pipeliner) error {
			p.Do(t.Context(), "SELECT", 3)
			do(p)
			p.Do(t.Context(), "SELECT", 0)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	add := func(v string) func(client.Pipeliner) {
		return func(p client.Pipeliner) {
			p.XAdd(t.Context(), &client.XAddArgs{Stream: "s", Values: []string{"v", v}})
		}
	}
	in3(add("old")) // which is not taken
	sub, err := subscribe()(t.Context(), &b, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	in3(add("new"))
	ms, err := sub.Receive(t.Context(), 10)
	if err != nil || len(ms) != 1 || ms[0].Fields["v"] != "new" {
		t.Fatalf("%+v, %v", ms, err)
	}
	sub.Close()
	b.URL = "redis://127.0.0.1/x"
	if _, err := subscribe()(t.Context(), &b, "a"); bellhop.CodeOf(err) != bellhop.Invalid {
		t.Error(err)
	}
}

// TestWhatIsTrimmed was deleted while somebody held it: there is nothing to make
// a run of, and nobody waits for it for ever. Members that are gone are taken
// off the list.
func TestWhatIsTrimmed(t *testing.T) {
	_, c, addr := launch(t)
	b := bellhop.Broker{Kind: bellhop.BrokerRedis, URL: "redis://bellhop:hunter2hunter2@" + addr, From: "s", Group: "g", ClaimAfter: time.Hour}
	open := func(member string) bellhop.Subscription {
		t.Helper()
		sub, err := subscribe()(t.Context(), &b, member)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sub.Close)
		return sub
	}
	a := open("a")
	add := func(v string) string {
		t.Helper()
		id, err := c.XAdd(t.Context(), &client.XAddArgs{Stream: "s", Values: []string{"v", v}}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := add("1")
	if _, err := a.Receive(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.XDel(t.Context(), "s", first)
	add("2")
	ms, err := open("a").Receive(t.Context(), 10) // in the same name, as after a lost connection
	if err != nil || len(ms) != 1 || ms[0].Fields["v"] != "2" {
		t.Fatalf("%+v, %v", ms, err)
	}
	if err := a.Ack(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	if p := c.XPending(t.Context(), "s", "g").Val(); p.Count != 0 {
		t.Errorf("%+v is held", p)
	}
	a.Close()
	if list := c.XInfoConsumers(t.Context(), "s", "g").Val(); len(list) != 0 {
		t.Errorf("members %+v", list)
	}
}
