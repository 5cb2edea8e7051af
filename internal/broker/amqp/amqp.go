// Package amqp takes messages of queues of RabbitMQ, and of what else speaks
// AMQP 0-9-1.
package amqp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	client "github.com/rabbitmq/amqp091-go"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker/dial"
)

const (
	// answer is how long a server may take to let Bellhop in and to confirm, and
	// leave what a close may take.
	answer = 10 * time.Second
	leave  = 3 * time.Second
	// alive is how often both sides say that they are there; a server that has
	// been silent for twice that is gone.
	alive = 10 * time.Second
	// gather is how long is waited for more messages when there is one.
	gather = time.Millisecond
)

// New returns what connects to a RabbitMQ server.
func New() bellhop.Subscribe {
	return func(ctx context.Context, b *bellhop.Broker, member string) (bellhop.Subscription, error) {
		return subscribe(ctx, b, member)
	}
}

type subscription struct {
	b          *bellhop.Broker
	conn       *client.Connection
	channel    *client.Channel
	deliveries <-chan client.Delivery
	// lost has the reason when the channel ends, and none when it is closed.
	lost  chan *client.Error
	aside *aside // nil until something is put aside
	close sync.Once
}

func subscribe(ctx context.Context, b *bellhop.Broker, member string) (bellhop.Subscription, error) {
	urls, err := bellhop.BrokerURLs(bellhop.BrokerAMQP, b.URL)
	if err != nil {
		return nil, err
	}
	s := &subscription{b: b}
	if s.conn, err = connect(ctx, b, urls[0], member); err != nil {
		return nil, s.fault(err)
	}
	if err := s.consume(member); err != nil {
		s.Close()
		return nil, s.fault(err)
	}
	return s, nil
}

// connect has nothing connected again behind our back: delivery tags would be
// those of another channel. Whoever has the subscription connects anew.
func connect(ctx context.Context, b *bellhop.Broker, u *url.URL, member string) (*client.Connection, error) {
	user, password := dial.Login(b, u)
	if user == "" {
		user, password = "guest", "guest" // as the protocol's clients do
	}
	plain := *u
	plain.User = nil
	conf := client.Config{
		SASL: []client.Authentication{&client.PlainAuth{Username: user, Password: password}}, Heartbeat: alive, Locale: "en_US",
		Properties: client.Table{"product": "bellhop", "connection_name": "bellhop " + member},
	}
	if u.Scheme == "amqps" {
		c, err := dial.TLS(b, u.Hostname())
		if err != nil {
			return nil, err
		}
		conf.TLSClientConfig = c
	}
	// The client knows no contexts. What is being dialled ends with this one.
	dialing, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	greeted := func() bool { return true }
	conf.Dial = func(network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dialing, network, addr)
		if err != nil {
			return nil, err
		}
		greeted = context.AfterFunc(dialing, func() { _ = conn.Close() })
		return conn, conn.SetDeadline(time.Now().Add(answer)) // the client lifts it when it is let in
	}
	conn, err := client.DialConfig(plain.String(), conf)
	if !greeted() && err == nil {
		_ = conn.Close()
		err = dialing.Err()
	}
	return conn, err
}

func (s *subscription) consume(member string) (err error) {
	if s.channel, err = s.conn.Channel(); err != nil {
		return err
	}
	s.lost = s.channel.NotifyClose(make(chan *client.Error, 1))
	if err := s.channel.Qos(s.b.MaxInFlight, 0, false); err != nil {
		return err
	}
	if _, err := s.channel.QueueDeclarePassive(s.b.From, true, false, false, false, nil); err != nil {
		return err
	}
	s.deliveries, err = s.channel.Consume(s.b.From, "bellhop-"+member, false, false, false, false, nil)
	return err
}

func (s *subscription) fault(err error) error {
	if own, ok := errors.AsType[*bellhop.Error](err); ok {
		return own
	}
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == client.NotFound && strings.Contains(e.Reason, "queue") {
		return bellhop.Errorf(bellhop.Unavailable, "there is no such queue at the RabbitMQ server; make it: %w", err)
	}
	return dial.Fault(s.b, "the RabbitMQ server", err)
}

// Receive waits for the first message, and takes along what has come with it.
// The server sends no more than MaxInFlight that are not settled.
func (s *subscription) Receive(ctx context.Context, max int) ([]bellhop.Message, error) {
	var ms []bellhop.Message
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case d, ok := <-s.deliveries:
		if !ok {
			return nil, s.fault(s.reason())
		}
		ms = append(ms, s.message(&d))
	}
	// What has come is handed over one by one, so that it takes a moment.
	enough := time.NewTimer(gather)
	defer enough.Stop()
	for len(ms) < max {
		select {
		case d, ok := <-s.deliveries:
			if !ok {
				return ms, nil // settling them tells
			}
			ms = append(ms, s.message(&d))
		case <-enough.C:
			return ms, nil
		}
	}
	return ms, nil
}

// reason is why there are no more deliveries.
func (s *subscription) reason() error {
	select {
	case e := <-s.lost:
		if e != nil {
			return e
		}
	case <-time.After(time.Second):
	}
	return bellhop.Errorf(bellhop.Unavailable, "the RabbitMQ server delivers no more; the queue may be gone")
}

func (s *subscription) message(d *client.Delivery) bellhop.Message {
	m := bellhop.Message{Body: d.Body, Type: d.ContentType, Subject: d.RoutingKey, Handle: *d}
	if d.MessageId != "" { // the publisher's; the protocol has no other
		m.ID = s.b.From + "/" + d.MessageId
	}
	if len(d.Headers) > 0 {
		m.Headers = make(map[string]string, len(d.Headers))
		for k, v := range d.Headers {
			switch v := v.(type) {
			case client.Table, []any, nil:
			case []byte:
				m.Headers[k] = string(v)
			default:
				m.Headers[k] = fmt.Sprint(v)
			}
		}
	}
	return m
}

// each does something with the messages as the client has them.
func (s *subscription) each(ms []bellhop.Message, do func(client.Delivery) error) error {
	for i := range ms {
		if d, ok := ms[i].Handle.(client.Delivery); ok {
			if err := do(d); err != nil {
				return s.fault(err)
			}
		}
	}
	return nil
}

// Ack says so. Nothing tells that it has arrived.
func (s *subscription) Ack(_ context.Context, done []bellhop.Message) error {
	return s.each(done, func(d client.Delivery) error { return d.Ack(false) })
}

// DeadLetter rejects the message, for the queue's own dead letter exchange, or
// publishes it to another queue with where it is from and the reason.
func (s *subscription) DeadLetter(ctx context.Context, m bellhop.Message, reason string) error {
	if s.b.Reject {
		return s.each([]bellhop.Message{m}, func(d client.Delivery) error { return d.Reject(false) })
	}
	d, ok := m.Handle.(client.Delivery)
	if !ok {
		return bellhop.Errorf(bellhop.Internal, "the message is another driver's")
	}
	if s.aside == nil {
		var err error
		if s.aside, err = newAside(s.conn, s.b.DeadLetter); err != nil {
			return s.fault(err)
		}
	}
	if err := s.aside.publish(ctx, s.b, d, reason); err != nil {
		return s.fault(err)
	}
	return s.Ack(ctx, []bellhop.Message{m})
}

// Extend has nothing to do: messages stay with whoever is connected. (For how
// long, the server's consumer_timeout says.)
func (s *subscription) Extend(context.Context, []bellhop.Message) error {
	if s.channel.IsClosed() {
		return s.fault(client.ErrClosed)
	}
	return nil
}

// Close has the server give to others what is not settled, at once.
func (s *subscription) Close() {
	s.close.Do(func() { _ = s.conn.CloseDeadline(time.Now().Add(leave)) })
}

// aside is a queue in which messages are put aside.
type aside struct {
	queue    string
	channel  *client.Channel
	returned chan client.Return
}

// newAside finds the queue, or makes it.
func newAside(conn *client.Connection, queue string) (*aside, error) {
	a := &aside{queue: queue}
	var err error
	if a.channel, err = conn.Channel(); err != nil {
		return nil, err
	}
	if _, err = a.channel.QueueDeclarePassive(queue, true, false, false, false, nil); err != nil {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Code != client.NotFound {
			return nil, err
		}
		if a.channel, err = conn.Channel(); err != nil { // that answer ends a channel
			return nil, err
		}
		if _, err = a.channel.QueueDeclare(queue, true, false, false, false, nil); err != nil {
			return nil, err
		}
	}
	a.returned = a.channel.NotifyReturn(make(chan client.Return, 1))
	return a, a.channel.Confirm(false)
}

// publish returns when the server has the message on its disk.
func (a *aside) publish(ctx context.Context, b *bellhop.Broker, d client.Delivery, reason string) error {
	headers := client.Table{}
	for k, v := range d.Headers {
		if !strings.EqualFold(k, "CC") && !strings.EqualFold(k, "BCC") { // by which the server would send it elsewhere as well
			headers[k] = v
		}
	}
	headers["bellhop-broker"], headers["bellhop-queue"], headers["bellhop-reason"] = b.Principal(), b.From, reason
	headers["bellhop-routing-key"] = d.RoutingKey
	sent, err := a.channel.PublishWithDeferredConfirmWithContext(ctx, "", a.queue, true, false, client.Publishing{
		Headers: headers, Body: d.Body, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, CorrelationId: d.CorrelationId,
		MessageId: d.MessageId, Timestamp: d.Timestamp, Type: d.Type, AppId: d.AppId, DeliveryMode: client.Persistent,
	})
	if err != nil {
		return err
	}
	ok, err := sent.WaitContext(ctx)
	if err != nil {
		return err
	}
	select {
	case <-a.returned: // which comes before the confirmation
		ok = false
	default:
	}
	if !ok {
		return bellhop.Errorf(bellhop.Unavailable, "the queue %s does not take what is put aside", a.queue)
	}
	return nil
}
