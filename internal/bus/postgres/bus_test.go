package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/bus"
	"github.com/bellhop-io/bellhop/internal/bus/postgres"
	"github.com/bellhop-io/bellhop/internal/store/postgres/pgtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is a safety net, not a measure.
const within = time.Minute

func start(t *testing.T, url string) *postgres.Bus {
	t.Helper()
	b, err := postgres.New(context.Background(), postgres.Options{URL: url, Local: &bus.Local{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func woken(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(within):
		t.Fatalf("%s: nobody was woken", what)
	}
}

func asleep(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Errorf("%s: woken", what)
	default:
	}
}

// pass publishes a topic on one bus until another one hears of it: both are
// connected then, and all that was sent before has been heard.
func pass(t *testing.T, from, to *postgres.Bus) {
	t.Helper()
	c, end := to.Subscribe("pass")
	defer end()
	for deadline := time.Now().Add(within); ; {
		from.Publish("pass")
		select {
		case <-c:
			return
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was heard of another process")
		}
	}
}

// pair starts two buses that hear each other.
func pair(t *testing.T, url string) (one, two *postgres.Bus) {
	t.Helper()
	one, two = start(t, url), start(t, url)
	pass(t, one, two)
	pass(t, two, one)
	return one, two
}

func TestWakesOtherProcesses(t *testing.T) {
	url := pgtest.URL(t)
	one, two := pair(t, url)
	a, endA := two.Subscribe("a")
	defer endA()
	b, endB := two.Subscribe("b")
	defer endB()
	own, endOwn := one.Subscribe("a")
	defer endOwn()
	one.Publish("a")
	select { // at once, whatever the database does
	case <-own:
	default:
		t.Error("a subscriber of the same process was not woken at once")
	}
	woken(t, "of another process", a)
	pass(t, two, one)
	pass(t, one, two)
	asleep(t, "by another topic", b)
	asleep(t, "twice by one's own", own)
}

func TestTooManyTopicsWakeEverybody(t *testing.T) {
	url := pgtest.URL(t)
	one, two := pair(t, url)
	last, end := two.Subscribe("topic-2999")
	defer end()
	other, endOther := two.Subscribe("a topic with\na line break")
	defer endOther()
	for i := range 3000 {
		one.Publish(fmt.Sprint("topic-", i))
	}
	woken(t, "the last of many", last) // and maybe again: what was published meanwhile goes out later
	pass(t, one, two)
	one.Publish("a topic with\na line break")
	woken(t, "with a line break", other)
}

func TestAfterACutConnectionEverybodyIsWoken(t *testing.T) {
	url := pgtest.URL(t)
	one, two := pair(t, url)
	c, end := two.Subscribe("anything")
	defer end()
	pgtest.Exec(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bellhop bus' AND datname = current_database()")
	woken(t, "after the cut", c)
	// What is published at any time arrives in the end.
	a, endA := two.Subscribe("a")
	defer endA()
	one.Publish("a")
	woken(t, "by what came after the cut", a)
}

func TestWithoutDatabaseItIsABusWithinTheProcess(t *testing.T) {
	b := start(t, "postgres://nobody:hunter2@/none?host=/nowhere&pool_max_conns=3")
	c, end := b.Subscribe("a")
	b.Publish("a")
	woken(t, "of the same process", c)
	end()
	end() // twice is fine
	b.Publish("a")
	asleep(t, "after the end", c)
	b.Close()
	b.Close()
}

func TestABadURLShowsNoPassword(t *testing.T) {
	_, err := postgres.New(context.Background(), postgres.Options{URL: "postgres://u:hunter2@host:port/x", Local: &bus.Local{}})
	if bellhop.CodeOf(err) != bellhop.Invalid || strings.Contains(fmt.Sprintf("%v %#v", err, err), "hunter2") {
		t.Errorf("error is %#v, want an Invalid one without the password", err)
	}
}

// hand is a clock that is moved by hand; its timers are real, and short.
type hand struct {
	bellhop.SystemClock
	mu    sync.Mutex
	now   time.Time
	tries int // timers that were made
}

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hand) NewTimer(time.Duration) (<-chan time.Time, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries++
	return h.SystemClock.NewTimer(time.Millisecond)
}

// logs is what was logged.
type logs struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) count(t *testing.T, want string, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Count(l.buf.String(), want); got != n {
		t.Errorf("the log has %q %d times, want %d:\n%s", want, got, n, l.buf.String())
	}
}

// TestAnOutageIsLoggedOnce: when it begins, once a minute, and when it ends.
func TestAnOutageIsLoggedOnce(t *testing.T) {
	server := pgtest.Start(t, "fsync=off")
	url := server.URL(t)
	clock, log := &hand{now: time.Unix(1e9, 0)}, &logs{}
	b, err := postgres.New(context.Background(), postgres.Options{URL: url, Local: &bus.Local{}, Clock: clock, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	other := start(t, url)
	pass(t, b, other)
	pass(t, other, b)
	// tried waits until the bus has tried in vain for some more times.
	tried := func() {
		t.Helper()
		clock.mu.Lock()
		from := clock.tries
		clock.mu.Unlock()
		for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
			clock.mu.Lock()
			now := clock.tries
			clock.mu.Unlock()
			if now >= from+10 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the bus tries no more")
			}
		}
	}
	server.Stop()
	b.Publish("a") // so that both connections are found to be lost
	tried()
	clock.mu.Lock()
	clock.now = clock.now.Add(time.Minute)
	clock.mu.Unlock()
	tried()
	log.count(t, "the bus has no connection", 1)
	log.count(t, "the bus still has no connection", 1)
	log.count(t, `\n`, 0)
	server.Start(t)
	pass(t, b, other)
	pass(t, other, b)
	log.count(t, "the bus is connected to the database again", 1)
	log.count(t, "level=WARN", 2)
}
