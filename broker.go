package bellhop

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
)

// SourceBroker is the source of what message brokers deliver.
const SourceBroker = "broker"

// BrokerKind says what a broker speaks.
type BrokerKind string

// The kinds.
const (
	BrokerRedis BrokerKind = "redis" // a stream, as a member of a consumer group
	BrokerAMQP  BrokerKind = "amqp"  // a queue, as RabbitMQ has it
	BrokerNATS  BrokerKind = "nats"  // a JetStream stream, by a durable consumer
)

// OnInvalid says what becomes of a message that can't be made a run of.
type OnInvalid string

// What may become of it.
const (
	OnInvalidDeadLetter OnInvalid = "dead_letter" // it is put aside, with the reason
	OnInvalidDrop       OnInvalid = "drop"        // it is acknowledged, and gone
	OnInvalidStop       OnInvalid = "stop"        // it stays, and nothing more is taken
)

// Broker is an entry that asks for a run for every message of a stream or a
// queue. Each server that has it takes its share of the messages.
type Broker struct {
	Service, Name string
	Kind          BrokerKind
	// URL is the address, which may hold a password, or secret:NAME. Address is
	// what may be shown of it.
	URL      string `json:"-"`
	Address  string
	User     string // "" = the URL's
	Password string `json:"-"` // itself or secret:NAME; "" = the URL's
	Token    string `json:"-"` // nats
	// CA and Credentials are files: of authorities that are believed besides
	// the machine's, and of who Bellhop is (nats); "" = none.
	CA, Credentials string `json:"-"` // which begin at a folder
	// From is the stream (redis, nats) or queue (amqp), Subject narrows it to
	// some subjects (nats). Group is the consumer group (redis) or the durable
	// consumer (nats); with Foreign somebody else makes that and says how it is.
	From, Subject, Group string
	Foreign              bool
	// OnlyNew: of what was there before the group was made, nothing is taken.
	OnlyNew bool
	// ClaimAfter is how long a message may be with a server that is silent
	// before another gets it (redis, nats).
	ClaimAfter time.Duration
	// DeadLetter is where messages are put aside: a stream, queue or subject.
	// Reject (amqp) leaves that to the queue's own dead letter exchange.
	DeadLetter string
	Reject     bool
	Text       bool // messages are texts, whatever they say of themselves
	When       []Condition
	Job        string
	// Args and Key are templates over the message: {event.PATH},
	// {message.NAME}. Key is what is the same for the same request; "" = what
	// the broker knows the message by.
	Args        Args
	Key         string
	OnInvalid   OnInvalid
	MaxInFlight int   // messages that are taken and not acknowledged
	MaxSize     int64 // bytes of a message; a larger one is invalid
	Delay       time.Duration
	OnRepeat    OnRepeat
	ReportTo    string
	Pos         Position `json:"-"`
}

// Principal is who asks for the runs of a broker: broker:SERVICE/NAME.
func (b *Broker) Principal() string { return SourceBroker + ":" + b.Service + "/" + b.Name }

// Message is what a broker delivered.
type Message struct {
	// ID is the same however often the message is delivered, and of no other
	// message; "" = the broker has no such thing.
	ID string
	// Body is of the media type Type ("" = not said). A message of Fields has
	// no body.
	Body    []byte
	Type    string
	Fields  map[string]string
	Subject string // or routing key; "" = none
	Headers map[string]string
	// Handle is the driver's own.
	Handle any
}

// Size is what counts against a limit, in bytes.
func (m *Message) Size() int64 {
	n := len(m.Body)
	for k, v := range m.Fields {
		n += len(k) + len(v)
	}
	return int64(n)
}

// Subscription is one connection to a broker that takes messages of one
// stream or queue. It ends with its connection: there is no reconnecting in
// it, whoever has it makes another. After any error it is to be closed, and
// what it delivered and was not settled is delivered again, to this server or
// another. One goroutine calls it.
//
// Every message that Receive returns is settled by Ack or DeadLetter, or given
// back by Close. Settling may be lost with the connection: then the message
// comes again, with the same ID.
type Subscription interface {
	// Receive returns the next messages in the order of the broker, 1 to max
	// of them, as soon as there is one. It returns the context's error soon
	// after that ends, and the messages are then still to be delivered. max is
	// never more than the broker's MaxInFlight less what is not settled.
	Receive(ctx context.Context, max int) ([]Message, error)
	// Ack says that messages are done with, in the order of Receive.
	Ack(ctx context.Context, done []Message) error
	// DeadLetter puts a message aside, with the reason, and is done with it.
	// When it fails, the message is not done with; it may be put aside twice.
	DeadLetter(ctx context.Context, m Message, reason string) error
	// Extend says that messages are still worked on, so that no other server
	// is given them. It is called three times in every ClaimAfter.
	Extend(ctx context.Context, held []Message) error
	// Close gives back what is not settled, and lets go of the connection. It
	// takes a few seconds at most, and may be called twice.
	Close()
}

// Subscribe connects to a broker whose secrets are in place. member names the
// server among those that share the messages. An error may be shown: it holds
// no password.
type Subscribe func(ctx context.Context, b *Broker, member string) (Subscription, error)

// BrokerURLs reads the address of a broker: one URL, or for NATS several with
// commas between them. An error tells nothing of it that could be a password.
func BrokerURLs(kind BrokerKind, text string) ([]*url.URL, error) {
	schemes, form := []string{"redis", "rediss", "unix"}, "redis://USER@HOST:6379/0, rediss:// with TLS, or unix:///PATH"
	switch kind {
	case BrokerAMQP:
		schemes, form = []string{"amqp", "amqps"}, "amqp://USER@HOST:5672/VHOST, or amqps:// with TLS"
	case BrokerNATS:
		schemes, form = []string{"nats", "tls"}, "nats://HOST:4222, or tls://HOST:4222"
	}
	texts := []string{text}
	if kind == BrokerNATS {
		texts = strings.Split(text, ",")
	}
	var all []*url.URL
	for _, t := range texts {
		u, err := url.Parse(strings.TrimSpace(t))
		if err != nil { // which quotes it
			return nil, Errorf(Invalid, "the address can't be read; write %s, and signs such as @ : / ? # %% in a password as %%40 %%3A %%2F %%3F %%23 %%25", form)
		}
		switch {
		case !slices.Contains(schemes, u.Scheme):
			return nil, Errorf(Invalid, "the address begins with another scheme than %s; write %s", strings.Join(schemes, ", "), form)
		case u.Scheme == "unix" && u.Path == "", u.Scheme != "unix" && u.Hostname() == "":
			return nil, Errorf(Invalid, "the address names no host; write %s", form)
		case u.RawQuery != "" && u.Scheme != "unix", u.Fragment != "":
			return nil, Errorf(Invalid, "the address has a ? or # in it, behind which nothing is read; write %s", form)
		}
		all = append(all, u)
	}
	return all, nil
}
