package server

import (
	"context"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/broker"
	"github.com/bellhop-io/bellhop/internal/broker/amqp"
	"github.com/bellhop-io/bellhop/internal/broker/nats"
	"github.com/bellhop-io/bellhop/internal/broker/redis"
	"github.com/bellhop-io/bellhop/internal/secret"
)

// makeBrokers makes what takes messages of brokers. It takes none yet.
func (s *Server) makeBrokers() {
	drivers := map[bellhop.BrokerKind]bellhop.Subscribe{
		bellhop.BrokerRedis: redis.New(redis.Options{Clock: s.clock, Log: s.log}),
		bellhop.BrokerAMQP:  amqp.New(),
		bellhop.BrokerNATS:  nats.New(),
	}
	s.brokers = broker.NewSet(func(b bellhop.Broker) *broker.Consumer {
		return broker.New(broker.Options{
			Broker: b, Member: s.name, House: brokerHouse{s}, Clock: s.clock, Log: s.log,
			Subscribe: func(ctx context.Context, b *bellhop.Broker, member string) (bellhop.Subscription, error) {
				open, err := s.unsealed(ctx, *b)
				if err != nil {
					return nil, err
				}
				return drivers[b.Kind](ctx, &open, member)
			},
		})
	})
}

// startBrokers begins to take messages, when everything else is there.
func (s *Server) startBrokers(ctx context.Context) {
	s.onStop(func(context.Context) { s.brokers.Stop() })
	s.followBrokers(ctx)
}

// followBrokers has messages taken as the active configuration says.
func (s *Server) followBrokers(ctx context.Context) {
	if s.opt.Solo || s.opt.rehearsal != nil {
		return // messages are for a server that works in earnest
	}
	s.brokers.Follow(ctx, s.engine.Brokers())
}

// unsealed puts the values in the place of the secrets that a broker names: at
// every connection, so that one that is set anew is used from then on.
func (s *Server) unsealed(ctx context.Context, b bellhop.Broker) (bellhop.Broker, error) {
	for _, at := range []*string{&b.URL, &b.Password, &b.Token} {
		if _, is := bellhop.SecretName(*at); !is {
			continue
		}
		value, err := secret.Resolve(ctx, s.seals.vault, *at)
		if err != nil {
			return b, bellhop.Errorf(bellhop.Unavailable, "a secret can't be had: %w", err)
		}
		*at = value
	}
	return b, nil
}

// ill are the brokers that no messages are taken from, as far as a person may
// know of them.
func (s *Server) ill(ctx context.Context, p bellhop.Person) (all []bellhop.IllBroker) {
	admin := s.engine.Manages(ctx, p)
	if !admin && !s.engine.Identify(p).Internal {
		return nil
	}
	sees := s.sees(ctx, p)
	for _, st := range s.brokers.States() {
		if st.Err == nil || !sees.Adapter(st.Name) {
			continue
		}
		b := bellhop.IllBroker{Name: st.Name, Since: st.Since}
		if admin {
			b.Error = s.seals.hidden.Text(st.Err.Error())
		}
		all = append(all, b)
	}
	return all
}

// brokerHouse is Bellhop for brokers (broker.House).
type brokerHouse struct{ s *Server }

func (h brokerHouse) Take(ctx context.Context, b *bellhop.Broker, wants []bellhop.Invocation) []error {
	if err := h.s.open(ctx); err != nil {
		faults := make([]error, len(wants))
		for i := range faults {
			faults[i] = err
		}
		return faults
	}
	return h.s.engine.Take(ctx, b, wants)
}
