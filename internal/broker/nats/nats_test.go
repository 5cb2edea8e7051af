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

func TestTLS(t *testing.T) {
	certs := brokertest.Folder(t)
	brokertest.Certificate(t, certs)
	program := brokertest.Program(t, "nats-server", "nats-server", "/usr/sbin/nats-server")
	addr := fmt.Sprintf("127.0.0.1:%d", brokertest.FreePort(t))
	conf := fmt.Sprintf("listen: %q\njetstream: {store_dir: %q}\nauthorization: {token: hunter2hunter2}\ntls: {cert_file: %q, key_file: %q}\n", addr, certs+"/data", certs+"/cert.pem", certs+"/key.pem")
	if err := os.WriteFile(filepath.Join(certs, "nats.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	brokertest.Launch(t, certs, []string{program, "-c", "nats.conf"}, nil, func() error {
		c, err := client.Connect("tls://"+addr, client.RootCAs(certs+"/ca.pem"), client.Token("hunter2hunter2"))
		if err != nil {
			return err
		}
		defer c.Close()
		js, err := jetstream.New(c)
		if err == nil {
			_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
		}
		return err
	})
	brokertest.Encrypted(t, nats.New(), bellhop.Broker{Kind: bellhop.BrokerNATS, URL: "tls://" + addr, Token: "hunter2hunter2", From: "S", Group: "g"}, certs)
}

// TestStreams: what Bellhop makes, what it finds, and what it refuses.
func TestStreams(t *testing.T) {
	_, js, addr := launch(t, "")
	ctx := t.Context()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	base := bellhop.Broker{
		Service: "example", Name: "b", Kind: bellhop.BrokerNATS, URL: "nats://bellhop:hunter2hunter2@" + addr, From: "S", Group: "g", ClaimAfter: time.Minute, MaxInFlight: 10,
		OnInvalid: bellhop.OnInvalidDeadLetter,
	}
	open := func(change func(*bellhop.Broker)) (bellhop.Subscription, error) {
		b := base
		change(&b)
		sub, err := nats.New()(ctx, &b, "a")
		if err == nil {
			t.Cleanup(sub.Close)
		}
		return sub, err
	}
	for want, change := range map[string]func(*bellhop.Broker){
		"has no stream NONE; ma": func(b *bellhop.Broker) { b.From = "NONE" },
		"has no consumer none; ": func(b *bellhop.Broker) { b.Group, b.Foreign = "none", true },
		"would be taken again":   func(b *bellhop.Broker) { b.DeadLetter = "s.dead" },
		"no more acknowledgemen": func(b *bellhop.Broker) { b.Group, b.Foreign = "silent", true },
	} {
		if want == "no more acknowledgemen" {
			if _, err := js.CreateConsumer(ctx, "S", jetstream.ConsumerConfig{Durable: "silent", AckPolicy: jetstream.AckNonePolicy}); err != nil {
				t.Fatal(err)
			}
			want = "takes no acknowledgements"
		}
		if _, err := open(change); bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	publish := func(subject string) {
		t.Helper()
		if _, err := js.Publish(ctx, subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	publish("s.old")
	if _, err := open(func(b *bellhop.Broker) { b.OnlyNew = true }); err != nil {
		t.Fatal(err)
	}
	publish("s.a")
	publish("s.b")
	sub, err := open(func(b *bellhop.Broker) { b.OnlyNew, b.Subject = false, "s.b" }) // where it begins is decided once; what it wants may change
	if err != nil {
		t.Fatal(err)
	}
	ms, err := sub.Receive(ctx, 10)
	if err != nil || len(ms) != 1 || ms[0].Subject != "s.b" {
		t.Fatalf("%+v, %v", ms, err)
	}
	// Without a subject of one's own, a stream is made for what is put aside.
	if err := sub.DeadLetter(ctx, ms[0], "odd\nthing"); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "S-dead")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(ctx, "dead.S")
	if err != nil || m.Header.Get("Bellhop-Reason") != "odd thing" || m.Header.Get("Bellhop-Subject") != "s.b" || m.Header.Get("Bellhop-Id") != ms[0].ID {
		t.Errorf("%+v, %v", m, err)
	}
	// A stream that is made anew counts anew; its messages are others.
	if err := js.DeleteStream(ctx, "S"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		publish("s.b")
	}
	sub, err = open(func(*bellhop.Broker) {})
	if err != nil {
		t.Fatal(err)
	}
	again, err := sub.Receive(ctx, 3)
	for err == nil && len(again) < 3 {
		var more []bellhop.Message
		more, err = sub.Receive(ctx, 3-len(again))
		again = append(again, more...)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, _, _ := strings.Cut(strings.TrimPrefix(again[2].ID, "S/"), "/"); n != "3" || again[2].ID == ms[0].ID {
		t.Errorf("the third is %s, that of before was %s", again[2].ID, ms[0].ID)
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false}, {"a.*", "a", false}, {"a.>", "a", false}, {"a.>", "a.b.c", true},
		{">", "a", true}, {"*.b", "a.b", true}, {"a", "a.b", false}, {"a.>.c", "a.b.c", false},
	} {
		if got := nats.Matches(tt.pattern, tt.subject); got != tt.want {
			t.Errorf("%s of %s: %t", tt.subject, tt.pattern, got)
		}
	}
}

// TestWhatIsPutAsideSaysNothingToTheServer: headers of a message that are for
// the server are about the stream that it came by.
func TestWhatIsPutAsideSaysNothingToTheServer(t *testing.T) {
	_, js, addr := launch(t, "")
	ctx := t.Context()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s.a", []byte("{"), jetstream.WithExpectStream("S"), jetstream.WithExpectLastSequence(0)); err != nil {
		t.Fatal(err)
	}
	b := bellhop.Broker{
		Service: "example", Name: "b", Kind: bellhop.BrokerNATS, URL: "nats://bellhop:hunter2hunter2@" + addr, From: "S", Group: "g", ClaimAfter: time.Minute, MaxInFlight: 10,
		OnInvalid: bellhop.OnInvalidDeadLetter,
	}
	sub, err := nats.New()(ctx, &b, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	ms, err := sub.Receive(ctx, 10)
	if err != nil || len(ms) != 1 {
		t.Fatalf("%+v, %v", ms, err)
	}
	if err := sub.DeadLetter(ctx, ms[0], "it is no JSON"); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "S-dead")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetLastMsgForSubject(ctx, "dead.S"); err != nil || m.Header.Get("Nats-Expected-Stream") != "" || m.Header.Get("Bellhop-Reason") == "" {
		t.Errorf("%+v, %v", m, err)
	}
}
