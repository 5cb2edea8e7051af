package nats_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/brokertest"
	"github.com/bellhop-io/bellhop/internal/broker/nats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// launch starts a server with a store on the disk, and a client of its own.
func launch(t *testing.T, more string) (*brokertest.Server, jetstream.JetStream, string) {
	t.Helper()
	program := brokertest.Program(t, "nats-server", "nats-server", "/usr/sbin/nats-server")
	folder, addr := brokertest.Folder(t), "127.0.0.1:"+strconv.Itoa(brokertest.FreePort(t))
	conf := fmt.Sprintf("listen: %q\njetstream: {store_dir: %q}\nauthorization: {user: bellhop, password: hunter2hunter2}\n%s\n", addr, filepath.Join(folder, "data"), more)
	if err := os.WriteFile(filepath.Join(folder, "nats.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var js jetstream.JetStream
	s := brokertest.Launch(t, folder, []string{program, "-c", "nats.conf"}, nil, func() error {
		if js != nil { // its connection comes back
			_, err := js.AccountInfo(t.Context())
			return err
		}
		c, err := client.Connect("nats://"+addr, client.UserInfo("bellhop", "hunter2hunter2"), client.MaxReconnects(-1), client.ReconnectWait(50*time.Millisecond))
		if err != nil {
			return err
		}
		t.Cleanup(c.Close)
		js, err = jetstream.New(c)
		return err
	})
	return s, js, addr
}

func TestNATS(t *testing.T) {
	server, js, addr := launch(t, "")
	rig := brokertest.Rig{
		Server: server, Address: addr, Subscribe: nats.New(), Claims: true,
		Broker: bellhop.Broker{Kind: bellhop.BrokerNATS, URL: "nats://bellhop:hunter2hunter2@" + addr},
		Make: func(t testing.TB, name string) {
			for _, s := range []string{name, "dead_" + name} {
				if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: s, Subjects: []string{s}}); err != nil {
					t.Fatal(err)
				}
			}
		},
		Publish: func(ctx context.Context, name string, numbers ...int) error {
			var all []jetstream.PubAckFuture
			for _, n := range numbers {
				f, err := js.PublishAsync(name, []byte(fmt.Sprintf(`{"n":%d}`, n)))
				if err != nil {
					return err
				}
				all = append(all, f)
			}
			for _, f := range all {
				select {
				case <-f.Ok():
				case err := <-f.Err():
					return err
				case <-time.After(5 * time.Second):
					return errors.New("no answer")
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		},
		Raw: func(ctx context.Context, name, body string) error {
			m := client.NewMsg(name)
			m.Data = []byte(body)
			m.Header.Set("Content-Type", "text/plain")
			_, err := js.PublishMsg(ctx, m)
			return err
		},
		Dead: func(t testing.TB, b *bellhop.Broker) map[string]string {
			s, err := js.Stream(t.Context(), b.DeadLetter)
			if err != nil {
				t.Fatal(err)
			}
			dead := map[string]string{}
			for n := s.CachedInfo().State.FirstSeq; n <= s.CachedInfo().State.LastSeq; n++ {
				m, err := s.GetMsg(t.Context(), n)
				if err != nil {
					t.Fatal(err)
				}
				dead[strings.TrimSuffix(strings.TrimPrefix(string(m.Data), `{"n":`), "}")] = m.Header.Get("Bellhop-Reason")
			}
			return dead
		},
		Left: func(t testing.TB, b *bellhop.Broker) int {
			c, err := js.Consumer(t.Context(), b.From, b.Group)
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				return -1
			}
			if err != nil {
				t.Fatal(err)
			}
			return c.CachedInfo().NumAckPending + int(c.CachedInfo().NumPending)
		},
	}
	brokertest.Run(t, rig)
}
