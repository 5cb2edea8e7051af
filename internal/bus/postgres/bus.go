// Package postgres is the bus between servers that share a Postgres database,
// over LISTEN and NOTIFY.
//
// Subscribers of this process are woken by the process itself, at once; those
// of others by one notification for all topics of a few milliseconds. It
// carries hints only: while the database is away they are lost, and when the
// connection is back every subscriber is woken once and looks for itself.
package postgres

import (
	"context"
	"crypto/rand"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/jackc/pgx/v5"
)

const (
	channel = "bellhop"
	// every is how often at the most a notification is sent.
	every = 10 * time.Millisecond
	// maxPayload is below what Postgres takes, 8000 bytes.
	maxPayload = 7900
	// all stands for every topic, where there are too many to name.
	all = "*"
	// silence is how long nothing may be heard before the connection is tried.
	silence = 30 * time.Second

	minPause = 50 * time.Millisecond
	maxPause = 5 * time.Second

	sqlListen = `LISTEN ` + channel
	sqlNotify = `SELECT pg_notify('` + channel + `', $1)`
)

// Options say how to reach the others.
type Options struct {
	URL   string        // of the database, as the store has it
	Local bellhop.Bus   // wakes the subscribers of this process
	Clock bellhop.Clock // nil = bellhop.SystemClock; for pauses
	Log   *slog.Logger  // nil = none
}

// WithDefaults returns a copy with the defaults filled in.
func (o Options) WithDefaults() Options {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Bus is a bellhop.Bus. Close ends it.
type Bus struct {
	o      Options
	config *pgx.ConnConfig
	self   string // how this one knows its own notifications
	stop   context.CancelFunc
	done   sync.WaitGroup
	news   chan struct{} // there is something to send

	mu      sync.Mutex
	topics  map[string]int // subscriptions of this process
	pending map[string]struct{}
	size    int // of the pending ones, as they are sent

	outages outages
}

// New starts a bus. It connects by and by: as long as the database is away
// it is a bus within the process. A URL that can't be read is an Invalid error.
func New(_ context.Context, o Options) (*Bus, error) {
	o = o.WithDefaults()
	config, err := pgx.ParseConfig(withoutPool(o.URL))
	if err != nil { // pgx's own words may show parts of it
		return nil, bellhop.Errorf(bellhop.Invalid, "the URL of the bus's database can't be read; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %%40 for @, %%2F for / and so on within the password")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "bellhop bus"
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Bus{
		o: o, config: config, self: rand.Text(), stop: stop, news: make(chan struct{}, 1),
		topics: map[string]int{}, pending: map[string]struct{}{},
	}
	b.done.Go(func() { b.again(ctx, "listening", b.listen) })
	b.done.Go(func() { b.again(ctx, "sending", b.send) })
	return b, nil
}

// withoutPool leaves out what is said to the store's pool alone.
func withoutPool(url string) string {
	head, query, ok := strings.Cut(url, "?")
	if !ok {
		return url
	}
	settings := slices.DeleteFunc(strings.Split(query, "&"), func(s string) bool { return strings.HasPrefix(s, "pool_") })
	return head + "?" + strings.Join(settings, "&")
}

// Close ends the bus; wake-ups within the process go on. It may be called
// twice.
func (b *Bus) Close() {
	b.stop()
	b.done.Wait()
}

// Publish wakes every present subscriber of topic, in every process.
func (b *Bus) Publish(topic string) {
	b.o.Local.Publish(topic)
	b.mu.Lock()
	if _, ok := b.pending[all]; !ok {
		if _, ok := b.pending[topic]; !ok {
			b.pending[topic] = struct{}{}
			b.size += len(topic) + 1
		}
		if b.size+len(b.self) > maxPayload || strings.Contains(topic, "\n") {
			b.pending, b.size = map[string]struct{}{all: {}}, len(all)+1
		}
	}
	b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// Subscribe returns a channel with room for one wake-up, and its end.
func (b *Bus) Subscribe(topic string) (<-chan struct{}, func()) {
	c, end := b.o.Local.Subscribe(topic)
	b.mu.Lock()
	b.topics[topic]++
	b.mu.Unlock()
	var once sync.Once
	return c, func() {
		end()
		once.Do(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.topics[topic]--; b.topics[topic] == 0 {
				delete(b.topics, topic)
			}
		})
	}
}

// wakeAll wakes every subscriber of this process.
func (b *Bus) wakeAll() {
	b.mu.Lock()
	topics := make([]string, 0, len(b.topics))
	for topic := range b.topics {
		topics = append(topics, topic)
	}
	b.mu.Unlock()
	for _, topic := range topics {
		b.o.Local.Publish(topic)
	}
}

// again has work done on a connection, on a new one whenever that is lost,
// after a pause that grows while there is none.
func (b *Bus) again(ctx context.Context, doing string, work func(context.Context, *pgx.Conn) error) {
	pause := minPause
	for ctx.Err() == nil {
		conn, err := pgx.ConnectConfig(ctx, b.config)
		if err == nil {
			pause = minPause
			b.up(doing)
			err = work(ctx, conn)
			_ = conn.Close(context.Background())
		}
		if ctx.Err() != nil {
			return
		}
		b.down(doing, err)
		if !b.wait(ctx, pause/2+mathrand.N(pause)) {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// wait returns false when the bus was closed meanwhile.
func (b *Bus) wait(ctx context.Context, d time.Duration) bool {
	c, stop := b.o.Clock.NewTimer(d)
	defer stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// listen wakes subscribers until the connection is lost.
func (b *Bus) listen(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, sqlListen); err != nil {
		return err
	}
	b.wakeAll() // nobody knows what was missed
	for {
		part, cancel := context.WithTimeout(ctx, silence)
		n, err := conn.WaitForNotification(part)
		quiet := part.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			b.hear(n.Payload)
		case quiet && !conn.IsClosed():
			ping, cancel := context.WithTimeout(ctx, silence)
			err := conn.Ping(ping)
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// hear wakes those whom a notification is about, unless it is one's own.
func (b *Bus) hear(payload string) {
	from, topics, _ := strings.Cut(payload, "\n")
	if from == b.self {
		return
	}
	for topic := range strings.SplitSeq(topics, "\n") {
		if topic == all {
			b.wakeAll()
			return
		}
		b.o.Local.Publish(topic)
	}
}

// send tells the others what was published, until the connection is lost.
func (b *Bus) send(ctx context.Context, conn *pgx.Conn) error {
	for {
		select {
		case <-b.news:
		case <-ctx.Done():
			return ctx.Err()
		}
		payload := b.take()
		if payload == "" {
			continue
		}
		part, cancel := context.WithTimeout(ctx, silence)
		_, err := conn.Exec(part, sqlNotify, payload)
		cancel()
		if err != nil {
			b.lost()
			return err
		}
		if !b.wait(ctx, every) {
			return ctx.Err()
		}
	}
}

// take returns what is to be sent, "" for nothing.
func (b *Bus) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) == 0 {
		return ""
	}
	topics := []string{b.self}
	for topic := range b.pending {
		topics = append(topics, topic)
	}
	clear(b.pending)
	b.size = 0
	return strings.Join(topics, "\n")
}

// lost notes that some notification may not have gone out: the next one, when
// the connection is back, is for everybody.
func (b *Bus) lost() {
	b.mu.Lock()
	b.pending, b.size = map[string]struct{}{all: {}}, len(all)+1
	b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}
