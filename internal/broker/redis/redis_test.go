package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"

	client "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/brokertest"
	"github.com/bellhop-io/bellhop/internal/broker/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
