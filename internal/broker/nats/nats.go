// Package nats takes messages of JetStream streams, by a durable consumer that
// servers share.
package nats

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/dial"
)

const (
	// pull is how long one request for messages waits at the server.
	pull = 5 * time.Second
	// answer is how long the server may take to answer, and leave what a close
	// may take.
	answer = 10 * time.Second
	leave  = 3 * time.Second
	// alive is how often the server is asked whether it is there.
	alive = 10 * time.Second
)

// New returns what connects to a NATS server.
func New() bellhop.Subscribe {
	return func(ctx context.Context, b *bellhop.Broker, member string) (bellhop.Subscription, error) {
		return subscribe(ctx, b, member)
	}
}

type subscription struct {
	b        *bellhop.Broker
	conn     *client.Conn
	js       jetstream.JetStream
	consumer jetstream.Consumer
	// lost is closed with the connection.
	lost chan struct{}
	// batch is what is asked for and may still come: as many as there is room
	// for, so that no more are held than may be.
	batch jetstream.MessageBatch
	end   context.CancelFunc     // of batch; nil = there was none
	held  map[jetstream.Msg]bool // that are not settled
	close sync.Once
}

func subscribe(ctx context.Context, b *bellhop.Broker, member string) (bellhop.Subscription, error) {
	s := &subscription{b: b, lost: make(chan struct{}), held: map[jetstream.Msg]bool{}}
	opts, servers, err := s.options(member)
	if err != nil {
		return nil, err
	}
	if s.conn, err = client.Connect(servers, opts...); err != nil {
		return nil, s.fault(err)
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(answer)); err == nil {
		err = s.join(ctx)
	}
	if err != nil {
		s.Close()
		return nil, s.fault(err)
	}
	return s, nil
}

// options say, before all, that nothing is connected again behind our back:
// whoever has the subscription does, with everything that belongs to it.
func (s *subscription) options(member string) (opts []client.Option, servers string, err error) {
	urls, err := bellhop.BrokerURLs(bellhop.BrokerNATS, s.b.URL)
	if err != nil {
		return nil, "", err
	}
	var list []string
	for _, u := range urls {
		user, password := dial.Login(s.b, u)
		plain := *u
		if plain.User = nil; s.b.Token == "" && s.b.Credentials == "" && user != "" {
			opts = append(opts, client.UserInfo(user, password))
		}
		list = append(list, plain.String())
		if u.Scheme == "tls" {
			// Without a name, which is that of the server that is tried.
			c, err := dial.TLS(s.b, "")
			if err != nil {
				return nil, "", err
			}
			opts = append(opts, client.Secure(c))
		}
	}
	if s.b.Token != "" {
		opts = append(opts, client.Token(s.b.Token))
	}
	if s.b.Credentials != "" {
		opts = append(opts, client.UserCredentials(s.b.Credentials))
	}
	return append(opts, client.Name("bellhop "+member), client.NoReconnect(), client.Timeout(answer), client.PingInterval(alive), client.MaxPingsOutstanding(2),
		client.ClosedHandler(func(*client.Conn) { close(s.lost) }),
		client.ErrorHandler(func(*client.Conn, *client.Subscription, error) {}), // else it is printed
	), strings.Join(list, ","), nil
}

// join finds the consumer, or makes it as the configuration has it. Where it
// begins is decided once.
func (s *subscription) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.b.From)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return bellhop.Errorf(bellhop.Unavailable, "the NATS server has no stream %s; make it there, or correct stream (%w)", s.b.From, err)
	} else if err != nil {
		return err
	}
	if err := s.checkDeadLetter(stream.CachedInfo().Config.Subjects); err != nil {
		return err
	}
	s.consumer, err = stream.Consumer(ctx, s.b.Group)
	if s.b.Foreign {
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			err = bellhop.Errorf(bellhop.Unavailable, "the stream %s has no consumer %s; make it there, or remove consumer, so that one is made (%w)", s.b.From, s.b.Group, err)
		} else if err == nil && s.consumer.CachedInfo().Config.AckPolicy == jetstream.AckNonePolicy {
			err = bellhop.Errorf(bellhop.Unavailable, "the consumer %s takes no acknowledgements, so that messages would be lost; make it with explicit ones", s.b.Group)
		}
		return err
	}
	want := jetstream.ConsumerConfig{Durable: s.b.Group, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1}
	switch {
	case err == nil:
		want = s.consumer.CachedInfo().Config
		if want.FilterSubject == s.b.Subject && want.AckWait == s.b.ClaimAfter {
			return nil
		}
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return err
	case s.b.OnlyNew:
		want.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	want.FilterSubject, want.AckWait = s.b.Subject, s.b.ClaimAfter
	s.consumer, err = stream.CreateOrUpdateConsumer(ctx, want)
	return err
}

// checkDeadLetter sees to it that what is put aside does not come back.
func (s *subscription) checkDeadLetter(subjects []string) error {
	if s.b.Subject != "" {
		subjects = []string{s.b.Subject}
	}
	for _, pattern := range subjects {
		if s.b.OnInvalid == bellhop.OnInvalidDeadLetter && Matches(pattern, s.dead()) {
			return bellhop.Errorf(bellhop.Unavailable, "what is put aside as %s would be taken again, since it is one of %s; give dead_letter another subject", s.dead(), pattern)
		}
	}
	return nil
}

// Matches reports whether a subject is one of a pattern: * stands for a word,
// > at the end for one or more.
func Matches(pattern, subject string) bool {
	words := strings.Split(subject, ".")
	parts := strings.Split(pattern, ".")
	for i, p := range parts {
		if p == ">" && i == len(parts)-1 {
			return len(words) > i
		}
		if i >= len(words) || p != "*" && p != words[i] {
			return false
		}
	}
	return len(words) == len(parts)
}

func (s *subscription) dead() string {
	if s.b.DeadLetter != "" {
		return s.b.DeadLetter
	}
	return "dead." + s.b.From
}

func (s *subscription) fault(err error) error {
	if own, ok := errors.AsType[*bellhop.Error](err); ok {
		return own
	}
	return dial.Fault(s.b, "the NATS server", err)
}

// Receive waits for the first message, and takes along what has come with it.
func (s *subscription) Receive(ctx context.Context, max int) ([]bellhop.Message, error) {
	for {
		if s.batch == nil {
			if err := s.fetch(max); err != nil {
				return nil, s.fault(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.lost:
			return nil, s.fault(client.ErrConnectionClosed)
		case m, ok := <-s.batch.Messages():
			if ok {
				return s.more(m, max), nil
			}
		}
		err := s.batch.Error()
		s.end()
		if s.batch = nil; err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, s.fault(err)
		}
	}
}

// fetch asks for messages. It has a context of its own: what Close ends is gone
// with it.
func (s *subscription) fetch(max int) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), pull)
	if s.batch, err = s.consumer.Fetch(max, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(time.Second)); err != nil {
		cancel()
		return err
	}
	s.end = cancel
	return nil
}

// more takes what is there already.
func (s *subscription) more(first jetstream.Msg, max int) []bellhop.Message {
	ms := []bellhop.Message{s.message(first)}
	for len(ms) < max {
		select {
		case m, ok := <-s.batch.Messages():
			if !ok {
				return ms // Receive sees that again
			}
			ms = append(ms, s.message(m))
		default:
			return ms
		}
	}
	return ms
}

// message is known by its number, and by when it was stored: a stream that was
// made anew begins to count anew.
func (s *subscription) message(m jetstream.Msg) bellhop.Message {
	s.held[m] = true
	out := bellhop.Message{Body: m.Data(), Type: m.Headers().Get("Content-Type"), Subject: m.Subject(), Handle: m}
	if len(m.Headers()) > 0 {
		out.Headers = make(map[string]string, len(m.Headers()))
		for k, v := range m.Headers() {
			if len(v) > 0 {
				out.Headers[k] = v[0]
			}
		}
	}
	if meta, err := m.Metadata(); err == nil {
		out.ID = meta.Stream + "/" + strconv.FormatUint(meta.Sequence.Stream, 10) + "/" + strconv.FormatInt(meta.Timestamp.UnixNano(), 36)
	}
	return out
}

// each does something with the messages as the client has them.
func (s *subscription) each(ms []bellhop.Message, settled bool, do func(jetstream.Msg) error) error {
	for i := range ms {
		m, ok := ms[i].Handle.(jetstream.Msg)
		if !ok {
			continue
		}
		if err := do(m); err != nil {
			return s.fault(err)
		}
		if settled {
			delete(s.held, m)
		}
	}
	return nil
}

// Ack says so, and that it has arrived.
func (s *subscription) Ack(ctx context.Context, done []bellhop.Message) error {
	if err := s.each(done, true, jetstream.Msg.Ack); err != nil {
		return err
	}
	return s.flush(ctx)
}

func (s *subscription) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answer) // the client wants a bound
	defer cancel()
	if err := s.conn.FlushWithContext(ctx); err != nil {
		return s.fault(err)
	}
	return nil
}

// DeadLetter publishes the message under another subject, with where it is
// from and the reason in headers. For the subject of its own making it makes a
// stream as well.
func (s *subscription) DeadLetter(ctx context.Context, m bellhop.Message, reason string) error {
	out := client.NewMsg(s.dead())
	out.Data = m.Body
	for k, v := range m.Headers {
		if !strings.HasPrefix(strings.ToLower(k), "nats-") { // which are for the server, of the stream that it came by
			out.Header.Set(k, v)
		}
	}
	out.Header.Set(jetstream.MsgIDHeader, m.ID) // put aside again, it is once there
	out.Header.Set("Bellhop-Id", m.ID)
	out.Header.Set("Bellhop-Subject", m.Subject)
	out.Header.Set("Bellhop-Broker", s.b.Principal())
	out.Header.Set("Bellhop-Reason", strings.Map(line, reason))
	_, err := s.js.PublishMsg(ctx, out)
	if errors.Is(err, jetstream.ErrNoStreamResponse) && s.b.DeadLetter == "" {
		_, err = s.js.CreateStream(ctx, jetstream.StreamConfig{Name: s.b.From + "-dead", Subjects: []string{s.dead()}, Description: "what bellhop could not make runs of"})
		if err == nil {
			_, err = s.js.PublishMsg(ctx, out)
		}
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return bellhop.Errorf(bellhop.Unavailable, "no stream keeps the subject %s, so that nothing can be put aside; make one", s.dead())
	}
	if err != nil {
		return s.fault(err)
	}
	return s.Ack(ctx, []bellhop.Message{m})
}

// line keeps a header to one.
func line(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

// Extend tells the server that work goes on, also on what has come and was not
// taken yet.
func (s *subscription) Extend(ctx context.Context, held []bellhop.Message) error {
	if err := s.each(held, false, jetstream.Msg.InProgress); err != nil {
		return err
	}
	return s.flush(ctx)
}

// Close has the server give at once to others what is left here.
func (s *subscription) Close() {
	s.close.Do(func() {
		defer s.conn.Close()
		if s.end != nil {
			defer s.end()
		}
		if s.conn.IsClosed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), leave)
		defer cancel()
		for s.batch != nil {
			select {
			case m, ok := <-s.batch.Messages():
				if !ok {
					s.batch = nil
					break
				}
				s.held[m] = true
				continue
			default:
				s.batch = nil
			}
		}
		for m := range s.held {
			_ = m.Nak()
		}
		_ = s.conn.FlushWithContext(ctx)
	})
}
