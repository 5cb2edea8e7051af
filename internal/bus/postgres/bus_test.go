package postgres_test

import (
	"context"
	"fmt"
	"strings"
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
	woken(t, "the last of many", last)
	pass(t, one, two)
	asleep(t, "again", last)
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
