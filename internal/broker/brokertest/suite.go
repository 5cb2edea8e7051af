// Package brokertest is the suite that every driver of a broker passes, against
// the real server.
package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Rig is a broker as the suite needs it.
type Rig struct {
	Server    *Server
	Address   string // host:port of the server
	Subscribe bellhop.Subscribe
	// Broker has the kind, the URL and the login. The rest is the suite's.
	Broker bellhop.Broker
	// Make makes an empty stream or queue.
	Make func(t testing.TB, name string)
	// Publish adds messages, durably, each with a number n: a field of Redis,
	// {"n": 7} elsewhere. What of them is there after an error is not known.
	Publish func(ctx context.Context, name string, numbers ...int) error
	// Raw adds one message as it is, as text/plain where there are types.
	Raw func(ctx context.Context, name, body string) error
	// Dead returns the reasons of what was put aside, by what was published: the
	// number or the raw text.
	Dead func(t testing.TB, b *bellhop.Broker) map[string]string
	// Left counts what is to be delivered, or is and was not settled.
	Left func(t testing.TB, b *bellhop.Broker) int
	// NoIDs: the broker has nothing that messages are known by.
	NoIDs bool
	// Unseen: Left does not know of what is delivered.
	Unseen bool
	// Claims: what is silent loses its messages, though it is connected.
	Claims bool
}

// Run is the suite. The server is killed at its end.
func Run(t *testing.T, r Rig) {
	type test struct {
		name string
		test func(*testing.T, *bench)
	}
	tests := []test{
		{"delivers in order and keeps what is not acknowledged", inOrder},
		{"shares among members", shared},
		{"gives what a dead member had to others", dead},
		{"gives back when it is closed", givenBack},
		{"puts aside", putAside},
		{"ends with its context", ends},
		{"ends with its connection", cut},
		{"tells no password", noPassword},
		{"makes runs of messages, and puts invalid ones aside", runs},
		{"stops at an invalid message", halts},
		{"holds messages while the store is away", held},
		{"takes 10,000 messages across a crash", crash},
	}
	if r.Claims {
		tests = append([]test{{"keeps what is extended", extended}}, tests...)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{T: t, Rig: r, proxy: NewProxy(t, r.Address)}
			b.broker = b.bind(strings.Map(plain, strings.ToLower(t.Name())))
			tt.test(t, b)
		})
	}
}

// plain makes names that every broker takes.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '_'
}

// bench is a rig in one test.
type bench struct {
	*testing.T
	Rig
	proxy  *Proxy
	broker bellhop.Broker
}

// bind is a broker with a stream or queue of its own.
func (x *bench) bind(name string) bellhop.Broker {
	x.Helper()
	name = name[max(0, len(name)-60):]
	x.Make(x, name)
	b := x.Rig.Broker
	b.Service, b.Name, b.From, b.Group, b.Job = "example", "b", name, "g", "hello"
	b.ClaimAfter, b.MaxInFlight, b.MaxSize = time.Second, 100, 1000
	b.DeadLetter, b.OnInvalid, b.OnRepeat = "dead_"+name, bellhop.OnInvalidDeadLetter, bellhop.OnRepeatQueue
	b.Args = bellhop.Args{"n": bellhop.Text("{event.n}")}
	b.URL = x.proxy.through(b.URL)
	return b
}

func (x *bench) ctx(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(x.Context(), d)
	x.Cleanup(cancel)
	return ctx
}

func (x *bench) open(member string) bellhop.Subscription {
	x.Helper()
	sub, err := x.Subscribe(x.Context(), &x.broker, member)
	if err != nil {
		x.Fatal(err)
	}
	x.Cleanup(sub.Close)
	return sub
}

func (x *bench) publish(from, to int) {
	x.Helper()
	var all []int
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	if err := x.Publish(x.ctx(patience), x.broker.From, all...); err != nil {
		x.Fatal(err)
	}
}

// receive takes n messages.
func (x *bench) receive(sub bellhop.Subscription, n int) (all []bellhop.Message) {
	x.Helper()
	for len(all) < n {
		ms, err := sub.Receive(x.ctx(patience), n-len(all))
		if err != nil {
			x.Fatalf("after %d of %d: %v", len(all), n, err)
		}
		if len(ms) == 0 || len(ms) > n-len(all) {
			x.Fatalf("%d messages, when at most %d were wanted", len(ms), n-len(all))
		}
		all = append(all, ms...)
	}
	return all
}

// nothing looks that no message comes for a while.
func (x *bench) nothing(sub bellhop.Subscription, d time.Duration) {
	x.Helper()
	if ms, err := sub.Receive(x.ctx(d), 100); err == nil {
		x.Fatalf("%v came, and nothing was to come", numbers(ms))
	}
}

func (x *bench) ack(sub bellhop.Subscription, ms ...bellhop.Message) {
	x.Helper()
	if err := sub.Ack(x.ctx(patience), ms); err != nil {
		x.Fatal(err)
	}
}

// until polls.
func (x *bench) until(what string, ok func() bool) {
	x.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			x.Fatalf("%s: it did not come to that", what)
		}
	}
}

// empty waits until nothing is left; an acknowledgement may be under way.
func (x *bench) empty() {
	x.Helper()
	x.until("nothing is left", func() bool { return x.Left(x, &x.broker) == 0 })
}

// number is the one of a message.
func number(m bellhop.Message) int {
	text := m.Fields["n"]
	if m.Fields == nil {
		text = strings.Trim(strings.TrimPrefix(string(m.Body), `{"n":`), " }")
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

func numbers(ms []bellhop.Message) []int {
	list := make([]int, len(ms))
	for i := range ms {
		list[i] = number(ms[i])
	}
	return list
}

func sequence(from, to int) (list []int) {
	for n := from; n < to; n++ {
		list = append(list, n)
	}
	return list
}

func inOrder(t *testing.T, x *bench) {
	sub := x.open("a")
	x.publish(0, 20)
	ms := x.receive(sub, 20)
	if got := numbers(ms); !slices.Equal(got, sequence(0, 20)) {
		t.Errorf("they come as %v", got)
	}
	seen := map[string]bool{}
	for _, m := range ms {
		if (m.ID == "") != x.NoIDs || seen[m.ID] && !x.NoIDs {
			t.Errorf("the id of %d is %q", number(m), m.ID)
		}
		seen[m.ID] = true
	}
	x.ack(sub, ms[:7]...)
	x.ack(sub, ms[8:]...)
	sub.Close()
	x.until("one is left", func() bool { return x.Left(x, &x.broker) == 1 })
	again := x.receive(x.open("b"), 1)[0]
	if number(again) != 7 || again.ID != ms[7].ID {
		t.Errorf("%d comes again, as %q; it was %q", number(again), again.ID, ms[7].ID)
	}
}

func shared(t *testing.T, x *bench) {
	a, b := x.open("a"), x.open("b")
	got := make(chan []bellhop.Message)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	take := func(sub bellhop.Subscription) {
		for {
			ms, err := sub.Receive(ctx, 3)
			if err == nil {
				err = sub.Ack(context.WithoutCancel(ctx), ms)
			}
			got <- ms
			if err != nil {
				return
			}
		}
	}
	go take(a)
	go take(b)
	x.publish(0, 100)
	var all []int
	ended := 0
	for ended < 2 {
		select {
		case ms := <-got:
			all = append(all, numbers(ms)...)
			if len(ms) == 0 {
				ended++
			}
			if len(all) == 100 {
				stop()
			}
		case <-time.After(patience):
			t.Fatalf("only %d came", len(all))
		}
	}
	slices.Sort(all)
	if !slices.Equal(all, sequence(0, 100)) {
		t.Errorf("%d came: %v", len(all), all)
	}
	a.Close()
	b.Close()
	x.empty()
}

func dead(t *testing.T, x *bench) {
	a := x.open("a")
	x.publish(0, 5)
	ms := x.receive(a, 5)
	x.proxy.Cut() // it never says that it goes
	b := x.open("b")
	again := x.receive(b, 5)
	got := numbers(again)
	slices.Sort(got)
	if !slices.Equal(got, sequence(0, 5)) {
		t.Errorf("%v come again", got)
	}
	for _, m := range again {
		if m.ID != ms[number(m)].ID {
			t.Errorf("%d was %q, and comes again as %q", number(m), ms[number(m)].ID, m.ID)
		}
	}
	x.ack(b, again...)
	x.empty()
}

func extended(t *testing.T, x *bench) {
	x.broker.ClaimAfter = 2 * time.Second
	a := x.open("a")
	x.publish(0, 3)
	ms := x.receive(a, 3)
	b := x.open("b")
	got := make(chan error, 1)
	go func() {
		_, err := b.Receive(t.Context(), 3)
		got <- err
	}()
	for range 5 { // longer than they may be silent
		select {
		case err := <-got:
			t.Fatalf("what is extended goes to another, or to nobody: %v", err)
		case <-time.After(x.broker.ClaimAfter / 4):
		}
		if err := a.Extend(x.ctx(patience), ms); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-got: // it was silent since
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("what is not extended any more goes to nobody")
	}
}

func givenBack(t *testing.T, x *bench) {
	x.broker.ClaimAfter = time.Minute
	a := x.open("a")
	x.publish(0, 3)
	x.receive(a, 3)
	a.Close()
	a.Close()
	begin := time.Now()
	if got := numbers(x.receive(x.open("b"), 3)); len(got) != 3 || time.Since(begin) > x.broker.ClaimAfter/2 {
		t.Errorf("%v came after %s", got, time.Since(begin))
	}
}

func putAside(t *testing.T, x *bench) {
	sub := x.open("a")
	x.publish(0, 3)
	ms := x.receive(sub, 3)
	if err := sub.DeadLetter(x.ctx(patience), ms[1], "it is odd"); err != nil {
		t.Fatal(err)
	}
	x.ack(sub, ms[0], ms[2])
	x.empty()
	if got := x.Dead(t, &x.broker); len(got) != 1 || got["1"] != "it is odd" {
		t.Errorf("put aside are %v", got)
	}
	x.nothing(sub, 300*time.Millisecond)
}

func ends(t *testing.T, x *bench) {
	sub := x.open("a")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	begin := time.Now()
	if _, err := sub.Receive(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("it says %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	sub.Close()
	x.publish(0, 1)
	x.receive(x.open("b"), 1)
}

func cut(t *testing.T, x *bench) {
	sub := x.open("a")
	time.AfterFunc(100*time.Millisecond, x.proxy.Cut)
	if _, err := sub.Receive(x.ctx(patience), 1); bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Errorf("it says %v", err)
	}
}

func noPassword(t *testing.T, x *bench) {
	for _, inURL := range []bool{true, false} {
		b := x.broker
		b.User, b.Password = "nobody", "s3cr3t-pass"
		if inURL {
			b.User, b.Password = "", ""
			scheme, rest, _ := strings.Cut(b.URL, "://")
			if _, host, ok := strings.Cut(rest, "@"); ok {
				rest = host
			}
			b.URL = fmt.Sprintf("%s://nobody:s3cr3t-pass@%s", scheme, rest)
		}
		sub, err := x.Subscribe(t.Context(), &b, "a")
		if err == nil {
			sub.Close()
		}
		if bellhop.CodeOf(err) != bellhop.Unavailable || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("a wrong password: %v", err)
		}
	}
	b := x.broker
	b.URL = strings.Replace(b.URL, x.proxy.Addr(), fmt.Sprintf("127.0.0.1:%d", FreePort(t)), 1)
	if _, err := x.Subscribe(t.Context(), &b, "a"); bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Errorf("nobody is there: %v", err)
	}
}
