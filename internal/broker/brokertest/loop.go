package brokertest

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/engine"
	"github.com/bellhop-io/bellhop/internal/store/sqlite"
)

// house is the real engine on a real store, which fails now and then.
type house struct {
	*engine.Engine
	store *bellhop.Store
	// away: the store can't be written to. lost: of so many changes that are
	// written, the next ones are not known to be.
	away atomic.Bool
	lost atomic.Int32
	asks atomic.Int32

	mu   sync.Mutex
	keys map[string]bool // that runs are written under
}

func newHouse(t *testing.T, b bellhop.Broker) *house {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "bellhop.db"), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Admin.Close() })
	h := &house{Engine: engine.New(engine.Options{Store: store, Bus: &bus.Local{}}), store: store, keys: map[string]bool{}}
	job := bellhop.Job{Service: b.Service, Name: b.Job, Executor: "shell", Params: []bellhop.Param{{Name: "n", Type: bellhop.TypeInt}}}
	cat := &bellhop.Catalog{Services: []bellhop.Service{{Name: b.Service, Restricted: true, Jobs: []bellhop.Job{job}, Brokers: []bellhop.Broker{b}}}}
	if err := h.Activate(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	return h
}

// Take asks the engine, unless the store is away.
func (h *house) Take(ctx context.Context, b *bellhop.Broker, wants []bellhop.Invocation) []error {
	h.asks.Add(1)
	fail := make([]error, len(wants))
	for i := range fail {
		fail[i] = bellhop.Errorf(bellhop.Unavailable, "the store is away")
	}
	if h.away.Load() {
		return fail
	}
	faults := h.Engine.Take(ctx, b, wants)
	h.mu.Lock()
	for i, fault := range faults {
		if fault == nil {
			h.keys[wants[i].Key] = true
		}
	}
	h.mu.Unlock()
	if h.lost.Add(-1) >= 0 {
		return fail
	}
	return faults
}

// count is how many requests are written down; to list all runs takes longer.
func (h *house) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.keys)
}

// numbers are the arguments of all runs, in their order.
func (h *house) numbers(t testing.TB) []string {
	t.Helper()
	list, err := h.store.Records.Runs(t.Context(), bellhop.RunFilter{})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, len(list))
	for i, r := range list {
		all[len(list)-1-i] = r.Args["n"].Text
		if r.AskedBy != "broker:example/b" {
			t.Fatalf("a run is asked for by %s", r.AskedBy)
		}
	}
	return all
}

// consume starts a consumer of the bench's broker.
func (x *bench) consume(h broker.House, member string) *broker.Consumer {
	x.Helper()
	c := broker.New(broker.Options{Broker: x.broker, Member: member, Subscribe: x.Subscribe, House: h, Longest: time.Second, Log: slog.New(slog.NewTextHandler(x.Output(), nil))})
	c.Start(x.Context())
	x.Cleanup(c.Stop)
	return c
}

func (x *bench) raw(body string) {
	x.Helper()
	if err := x.Raw(x.ctx(patience), x.broker.From, body); err != nil {
		x.Fatal(err)
	}
}

func runs(t *testing.T, x *bench) {
	x.broker.When = []bellhop.Condition{{Path: "n", Any: []string{"2"}, Not: true}}
	h := newHouse(t, x.broker)
	x.publish(0, 3)
	x.raw("no number")
	x.raw(strings.Repeat("x", int(x.broker.MaxSize)+1))
	x.publish(3, 5)
	c := x.consume(h, "a")
	x.until("four runs", func() bool { return h.count() == 4 })
	if got := h.numbers(t); !slices.Equal(got, []string{"0", "1", "3", "4"}) {
		t.Errorf("runs in the order %v", got)
	}
	x.empty()
	aside := x.Dead(t, &x.broker)
	if len(aside) != 2 || !strings.Contains(aside["no number"], "event.n, which this event does not have") ||
		!strings.Contains(aside[strings.Repeat("x", int(x.broker.MaxSize)+1)], "and 1000 are taken (max_size)") {
		t.Errorf("put aside are %v", aside)
	}
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
}

func halts(t *testing.T, x *bench) {
	x.broker.OnInvalid = bellhop.OnInvalidStop
	h := newHouse(t, x.broker)
	x.publish(0, 2)
	x.raw("no number")
	x.publish(2, 4)
	c := x.consume(h, "a")
	x.until("it stops", c.Halted)
	x.until("three are left", func() bool { return x.Left(t, &x.broker) == 3 })
	if got := h.numbers(t); !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("runs %v", got)
	}
	if err := c.Ready(); bellhop.CodeOf(err) != bellhop.Invalid || !strings.Contains(err.Error(), "on_invalid: stop") {
		t.Error(err)
	}
}

func held(t *testing.T, x *bench) {
	h := newHouse(t, x.broker)
	h.away.Store(true)
	x.publish(0, 50)
	c := x.consume(h, "a")
	x.until("it is tried again", func() bool { return h.asks.Load() > 1 })
	if err := c.Ready(); bellhop.CodeOf(err) != bellhop.Unavailable || !strings.Contains(err.Error(), "the store is away") {
		t.Error(err)
	}
	if n := x.Left(t, &x.broker); n != 50 && !x.Unseen {
		t.Errorf("%d of 50 are left while nothing is written", n)
	}
	h.lost.Store(1) // written, and not known to be
	h.away.Store(false)
	x.until("it is well", func() bool { return c.Ready() == nil && h.count() == 50 })
	c.Stop()
	c.Stop()
	x.empty()
	if got := h.numbers(t); len(got) != 50 {
		t.Errorf("%d runs: %v", len(got), got)
	}
}

// crash has the server killed in the midst of 10,000 messages, which two
// members share, while somebody publishes.
func crash(t *testing.T, x *bench) {
	const all = 10_000
	x.broker.Key = "{event.n}" // what is published twice is the same request
	h := newHouse(t, x.broker)
	h.lost.Store(2)
	publish := func(from, to int) {
		for n := from; n < to; n += 500 {
			for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
				err := x.Publish(x.ctx(patience), x.broker.From, sequence(n, n+500)...)
				if err == nil {
					break
				}
				if time.Now().After(end) {
					t.Errorf("publishing: %v", err)
					return
				}
			}
		}
	}
	publish(0, all/2)
	members := []*broker.Consumer{x.consume(h, "a"), x.consume(h, "b")}
	x.until("a thousand runs", func() bool { return h.count() >= 1000 })
	published := make(chan struct{})
	go func() { defer close(published); publish(all/2, all) }()
	x.Server.Kill()
	t.Logf("killed after %d runs", h.count())
	x.Server.Start(t)
	<-published
	x.until("all have run", func() bool { return h.count() >= all })
	x.until("all is acknowledged", func() bool { return x.Left(t, &x.broker) == 0 })
	for _, c := range members {
		c.Stop()
	}
	x.nothing(x.open("c"), 300*time.Millisecond)
	x.empty()
	got := h.numbers(t)
	slices.Sort(got)
	if n := len(got); n != all || len(slices.Compact(got)) != all {
		t.Errorf("%d runs, of %d messages", n, len(slices.Compact(got)))
	}
}
