package config_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

func TestFullBrokers(t *testing.T) {
	cfg, dir := loadFull(t, full(t))
	s, _ := cfg.Catalog.Service("example")
	no := []bellhop.Condition(nil)
	there := true
	want := []bellhop.Broker{
		{
			Name: "orders", Kind: bellhop.BrokerRedis, URL: "rediss://u:2200@h:6380/1", Address: "rediss://u@h:6380/1", User: "bellhop", CA: filepath.Join(dir, "ca.pem"),
			From: "orders", Group: "g", OnlyNew: true, ClaimAfter: 5 * time.Minute, DeadLetter: "orders:bad",
			When: []bellhop.Condition{
				{Path: "kind", Any: []string{"a", "b"}}, {Path: "data.n", Any: []string{"1.10"}, Not: true}, {Path: "x", Glob: "a*"}, {Path: "y", Exists: &there},
			},
			Job: "hello", Args: bellhop.Args{}, Key: "{event.id}-{message.id}", OnInvalid: "dead_letter", MaxInFlight: 7, MaxSize: 64000, Delay: time.Minute, OnRepeat: "merge", ReportTo: "bob",
		},
		{
			Name: "queue", Kind: bellhop.BrokerAMQP, URL: "amqp://h/v", Address: "amqp://h/v", Password: "secret:amqp", From: "q", Reject: true, DeadLetter: "q.dead", Text: true,
			Job: "block", Args: bellhop.Args{"ip": bellhop.Text("{event.ip}")}, OnInvalid: "stop",
		},
		{Name: "put-aside", Kind: bellhop.BrokerAMQP, URL: "secret:amqp-url", Address: "amqp", User: "u", CA: "/ca.pem", From: "q2", DeadLetter: "bad"},
		{
			Name: "stream", Kind: bellhop.BrokerNATS, URL: "nats://a, tls://b:4222", Address: "nats://a,tls://b:4222", User: "u", Password: "p", CA: filepath.Join(dir, "c"),
			From: "S", Subject: "orders.*", Group: "bellhop-example-stream", ClaimAfter: time.Second, DeadLetter: "dead.s",
		},
		{
			Name: "own", Kind: bellhop.BrokerNATS, URL: "nats://a", Address: "nats://a", Credentials: filepath.Join(dir, "bellhop.creds"), From: "S", Group: "mine", Foreign: true,
			ClaimAfter: time.Minute, OnInvalid: "drop",
		},
		{Name: "token", Kind: bellhop.BrokerNATS, URL: "nats://a", Address: "nats://a", Token: "secret:nats", From: "S", Group: "bellhop-example-token", ClaimAfter: time.Minute},
	}
	for i := range want {
		w := &want[i]
		w.Service = "example"
		if w.Job == "" {
			w.Job, w.Args = "hello", bellhop.Args{}
		}
		if w.OnInvalid == "" {
			w.OnInvalid = "dead_letter"
		}
		if i > 0 { // as they are by default
			w.When, w.MaxInFlight, w.MaxSize, w.OnRepeat, w.ReportTo = no, 100, 1<<20, "queue", "alice"
		}
		got := s.Brokers[i]
		if got.Pos.Line < 100 || got.Pos.Col != 9 {
			t.Errorf("%s is at %v", got.Name, got.Pos)
		}
		got.Pos = bellhop.Position{}
		if !reflect.DeepEqual(got, *w) {
			t.Errorf("%s is\n%+v\nwant\n%+v", got.Name, got, *w)
		}
	}
	if want := "broker:example/orders"; s.Brokers[0].Principal() != want {
		t.Errorf("the principal is %s", s.Brokers[0].Principal())
	}
	b, err := json.Marshal(s.Brokers)
	if err != nil || strings.Contains(string(b), "2200") || strings.Contains(string(b), `"p"`) {
		t.Errorf("a password is in %s, %v", b, err)
	}
}

// FuzzBrokerURLs: whatever stands in place of an address, nothing of a password
// is told.
func FuzzBrokerURLs(f *testing.F) {
	f.Add("redis", "redis://:s3cr3tpass@h:6379/0")
	f.Add("nats", "nats://u:s3cr3tpass@h,tls://")
	f.Add("amqp", "amqp://u:s3cr3tpass/x@h:x")
	f.Fuzz(func(t *testing.T, kind, text string) {
		urls, err := bellhop.BrokerURLs(bellhop.BrokerKind(kind), text)
		if err != nil && (strings.Contains(err.Error(), "s3cr3tpass") || bellhop.CodeOf(err) != bellhop.Invalid) {
			t.Error(err)
		}
		if (err == nil) != (len(urls) > 0) {
			t.Errorf("%q: %v, %v", text, urls, err)
		}
	})
}
