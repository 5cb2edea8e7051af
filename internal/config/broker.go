package config

import (
	"time"

	"github.com/bellhop-io/bellhop"
)

type brokerRaw struct {
	at
	Name        text               `yaml:"name" doc:"A name of its own, after which the consumer group is named, and who asks: broker:SERVICE/NAME."`
	Redis       redisRaw           `yaml:"redis" doc:"A stream of Redis or Valkey, read as a member of a consumer group."`
	AMQP        amqpRaw            `yaml:"amqp" doc:"A queue of RabbitMQ, or of what else speaks AMQP 0-9-1."`
	NATS        natsRaw            `yaml:"nats" doc:"A stream of NATS JetStream, read by a durable consumer."`
	When        dict[conditionRaw] `yaml:"when" item:"condition" doc:"Only messages that meet all of this: by dotted path, a value, a list of which one must be it, {not: ...}, {glob: ...} or {exists: true}."`
	Job         text               `yaml:"job" doc:"The job of the same service that is asked for."`
	Args        dict[literal]      `yaml:"args" item:"argument" doc:"Its arguments, in which {event.PATH} stands for a part of the message, {message.id}, {message.subject} and {message.header.NAME} for what is known of it."`
	Key         text               `yaml:"key" mode:"plain" doc:"What is the same for the same request, such as {event.order_id}: the same again is the same run. Default: what the broker knows the message by."`
	Format      text               `yaml:"format" enum:"json,text" doc:"text: messages are texts, {event.body}, whatever they say of themselves. Default: as their content type says, else JSON."`
	OnInvalid   text               `yaml:"on_invalid" enum:"dead_letter,drop,stop" def:"dead_letter" doc:"What becomes of a message that no run can be made of: put aside with the reason, dropped, or left where it is, and no more are taken."`
	MaxInFlight number             `yaml:"max_in_flight" def:"100" doc:"How many messages this server takes before the first of them is acknowledged; 1000 at most."`
	MaxSize     size               `yaml:"max_size" def:"1MiB" doc:"How large a message may be; a larger one is invalid."`
	Delay       span               `yaml:"delay" def:"0s" doc:"How long a run waits before it starts."`
	OnRepeat    text               `yaml:"on_repeat" enum:"merge,queue,reject" def:"queue" doc:"When the same job is asked for with the same arguments already: merge joins what waits, queue makes another run, reject leaves it at that."`
	ReportTo    text               `yaml:"report_to" doc:"Who is told of its runs: a person's name, or a place of a chat such as slack:#ops. Default: the service's."`
}

type redisRaw struct {
	at
	URL        text `yaml:"url" mode:"secret" doc:"Its address: redis://USER@HOST:6379/0, rediss:// with TLS, unix:///PATH; or secret:NAME."`
	User       text `yaml:"user" doc:"Who Bellhop is there. Default: the address's."`
	Password   text `yaml:"password" mode:"secret" doc:"The password: secret:NAME, or ${VAR}. Default: the address's."`
	CA         text `yaml:"ca" doc:"File of authorities, PEM, whose certificates are believed besides the machine's."`
	Stream     text `yaml:"stream" doc:"The key of the stream."`
	Group      text `yaml:"group" doc:"The consumer group. Default: bellhop-SERVICE-NAME. It is made if it is not there."`
	From       text `yaml:"from" enum:"all,new" def:"all" doc:"Where a group that is made begins: with all that is there, or with what is new."`
	ClaimAfter span `yaml:"claim_after" def:"1m" doc:"How long a message may be with a server that is silent before another takes it over; at least 1s."`
	DeadLetter text `yaml:"dead_letter" doc:"The stream in which invalid messages are put aside. Default: STREAM:dead."`
}

type amqpRaw struct {
	at
	URL        text `yaml:"url" mode:"secret" doc:"Its address: amqp://USER@HOST:5672/VHOST, amqps:// with TLS; or secret:NAME."`
	User       text `yaml:"user" doc:"Who Bellhop is there. Default: the address's."`
	Password   text `yaml:"password" mode:"secret" doc:"The password: secret:NAME, or ${VAR}. Default: the address's."`
	CA         text `yaml:"ca" doc:"File of authorities, PEM, whose certificates are believed besides the machine's."`
	Queue      text `yaml:"queue" doc:"The queue, which must be there."`
	DeadLetter text `yaml:"dead_letter" doc:"The queue in which invalid messages are put aside. Default: QUEUE.dead. It is made if it is not there."`
	Reject     flag `yaml:"reject" def:"false" doc:"true: invalid messages are rejected, so that the queue's own dead letter exchange has them. Without one they are gone."`
}

type natsRaw struct {
	at
	URL         text `yaml:"url" mode:"secret" doc:"Its address: nats://HOST:4222, tls:// with TLS, several with commas between them; or secret:NAME."`
	User        text `yaml:"user" doc:"Who Bellhop is there. Default: the address's."`
	Password    text `yaml:"password" mode:"secret" doc:"The password: secret:NAME, or ${VAR}. Default: the address's."`
	Token       text `yaml:"token" mode:"secret" doc:"Instead of user and password: secret:NAME, or ${VAR}."`
	Credentials text `yaml:"credentials" doc:"Instead of them: a .creds file."`
	CA          text `yaml:"ca" doc:"File of authorities, PEM, whose certificates are believed besides the machine's."`
	Stream      text `yaml:"stream" doc:"The stream, which must be there."`
	Subject     text `yaml:"subject" doc:"Only messages of these subjects, such as orders.*.new. Default: all of the stream."`
	Consumer    text `yaml:"consumer" doc:"A durable consumer that is there, and is used as it is. Default: bellhop-SERVICE-NAME, which is made."`
	From        text `yaml:"from" enum:"all,new" def:"all" doc:"Where a consumer that is made begins: with all that is there, or with what is new."`
	ClaimAfter  span `yaml:"claim_after" def:"1m" doc:"How long a message may be with a server that is silent before another gets it; at least 1s."`
	DeadLetter  text `yaml:"dead_letter" doc:"The subject under which invalid messages are put aside, of some other stream. Default: dead.STREAM, for which a stream STREAM-dead is made."`
}

const (
	whatBroker = "broker"
	// maxInFlight bounds what a server holds of one broker.
	maxInFlight = 1000
)

// brokers are those of a service.
func (b *builder) brokers(s *bellhop.Service, raw serviceRaw, good map[string]bool) {
	names := map[string]at{}
	for _, r := range raw.Brokers.items {
		br := b.broker(s, r, good)
		if br.ReportTo == "" {
			br.ReportTo = raw.ReportTo.val
		}
		if first, twice := names[br.Name]; twice && r.Name.good() {
			b.fault(r.Name.at, "the name %q is given to two brokers; the other stands in %s", br.Name, first.line())
		}
		if r.Name.good() {
			names[br.Name] = r.at
		}
		b.shares(&br, r)
		s.Brokers = append(s.Brokers, br)
	}
}

// share is what no two brokers may have in common: each would get a part of
// the messages only.
type share struct {
	kind                 bellhop.BrokerKind
	url, from, group, as string
}

func (b *builder) shares(br *bellhop.Broker, r brokerRaw) {
	if br.URL == "" || br.From == "" || r.bad {
		return
	}
	key := share{br.Kind, br.URL, br.From, br.Group, br.User}
	if first, taken := b.shared[key]; taken {
		b.fault(r.at, "this broker shares the messages with the one in %s, so that each would get some of them; give one of them another group, consumer or queue", first.line())
		return
	}
	if b.shared == nil {
		b.shared = map[share]at{}
	}
	b.shared[key] = r.at
}

func (b *builder) broker(s *bellhop.Service, r brokerRaw, good map[string]bool) bellhop.Broker {
	br := bellhop.Broker{
		Service: s.Name, Name: r.Name.val, When: conditions(r.When), Job: r.Job.val, Key: r.Key.val, Text: r.Format.val == "text",
		OnInvalid: bellhop.OnInvalid(r.OnInvalid.or("dead_letter")), MaxInFlight: 100, MaxSize: 1 << 20, Delay: r.Delay.val,
		OnRepeat: bellhop.OnRepeat(r.OnRepeat.or("queue")), ReportTo: r.ReportTo.val, Pos: r.at.pos(),
	}
	switch {
	case r.Name.isSet():
		b.checkName(whatBroker, br.Name, r.Name.at)
	case !r.bad:
		b.fault(r.at, "this broker has no name; add name:, after which the consumer group is named, and who asks")
	}
	if r.MaxInFlight.good() {
		if br.MaxInFlight = r.MaxInFlight.val; br.MaxInFlight > maxInFlight {
			b.fault(r.MaxInFlight.at, "max_in_flight: %d is too many; at most %d messages are taken before the first is acknowledged", br.MaxInFlight, maxInFlight)
		}
	}
	if r.MaxSize.good() {
		br.MaxSize = r.MaxSize.val
	}
	if r.Key.isSet() && r.Key.good() && !filled(whatBroker, r.Key.val) {
		b.fault(r.Key.at, "key: %s is the same for every message, so that one run would be made of all; write such as \"{event.id}\"", shorten(r.Key.val))
	}
	if r.Key.good() {
		b.misspelt(whatBroker, "key", r.Key.at, r.Key.val)
	}
	if r.ReportTo.good() && !b.place("report_to", r.ReportTo) {
		br.ReportTo = ""
	}
	b.brokerKind(&br, r)
	br.Args = b.eventArgs(whatBroker, r.at, s, r.Job, r.Args, good)
	return br
}

// brokerKind reads the one kind that a broker must have.
func (b *builder) brokerKind(br *bellhop.Broker, r brokerRaw) {
	kinds := 0
	for _, k := range []struct {
		kind bellhop.BrokerKind
		at   at
		read func(*bellhop.Broker)
	}{
		{bellhop.BrokerRedis, r.Redis.at, func(br *bellhop.Broker) { b.redis(br, r.Redis) }},
		{bellhop.BrokerAMQP, r.AMQP.at, func(br *bellhop.Broker) { b.amqp(br, r.AMQP) }},
		{bellhop.BrokerNATS, r.NATS.at, func(br *bellhop.Broker) { b.nats(br, r.NATS) }},
	} {
		if !k.at.isSet() {
			continue
		}
		if kinds++; kinds > 1 {
			b.fault(k.at, "a broker takes messages from one place; this one has %s besides: make it two", k.kind)
			continue
		}
		br.Kind = k.kind
		k.read(br)
	}
	if kinds == 0 && !r.bad {
		b.fault(r.at, "this broker does not say where messages come from; add redis:, amqp: or nats: with a url")
	}
	if r.Format.isSet() && br.Kind == bellhop.BrokerRedis {
		b.fault(r.Format.at, "format does not go with redis, whose messages have fields: {event.FIELD}, or {event.FIELD.PATH} into one that is JSON; remove it")
	}
	if br.OnInvalid != bellhop.OnInvalidDeadLetter {
		for _, t := range []text{r.Redis.DeadLetter, r.AMQP.DeadLetter, r.NATS.DeadLetter} {
			if t.isSet() {
				b.fault(t.at, "dead_letter does not go with on_invalid: %s; remove one of them", br.OnInvalid)
			}
		}
	}
}

// login checks the address and who Bellhop is there.
func (b *builder) login(br *bellhop.Broker, section at, addr, user, password, ca text) {
	br.URL, br.User, br.Password, br.CA = addr.val, user.val, password.val, b.path(ca.val)
	switch {
	case !addr.isSet() && !section.bad:
		b.fault(section, "%s: url is missing: the address of the broker", br.Kind)
	case addr.good() && isSecret(addr.val):
		br.Address = string(br.Kind)
	case addr.good():
		urls, err := bellhop.BrokerURLs(br.Kind, addr.val)
		if err != nil {
			b.fault(addr.at, "url: %v", err)
			return
		}
		for i, u := range urls {
			if i > 0 {
				br.Address += ","
			}
			br.Address += NewURL(u.String()).String()
			if _, has := u.User.Password(); has && password.isSet() {
				b.fault(password.at, "password: the address has one already; remove one of them")
			}
		}
	}
}

// taken is the stream or queue, which must be named.
func (b *builder) taken(br *bellhop.Broker, section at, key string, t text) {
	br.From = t.val
	if !section.bad && (!t.isSet() || t.good() && t.val == "") {
		b.fault(section, "%s: %s is missing: where messages are taken from", br.Kind, key)
	}
}

func (b *builder) claimAfter(s span) time.Duration {
	if !s.good() {
		return time.Minute
	}
	if s.val < time.Second {
		b.fault(s.at, "claim_after: %s is too short; a server may be silent for 1s at least", s.val)
	}
	return s.val
}

func ownGroup(br *bellhop.Broker) string { return "bellhop-" + br.Service + "-" + br.Name }

func (b *builder) redis(br *bellhop.Broker, r redisRaw) {
	b.login(br, r.at, r.URL, r.User, r.Password, r.CA)
	b.taken(br, r.at, "stream", r.Stream)
	br.Group, br.OnlyNew, br.ClaimAfter = r.Group.or(ownGroup(br)), r.From.val == "new", b.claimAfter(r.ClaimAfter)
	br.DeadLetter = r.DeadLetter.or(br.From + ":dead")
	if r.DeadLetter.good() && br.DeadLetter == br.From {
		b.fault(r.DeadLetter.at, "dead_letter: that is the stream itself, from which they would be taken again; write another")
	}
}

func (b *builder) amqp(br *bellhop.Broker, r amqpRaw) {
	b.login(br, r.at, r.URL, r.User, r.Password, r.CA)
	b.taken(br, r.at, "queue", r.Queue)
	br.Reject, br.DeadLetter = r.Reject.val, r.DeadLetter.or(br.From+".dead")
	switch {
	case r.Reject.val && r.DeadLetter.isSet():
		b.fault(r.Reject.at, "reject: true leaves invalid messages to the queue's dead letter exchange, and dead_letter names a queue; remove one of them")
	case r.DeadLetter.good() && br.DeadLetter == br.From:
		b.fault(r.DeadLetter.at, "dead_letter: that is the queue itself, from which they would be taken again; write another")
	}
}

func (b *builder) nats(br *bellhop.Broker, r natsRaw) {
	b.login(br, r.at, r.URL, r.User, r.Password, r.CA)
	b.taken(br, r.at, "stream", r.Stream)
	br.Token, br.Credentials, br.Subject = r.Token.val, b.path(r.Credentials.val), r.Subject.val
	br.Group, br.Foreign = r.Consumer.or(ownGroup(br)), r.Consumer.isSet()
	br.OnlyNew, br.ClaimAfter, br.DeadLetter = r.From.val == "new", b.claimAfter(r.ClaimAfter), r.DeadLetter.val
	if r.Token.isSet() && (r.Password.isSet() || r.Credentials.isSet()) || r.Password.isSet() && r.Credentials.isSet() {
		b.fault(r.at, "nats: token, password and credentials each say who Bellhop is; keep one of them")
	}
	if !r.Consumer.isSet() {
		return
	}
	for _, t := range []struct {
		key string
		at  at
	}{{"subject", r.Subject.at}, {"from", r.From.at}, {"claim_after", r.ClaimAfter.at}} {
		if t.at.isSet() {
			b.fault(t.at, "%s is for a consumer that Bellhop makes, and consumer names one that is there; remove one of them", t.key)
		}
	}
}
