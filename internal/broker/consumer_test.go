package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a broker, and the house that takes its messages; the real ones are
// in the suite of the drivers.
type fake struct {
	mu      sync.Mutex
	away    error // what a subscription fails with
	dials   []time.Time
	waiting []bellhop.Message
	faults  func(bellhop.Invocation) error
	takes   int
	slow    time.Duration // how long the store takes
	full    bool          // nothing can be put aside

	keys     []string
	acked    []string
	dead     map[string]string
	extended int
	closed   int
	ended    chan struct{} // closed with the connection
}

func newFake(ms ...bellhop.Message) *fake {
	return &fake{waiting: ms, dead: map[string]string{}, ended: make(chan struct{})}
}

func (f *fake) do(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func (f *fake) Take(ctx context.Context, _ *bellhop.Broker, wants []bellhop.Invocation) []error {
	f.do(func() { f.takes++ })
	if f.slow > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(f.slow):
		}
	}
	faults := make([]error, len(wants))
	f.do(func() {
		for i, w := range wants {
			if f.faults != nil {
				faults[i] = f.faults(w)
			}
			if ctx.Err() != nil {
				faults[i] = bellhop.Errorf(bellhop.Unavailable, "%w", ctx.Err())
			}
			if faults[i] == nil {
				f.keys = append(f.keys, w.Key)
			}
		}
	})
	return faults
}

func (f *fake) subscribe(context.Context, *bellhop.Broker, string) (bellhop.Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials = append(f.dials, time.Now())
	if f.away != nil {
		return nil, f.away
	}
	return &link{fake: f}, nil
}

type link struct {
	*fake
	held []bellhop.Message
}

func (l *link) Receive(ctx context.Context, max int) ([]bellhop.Message, error) {
	l.mu.Lock()
	n := min(max, len(l.waiting))
	l.held, l.waiting = slices.Clone(l.waiting[:n]), l.waiting[n:]
	l.mu.Unlock()
	if n > 0 {
		return l.held, nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.ended:
		return nil, errors.New("cut")
	}
}

func (l *link) Ack(_ context.Context, done []bellhop.Message) error {
	l.do(func() {
		for _, m := range done {
			l.acked = append(l.acked, m.ID)
		}
	})
	return nil
}

func (l *link) DeadLetter(_ context.Context, m bellhop.Message, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return errors.New("the disk is full")
	}
	l.dead[m.ID] = reason
	return nil
}

func (l *link) Extend(_ context.Context, held []bellhop.Message) error {
	l.do(func() { l.extended += len(held) })
	return nil
}

func (l *link) Close() { l.do(func() { l.closed++ }) }

func entry() bellhop.Broker {
	return bellhop.Broker{
		Service: "s", Name: "b", Job: "j", Args: bellhop.Args{"n": bellhop.Text("{event.n}")}, MaxInFlight: 10, MaxSize: 100,
		ClaimAfter: 3 * time.Second, OnInvalid: bellhop.OnInvalidDeadLetter,
	}
}

func message(id, body string) bellhop.Message { return bellhop.Message{ID: id, Body: []byte(body)} }

func consume(t *testing.T, f *fake, b bellhop.Broker) *broker.Consumer {
	t.Helper()
	c := broker.New(broker.Options{Broker: b, Subscribe: f.subscribe, House: f, Random: func() float64 { return 1 }})
	c.Start(t.Context())
	t.Cleanup(c.Stop)
	return c
}

// TestPausesGrow: what is away is tried again ever more seldom, and is told of.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(message("1", `{"n":1}`))
		f.away = errors.New("nobody is there")
		c := consume(t, f, entry())
		time.Sleep(2 * time.Minute)
		var pauses []time.Duration
		f.do(func() {
			for i := 1; i < len(f.dials); i++ {
				pauses = append(pauses, f.dials[i].Sub(f.dials[i-1]))
			}
		})
		want := []time.Duration{250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		if err := c.Ready(); bellhop.CodeOf(err) != bellhop.Unavailable || err.Error() != "nobody is there; it is tried again" {
			t.Error(err)
		}
		f.do(func() { f.away = nil })
		time.Sleep(time.Minute)
		f.do(func() {
			if err := c.Ready(); err != nil || !slices.Equal(f.acked, []string{"1"}) {
				t.Errorf("%v, acknowledged %v", err, f.acked)
			}
			f.dials = nil
		})
		close(f.ended) // it worked, so that the first pause is a short one
		time.Sleep(500 * time.Millisecond)
		f.do(func() {
			if len(f.dials) == 0 {
				t.Error("it is not tried again soon")
			}
		})
		c.Stop()
	})
	for _, tt := range []struct {
		failures int
		random   float64
		want     time.Duration
	}{{0, 0, 125 * time.Millisecond}, {0, 0.5, 187500 * time.Microsecond}, {3, 1, 2 * time.Second}, {100, 0, 15 * time.Second}, {1 << 40, 1, 30 * time.Second}} {
		if got := broker.Pause(tt.failures, tt.random); got != tt.want {
			t.Errorf("after %d failures, %v: %s, want %s", tt.failures, tt.random, got, tt.want)
		}
	}
}

// TestWhatIsHeldIsExtended: while the store is slow or away, the broker is told
// that the messages are worked on, and nothing is acknowledged.
func TestWhatIsHeldIsExtended(t *testing.T) {
	for name, slow := range map[string]bool{"away": false, "slow": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(message("1", `{"n":1}`), message("2", `{"n":2}`))
				away := true
				if slow {
					f.slow = time.Minute
				} else {
					f.faults = func(bellhop.Invocation) error {
						if away {
							return bellhop.Errorf(bellhop.Unavailable, "the disk is full")
						}
						return nil
					}
				}
				c := consume(t, f, entry())
				time.Sleep(50*time.Second + time.Millisecond)
				f.do(func() {
					if f.extended < 80 || len(f.acked) > 0 {
						t.Errorf("extended %d times in 50 s, acknowledged %v", f.extended/2, f.acked)
					}
					away = false
				})
				time.Sleep(time.Minute)
				f.do(func() {
					if !slices.Equal(f.acked, []string{"1", "2"}) || len(f.keys) != 2 {
						t.Errorf("acknowledged %v, of %v", f.acked, f.keys)
					}
				})
				if err := c.Ready(); err != nil {
					t.Error(err)
				}
				c.Stop()
			})
		})
	}
}

// TestAStopWaitsForWhatIsWritten, so that it is acknowledged; but not for ever.
func TestAStopWaitsForWhatIsWritten(t *testing.T) {
	for _, tt := range []struct {
		slow time.Duration
		want []string
		took time.Duration
	}{{4 * time.Second, []string{"1"}, 3 * time.Second}, {time.Hour, nil, 5 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(message("1", `{"n":1}`))
			f.slow = tt.slow
			c := consume(t, f, entry())
			time.Sleep(time.Second)
			begin := time.Now()
			c.Stop()
			if took := time.Since(begin); took != tt.took || !slices.Equal(f.acked, tt.want) || f.closed != 1 {
				t.Errorf("a store that takes %s: the stop took %s, acknowledged %v, closed %d times", tt.slow, took, f.acked, f.closed)
			}
		})
	}
}

// TestWhatBecomesOfMessages has each kind of them, and of errors.
func TestWhatBecomesOfMessages(t *testing.T) {
	faults := map[string]error{
		"3": bellhop.Errorf(bellhop.Invalid, "n is bad"), "4": bellhop.Errorf(bellhop.NotAllowed, "not for you"), "5": bellhop.Errorf(bellhop.NotFound, "no job"),
		"6": bellhop.Errorf(bellhop.Conflict, "the same waits"),
	}
	for _, tt := range []struct {
		on          bellhop.OnInvalid
		full        bool
		acked, dead string
	}{
		{bellhop.OnInvalidDeadLetter, false, "0 1 6 7", "2 3 4 5"},
		{bellhop.OnInvalidDrop, false, "0 1 2 3 4 5 6 7", ""},
		{bellhop.OnInvalidStop, false, "0 1", ""},
		{bellhop.OnInvalidDeadLetter, true, "0 1 6 7", ""}, // what can't be put aside holds up nothing else
	} {
		t.Run(fmt.Sprint(tt.on, tt.full), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				for i := range 8 {
					body := fmt.Sprintf(`{"n":%d}`, i)
					if i == 2 {
						body = "{"
					}
					f.waiting = append(f.waiting, message(fmt.Sprint(i), body))
				}
				f.full = tt.full
				f.faults = func(w bellhop.Invocation) error { return faults[w.Args["n"].Text] }
				b := entry()
				b.OnInvalid = tt.on
				b.When = []bellhop.Condition{{Path: "n", Any: []string{"0"}, Not: true}} // 0 is not wanted
				c := consume(t, f, b)
				time.Sleep(time.Second)
				synctest.Wait()
				f.do(func() {
					var dead []string
					for id := range f.dead {
						dead = append(dead, id)
					}
					slices.Sort(dead)
					if got := strings.Join(f.acked, " "); got != tt.acked || strings.Join(dead, " ") != tt.dead {
						t.Errorf("acknowledged %s, put aside %v", got, dead)
					}
				})
				if err := c.Ready(); c.Halted() != (tt.on == bellhop.OnInvalidStop) || (err != nil) != c.Halted() {
					t.Errorf("halted %t, %v", c.Halted(), err)
				}
				if again := len(f.dials) > 1; again != tt.full { // under another subscription
					t.Errorf("connected %d times", len(f.dials))
				}
				c.Stop()
			})
		})
	}
}

// TestKeys: the same request has the same key, however it comes, and every key
// can be kept.
func TestKeys(t *testing.T) {
	long := strings.Repeat("k", 300)
	for _, tt := range []struct {
		key  string
		m    bellhop.Message
		want string // "" = another each time
	}{
		{"", message("s/1", `{"n":1}`), "broker:s/b/id/s/1"},
		{"{event.n}-{message.subject}", bellhop.Message{ID: "x", Body: []byte(`{"n":1}`), Subject: "a.b"}, "broker:s/b/key/1-a.b"},
		{"", message("", `{"n":1}`), ""},
		{"{event.n}", message("", `{"n":"`+long[:90]+`"}`), "broker:s/b/key/" + long[:90]},
		{"", message(long, `{"n":1}`), "broker:s/b/id/~"},
		{"{event.n}", message("", `{"n":"a\u0000b"}`), "broker:s/b/key/~"},
		{"{event.n}", message("", "{\"n\":\"a\\nb\"}"), "broker:s/b/key/~"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := entry()
			b.Key, b.MaxSize = tt.key, 1000
			f := newFake(tt.m, tt.m)
			c := consume(t, f, b)
			synctest.Wait()
			f.do(func() {
				if len(f.keys) != 2 || (f.keys[0] == f.keys[1]) != (tt.want != "") || !strings.HasPrefix(f.keys[0], tt.want) || len(f.keys[0]) > 400 {
					t.Errorf("%q of %s: keys %q", tt.key, tt.m.Body, f.keys)
				}
			})
			c.Stop()
		})
	}
	synctest.Test(t, func(t *testing.T) { // no key is no key
		b := entry()
		b.Key = "{event.k}"
		f := newFake(message("1", `{"n":1}`), message("2", `{"n":1,"k":" "}`))
		c := consume(t, f, b)
		synctest.Wait()
		f.do(func() {
			if len(f.dead) != 2 || f.dead["1"] != "key wants event.k, which this event does not have" || f.dead["2"] != "its key is empty" {
				t.Errorf("put aside %v", f.dead)
			}
		})
		c.Stop()
	})
}

// TestSetFollows: what is new is started, what is gone is stopped, what has
// changed or was halted begins anew, and the rest is left alone.
func TestSetFollows(t *testing.T) {
	fakes := map[string][]*fake{}
	s := broker.NewSet(func(b bellhop.Broker) *broker.Consumer {
		f := newFake()
		if b.OnInvalid == bellhop.OnInvalidStop {
			f.waiting = []bellhop.Message{message("1", "{")}
		}
		fakes[b.Name] = append(fakes[b.Name], f)
		return broker.New(broker.Options{Broker: b, Subscribe: f.subscribe, House: f})
	})
	of := func(names ...string) (all []bellhop.Broker) {
		for i, n := range names {
			b := entry()
			b.Name, b.Pos.Line = n, i
			if n == "halts" {
				b.OnInvalid = bellhop.OnInvalidStop
			}
			all = append(all, b)
		}
		return all
	}
	s.Follow(t.Context(), of("a", "b", "halts"))
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		st := s.States()
		if len(st) == 3 && st[0].Name == "broker:s/a" && st[0].Err == nil && st[1].Err == nil && bellhop.CodeOf(st[2].Err) == bellhop.Invalid {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", st)
		}
	}
	changed := of("b", "c", "halts")
	changed[0].MaxInFlight = 1
	s.Follow(t.Context(), changed)
	s.Follow(t.Context(), changed[:2])
	got := map[string]int{}
	for name, list := range fakes {
		got[name] = len(list)
	}
	if want := map[string]int{"a": 1, "b": 2, "c": 1, "halts": 2}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("made %v, want %v", got, want)
	}
	s.Stop()
	s.Stop()
	s.Follow(t.Context(), of("d"))
	if len(fakes["d"]) > 0 {
		t.Error("it follows after its stop")
	}
}

// FuzzMessages: whatever comes, it is a run or put aside, and a key can be kept.
func FuzzMessages(f *testing.F) {
	f.Add("application/json", `{"n":1}`, "id", "subject", "{event.n}")
	f.Add("text/plain", "x\x00\xff", "\xff", "", "{message.subject}{event.body}")
	f.Add("application/x-www-form-urlencoded", "n=1&n=2", "", "a.b", "{message.header.a}")
	f.Fuzz(func(t *testing.T, kind, body, id, subject, template string) {
		synctest.Test(t, func(t *testing.T) {
			m := bellhop.Message{ID: id, Type: kind, Body: []byte(body), Subject: subject, Headers: map[string]string{"a": body}}
			fields := bellhop.Message{ID: id, Fields: map[string]string{"n": body, kind: subject}}
			b := entry()
			b.Key, b.MaxSize = template, 1<<20
			b.Args["m"] = bellhop.Text(template)
			fk := newFake(m, fields)
			c := consume(t, fk, b)
			synctest.Wait()
			c.Stop()
			if len(fk.acked)+len(fk.dead) == 0 {
				t.Error("nothing became of it")
			}
			for _, k := range fk.keys {
				if len(k) > 400 || strings.ContainsAny(k, "\x00\n") {
					t.Errorf("key %q", k)
				}
			}
		})
	})
}

// TestWhatIsToldOfAMessage: whether messages are taken is told to everybody
// (/readyz); what stands in one is for the log.
func TestWhatIsToldOfAMessage(t *testing.T) {
	for _, on := range []bellhop.OnInvalid{bellhop.OnInvalidStop, bellhop.OnInvalidDeadLetter} {
		t.Run(string(on), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.full = true
				f.waiting = append(f.waiting, message("1", `{"n":1}`))
				f.faults = func(bellhop.Invocation) error { return bellhop.Errorf(bellhop.Invalid, "n is no number: hunter2") }
				b := entry()
				b.OnInvalid = on
				var log bytes.Buffer
				c := broker.New(broker.Options{
					Broker: b, Subscribe: f.subscribe, House: f, Random: func() float64 { return 1 }, Log: slog.New(slog.NewTextHandler(&log, nil)),
				})
				c.Start(t.Context())
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if err := c.Ready(); err == nil || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("it says %v", err)
				}
				c.Stop()
				if !strings.Contains(log.String(), "hunter2") {
					t.Errorf("the log says %s", &log)
				}
			})
		})
	}
}
